"""How well a model predicts a text.

A causal model has a perplexity: exp of the mean loss of all tokens but the first, each predicted
from those before it in its window (the windows are those of
https://huggingface.co/docs/transformers/perplexity). A masked model has a pseudo-perplexity: each
token is hidden in turn and predicted from all others of its window (Salazar et al. 2020,
https://arxiv.org/abs/1910.14659, section 2). The two cannot be compared with each other.

Shapes: T tokens, V vocabulary.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from shards.errors import DataError
from train.evaluate import perplexity as to_perplexity
from train.glue.template import learn_template
from train.inference.answers import TextError
from train.inference.encoding import ids_of
from train.inference.loaded import Loaded
from train.out_of_memory import memory_for

BATCH_PLACES = 4096
"""Tokens that are computed at once where each is hidden in a row of its own."""
REMEDY = "give a shorter text, or use --device cpu"


@dataclass(frozen=True)
class Perplexity:
    """How well a text is predicted; a perplexity that no number holds is infinite.

    Attributes:
        kind: Of which definition.
        loss: Mean loss of a token in nats.
        perplexity: exp(loss); it depends on the vocabulary.
        word_perplexity: exp of the summed loss by the number of words, so that models of different
            vocabularies can be compared; None: there is no word. A causal model does not predict
            its first token, whose word counts all the same.
        tokens: Predicted ones.
        words: Of the text that was read, between white space, whatever the vocabulary.
        max_length: Tokens of a window at most.
        stride: Tokens from the begin of a window to that of the next.
    """

    kind: Literal["perplexity", "pseudo-perplexity"]
    loss: float
    perplexity: float
    word_perplexity: float | None
    tokens: int
    words: int
    max_length: int
    stride: int


class Window(NamedTuple):
    """Tokens from `begin` to `end` are read, those from `first` on are predicted."""

    begin: int
    end: int
    first: int


def windows(length: int, max_length: int, stride: int) -> Iterator[Window]:
    """Yield windows over `length` tokens: each token is predicted once, by what fits before it."""
    first = 0
    for begin in range(0, length, stride):
        end = min(begin + max_length, length)
        yield Window(begin, end, first)
        first = end
        if end == length:
            return


@torch.inference_mode()
def measure_perplexity(
    loaded: Loaded,
    text: str,
    stride: int | None = None,
    start: Callable[[int], object] = lambda total: None,
    tick: Callable[[int], object] = lambda count: None,
) -> Perplexity:
    """Return how well a model predicts `text`, which may be longer than it takes.

    Args:
        loaded: A causal or masked language model, or a pair with its generator.
        text: All of it is one text.
        stride: Smaller means more to predict from, and more time; None = half a window.
        start: Called with the number of tokens to predict.
        tick: Called with a number of them that are done.

    Raises:
        DataError: The text has too few tokens, or the stride is too long for a window.
    """
    room = _room(loaded)
    stride = _choose_stride(stride, room, loaded.is_decoder)
    ids = ids_of(loaded.tokenizer, text)
    tokens = len(ids) - int(loaded.is_decoder)  # the first token has nothing before it
    if not tokens:
        problem = "the text has one token, and nothing to predict it from"
        raise TextError(text, problem, "give more words")
    start(tokens)
    total, words = _sum_losses(loaded, ids, room, stride, tick), _count_words(text)
    return Perplexity(
        kind="perplexity" if loaded.is_decoder else "pseudo-perplexity",
        loss=total / tokens,
        perplexity=to_perplexity(total / tokens),
        word_perplexity=to_perplexity(total / words) if words else None,
        tokens=tokens,
        words=words,
        max_length=room,
        stride=stride,
    )


def _room(loaded: Loaded) -> int:
    """Return how many tokens of a text a row has room for."""
    network = loaded.decoder if loaded.is_decoder else loaded.filler
    limit = network.transformer.config.max_position_embeddings
    frame = 0 if loaded.is_decoder else loaded.tokenizer.num_special_tokens_to_add(False)
    return limit - frame


def _choose_stride(stride: int | None, room: int, is_decoder: bool) -> int:
    """Return the stride: what a person chose, or half a window.

    Raises:
        DataError: With it some tokens would not be predicted.
    """
    most = max(1, room - int(is_decoder))  # at a whole window its first token would not be
    if stride is not None and not 1 <= stride <= most:
        problem = f"--stride {stride} is not from 1 to {most}, in windows of {room} tokens"
        raise DataError(problem, "choose one of those")
    return stride or max(1, room // 2)


def _count_words(text: str) -> int:
    """Return `len(text.split())` without a list of the words."""
    return sum(1 for _ in re.finditer(r"\S+", text))


def _sum_losses(
    loaded: Loaded, ids: Sequence[int], room: int, stride: int, tick: Callable[[int], object]
) -> float:
    """Return the sum of the losses of all predicted tokens."""
    score, total = _score_causal if loaded.is_decoder else _score_masked, 0.0
    for window in windows(len(ids), room, stride):
        for losses in score(loaded, ids, window):
            total += float(losses.double().sum())
            tick(len(losses))
    return total


def _score_causal(loaded: Loaded, ids: Sequence[int], window: Window) -> Iterator[Tensor]:
    """Yield the losses of the window's predicted tokens."""
    row = torch.tensor(ids[window.begin : window.end], device=loaded.device)
    first = max(1, window.first - window.begin)
    places = torch.arange(first - 1, len(row) - 1, device=loaded.device)
    if len(places):
        with memory_for(f"{len(row)} tokens", REMEDY):
            logits = loaded.decoder.token_logits_at(places, row[None])
            yield F.cross_entropy(logits.float(), row[first:], reduction="none")


def _score_masked(loaded: Loaded, ids: Sequence[int], window: Window) -> Iterator[Tensor]:
    """Yield the losses of the window's predicted tokens, each hidden in a row of its own."""
    template = learn_template(loaded.tokenizer, 1)
    text_at = template.is_text.tolist().index(True)
    before, after = template.special[:text_at], template.special[text_at:]
    row = torch.tensor([*before, *ids[window.begin : window.end], *after], device=loaded.device)
    offset = len(before) - window.begin
    places = torch.arange(window.first, window.end, device=loaded.device) + offset
    for hidden in torch.split(places, max(1, BATCH_PLACES // len(row))):
        rows = row.repeat(len(hidden), 1)
        number = torch.arange(len(hidden), device=loaded.device)
        rows[number, hidden] = loaded.mask_token_id
        with memory_for(f"{len(hidden)} rows of {len(row)} tokens", REMEDY):
            logits = loaded.filler.token_logits_at(number * len(row) + hidden, rows)
            yield F.cross_entropy(logits.float(), row[hidden], reduction="none")
