"""`results.md`: the scores beside the twin, the majority class and published models, for people."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

from pipeline.tasks import TASKS
from shards.files import write_text
from train.glue.published import EIGHT, PUBLISHED, Published
from train.glue.results import MODELS, GlueResults, Model, TaskResults

TABLE_FILE = "results.md"
HEADER = ("task", "metric", "pretrained", "random twin", "majority", "train rows", "dev rows")
NAMES: dict[Model, str] = {"pretrained": "pretrained", "random": "random twin"}
NONE = "-"


def write_table(results: GlueResults, out: Path) -> None:
    """Write results.md into `out`, whole or not at all."""
    write_text(out / TABLE_FILE, page(results))


def page(results: GlueResults) -> str:
    """Return the page that holds the tables and says how they were made."""
    parts = [
        f"# GLUE dev scores of {results.model}",
        table(results),
        _how(results),
        "## Every seed",
        _seeds_table(results),
        "## Beside published models",
        _published_table(results),
        about_average(results),
    ]
    return "\n\n".join(parts) + "\n"


def table(results: GlueResults) -> str:
    """Return a line for each task, dev split and metric, as an aligned Markdown table."""
    return aligned(score_lines(results))


def score_lines(results: GlueResults) -> list[Sequence[str]]:
    """Return a head, and a line for each task, dev split and metric."""
    lines: list[Sequence[str]] = [HEADER]
    for task in results.tasks:
        for split, metric in task.measured():
            lines.append(
                (
                    label(task.task, split),
                    metric,
                    *(_spread(results, task, model, split, metric) for model in MODELS),
                    percent(task.majority[split][metric]),
                    str(task.counts["train"]),
                    str(task.counts[split]),
                )
            )
    return lines


def label(task: str, split: str) -> str:
    """Return "CoLA", or "MNLI matched" where a task has more than one dev split."""
    return " ".join([TASKS[task].folder, *split.split("_")[1:]])


def _how(results: GlueResults) -> str:
    """Say what the numbers are, and with what settings they were got."""
    chosen = {name: value for name, value in results.config.items() if value is not None}
    options = "; ".join(f"{name} {value}" for name, value in chosen.items())
    devices = dict.fromkeys(
        f"{seed.device} in {seed.precision}"
        for task in results.tasks
        for model in MODELS
        for seed in task.of(model)
    )
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    settings = "\n".join(
        f"- {task.task}: " + ", ".join(f"{name} {value}" for name, value in task.settings.items())
        for task in results.tasks
    )
    return (
        "Scores times 100: the median over seeds, and (lowest..highest). They are those of the "
        "last step; nothing is chosen on the dev rows. The random twin has the same shape and "
        "training, but no pretraining. Majority always answers the most frequent class of the "
        "training rows, or their mean score; a correlation with that is put at 0.\n\n"
        f"{results.parameters:,} parameters in the encoder; on {', '.join(devices) or NONE}; "
        f"{versions}.\n\nOptions: {options}.\n\nSettings of each task:\n\n{settings or NONE}"
        f"{_rows_left_out(results)}{_best(results)}"
    )


def _rows_left_out(results: GlueResults) -> str:
    """Name rows that were skipped or cut short, if there are any."""
    lines = []
    for task in results.tasks:
        for split, counts in task.counts.items():
            words = []
            if counts.skipped:
                words.append(f"{counts.skipped:,} rows without all fields left out")
            if counts.truncated:
                words.append(f"{counts.truncated:,} of {counts.rows:,} rows cut to fit")
            if words:
                lines.append(f"- {task.task} {split}: {', '.join(words)}")
    return "\n\nRows not read as they are:\n\n" + "\n".join(lines) if lines else ""


def _best(results: GlueResults) -> str:
    if results.config.get("keep") != "best":
        return ""
    return (
        "\n\nOf each seed, models/TASK-seed-N/last is the model that is scored here; beside it is "
        "that of the best epoch, chosen by its dev score, which no table here shows."
    )


def _seeds_table(results: GlueResults) -> str:
    most = max([1, *(len(task.of(model)) for task in results.tasks for model in MODELS)])
    lines: list[Sequence[str]] = [("task", "metric", "model", *(f"seed {n}" for n in range(most)))]
    for task in results.tasks:
        for split, metric in task.measured():
            for model in MODELS:
                cells = [percent(one) for one in task.values(model, split, metric)]
                if cells:
                    cells += [NONE] * (most - len(cells))
                    lines.append((label(task.task, split), metric, NAMES[model], *cells))
    return aligned(lines)


def _published_table(results: GlueResults) -> str:
    own = own_lines(results, "**this model**", "its random twin")
    return aligned([published_head(), *own, *map(published_line, PUBLISHED)])


def published_head() -> Sequence[str]:
    """Return the head of a table of averages."""
    heads = [heading for _, _, _, heading in EIGHT]
    return ("model", "parameters", *heads, "average", "protocol", "source")


def own_lines(results: GlueResults, name: str, twin: str) -> list[Sequence[str]]:
    """Return what stands beside published models: this one, its twin, the majority class.

    Args:
        results: Of the model.
        name: What to call it.
        twin: What to call its twin.
    """
    lines: list[Sequence[str]] = []
    parameters, protocol = f"{results.parameters:,}", _protocol(results)
    lines.append(_own_line(name, parameters, medians(results, "pretrained"), protocol))
    if any(task.random for task in results.tasks):
        lines.append(_own_line(twin, parameters, medians(results, "random"), protocol))
    lines.append(_own_line("majority class", "", _majorities(results), ""))
    return lines


def _protocol(results: GlueResults) -> str:
    """Return in a phrase what a person chose of the training."""
    config = results.config
    words = [f"median of {config['seeds']}", f"recipe {config['recipe']}"]
    for name in ("learning_rate", "epochs", "batch_size"):
        if config.get(name) is not None:
            words.append(f"but {name.replace('_', ' ')} {config[name]}")
    if config.get("from_task") is not None:
        words.append(f"MRPC, STS-B and RTE begun from {TASKS[config['from_task']].folder}")
    return ", ".join(words)


def medians(results: GlueResults, model: Model) -> list[float | None]:
    """Return the median of each of `EIGHT`, None where no seed is done."""
    found: list[float | None] = []
    for name, split, metric, _ in EIGHT:
        task = results.task(name)
        values = task.values(model, split, metric) if task else []
        found.append(median(values) if values else None)
    return found


def _majorities(results: GlueResults) -> list[float | None]:
    tasks = [(results.task(name), split, metric) for name, split, metric, _ in EIGHT]
    return [task.majority[split][metric] if task else None for task, split, metric in tasks]


def average(scores: Sequence[float | None]) -> float | None:
    """Return the mean of eight scores; None unless all are there."""
    present = [one for one in scores if one is not None]
    return fmean(present) if len(present) == len(EIGHT) else None


def _own_line(
    name: str, parameters: str, scores: Sequence[float | None], protocol: str
) -> Sequence[str]:
    mean = average(scores)
    cells = [NONE if one is None else percent(one) for one in scores]
    whole = "not all eight" if mean is None else percent(mean, 2)
    return (name, parameters, *cells, whole, protocol, "")


def published_line(one: Published) -> Sequence[str]:
    """Return the line of somebody else's model."""
    cells = [f"{score:.1f}" for score in one.scores]
    return (one.model, one.parameters, *cells, f"{one.average:.2f}", one.protocol, one.source)


