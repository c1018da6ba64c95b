"""A run's folder: what was chosen, its checkpoints, its metrics, its export."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from model.config import ElectraConfig, ModelConfig
from model.presets import configure
from shards.errors import DataError
from shards.files import write_text
from shards.format import ShardHeader
from train.config import PretrainConfig

RUN_FILE = "run.json"
IMPORT_FILE = "import.json"


@dataclass(frozen=True)
class Run:
    """A run as it was started.

    Attributes:
        folder: The run's folder.
        config: The resolved configuration.
        model: The networks.
        shards: Folder of shards, as an absolute path.
        fingerprint: Fingerprint of the shards' manifest.
        versions: Versions of the libraries that can change the result.
    """

    folder: Path
    config: PretrainConfig
    model: ElectraConfig
    shards: str
    fingerprint: str
    versions: dict[str, str]

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        """Return the file with a line for every step."""
        return self.folder / "metrics.jsonl"

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


def model_config(config: PretrainConfig, header: ShardHeader) -> ElectraConfig:
    """Return the networks for these shards' vocabulary and row length."""
    model = configure(
        config.preset,
        vocab_size=header.vocab_size,
        max_position_embeddings=header.max_length,
        pad_token_id=header.pad_token_id,
        mask_token_id=header.mask_token_id,
    )
    return replace(cast(ElectraConfig, model), sentence_order=config.sentence_order)


def load_run(folder: Path) -> Run:
    """Read a run's `run.json`.

    Raises:
        DataError: There is none, or it cannot be read.
    """
    path = folder / RUN_FILE
    if imported := read_import(folder):
        problem = f"{folder} was imported from {imported['source']}, not trained here"
        raise DataError(problem, "use it with fill, glue and export")
    if not path.is_file():
        raise DataError(f"no run at {folder}", "give the folder that `python cli.py pretrain` made")
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        model = document.pop("model")
        model |= {key: ModelConfig(**model[key]) for key in ("generator", "discriminator")}
        config = PretrainConfig(**document.pop("config"))
        return Run(folder, config, ElectraConfig(**model), **document)
    except (ValueError, KeyError, TypeError) as error:
        remedy = "give a run that this version of Hearth made, or start another"
        raise DataError(f"{path} cannot be read ({error})", remedy) from error
