"""A run's folder: what was chosen, its checkpoints, its metrics, its export."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from model.config import ElectraConfig, LanguageModelConfig, ModelConfig
from model.configure import configure
from shards.errors import DataError
from shards.files import write_text
from shards.format import ShardHeader
from shards.manifest import Manifest, read_manifest
from shards.reader import read_shard_manifest
from train.config import PretrainConfig
from train.stages import Stage, with_rows

RUN_FILE = "run.json"
IMPORT_FILE = "import.json"
RUN_VERSION = 2
ModelKind = ElectraConfig | LanguageModelConfig
KINDS: dict[str, type[ModelKind]] = {
    "electra": ElectraConfig,
    "language_model": LanguageModelConfig,
}
"""What `run.json` calls them; a model of the user's own has no kind."""
NETWORKS = ("generator", "discriminator", "model")
"""Fields of either kind that are the shapes of networks."""


@dataclass(frozen=True)
class Run:
    """A run as it was started.

    Attributes:
        folder: The run's folder.
        config: The resolved configuration.
        model: The networks; None: the user's own, given from Python.
        shards: Folder of shards, as an absolute path.
        fingerprint: Fingerprint of the shards' manifest.
        versions: Versions of the libraries that can change the result.
        init_from: The folder that the first weights came from, as an absolute path; None: drawn.
    """

    folder: Path
    config: PretrainConfig
    model: ModelKind | None
    shards: str
    fingerprint: str
    versions: dict[str, str]
    init_from: str | None = None

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        """Return the file with a line for every step."""
        return self.folder / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        """Return the file with guesses at held-out places, a line for every evaluation."""
        return self.folder / "samples.jsonl"

    @property
    def tokenizer(self) -> Path:
        """Return the folder of the tokenizer's files."""
        return self.folder / "tokenizer"

    @property
    def shards_manifest(self) -> Path:
        """Return the folder with a copy of the shards' manifest."""
        return self.folder / "shards"

    @property
    def export(self) -> Path:
        """Return the Hugging Face folder written at the end of the run."""
        return self.folder / "hf"

    def write(self) -> None:
        """Write `run.json`."""
        document = {key: value for key, value in asdict(self).items() if key != "folder"}
        if self.model is not None:
            kind = next(name for name, one in KINDS.items() if isinstance(self.model, one))
            document["model"] = {"kind": kind, **document["model"]}
        document = {"run_version": RUN_VERSION, **document}
        write_text(self.folder / RUN_FILE, json.dumps(document, indent=1) + "\n")


def find_export(folder: Path) -> Path:
    """Return the exported folder that `folder` is, or that the run in `folder` has.

    Raises:
        DataError: There is neither.
    """
    for candidate in (folder / "hf", folder):
        if (candidate / "config.json").is_file():
            return candidate
    if (folder / RUN_FILE).is_file():
        remedy = f"finish the run, or run `python cli.py export {folder} --out DIR` and give DIR"
    else:
        remedy = "give a run's folder, or one that `python cli.py export` wrote"
    raise DataError(f"no exported model at {folder}", remedy)


def read_import(folder: Path) -> dict[str, Any] | None:
    """Return what `import` wrote about the run in `folder`; None if it is none of its runs.

    Raises:
        DataError: It cannot be read.
    """
    path = folder / IMPORT_FILE
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content | {"source": str(content["source"]), "classes": dict(content["classes"])}
    except (ValueError, KeyError, TypeError) as error:
        remedy = "import the model again"
        raise DataError(f"{path} cannot be read ({error})", remedy) from error


def manifest_of(run: Run) -> Manifest | None:
    """Return the manifest of the shards: the run's copy, or theirs if they are still there."""
    for folder in (run.shards_manifest, Path(run.shards)):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.fingerprint() == run.fingerprint:
            return manifest
    return None


def model_config(
    config: PretrainConfig, header: ShardHeader, max_position_embeddings: int | None = None
) -> ModelKind:
    """Return the networks of a preset for these shards' vocabulary, and rows of such a length.

    Args:
        config: Of the run.
        header: Of the shards.
        max_position_embeddings: The longest row that the model takes; None: as in `header`.
    """
    model = configure(
        config.preset,
        vocab_size=header.vocab_size,
        max_position_embeddings=max_position_embeddings or header.max_length,
        pad_token_id=header.pad_token_id,
        mask_token_id=header.mask_token_id,
    )
    if isinstance(model, ElectraConfig) and config.sentence_order is not None:
        return replace(model, sentence_order=config.sentence_order)
    return model


def model_of(run: Run) -> ModelKind:
    """Return a run's networks.

    Raises:
        DataError: They are the user's own, of which only Python knows.
    """
    if run.model is None:
        problem = f"{run.folder} trained networks that were given from Python"
        raise DataError(problem, "load its weights there, with train.checkpoint.load_weights")
    return run.model


def main_shape(model: ModelKind) -> ModelConfig:
    """Return the shape of the network that a model is for: of a pair, the discriminator's."""
    return model.discriminator if isinstance(model, ElectraConfig) else model.model


def stages_of(config: PretrainConfig, shards: Path) -> tuple[Stage, ...]:
    """Return the stages of a run, at least one, with a batch size each.

    Raises:
        DataError: There are no rows of a stage's length, or several lengths and no stages.
    """
    _, headers = read_shard_manifest(shards)
    lengths = ", ".join(map(str, headers))
    problem = f"{shards} has rows of {lengths} tokens"
    remedy = f"choose with --stages, such as --stages {max(headers)}"
    if not config.stages and len(headers) > 1:
        raise DataError(problem, remedy)
    stages = config.stages or tuple(map(Stage, headers))
    for stage in stages:
        if stage.max_length not in headers:
            raise DataError(f"{problem}, none of {stage.max_length}", remedy)
    return with_rows(stages, config.batch_size)


def load_run(folder: Path) -> Run:
    """Read a run's `run.json`.

    Raises:
        DataError: There is none, or it cannot be read.
    """
    path = folder / RUN_FILE
    if imported := read_import(folder):
        problem = f"{folder} was imported from {imported['source']}, not trained here"
        remedy = "use it with fill, glue and export, or begin a run from it by pretrain --init-from"
        raise DataError(problem, remedy)
    if not path.is_file():
        raise DataError(f"no run at {folder}", "give the folder that `python cli.py pretrain` made")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
        version = document.pop("run_version", 1)
        if version != RUN_VERSION:
            problem = f"{path} is of run version {version}, this Hearth reads {RUN_VERSION}"
            remedy = f"start another run; --init-from {folder / 'hf'} takes its weights"
            raise DataError(problem, remedy)
        config = PretrainConfig(**document.pop("config"))
        run = Run(folder, config, _read_model(document.pop("model")), **document)
        words = run.shards, run.fingerprint, run.init_from or ""
        if not all(isinstance(word, str) for word in words):
            raise ValueError("shards, fingerprint or init_from is no text")
        return run
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "give a run that this version of Hearth made, or start another"
        raise DataError(f"{path} cannot be read ({error})", remedy) from error


def _read_model(content: dict[str, Any] | None) -> ModelKind | None:
    if content is None:
        return None
    kind = KINDS[content.pop("kind")]
    shapes = {name: ModelConfig(**content[name]) for name in NETWORKS if name in content}
    return kind(**(content | shapes))
