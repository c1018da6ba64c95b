"""The tokenizers of each type: a published one where it is at hand, and one trained on the text.

Both are made as `tokenize` makes them.
"""

from collections.abc import Sequence
from pathlib import Path

import click
from tokenizers import Tokenizer

from pipeline.config import ImportConfig, TokenizeConfig
from pipeline.texts import TextSource
from pipeline.vocabulary.imports import read_vocabulary, vocabulary_files
from pipeline.vocabulary.sample import draw_sample
from pipeline.vocabulary.train import train
from shards.errors import DataError

PUBLISHED = {
    "wordpiece": (
        "bert-base-uncased",
        ("bert-base-uncased/vocab.txt", "bert-base-uncased-vocab.txt"),
    ),
    "bpe": ("gpt2", ("gpt2/vocab.json",)),
    "unigram": ("albert", ("albert/spiece.model", "albert-spiece.model")),
}
"""Of each type the name of a published tokenizer, and where its file may lie."""
KINDS = tuple(PUBLISHED)
TRAINED = "trained here"
TRAINED_SIZE = 8000
SAMPLE_BYTES = 5_000_000


def tokenizers_of(kind: str, vocab: Path, sources: Sequence[TextSource]) -> dict[str, Tokenizer]:
    """Return tokenizers of a type by name: the published one, if `vocab` holds it, comes first.

    Args:
        kind: One of KINDS.
        vocab: What `fetch vocab` wrote, or a folder of single files.
        sources: Text to train another one on.
    """
    found = {}
    name, places = PUBLISHED[kind]
    for path in [vocab / place for place in places if (vocab / place).is_file()][:1]:
        try:
            found[name] = read_vocabulary(vocabulary_files(path), ImportConfig()).tokenizer
        except DataError as error:  # its package may be missing
            click.echo(f"{name} is left out: {error}", err=True)
    config = TokenizeConfig(type=kind, vocab_size=TRAINED_SIZE)  # type: ignore[arg-type]
    found[TRAINED] = train(draw_sample(sources, SAMPLE_BYTES), config)
    for tokenizer in found.values():
        tokenizer.encode_special_tokens = True
    return found
