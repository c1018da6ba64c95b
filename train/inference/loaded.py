"""A model folder opened for use: our run, its export, or a folder that `transformers` loads.

Each network is read when it is first asked for, and kept.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from model.huggingface import GENERATOR
from model.huggingface_configs import find_content_family
from model.huggingface_families import GPT2
from model.huggingface_files import CONFIG, read_json
from model.huggingface_read import read_parts
from model.language_model import LanguageModel
from model.parts import Parts, language_model_parts
from pipeline.vocabulary.names import find_names
from pipeline.vocabulary.settings import read_settings
from pipeline.words.rules import Unsupported, learn_rules
from shards.errors import DataError
from train.checkpoint import load_weights, newest_checkpoint
from train.config import Device
from train.device import choose_device
from train.folder_tokenizer import load_folder_tokenizer
from train.initial import make_model
from train.runs import RUN_FILE, find_export, load_run, main_shape

AGAIN = "export the run again, or give a whole model folder"
GENERATION = "generation_config.json"


class Loaded:
    """A model and its tokenizer.

    Args:
        folder: A run, or an exported or published model.
        device: Where to compute.

    Attributes:
        folder: What a person named.
        device: Where its networks are.
        export: The folder of its files.

    Raises:
        DataError: There is no model, or no such device.
    """

    def __init__(self, folder: Path, device: Device = "auto") -> None:
        self.folder = folder
        self.device = choose_device(device)
        self.export = find_export(folder)
        self._config = _read_settings(self.export / CONFIG)

    @cached_property
    def is_decoder(self) -> bool:
        """Return whether the model is causal.

        Raises:
            DataError: The model is of no kind that there is.
        """
        try:
            return find_content_family(self._config) is GPT2
        except ValueError as error:
            raise DataError(f"{self.export} cannot be loaded ({error})", AGAIN) from error

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer; "[MASK]" in a text is text to it."""
        tokenizer = load_folder_tokenizer(self.export, AGAIN, is_decoder=self.is_decoder)
        rows, last = self._config.get("vocab_size"), max(tokenizer.get_vocab().values(), default=-1)
        if isinstance(rows, int) and last >= rows:
            problem = f"{self.export}'s tokenizer has {last + 1} tokens, its model {rows}"
            raise DataError(problem, AGAIN)
        return tokenizer

    @cached_property
    def _token_ids(self) -> frozenset[int]:
        return frozenset(self.tokenizer.get_vocab().values())

    def tokenless_ids(self, network: Parts) -> list[int]:
        """Return the entries of a network's table that are no tokens: it may be longer."""
        return sorted(set(range(network.transformer.config.vocab_size)) - self._token_ids)

    @cached_property
    def cuts_at_spaces(self) -> bool:
        """Return whether what follows a space changes no token before it, for certain."""
        try:
            learn_rules(self.tokenizer)
        except Unsupported:
            return False
        return True

    @cached_property
    def masking_tokenizer(self) -> Tokenizer:
        """Return the tokenizer that reads the mask token's name, and other such names, as such."""
        # A copy, so that two threads with different texts do not meet: the choice is the object's.
        tokenizer = Tokenizer.from_str(self.tokenizer.to_str())
        tokenizer.encode_special_tokens = False
        return tokenizer

    @cached_property
    def mask(self) -> str:
        """Return the mask token.

        Raises:
            DataError: The vocabulary has none.
        """
        name = find_names(self.tokenizer, read_settings(self.export))["mask"]
        if name not in self.tokenizer.get_vocab():
            problem = f"the vocabulary at {self.export} has no {name}"
            raise DataError(problem, "name its mask_token in its tokenizer_config.json")
        return name

    @cached_property
    def mask_token_id(self) -> int:
        """Return its id."""
        return self.tokenizer.get_vocab()[self.mask]

    @cached_property
    def end_token_ids(self) -> frozenset[int]:
        """Return the tokens that end a text of a causal model, if there are any.

        They are those that `transformers` would take, else those of the tokenizer's settings.

        Raises:
            DataError: What a file says of them are no ids.
        """
        for path in (self.export / GENERATION, self.export / CONFIG):
            said = _read_settings(path).get("eos_token_id") if path.is_file() else None
            if said is None:
                continue
            ids = said if isinstance(said, list) else [said]
            if any(type(one) is not int for one in ids):
                problem = f"{path} has eos_token_id {said!r}, which is no token's id"
                raise DataError(problem, "correct it, or take it out")
            return frozenset(ids)
        settings = read_settings(self.export)
        name = settings.token("eos") or settings.token("sep")  # the latter ends our documents
        found = None if name is None else self.tokenizer.token_to_id(name)
        return frozenset() if found is None else frozenset([found])

    @cached_property
    def main(self) -> Parts:
        """Return the network that the folder is for: of a pair, the discriminator."""
        if self.is_decoder and is_multiplied_out(self.folder):
            run = load_run(self.folder)
            model = make_model(run.model) if run.model else None
            if isinstance(model, LanguageModel):
                load_weights(newest_checkpoint(run.checkpoints), model)
                return language_model_parts(model).eval().to(self.device)
        return self._read(self.export)

    @cached_property
    def filler(self) -> Parts:
        """Return the network that predicts masked tokens: of a pair, the generator.

        Raises:
            DataError: There is none.
        """
        has_generator = (self.export / GENERATOR).is_dir()
        network = self._read(self.export / GENERATOR) if has_generator else self.main
        if network.tokens is None or network.transformer.config.is_decoder:
            problem = f"the model at {self.folder} does not fill in masked tokens"
            raise DataError(problem, "give a masked language model, or a pair with its generator")
        return network

    @property
    def fills(self) -> bool:
        """Return whether there is a network that predicts masked tokens."""
        return not self.is_decoder and (
            (self.export / GENERATOR).is_dir() or self.main.tokens is not None
        )

    @property
    def judge(self) -> Parts:
        """Return the network that tells replaced tokens.

        Raises:
            DataError: There is none.
        """
        if self.main.replaced is None:
            problem = f"the model at {self.folder} does not tell replaced tokens"
            raise DataError(problem, "give an ELECTRA pair, or its discriminator")
        return self.main

    @property
    def decoder(self) -> Parts:
        """Return the network that predicts the next token.

        Raises:
            DataError: The model is not causal.
        """
        if self.main.tokens is None or not self.main.transformer.config.is_decoder:
            problem = f"the model at {self.folder} does not predict the next token"
            raise DataError(problem, "give a causal language model, such as GPT-2")
        return self.main

    def _read(self, folder: Path) -> Parts:
        try:
            return read_parts(folder).parts.to(self.device)
        except (ValueError, FileNotFoundError) as error:
            reason = str(error).replace("\n", " ")
            raise DataError(f"{folder} cannot be loaded ({reason})", AGAIN) from error


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except ValueError as error:
        raise DataError(str(error), AGAIN) from error


def is_multiplied_out(folder: Path) -> bool:
    """Return whether a run's class has multiplied two tables that are apart in its checkpoints.

    That is ALGPT2's: GPT-2 has no factorized embeddings, and ours predict with one table alone.
    """
    if not (folder / RUN_FILE).is_file():
        return False
    model = load_run(folder).model
    if model is None:
        return False
    shape = main_shape(model)
    return shape.is_decoder and shape.embedding_size != shape.hidden_size
