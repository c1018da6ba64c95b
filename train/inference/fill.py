"""Fill [MASK] with the likeliest tokens, as the masked language model sees it."""

from dataclasses import dataclass

import torch

from shards.errors import DataError
from train.inference.answers import TextError
from train.inference.encoding import as_rows, encode
from train.inference.loaded import Loaded

MASK = "[MASK]"
"""What a person types, whatever the model's own name for it is."""


@dataclass(frozen=True)
class Filling:
    """What may stand at one [MASK]: tokens and probabilities, likeliest first."""

    tokens: list[str]
    probabilities: list[float]


@torch.inference_mode()
def fill(loaded: Loaded, text: str, top: int = 5) -> list[Filling]:
    """Return a `Filling` for each [MASK] in `text`; all are hidden while each is predicted.

    Args:
        loaded: A masked language model, or a pair with its generator.
        text: Text in which [MASK] stands for a token.
        top: Tokens to offer for each.

    Raises:
        DataError: The model fills in nothing, or `text` has no [MASK] or too many tokens.
    """
    network, tokenizer = loaded.filler, loaded.masking_tokenizer
    if top > tokenizer.get_vocab_size():
        problem = f"--top {top} is more than the {tokenizer.get_vocab_size()} entries there are"
        raise DataError(problem, "ask for fewer")
    encoding = encode(loaded, network, text.replace(MASK, loaded.mask), masks=True)
    places = [place for place, token in enumerate(encoding.tokens) if token == loaded.mask]
    if not places:
        raise TextError(
            text, f"the text has no {MASK}", f"put {MASK} where a word is to be filled in"
        )
    wanted = torch.tensor(places, device=loaded.device)
    logits = network.token_logits_at(wanted, as_rows(loaded, encoding.ids)).float()
    logits[:, loaded.tokenless_ids(network)] = -torch.inf
    best = logits.softmax(-1).topk(top)
    return [
        Filling([_word(loaded, id_) for id_ in ids], probabilities)
        for ids, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _word(loaded: Loaded, token_id: int) -> str:
    word: str = loaded.tokenizer.decode([token_id], skip_special_tokens=False)
    return word.strip()
