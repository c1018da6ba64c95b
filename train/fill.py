"""Fill [MASK] with the likeliest tokens, as the generator sees it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from model.huggingface import GENERATOR
from model.huggingface_read import read_parts
from model.parts import Parts
from pipeline.encode import load_tokenizer
from pipeline.vocabulary.special import read_names
from shards.errors import DataError
from train.runs import find_export

MASK = "[MASK]"


@dataclass(frozen=True)
class Filling:
    """What may stand at one [MASK]: tokens and probabilities, likeliest first."""

    tokens: list[str]
    probabilities: list[float]


def fill(folder: Path, text: str, top: int) -> Iterator[Filling]:
    """Yield a `Filling` for each [MASK] in `text`.

    Args:
        folder: A run, or an exported folder.
        text: Text in which [MASK] stands for a token.
        top: Tokens to offer for each.

    Raises:
        DataError: The run has no export yet, or `text` has no [MASK] or too many tokens.
    """
    export = find_export(folder)
    generator = export / GENERATOR if (export / GENERATOR).is_dir() else export
    tokenizer, model = _load(generator)
    mask = read_names(generator / "tokenizer_config.json")["mask"]
    if top > tokenizer.get_vocab_size():
        problem = f"--top {top} is more than the {tokenizer.get_vocab_size()} entries there are"
        raise DataError(problem, "ask for fewer")
    encoding = tokenizer.encode(text.replace(MASK, mask))
    limit = model.transformer.config.max_position_embeddings
    if len(encoding.ids) > limit:
        problem = f"the text has {len(encoding.ids)} tokens, the model takes {limit}"
        raise DataError(problem, "shorten it")
    if mask not in encoding.tokens:
        raise DataError(f"the text has no {MASK}", f"put {MASK} where a word is to be filled in")
    input_ids = torch.tensor([encoding.ids])
    with torch.inference_mode():
        logits = model.token_logits(input_ids, torch.ones_like(input_ids))[0]
    for position, token in enumerate(encoding.tokens):
        if token == mask:
            best = logits[position].float().softmax(-1).topk(top)
            tokens = [tokenizer.decode([int(i)], skip_special_tokens=False) for i in best.indices]
            yield Filling([token.strip() for token in tokens], best.values.tolist())


def _load(generator: Path) -> tuple[Tokenizer, Parts]:
    remedy = "export the run again"
    try:
        model = read_parts(generator).parts
    except (ValueError, FileNotFoundError) as error:
        raise DataError(f"no generator at {generator} ({error})", remedy) from error
    if model.tokens is None or model.transformer.config.is_decoder:
        problem = f"the model at {generator} does not fill in masked tokens"
        raise DataError(problem, "give a masked language model, or a pair with its generator")
    tokenizer = load_tokenizer(generator / "tokenizer.json", remedy)
    tokenizer.encode_special_tokens = False  # here alone, [MASK] is not text
    return tokenizer, model
