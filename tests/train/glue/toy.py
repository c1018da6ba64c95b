"""A language of a few words, and tasks in it."""

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from pipeline.tasks import Examples
from train.glue.config import GlueConfig

WORDS = ["good", "bad", "film", "book", "cat", "dog", "tree", "runs", "sings", "a", "the", "very"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONGEST = 20
QUICK = GlueConfig(seeds=1, epochs=12, batch_size=8, learning_rate=5e-3)
SHORT = GlueConfig(seeds=1, epochs=1)


def make_tokenizer():
    vocabulary = {token: index for index, token in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def sentences(count, seed):
    """Return sentences whose label is which one of two words they hold, anywhere."""
    generator = np.random.default_rng(seed)
    for index in range(count):
        words = list(generator.choice(WORDS[2:], generator.integers(2, 8)))
        words.insert(generator.integers(len(words) + 1), "good" if index % 3 else "bad")
        yield " ".join(words), int(index % 3 > 0)


def sentence_examples(count=60, seed=1):
    texts, labels = zip(*sentences(count, seed), strict=True)
    return Examples(list(texts), None, np.array(labels), 0)
