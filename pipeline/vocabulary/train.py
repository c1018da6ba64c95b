"""Training WordPiece and byte-level BPE with the package `tokenizers`, and Unigram without it.

The package's WordPiece trainer gives other ids from run to run (huggingface/tokenizers #1794),
because it numbers the characters in hash order. They are therefore counted here and handed over in
a fixed order, as special tokens, which are numbered as given; the vocabulary is then rebuilt
without them. Its Unigram trainer adds up in hash order, and so gives other scores and ids.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import repeat

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pipeline.config import SPECIAL_TOKENS, TokenizeConfig
from pipeline.vocabulary.interrupt import call_with
from pipeline.vocabulary.sample import Sample, paragraphs
from pipeline.vocabulary.special import STANDARD, add_roles
from pipeline.vocabulary.unigram import train_pieces

ALPHABET_SIZE = 1000
"""Most frequent characters kept; rarer ones become [UNK] (limit_alphabet of the WordPiece trainers
in huggingface/tokenizers and bert; English text has about 100)."""
LONG_WORD = re.compile(r"\b\w{101,}")
"""WordPiece makes [UNK] of a word over 100 characters (max_input_chars_per_word of bert and
huggingface/tokenizers), and the trainers take hours over one of a million."""
UNK = STANDARD["unk"]
SPECIAL_SCORE = -1000.0
"""Score of the special tokens in a Unigram vocabulary: a text that looks like one is spelt by its
characters, each over -40 (the log of a share of 1e16 characters)."""


def train(sample: Sample, config: TokenizeConfig) -> Tokenizer:
    """Train a tokenizer whose special tokens have the ids 0 to 4."""
    kinds = {"wordpiece": train_wordpiece, "bpe": train_bpe, "unigram": train_unigram}
    tokenizer, _ = add_roles(kinds[config.type](sample, config), STANDARD)
    return tokenizer


def _training_text(sample: Sample) -> Iterator[str]:
    """Yield every paragraph, words that are too long cut to pieces of 100 characters."""
    for paragraph in paragraphs(sample, "train"):
        yield LONG_WORD.sub(_cut, paragraph)


def _cut(word: re.Match[str]) -> str:
    text = word[0]
    return " ".join(text[start : start + 100] for start in range(0, len(text), 100))


def train_wordpiece(sample: Sample, config: TokenizeConfig) -> Tokenizer:
    """Train BERT's kind of tokenizer."""
    learner = bert_tokenizer(models.WordPiece(unk_token=UNK), lowercase=bool(config.lowercase))
    counts: Counter[str] = Counter()
    for paragraph in paragraphs(sample, "characters"):
        counts.update(paragraph)
    # Each character takes two entries; half of a small vocabulary is left to longer pieces.
    size = min(ALPHABET_SIZE, (config.vocab_size - len(SPECIAL_TOKENS)) // 4)
    alphabet = _most_frequent(_normalized(counts, learner), size)
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *("##" + character for character in alphabet)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    call_with(_training_text(sample), lambda text: learner.train_from_iterator(text, trainer))
    model = models.WordPiece(learner.get_vocab(), unk_token=UNK)
    return bert_tokenizer(model, lowercase=bool(config.lowercase))


def bert_tokenizer(
    model: models.WordPiece,
    *,
    lowercase: bool,
    strip_accents: bool | None = None,
    split_chinese: bool = True,
) -> Tokenizer:
    """Return BERT's form of a WordPiece vocabulary (BertTokenizer of transformers).

    Args:
        model: The vocabulary.
        lowercase: Whether case is folded.
        strip_accents: Whether accents are stripped; None: if case is folded.
        split_chinese: Whether each Chinese character is a word.
    """
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=split_chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _normalized(counts: Counter[str], tokenizer: Tokenizer) -> Counter[str]:
    """Return how often each character stands in the normalized text, white space left out."""
    normalized: Counter[str] = Counter()
    for character, count in counts.items():
        for part in tokenizer.normalizer.normalize_str(character):
            if not part.isspace():
                normalized[part] += count
    return normalized


def _most_frequent(counts: Counter[str], size: int) -> list[str]:
    """Return the `size` most frequent characters in order, ties by character."""
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    return sorted(ranked[:size])


def train_bpe(sample: Sample, config: TokenizeConfig) -> Tokenizer:
    """Train GPT-2's kind of tokenizer."""
    tokenizer = byte_tokenizer(models.BPE(), lowercase=bool(config.lowercase))
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    call_with(_training_text(sample), lambda text: tokenizer.train_from_iterator(text, trainer))
    return tokenizer


def byte_tokenizer(
    model: models.BPE, *, lowercase: bool, add_prefix_space: bool = False
) -> Tokenizer:
    """Return GPT-2's form of a byte-level BPE (GPT2Tokenizer of transformers)."""
    tokenizer = Tokenizer(model)
    if lowercase:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
        )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train_unigram(sample: Sample, config: TokenizeConfig) -> Tokenizer:
    """Train ALBERT's kind of tokenizer."""
    lowercase = bool(config.lowercase)
    learner = albert_tokenizer(models.Unigram(), lowercase=lowercase)
    counts = _count_words(sample, learner)
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    # What a special token's name is spelt with, lest an unknown character make it the likelier.
    needed = {} if lowercase else dict.fromkeys("".join(SPECIAL_TOKENS), 1)
    size = min(ALPHABET_SIZE, (config.vocab_size - len(SPECIAL_TOKENS)) // 2)
    kept = _most_frequent(characters, size - len(needed))
    alphabet = sorted({*kept, *needed})
    pieces = train_pieces(counts, alphabet, config.vocab_size - len(SPECIAL_TOKENS))
    special = zip(SPECIAL_TOKENS, repeat(SPECIAL_SCORE))
    model = models.Unigram([*special, *pieces], unk_id=SPECIAL_TOKENS.index(UNK))
    return albert_tokenizer(model, lowercase=lowercase)


def _count_words(sample: Sample, tokenizer: Tokenizer) -> Counter[str]:
    """Return how often each pre-token stands in the text; a word is normalized once."""
    raw: Counter[str] = Counter()
    for paragraph in _training_text(sample):
        raw.update(paragraph.split(" "))
    counts: Counter[str] = Counter()
    for word, count in raw.items():
        normal = tokenizer.normalizer.normalize_str(word)
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal):
            counts[piece] += count
    return counts


def albert_tokenizer(
    model: models.Unigram, *, lowercase: bool, more: tuple[normalizers.Normalizer, ...] = ()
) -> Tokenizer:
    """Return ALBERT's form of a Unigram vocabulary (AlbertTokenizer of transformers).

    Args:
        model: The vocabulary.
        lowercase: Whether case is folded and accents are stripped.
        more: Normalizers that follow.
    """
    steps: list[normalizers.Normalizer] = [
        normalizers.Replace("``", '"'),
        normalizers.Replace("''", '"'),
    ]
    if lowercase:
        steps += [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    else:
        steps += [normalizers.NFKC()]
    tokenizer = Tokenizer(model)
    steps += [*more, normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer
