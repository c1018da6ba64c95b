"""Tokenizers made elsewhere: vocab.txt, vocab.json with merges.txt, spiece.model, tokenizer.json.

What is wrong with a file is said; nothing in it is mended, left out or guessed.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from pipeline.config import ImportConfig
from pipeline.vocabulary.files import AGAIN, read_json, read_lines
from pipeline.vocabulary.names import find_names
from pipeline.vocabulary.settings import Settings, read_settings
from pipeline.vocabulary.special import STANDARD, Names
from pipeline.vocabulary.spm import is_uncased, read_spm
from pipeline.vocabulary.train import bert_tokenizer, byte_tokenizer
from shards.errors import DataError

PROBE = "A known word, and \ue000\N{GRINNING FACE}."
"""Text with characters that few vocabularies know."""
SPACED = "add_prefix_space: a space before every text, which `pack` encodes by the library, slower"
KINDS = {"WordPiece": "wordpiece", "BPE": "bpe", "Unigram": "unigram"}


@dataclass(frozen=True)
class Imported:
    """A tokenizer of somebody else's.

    Attributes:
        tokenizer: With its special tokens, as far as it has them.
        kind: A type as `--type` names it.
        files: What it was read from.
        names: The token of each role; it may not be there yet.
        lowercase: Whether it folds case.
        remarks: What a person should know of how it was read.
    """

    tokenizer: Tokenizer
    kind: str
    files: tuple[Path, ...]
    names: Names
    lowercase: bool
    remarks: tuple[str, ...] = ()


def vocabulary_files(path: Path) -> tuple[Path, ...]:
    """Return the files that make up the tokenizer at `path`, a file or a folder.

    Raises:
        DataError: There is none, or more than one.
    """
    if path.is_dir():
        return _files_in(path)
    if not path.is_file():
        raise DataError(f"no file or folder at {path}", "give the path of a vocabulary (--import)")
    for first, second in _PAIRS:
        if path.name in (first, second):
            return _pair(path.parent, first, second)
    return (path,)


_PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
"""Names of a byte-level vocabulary and its merges: Hugging Face's, and OpenAI's."""


def _pair(folder: Path, first: str, second: str) -> tuple[Path, Path]:
    for name in (first, second):
        if not (folder / name).is_file():
            raise DataError(f"{folder} has no {name}", f"put it there: {first} needs {second}")
    return folder / first, folder / second


def _files_in(folder: Path) -> tuple[Path, ...]:
    found: list[tuple[Path, ...]] = []
    if (folder / "tokenizer.json").is_file():  # says all that the other files say
        return (folder / "tokenizer.json",)
    for first, second in _PAIRS:
        if (folder / first).is_file():
            found.append(_pair(folder, first, second))
    for pattern in ("*.model", "*vocab.txt"):
        found += [(one,) for one in sorted(folder.glob(pattern)) if one.is_file()]
    if len(found) == 1:
        return found[0]
    if not found:
        problem = f"{folder} has no tokenizer.json, vocab.json, *.model or vocab.txt"
        raise DataError(problem, "give the path of a vocabulary (--import)")
    names = ", ".join(one[0].name for one in found)
    raise DataError(f"{folder} has several vocabularies: {names}", "give the path of one file")


def read_vocabulary(files: Sequence[Path], config: ImportConfig) -> Imported:
    """Read a tokenizer from the files that `vocabulary_files` found.

    Raises:
        DataError: A file is broken or of another kind than its name says.
    """
    path = files[0]
    if len(files) > 1:
        return _read_bpe(path, files[1], config)
    if path.suffix == ".json":
        read: Callable[[Path], Imported] = _read_json
    elif path.suffix == ".model":
        read = _read_spm
    elif path.suffix == ".txt":
        return _read_wordpiece(path, config)
    else:
        problem = f"{path} is no .txt, .json or .model"
        raise DataError(problem, "give a vocab.txt, vocab.json, spiece.model or tokenizer.json")
    imported = read(path)
    _check_case(path, config, imported.lowercase)
    return imported


def _check_case(path: Path, config: ImportConfig, lowercase: bool) -> None:
    if config.lowercase not in (None, lowercase):
        problem = f"{path} says itself whether case is folded: it is{'' if lowercase else ' not'}"
        raise DataError(problem, "leave out --lowercase and --no-lowercase")


def _read_wordpiece(path: Path, config: ImportConfig) -> Imported:
    entries = _entries(path)
    settings = read_settings(path.parent)
    unknown = settings.token("unk") or STANDARD["unk"]
    if unknown not in entries:
        problem = f"{path} has no {unknown} among its {len(entries):,} entries"
        raise DataError(problem, "give a WordPiece vocabulary, as BERT's vocab.txt")
    lowercase, remarks = _case(list(entries), settings, config)
    strip_accents = settings.flag("strip_accents")
    if strip_accents not in (None, lowercase):
        remarks.append(f"accents are {'stripped' if strip_accents else 'kept'} (strip_accents)")
    split_chinese = settings.flag("tokenize_chinese_chars") is not False
    if not split_chinese:
        remarks.append("Chinese characters are no words of their own (tokenize_chinese_chars)")
    tokenizer = bert_tokenizer(
        models.WordPiece(entries, unk_token=unknown),
        lowercase=lowercase,
        strip_accents=strip_accents,
        split_chinese=split_chinese,
    )
    names = find_names(tokenizer, settings)
    return Imported(tokenizer, "wordpiece", (path,), names, lowercase, tuple(remarks))


def _case(entries: list[str], settings: Settings, config: ImportConfig) -> tuple[bool, list[str]]:
    """Return whether case is folded, as is said, chosen or shown, and a remark on that."""
    lowercase = settings.flag("do_lower_case")
    if lowercase is not None:
        _check_case(settings.path, config, lowercase)
        reason = f"{settings.path.name} says so"
    else:
        is_folded = is_uncased([entry for entry in entries if not entry.startswith(("[", "<"))])
        lowercase = is_folded if config.lowercase is None else config.lowercase
        reason = "no entry has a capital letter" if is_folded else "entries have capital letters"
    return lowercase, [f"{reason}: read as {'uncased' if lowercase else 'cased'}"]


def _entries(path: Path) -> dict[str, int]:
    """Read the entries of a vocab.txt, whose ids are their lines."""
    lines = read_lines(path)
    if path.stem.endswith("merges") or lines[0].startswith("#version"):
        problem = f"{path} holds merges, not a vocabulary"
        raise DataError(problem, "name it merges.txt, and put its vocab.json beside it")
    entries: dict[str, int] = {}
    for number, entry in enumerate(lines):
        if not entry or any(map(str.isspace, entry)):
            problem = f"{path}, line {number + 1}, is {entry[:40]!r}, not one entry"
            raise DataError(problem, "give BERT's form: one entry a line and nothing else")
        if entry in entries:
            problem = f"{path} has {entry!r} in line {entries[entry] + 1} and in line {number + 1}"
            raise DataError(problem, AGAIN)
        entries[entry] = number
    return entries


def _read_bpe(vocabulary: Path, merges: Path, config: ImportConfig) -> Imported:
    entries = read_json(vocabulary)
    if not isinstance(entries, dict) or not all(type(id_) is int for id_ in entries.values()):
        problem = f"{vocabulary} is no object of entries and ids"
        raise DataError(problem, "give GPT-2's form, or a tokenizer.json")
    if sorted(entries.values()) != list(range(len(entries))):
        problem = f"{vocabulary} has ids other than 0 to {len(entries) - 1}, each once"
        raise DataError(problem, AGAIN)
    letters = pre_tokenizers.ByteLevel.alphabet()
    if missing := sorted(set(letters) - entries.keys()):
        problem = f"{vocabulary} is no byte-level vocabulary: it lacks {missing[0]!r}"
        raise DataError(problem, "give GPT-2's form, or a tokenizer.json")
    pairs = _merges(merges, entries)
    made = {left + right for left, right in pairs} | set(letters)
    if orphans := [entry for entry in entries if entry not in made and not _is_special(entry)]:
        problem = f"{merges} makes none of {len(orphans):,} entries, such as {orphans[0]!r}"
        raise DataError(problem, f"{AGAIN}: it is cut, or belongs to another {vocabulary.name}")
    settings = read_settings(vocabulary.parent)
    is_spaced = bool(settings.flag("add_prefix_space"))
    lowercase = bool(config.lowercase)
    tokenizer = byte_tokenizer(
        models.BPE(entries, pairs), lowercase=lowercase, add_prefix_space=is_spaced
    )
    tokenizer.add_special_tokens([entry for entry in entries if entry not in made])
    names = find_names(tokenizer, settings)
    remarks = (SPACED,) if is_spaced else ()
    return Imported(tokenizer, "bpe", (vocabulary, merges), names, lowercase, remarks)


def _is_special(entry: str) -> bool:
    return (entry[:1], entry[-1:]) in (("<", ">"), ("[", "]"))


def _merges(path: Path, entries: dict[str, int]) -> list[tuple[str, str]]:
    pairs: dict[tuple[str, str], int] = {}
    for number, line in enumerate(read_lines(path), 1):
        if number == 1 and line.startswith("#version"):
            continue
        left, _, right = line.partition(" ")
        if not left or not right or " " in right:
            problem = f"{path}, line {number}, is {line[:40]!r}, not two entries"
            raise DataError(problem, AGAIN)
        for entry in (left, right, left + right):
            if entry not in entries:
                problem = f"{path}, line {number}, names {entry!r}, which is not in the vocabulary"
                raise DataError(problem, "give the two files of one tokenizer")
        if (left, right) in pairs:
            problem = f"{path} has {line!r} in line {pairs[left, right]} and in line {number}"
            raise DataError(problem, AGAIN)
        pairs[left, right] = number
    return list(pairs)


def _read_json(path: Path) -> Imported:
    parts = read_json(path)
    if isinstance(parts, dict) and parts and all(type(id_) is int for id_ in parts.values()):
        problem = f"{path} is a vocabulary without its merges"
        raise DataError(problem, "name the two files vocab.json and merges.txt in one folder")
    if not isinstance(parts, dict) or not isinstance(parts.get("model"), dict):
        problem = f"{path} is not a tokenizer.json"
        raise DataError(problem, "give a tokenizer.json, or vocab.json beside its merges.txt")
    parts["post_processor"] = None  # rows have a template of their own
    remarks: tuple[str, ...] = ()
    if dropout := parts["model"].get("dropout"):
        parts["model"]["dropout"] = None
        remarks = (f"dropout {dropout} is left out: a text has the same ids every time",)
    try:
        tokenizer = Tokenizer.from_str(json.dumps(parts))
        tokenizer.encode(PROBE)  # one without its unknown token loads, and fails only here
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # `tokenizers` raises bare Exception, and panics
        raise DataError(f"{path} is not a tokenizer ({error})", AGAIN) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    kind = type(tokenizer.model).__name__
    if kind not in KINDS:
        problem = f"{path} is a {kind} tokenizer"
        raise DataError(problem, f"give one of {', '.join(KINDS)}")
    ids = sorted(tokenizer.get_vocab().values())
    if ids != list(range(len(ids))):
        raise DataError(f"{path} has ids other than 0 to {len(ids) - 1}, each once", AGAIN)
    names = find_names(tokenizer, read_settings(path.parent))
    is_folded = tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"
    return Imported(tokenizer, KINDS[kind], (path,), names, is_folded, remarks)


def _read_spm(path: Path) -> Imported:
    tokenizer, special = read_spm(path)
    tokenizer.add_special_tokens(special)
    is_folded = bool(tokenizer.normalizer.normalize_str("A") == "a")
    remark = "no piece has a capital letter: read as ALBERT's, uncased"
    cased = "pieces have capital letters: read with the model's own normalization"
    names = find_names(tokenizer, read_settings(path.parent))
    return Imported(
        tokenizer, "unigram", (path,), names, is_folded, remarks=(remark if is_folded else cased,)
    )
