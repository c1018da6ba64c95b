"""The README.md of an export: what it is, what it was made of, what loads it, and what does not.

Nothing is said that the run does not know; what only a person can say is left for them to fill in.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.config import ElectraConfig, LanguageModelConfig, ModelConfig
from model.language_model import objective_weights
from pipeline.about import hearth_version
from pipeline.sources import SOURCES
from shards.manifest import Manifest
from train.runs import ModelKind, Run, main_shape, manifest_of

CARD = "README.md"
TO_FILL_IN = "TO FILL IN"
LOADERS = {
    "Model": "AutoModel",
    "ForMaskedLM": "AutoModelForMaskedLM",
    "ForPreTraining": "AutoModelForPreTraining",
    "LMHeadModel": "AutoModelForCausalLM",
}
"""Which of the Auto classes loads a class, by the end of its name; the longest end counts."""
HEADS = {
    "AlbertModel": "No class has an ALBERT that finds replaced tokens",
    "ElectraForPreTraining": "The class has no place for sentence order",
}
"""Why heads lie in a side file."""
MORE_DROPOUT = "- In training, ours has one dropout more than ALBERT's: after feed-forward."


def trained_card(run: Run, step: int, classes: Mapping[str, str], part: str) -> str:
    """Return the card of a run's model.

    Args:
        run: The run.
        step: Updates that made the weights.
        classes: The class of each network, by "discriminator" and "generator".
        part: Which of them are written; "both" puts the generator in a folder of its own.
    """
    config, model = run.config, run.model
    if model is None:
        raise TypeError("networks of the user's own have no card")
    manifest = manifest_of(run)
    begun = "random weights" if run.init_from is None else f"those of {Path(run.init_from).name}"
    lines = [
        f"# {run.folder.resolve().name}",
        "",
        f"{_what(model, config.preset)}, pretrained from {begun} with Hearth: "
        f"{_learned(model)}. It was trained with "
        f"{', '.join(f'{name} {number}' for name, number in run.versions.items())}; Hearth "
        f"{hearth_version()} wrote this folder.",
        "",
        "## Loading",
        "",
        *_loading(model, classes, part),
        "",
        "## Training",
        "",
        *_training(run, step),
        *_seen(run, model, step, manifest),
        "",
        "## Data and licence",
        "",
        *_data(manifest),
        "",
        f"Licence of this model: {TO_FILL_IN}",
    ]
    return "\n".join(lines) + "\n"


def imported_card(imported: Mapping[str, Any], part: str) -> str:
    """Return the card of a model that was made elsewhere.

    Args:
        imported: Content of the run's `import.json`.
        part: Which networks are written.
    """
    classes = imported["classes"]
    hashes = ", ".join(f"`{name}` {digest}" for name, digest in imported["files"].items())
    lines = [
        f"# {imported['source']}",
        "",
        f"A published model from a folder of that name, taken over by Hearth {imported['hearth']} "
        "and not trained further. What was read, with its BLAKE3 hash: " + hashes + ".",
        "",
        *(_place(name, classes, part) for name in _written(classes, part)),
        *(f"- {remark}." for remark in imported["remarks"]),
        "",
        "Its data and its training are those that its publisher states; they are not known here.",
        "",
        f"Licence of this model, its publisher's: {TO_FILL_IN}",
    ]
    return "\n".join(lines) + "\n"


def _written(classes: Mapping[str, str], part: str) -> list[str]:
    return [name for name in classes if part in ("both", name)]


def _place(name: str, classes: Mapping[str, str], part: str) -> str:
    """Return where a network lies and what loads it."""
    loader = next(auto for end, auto in sorted(LOADERS.items()) if classes[name].endswith(end))
    if classes[name].endswith("LMHeadModel"):
        loader = LOADERS["LMHeadModel"]
    where = "`generator/`" if name == "generator" and part == "both" else "This folder"
    return f"- {where}: the {name}, `{classes[name]}`; `{loader}.from_pretrained` loads it."


def _what(model: ModelKind, preset: str) -> str:
    kind = "An ELECTRA pair" if isinstance(model, ElectraConfig) else "A language model"
    return f"{kind}, preset `{preset}`"


def _learned(model: ModelKind) -> str:
    if isinstance(model, LanguageModelConfig):
        return " and ".join(name.replace("_", " ") for name in objective_weights(model))
    return (
        "masked tokens by the generator, replaced tokens by the discriminator, order of sentences "
        f"by {model.sentence_order}"
    )


def _training(run: Run, step: int) -> list[str]:
    config = run.config
    length = f"{config.steps:,} steps" if config.hours is None else f"{config.hours:g} hours"
    done = f"{step:,} of {length}" if config.hours is None else f"{step:,} steps in {length}"
    batch = f"{config.batch_size} rows"
    if config.stages:
        batch = f"rows of stages {', '.join(map(str, config.stages))}"
    return [
        f"- {done} of {batch}, {config.optimizer}, learning rate {config.learning_rate:g} at its "
        f"peak, {config.schedule} schedule, warm-up {config.warmup:g}, {config.precision}."
    ]


def _loading(model: ModelKind, classes: Mapping[str, str], part: str) -> list[str]:
    lines = [_place(name, classes, part) for name in _written(classes, part)]
    if isinstance(model, LanguageModelConfig):
        if _drops_more(model.model) and not model.model.is_decoder:
            lines.append(MORE_DROPOUT)
        return lines
    order = model.sentence_order
    if part != "generator":
        judge, learns_order = classes["discriminator"], order in ("discriminator", "both")
        if judge == "AlbertModel" or learns_order:
            heads = ["replaced tokens (above 0 = replaced)"] if judge == "AlbertModel" else []
            heads += ["sentence order (0 = original, 1 = swapped)"] if learns_order else []
            lines.append(
                f"- `heads.safetensors`: the heads for {' and '.join(heads)}. {HEADS[judge]}, so "
                "`transformers` does not load this file."
            )
        if judge == "AlbertModel" and not learns_order:
            lines.append("- Its pooler is random: nothing trained it.")
    if part != "discriminator" and order in ("generator", "both"):
        lines.append("- The generator's head for sentence order served training; it is left out.")
    if any(map(_drops_more, (model.generator, model.discriminator))):
        lines.append(MORE_DROPOUT)
    return lines


def _drops_more(shape: ModelConfig) -> bool:
    is_albert = shape.num_hidden_groups != shape.num_hidden_layers
    return is_albert and shape.hidden_dropout_prob > 0


def _seen(run: Run, model: ModelKind, step: int, manifest: Manifest | None) -> list[str]:
    """Return how much was read; tokens are counted by the mean of all rows."""
    length = main_shape(model).max_position_embeddings
    if run.config.stages:
        return [f"- Rows of up to {length} tokens."]
    seen = step * run.config.batch_size
    line = f"- {seen:,} rows seen"
    counts = manifest.counts.get("balance", {}).get("all", {}) if manifest else {}
    rows, real = counts.get(f"{length}/rows"), counts.get(f"{length}/real_tokens")
    if rows and real:
        line += f", about {seen * real / rows:,.0f} tokens, at the mean of {real / rows:.1f} a row"
    return [f"{line}; rows of up to {length} tokens."]


def _data(manifest: Manifest | None) -> list[str]:
    if manifest is None:
        return ["The shards it was trained on are no longer there, so their sources are not known."]
    balance = manifest.counts.get("balance", {})
    lines = ["| source | documents | text | tokens | terms of its publisher |"]
    lines.append("|---|---|---|---|---|")
    for source in manifest.counts["sources"]:
        name, counts = source["name"], balance.get(source["name"], {})
        terms = SOURCES[name].licence if name in SOURCES else TO_FILL_IN
        text = f"{counts['text_bytes'] / 1e6:,.1f} MB" if "text_bytes" in counts else "-"
        tokens = f"{counts['tokens']:,}" if "tokens" in counts else "-"
        lines.append(f"| {name} | {source['documents']:,} | {text} | {tokens} | {terms} |")
    return lines
