"""Where networks come from: a model folder, or the checkpoint of a run that has not ended."""

from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from model.electra import Electra
from model.huggingface import GENERATOR
from model.huggingface_configs import find_content_family
from model.huggingface_families import GPT2
from model.huggingface_files import CONFIG, read_json
from model.huggingface_read import read_parts
from model.language_model import LanguageModel
from model.parts import Parts, discriminator_of, generator_of, language_model_parts
from shards.errors import DataError
from train.checkpoint import newest_checkpoint, step_of
from train.initial import load_trained
from train.runs import RUN_FILE, Run, find_export, load_run, main_shape, model_of

AGAIN = "export the run again, or give a whole model folder"
GENERATION = "generation_config.json"


class Networks(Protocol):
    """The networks of a folder, on the CPU, in eval mode; each is read when it is asked for.

    Whatever is asked for, the error of a broken file is a DataError.
    """

    @property
    def files(self) -> Path:
        """Return the folder of the tokenizer's files."""
        ...

    @property
    def step(self) -> int | None:
        """Return how many updates they have had, in a run that has not ended; else None."""
        ...

    @property
    def is_decoder(self) -> bool:
        """Return whether the main network is causal."""
        ...

    @property
    def vocab_size(self) -> int | None:
        """Return how many rows its table has; None: the files do not say."""
        ...

    @property
    def end_token_ids(self) -> frozenset[int] | None:
        """Return the tokens that end a text; None: the files do not say."""
        ...

    @property
    def has_generator(self) -> bool:
        """Return whether there is a generator beside the main network."""
        ...

    def read_main(self) -> Parts:
        """Return the main network: of a pair, the discriminator."""
        ...

    def read_generator(self) -> Parts:
        """Return the generator."""
        ...


def open_networks(folder: Path) -> Networks:
    """Return the networks of a run, or of an exported or published model.

    Raises:
        DataError: There is no model.
    """
    if (folder / RUN_FILE).is_file() and not (folder / "hf" / CONFIG).is_file():
        return RunNetworks(load_run(folder))
    return FolderNetworks(find_export(folder))


class RunNetworks:
    """Those of a run that has no export yet, as its newest whole checkpoint has them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        shape = main_shape(model_of(run))
        self._checkpoint = newest_checkpoint(run.checkpoints)
        self.step = step_of(self._checkpoint)
        self.files = run.tokenizer
        self.is_decoder, self.vocab_size = shape.is_decoder, shape.vocab_size
        self.end_token_ids = None

    @cached_property
    def _model(self) -> Electra | LanguageModel:
        return load_trained(self._run, self._checkpoint).eval()

    @property
    def has_generator(self) -> bool:
        """Return whether it is a pair."""
        return isinstance(self._model, Electra)

    def read_main(self) -> Parts:
        """Return the discriminator, or the one network that there is."""
        model = self._model
        return (
            discriminator_of(model) if isinstance(model, Electra) else language_model_parts(model)
        )

    def read_generator(self) -> Parts:
        """Return the generator."""
        if not isinstance(self._model, Electra):
            raise TypeError("one network has no generator")
        return generator_of(self._model)


class FolderNetworks:
    """Those of a folder that `transformers` loads."""

    def __init__(self, folder: Path) -> None:
        self.files, self.step = folder, None
        self._config = _read_settings(folder / CONFIG)

    @cached_property
    def is_decoder(self) -> bool:
        """Return whether the main network is causal; raises a DataError if it is of no kind."""
        try:
            return find_content_family(self._config) is GPT2
        except ValueError as error:
            raise DataError(f"{self.files} cannot be loaded ({error})", AGAIN) from error

    @property
    def vocab_size(self) -> int | None:
        """Return how many rows its table has, if the configuration says so."""
        rows = self._config.get("vocab_size")
        return rows if isinstance(rows, int) else None

    @property
    def end_token_ids(self) -> frozenset[int] | None:
        """Return the tokens that `transformers` would take.

        Raises:
            DataError: What a file says of them are no ids.
        """
        for path in (self.files / GENERATION, self.files / CONFIG):
            said = _read_settings(path).get("eos_token_id") if path.is_file() else None
            if said is None:
                continue
            ids = said if isinstance(said, list) else [said]
            if any(type(one) is not int for one in ids):
                problem = f"{path} has eos_token_id {said!r}, which is no token's id"
                raise DataError(problem, "correct it, or take it out")
            return frozenset(ids)
        return None

    @property
    def has_generator(self) -> bool:
        """Return whether there is a folder of one."""
        return (self.files / GENERATOR).is_dir()

    def read_main(self) -> Parts:
        """Return the network in the folder."""
        return _read(self.files)

    def read_generator(self) -> Parts:
        """Return the network in `generator/` inside it."""
        return _read(self.files / GENERATOR)


def _read(folder: Path) -> Parts:
    try:
        return read_parts(folder).parts
    except (ValueError, FileNotFoundError) as error:
        reason = str(error).replace("\n", " ")
        raise DataError(f"{folder} cannot be loaded ({reason})", AGAIN) from error


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except ValueError as error:
        raise DataError(str(error), AGAIN) from error
