"""The `tokenize` stage: a tokenizer trained here, or taken over from elsewhere, and what it does.

Either way it is tokenizer.json and tokenizer_config.json in Hugging Face's layout, with five
special tokens, and the manifest holds their ids.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipeline.config import LEAST_VOCABULARY, ImportConfig, TokenizeConfig
from pipeline.stage import Outcome, check_is_own, finished, sole_writer
from pipeline.texts import text_sources
from pipeline.vocabulary.imports import read_vocabulary, vocabulary_files
from pipeline.vocabulary.report import report
from pipeline.vocabulary.sample import Sample, draw_sample
from pipeline.vocabulary.settings import NAME
from pipeline.vocabulary.special import (
    STANDARD,
    Names,
    add_roles,
    hugging_face_config,
    pad_vocabulary,
    role_ids,
    typed_specials,
)
from pipeline.vocabulary.train import train
from shards.errors import DataError
from shards.files import hash_file, write_text
from shards.manifest import Manifest, library_versions, record_file


def train_tokenizer(text: Path, out: Path, config: TokenizeConfig) -> Outcome:
    """Train a tokenizer on a sample of the text under `text`.

    Raises:
        DataError: No text, too little for the vocabulary, or `out` holds another choice's result.
    """
    check_is_own(out, FILES)
    with sole_writer(out):
        sources = text_sources(text)
        inputs = {source.name: source.manifest.fingerprint() for source in sources}
        if manifest := finished(out, "tokenize", asdict(config), inputs):
            return Outcome(manifest, was_finished=True)
        sample = draw_sample(sources, config.sample)
        tokenizer = train(sample, config)
        _check_size(tokenizer, text, sample, config)
        tokenizer_class = "BertTokenizer" if config.type == "wordpiece" else FAST
        made = _Made(tokenizer, STANDARD, config.type, tokenizer_class, bool(config.lowercase))
        counts = {
            "sample": {
                part.source.name: {"documents": part.documents, "text_bytes": part.text_bytes}
                for part in sample
            }
        }
        return _write(out, made, asdict(config), inputs, counts, sample)


FAST = "PreTrainedTokenizerFast"
"""Reads a tokenizer.json as it is; BertTokenizer would undo byte-level BPE, AlbertTokenizer would
cut at symbols where sentencepiece does not."""


def import_tokenizer(path: Path, text: Path | None, out: Path, config: ImportConfig) -> Outcome:
    """Take over the tokenizer at `path`, a file or a folder.

    If `text` is given, the manifest reports on it; one that stands already does so anew.

    Raises:
        DataError: A file is missing or broken, or `out` holds another choice's result.
    """
    files = vocabulary_files(path)
    if files[0].parent.resolve() == out.resolve():
        raise DataError(f"{out} holds what is to be imported", "choose another folder (--out)")
    check_is_own(out, FILES)
    with sole_writer(out):
        beside = files[0].parent / NAME
        read = [*files, beside] if beside.is_file() else files
        inputs = {file.name: hash_file(file) for file in read}
        if manifest := finished(out, "tokenize", asdict(config), inputs):
            return Outcome(_reported(out, manifest, text), was_finished=True)
        imported = read_vocabulary(files, config)
        tokenizer, appended = add_roles(imported.tokenizer, imported.names)
        made = _Made(tokenizer, imported.names, imported.kind, FAST, imported.lowercase)
        remarks = [f"{', '.join(file.name for file in files)}: {imported.kind}", *imported.remarks]
        if appended:
            remarks.append(f"appended, as the file has none: {', '.join(appended)}")
        if typed := typed_specials(tokenizer, imported.names):
            remarks.append(f"special even where they are typed in a text: {', '.join(typed)}")
        sample = draw_sample(text_sources(text), None) if text else []
        return _write(out, made, asdict(config), inputs, {"remarks": remarks}, sample)


def _reported(out: Path, manifest: Manifest, text: Path | None) -> Manifest:
    """Return the manifest of a finished folder, its report on `text`, if given."""
    if text is None:
        return manifest
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    unk = manifest.counts["special_tokens"]["unk"]
    found = report(tokenizer, unk, draw_sample(text_sources(text), None))
    manifest = replace(manifest, counts=manifest.counts | {"report": found})
    manifest.write(out)
    return manifest


@dataclass(frozen=True)
class _Made:
    """A tokenizer with its special tokens, and what others must know of it."""

    tokenizer: Tokenizer
    names: Names
    kind: str
    tokenizer_class: str
    lowercase: bool


def _write(
    out: Path,
    made: _Made,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    counts: Mapping[str, Any],
    sample: Sample,
) -> Outcome:
    """Pad the vocabulary, report, and only then write everything, the manifest last."""
    size = made.tokenizer.get_vocab_size()
    tokenizer = pad_vocabulary(made.tokenizer, config["pad_to_multiple_of"])
    found = report(tokenizer, made.names["unk"], sample)
    hugging_face = hugging_face_config(made.names, made.tokenizer_class, made.lowercase)
    write_text(out / "tokenizer.json", tokenizer.to_str(pretty=True))
    write_text(out / NAME, json.dumps(hugging_face, indent=1))
    manifest = Manifest(
        stage="tokenize",
        config=dict(config),
        inputs=dict(inputs),
        files={name: record_file(out / name) for name in FILES},
        counts={
            "type": made.kind,
            "vocab_size": tokenizer.get_vocab_size(),
            "unused_entries": tokenizer.get_vocab_size() - size,
            "special_ids": role_ids(tokenizer, made.names),
            "special_tokens": dict(made.names),
            **counts,
            "report": found,
        },
        versions=library_versions("tokenizers", "numpy", "numba"),
    )
    manifest.write(out)
    return Outcome(manifest, was_finished=False)


FILES = ("tokenizer.json", NAME)


def _check_size(tokenizer: Tokenizer, text: Path, sample: Sample, config: TokenizeConfig) -> None:
    size = tokenizer.get_vocab_size()
    if size < config.vocab_size:
        problem = f"{text} yields only {size} vocabulary entries, not {config.vocab_size}"
        more = "add text" if all(part.is_whole for part in sample) else "take a larger --sample"
        if size >= LEAST_VOCABULARY:
            more += f", or ask for --vocab-size {size} or less"
        raise DataError(problem, more)
