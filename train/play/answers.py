"""What the page asks for, and the answers: JSON objects in, JSON objects out."""

import threading
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from shards.errors import DataError
from train.inference.detect import Detection, detect
from train.inference.encoding import encode
from train.inference.fill import MASK, fill
from train.inference.generate import ROUNDS, generate
from train.inference.loaded import Loaded
from train.inference.settings import GenerateSettings

Json = dict[str, Any]
TOP = 8
"""Fillings for each [MASK]: as many as a phone shows."""
MOST = {"max_new_tokens": 1000, "num_beams": 16, "rounds": 100}
"""What a page, which has no Ctrl-C, may ask for."""
WHOLE = frozenset(MOST) | {"top_k", "seed"}
SETTINGS = frozenset(one.name for one in fields(GenerateSettings))
OF_MASKED = frozenset({"max_new_tokens", "rounds"})
OF_CAUSAL = SETTINGS - {"rounds"}


class Stopped(Exception):  # noqa: N818 - a request, no error
    """The server ends while a text is being written."""


class Answers:
    """A model that answers a page, one request at a time.

    Args:
        loaded: The model; its networks are read here, once.

    Attributes:
        tabs: What the model can do: fill, detect, generate.

    Raises:
        DataError: The model can do none of them, or cannot be read.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._lock = threading.Lock()
        self._is_stopping = False
        ways: dict[str, Callable[[Json], Json]] = {
            "fill": self._fill,
            "detect": self._detect,
            "generate": self._generate,
        }
        self._ways = {tab: ways[tab] for tab in tabs_of(loaded)}
        self.tabs = tuple(self._ways)

    def about(self) -> Json:
        """Return what the page needs to know of the model."""
        loaded = self._loaded
        return {
            "name": loaded.folder.resolve().name,
            "device": str(loaded.device),
            "step": loaded.step,
            "tabs": list(self.tabs),
            "is_causal": loaded.is_decoder,
            "rounds": ROUNDS,
        }

    def answer(self, tab: str, request: Json) -> Json:
        """Return what the model says.

        Raises:
            DataError: The text or a setting does not suit.
            KeyError: The model has no such tab.
        """
        way = self._ways[tab]
        with self._lock:
            return way(request)

    def stop(self) -> None:
        """End the text that is being written, if there is one, and answer no more."""
        self._is_stopping = True
        self._lock.acquire()

    def _tick(self) -> None:
        if self._is_stopping:
            raise Stopped

    def _fill(self, request: Json) -> Json:
        top = min(TOP, self._loaded.tokenizer.get_vocab_size())
        return {"masks": [asdict(one) for one in fill(self._loaded, request["text"], top)]}

    def _detect(self, request: Json) -> Json:
        return {"pieces": pieces(detect(self._loaded, request["text"]))}

    def _generate(self, request: Json) -> Json:
        try:
            settings = settings_of(request, is_causal=self._loaded.is_decoder)
        except ValueError as error:
            raise DataError(str(error), "change it") from error
        if settings.max_new_tokens is not None and not self._loaded.is_decoder:
            check_room(self._loaded, request["text"], settings.max_new_tokens)
        return asdict(generate(self._loaded, request["text"], settings, self._tick))


def tabs_of(loaded: Loaded) -> tuple[str, ...]:
    """Read the networks of a model; return what it can do.

    Raises:
        DataError: It can do nothing that the page shows, or cannot be read.
    """
    if loaded.is_decoder:
        return ("generate",) if loaded.decoder else ()
    tabs: tuple[str, ...] = ()
    if loaded.fills:
        tabs += ("fill", "generate") if loaded.filler and loaded.mask else ()
    if loaded.main.replaced is not None:
        tabs += ("detect",)
    if not tabs:
        problem = f"the model at {loaded.folder} has no head that fills, detects or generates"
        raise DataError(problem, "give a language model, or an ELECTRA discriminator")
    return tuple(sorted(tabs, key=["fill", "detect", "generate"].index))


def check_room(loaded: Loaded, text: str, masks: int) -> None:
    """Check that a masked model takes a text and the masks that it gets where it has none.

    Raises:
        DataError: It does not.
    """
    if MASK in text or loaded.mask in text:
        return
    tokens = len(encode(loaded, loaded.filler, text, masks=True).ids)
    limit = loaded.filler.transformer.config.max_position_embeddings
    if tokens + masks > limit:
        problem = f"the model takes {limit} tokens, the text has {tokens} and {masks} masks are"
        raise DataError(f"{problem} added to it", f"add {limit - tokens} at most, or shorten it")


def settings_of(request: Json, *, is_causal: bool) -> GenerateSettings:
    """Return how to generate, as a page asks for it; None is what is usual.

    Raises:
        DataError: A setting is for the other kind of model.
        ValueError: A value is no number, or out of range, or two do not go together.
    """
    given = {name: request[name] for name in SETTINGS if request.get(name) is not None}
    for name in sorted(given.keys() - (OF_CAUSAL if is_causal else OF_MASKED)):
        kinds = ("masked", "causal") if is_causal else ("causal", "masked")
        raise DataError(f"{name} is for {kinds[0]} models, this one is {kinds[1]}", "leave it out")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}; it must be a number")
        if name in WHOLE and not isinstance(value, int):
            raise ValueError(f"{name} is {value}; it must be a whole number")
        if value > MOST.get(name, value):
            raise ValueError(f"{name} is {value}; it must be at most {MOST[name]}")
    return GenerateSettings(**given)


def pieces(detection: Detection) -> list[Json]:
    """Return a text cut into its tokens and what is between them, which has no probability.

    A character of several tokens (bytes) is one piece, with the highest of their probabilities.
    """
    text, done = detection.text, 0
    found: list[Json] = []
    for verdict in detection.verdicts:
        start = max(verdict.start, done)
        if start > done:
            found.append({"text": text[done:start], "probability": None})
        if verdict.end > start:
            found.append({"text": text[start : verdict.end], "probability": verdict.probability})
        elif found and found[-1]["probability"] is not None:
            found[-1]["probability"] = max(found[-1]["probability"], verdict.probability)
        done = max(done, start, verdict.end)
    if done < len(text):
        found.append({"text": text[done:], "probability": None})
    return found