def about_average(results: GlueResults) -> str:
    """Say what the average is, and what keeps it from being comparable."""
    text = (
        "Dev scores. The average is that of the eight: Matthews of CoLA, Spearman of STS-B, "
        "accuracy of the others; WNLI is left out. Published rows are on the complete tasks, each "
        "by its own protocol."
    )
    less = []
    for name, _, _, heading in EIGHT:
        task = results.task(name)
        if task is None:
            less.append(f"{heading} is not done")
            continue
        for split, counts in task.counts.items():
            if not counts.is_whole:
                less.append(f"{heading} {split} has {counts}")
        done = len(task.pretrained)
        if done < results.config["seeds"]:
            less.append(f"{heading} has {done} of {results.config['seeds']} seeds")
    return text if not less else f"{text} This model's row differs: {'; '.join(less)}."


def _spread(results: GlueResults, task: TaskResults, model: Model, split: str, metric: str) -> str:
    """Return "70.5 (69.0..72.1)", and how many seeds are done where some are missing."""
    values = task.values(model, split, metric)
    if not values:
        return NONE
    text = percent(median(values))
    if len(values) > 1:
        text += f" ({percent(min(values))}..{percent(max(values))})"
    wanted = results.config["seeds"]
    return text if len(values) >= wanted else f"{text} [{len(values)} of {wanted} seeds]"


def percent(value: float, digits: int = 1) -> str:
    """Return a fraction times 100."""
    return f"{100 * value:.{digits}f}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, the first line as its header."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rows = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rows.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rows)
