"""Go on with a text: a causal model token by token, a masked model by filling in masks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from pipeline.vocabulary.names import find_names
from pipeline.vocabulary.settings import read_settings
from shards.errors import DataError
from train.inference.answers import TextError
from train.inference.beams import search_beams
from train.inference.context import Context
from train.inference.encoding import as_rows, encode, end_of_text, tokens_of
from train.inference.fill import MASK
from train.inference.loaded import Loaded
from train.inference.mask_predict import fill_masks
from train.inference.sampling import continue_text
from train.inference.settings import NEW_TOKENS, GenerateSettings
from train.out_of_memory import memory_for

Method = Literal["greedy", "sampling", "beam search", "mask-predict"]
ROUNDS = 10
"""Of mask-predict (Ghazvininejad et al. 2019, table 1: 10 is as good as left to right)."""
FEWER = "give fewer --num-beams or --max-new-tokens, or use --device cpu"


@dataclass(frozen=True)
class Generation:
    """A text that a model wrote.

    Attributes:
        prompt: What it was given.
        text: All of it, as the tokenizer decodes it.
        continuation: The end of `text` that is new; of mask-predict all of it.
        tokens: How many are new, an end token not counted.
        is_ended: Whether the model ended the text by its end token.
        method: How it was made.
        score: Of beam search: log-probability by length penalty.
    """

    prompt: str
    text: str
    continuation: str
    tokens: int
    is_ended: bool
    method: Method
    score: float | None = None


@torch.inference_mode()
def generate(
    loaded: Loaded,
    prompt: str,
    settings: GenerateSettings | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Generation:
    """Return `prompt` and what the model makes of it.

    A causal model goes on after it. A masked model fills in the [MASK]s in it, or where it has none
    `max_new_tokens` of them after it.

    Args:
        loaded: A causal or masked language model, or a pair with its generator.
        prompt: At least one token.
        settings: How; None = greedily.
        tick: Called after each token, or round.

    Raises:
        DataError: The prompt is empty, or too long for a masked model, or the settings are not for
            this kind of model.
    """
    settings = settings or GenerateSettings()
    make = _continue if loaded.is_decoder else _fill
    return make(loaded, prompt, settings, tick)


def _continue(
    loaded: Loaded, prompt: str, settings: GenerateSettings, tick: Callable[[], object]
) -> Generation:
    if settings.rounds is not None:
        remedy = "leave --rounds out"
        raise DataError(f"--rounds is for masked models, {loaded.folder} is causal", remedy)
    network, ends = loaded.decoder, loaded.end_token_ids
    ids = tokens_of(loaded.tokenizer, prompt, is_framed=False).ids
    context = Context(network, len(ids) + settings.new_tokens, loaded.tokenless_ids(network))
    row, score, method = as_rows(loaded, ids)[0], None, _method(settings)
    what = f"{settings.num_beams} beams" if method == "beam search" else "a text"
    with memory_for(f"{what} of {settings.new_tokens} new tokens", FEWER):
        if method == "beam search":
            score, found = search_beams(context, row, settings, ends, tick)
        else:
            found = continue_text(context, row, settings, ends, tick)
    added = found[len(ids) :].tolist()
    is_ended = added[-1] in ends
    kept = added[:-1] if is_ended else added
    begin, whole, rest = (
        loaded.tokenizer.decode(one, skip_special_tokens=False) for one in (ids, ids + kept, kept)
    )
    return Generation(
        prompt=prompt,
        text=whole,
        continuation=whole[len(begin) :] if whole.startswith(begin) else rest,
        tokens=len(kept),
        is_ended=is_ended,
        method=method,
        score=score,
    )


def _method(settings: GenerateSettings) -> Method:
    if settings.num_beams > 1:
        return "beam search"
    return "sampling" if settings.draws else "greedy"


def _fill(
    loaded: Loaded, prompt: str, settings: GenerateSettings, tick: Callable[[], object]
) -> Generation:
    network, mask_id = loaded.filler, loaded.mask_token_id
    if settings.is_for_decoders:
        problem = f"{loaded.folder} is a masked model, which fills in by mask-predict alone"
        raise DataError(
            problem, "leave --temperature, --top-k, --top-p and --num-beams out, or give a GPT-2"
        )
    encoding = encode(loaded, network, prompt.replace(MASK, loaded.mask), masks=True)
    ids = encoding.ids
    if mask_id not in ids:
        limit, end = network.transformer.config.max_position_embeddings, end_of_text(encoding)
        count = _count_masks_to_add(prompt, settings.max_new_tokens, limit, len(ids))
        ids = [*ids[:end], *[mask_id] * count, *ids[end:]]
    row = as_rows(loaded, ids)[0]
    forbidden = sorted({*special_tokens(loaded), *loaded.tokenless_ids(network)})
    filled = fill_masks(network, row, mask_id, forbidden, settings.rounds or ROUNDS, tick)
    whole = loaded.tokenizer.decode(filled.tolist(), skip_special_tokens=True)
    return Generation(
        prompt=prompt,
        text=whole,
        continuation=whole,
        tokens=ids.count(mask_id),
        is_ended=False,
        method="mask-predict",
    )


def _count_masks_to_add(prompt: str, wanted: int | None, limit: int, tokens: int) -> int:
    """Return how many masks to put after a prompt of so many tokens.

    Raises:
        TextError: The model has no room for as many as are wanted, or for any.
    """
    room = limit - tokens
    if room < 1:
        problem = f"the text has {tokens} tokens, the model takes {limit}, a {MASK} included"
        raise TextError(prompt, problem, "shorten it")
    if wanted is not None and wanted > room:
        problem = f"after this text the model has room for {room} tokens, not {wanted}"
        raise TextError(prompt, problem, f"give --max-new-tokens {room} or fewer")
    return min(NEW_TOKENS, room) if wanted is None else wanted


def special_tokens(loaded: Loaded) -> list[int]:
    """Return the tokens of a masked model that are no text: padding, [CLS], [SEP], [MASK], ..."""
    tokenizer = loaded.tokenizer
    names = set(find_names(tokenizer, read_settings(loaded.files)).values())
    found = {id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    return sorted(found | {i for name in names if (i := tokenizer.token_to_id(name)) is not None})
