"""The `tokenize` stage: train WordPiece or byte-level BPE with the `tokenizers` package.

Its WordPiece trainer gives other ids from run to run (huggingface/tokenizers #1794), because it
numbers the characters in hash order. They are therefore counted here and handed over in a fixed
order, as special tokens, which are numbered as given; the vocabulary is then rebuilt without them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tqdm import tqdm

from pipeline.config import SPECIAL_TOKENS, TokenizeConfig
from pipeline.documents import read_texts
from pipeline.sentences import paragraphs_of
from pipeline.stage import Outcome, finished, sole_writer
from pipeline.texts import TextSource, text_sources
from shards.errors import DataError
from shards.files import write_text
from shards.manifest import Manifest, library_versions, record_file

ALPHABET_SIZE = 1000
"""Most frequent characters kept; rarer ones become [UNK] (limit_alphabet of the WordPiece trainers
in huggingface/tokenizers and bert; English text has about 100)."""
LONG_WORD = re.compile(r"\b\w{101,}")
"""WordPiece makes [UNK] of a word over 100 characters (max_input_chars_per_word of bert and
huggingface/tokenizers), and the trainers take hours over one of a million."""
PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS


def train_tokenizer(text: Path, out: Path, config: TokenizeConfig) -> Outcome:
    """Train a tokenizer on all text under `text` and write it in Hugging Face's layout.

    Raises:
        DataError: No text, too little for the vocabulary, or `out` holds another choice's result.
    """
    with sole_writer(out):
        return _train_tokenizer(text, out, config)


def _train_tokenizer(text: Path, out: Path, config: TokenizeConfig) -> Outcome:
    sources = text_sources(text)
    inputs = {source.name: source.manifest.fingerprint() for source in sources}
    if manifest := finished(out, "tokenize", asdict(config), inputs):
        return Outcome(manifest, was_finished=True)
    train = _train_wordpiece if config.type == "wordpiece" else _train_bpe
    tokenizer = train(sources, config)
    _check_size(tokenizer, text, config)
    write_text(out / "tokenizer.json", tokenizer.to_str(pretty=True))
    write_text(out / "tokenizer_config.json", json.dumps(_hugging_face_config(config), indent=1))
    manifest = Manifest(
        stage="tokenize",
        config=asdict(config),
        inputs=inputs,
        files={
            name: record_file(out / name) for name in ("tokenizer.json", "tokenizer_config.json")
        },
        counts={
            "vocab_size": tokenizer.get_vocab_size(),
            "special_ids": {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS},
        },
        versions=library_versions("tokenizers"),
    )
    manifest.write(out)
    return Outcome(manifest, was_finished=False)


def _paragraphs(sources: list[TextSource], label: str) -> Iterator[str]:
    """Yield every paragraph of every source, with a progress bar in bytes of text."""
    total = sum(source.text_bytes for source in sources)
    with tqdm(total=total, desc=label, unit="B", unit_scale=True, disable=None) as progress:
        for source in sources:
            for group in source.row_groups():
                for text in read_texts(group):
                    yield from paragraphs_of(text)
                    progress.update(len(text.encode()))


def _training_text(sources: list[TextSource]) -> Iterator[str]:
    """Yield every paragraph, words that are too long cut to pieces of 100 characters."""
    for paragraph in _paragraphs(sources, "train"):
        yield LONG_WORD.sub(_cut, paragraph)


def _cut(word: re.Match[str]) -> str:
    text = word[0]
    return " ".join(text[start : start + 100] for start in range(0, len(text), 100))


def _train_wordpiece(sources: list[TextSource], config: TokenizeConfig) -> Tokenizer:
    lowercase = bool(config.lowercase)
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    # Each character takes two entries; half of a small vocabulary is left to longer pieces.
    size = min(ALPHABET_SIZE, (config.vocab_size - len(SPECIAL_TOKENS)) // 4)
    alphabet = _alphabet(sources, normalizer, size)
    learner = Tokenizer(models.WordPiece(unk_token=UNK))
    learner.normalizer = normalizer
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=config.vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *("##" + character for character in alphabet)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    learner.train_from_iterator(_training_text(sources), trainer)

    tokenizer = Tokenizer(models.WordPiece(learner.get_vocab(), unk_token=UNK))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _with_pair_template(tokenizer)


def _alphabet(
    sources: list[TextSource], normalizer: normalizers.Normalizer, size: int
) -> list[str]:
    """Return the `size` most frequent characters of the normalized text, ties by character."""
    counts: Counter[str] = Counter()
    for paragraph in _paragraphs(sources, "characters"):
        counts.update(paragraph)
    normalized: Counter[str] = Counter()
    for character, count in counts.items():
        for part in normalizer.normalize_str(character):
            if not part.isspace():
                normalized[part] += count
    ranked = sorted(normalized, key=lambda character: (-normalized[character], character))
    return sorted(ranked[:size])


def _train_bpe(sources: list[TextSource], config: TokenizeConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if config.lowercase:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
        )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_text(sources), trainer)
    return _with_pair_template(tokenizer)


def _with_pair_template(tokenizer: Tokenizer) -> Tokenizer:
    """Add the special tokens of `[CLS] A [SEP] B [SEP]`, token types 0 and 1, when encoding."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (CLS, SEP)],
    )
    return tokenizer


def _check_size(tokenizer: Tokenizer, text: Path, config: TokenizeConfig) -> None:
    size = tokenizer.get_vocab_size()
    if size < config.vocab_size:
        problem = f"{text} yields only {size} vocabulary entries, not {config.vocab_size}"
        raise DataError(problem, f"add text, or ask for --vocab-size {size} or less")


def _hugging_face_config(config: TokenizeConfig) -> dict[str, object]:
    """Return tokenizer_config.json; BertTokenizer would undo byte-level BPE."""
    is_wordpiece = config.type == "wordpiece"
    return {
        "tokenizer_class": "BertTokenizer" if is_wordpiece else "PreTrainedTokenizerFast",
        "do_lower_case": config.lowercase,
        "model_max_length": 512,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
    }
