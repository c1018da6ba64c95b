"""A model opened for use: of a run, its export, or a folder that `transformers` loads.

Each network is read when it is first asked for, and kept.
"""

from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from model.parts import Parts
from pipeline.vocabulary.names import find_names
from pipeline.vocabulary.settings import read_settings
from pipeline.words.rules import Unsupported, learn_rules
from shards.errors import DataError
from train.config import Device
from train.device import choose_device
from train.folder_tokenizer import load_folder_tokenizer
from train.inference.networks import AGAIN, open_networks


class Loaded:
    """A model and its tokenizer.

    Args:
        folder: A run, or an exported or published model; of a run that has not ended, the newest
            checkpoint.
        device: Where to compute.

    Attributes:
        folder: What a person named.
        device: Where its networks are.
        files: The folder of the tokenizer's files.
        step: How many updates it has had, of a run that has not ended; else None.

    Raises:
        DataError: There is no model, or no such device.
    """

    def __init__(self, folder: Path, device: Device = "auto") -> None:
        self.folder = folder
        self.device = choose_device(device)
        self._networks = open_networks(folder)
        self.files, self.step = self._networks.files, self._networks.step

    @property
    def is_decoder(self) -> bool:
        """Return whether the model is causal.

        Raises:
            DataError: The model is of no kind that there is.
        """
        return self._networks.is_decoder

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer; "[MASK]" in a text is text to it."""
        tokenizer = load_folder_tokenizer(self.files, AGAIN, is_decoder=self.is_decoder)
        rows, last = self._networks.vocab_size, max(tokenizer.get_vocab().values(), default=-1)
        if rows is not None and last >= rows:
            problem = f"{self.files}'s tokenizer has {last + 1} tokens, its model {rows}"
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
        name = find_names(self.tokenizer, read_settings(self.files))["mask"]
        if name not in self.tokenizer.get_vocab():
            problem = f"the vocabulary at {self.files} has no {name}"
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
        said = self._networks.end_token_ids
        if said is not None:
            return said
        settings = read_settings(self.files)
        name = settings.token("eos") or settings.token("sep")  # the latter ends our documents
        found = None if name is None else self.tokenizer.token_to_id(name)
        return frozenset() if found is None else frozenset([found])

    @cached_property
    def main(self) -> Parts:
        """Return the network that the folder is for: of a pair, the discriminator."""
        return self._networks.read_main().to(self.device)

    @cached_property
    def filler(self) -> Parts:
        """Return the network that predicts masked tokens: of a pair, the generator.

        Raises:
            DataError: There is none.
        """
        has_generator = self._networks.has_generator
        network = self._networks.read_generator().to(self.device) if has_generator else self.main
        if network.tokens is None or network.transformer.config.is_decoder:
            problem = f"the model at {self.folder} does not fill in masked tokens"
            raise DataError(problem, "give a masked language model, or a pair with its generator")
        return network

    @property
    def fills(self) -> bool:
        """Return whether there is a network that predicts masked tokens."""
        return not self.is_decoder and (
            self._networks.has_generator or self.main.tokens is not None
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
