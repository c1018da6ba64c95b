"""WikiText-2 and -103 (Merity et al. 2016, arXiv 1609.07843): articles of Wikipedia, a line each.

Read are `wikitext-{2,103}-raw-v1.zip`, a file `wiki.*.raw` or `wiki.*.tokens`, the Hub's
`train-*.parquet` (column text, a row a line), and a folder of these. The validation and test splits
are for evaluation: where the training split is there, they stay out and are counted.

An article begins at a line ` = Title = ` between blank lines; a section has more signs on both
sides, and its heading becomes a paragraph, as everywhere. Within words the corpus writes ` @-@ `,
` @,@ ` and ` @.@ ` for a hyphen and the marks in numbers: they are joined again. The other
spaces between words and punctuation stay as published, and so do the `<unk>` of a .tokens.
"""

import re
import zipfile
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.clean import count_cleaned, join, tidy
from pipeline.config import FetchConfig
from pipeline.decode import decode
from pipeline.documents import Document
from pipeline.readers.archives import (
    LARGEST_TEXT,
    open_zip,
    open_zipped,
    too_large,
    zip_members,
)
from pipeline.readers.parts import part_bytes, visible_files
from pipeline.readers.records import batch_rows, open_parquet
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

LARGEST_PART = 8 << 20
"""Bytes of text, which a part carries with it."""
READ_BYTES = 1 << 20
KINDS = (".zip", ".raw", ".tokens", ".parquet")

_TITLE = re.compile(rb"\n[ \r]*\n( = (?!= )[^\n]*(?<! =) = ?\r?)(?=\n[ \r]*\n)")
_SECTION = re.compile(r"((?:= ){1,9})(.+?)((?: =){1,9})")
_JOINED = re.compile(r" @([-,.])@ ")
_EVALUATION = re.compile(r"(?:wiki\.|^)(?:valid|validation|test)[.-]")
_BLANK = b"\n\n"
"""Put before a file's first line, so that it need not be blank."""


class Part(NamedTuple):
    """Some articles.

    Attributes:
        name: Of the file.
        raw: Whole articles after a blank line; before the first title may be lines of none.
        first: The number of the first article, counted from 1.
        input_bytes: Bytes on disk.
        others: Files of another kind before them.
        splits: Files left out for evaluation.
    """

    name: str
    raw: bytes
    first: int
    input_bytes: int
    others: int = 0
    splits: int = 0


class Block(NamedTuple):
    """Some of a file's text, and how many of the file's bytes on disk were read for it so far."""

    raw: bytes
    position: int


def find(path: Path) -> dict[str, Path]:
    """Return the file, or the files of a folder: its zips, else .raw and .tokens, else .parquet.

    Raises:
        DataError: There is none.
    """
    if path.is_file():
        if path.suffix.lower() not in KINDS:
            problem = f"{path} is none of {', '.join(KINDS)}"
            raise DataError(problem, "name wikitext-103-raw-v1.zip or wiki.train.raw in --from")
        return {path.name: path}
    visible = visible_files(path)
    top = {name: file for name, file in visible.items() if "/" not in name}
    for pattern in ("*.zip", "wiki.*.raw", "wiki.*.tokens", "*.parquet"):
        files = top if pattern == "*.zip" else visible
        if found := {name: file for name, file in files.items() if file.match(pattern)}:
            return found
    problem = f"{path} holds no .zip, wiki.*.raw, wiki.*.tokens or .parquet"
    raise DataError(problem, "name wikitext-103-raw-v1.zip in --from")


def divide(files: Mapping[str, Path], config: FetchConfig, workers: int) -> Iterator[Part]:
    """Yield runs of whole articles, unpacked here and now.

    Raises:
        DataError: A file is damaged, or has too long an article.
    """
    sizes = {name: path.stat().st_size for name, path in files.items()}
    size = part_bytes(sum(sizes.values()), LARGEST_PART)
    kept, left_out = _without_evaluation(files)
    parts = (part for name in kept for part in _divide_file(name, files[name], size, config))
    skipped = sum(sizes[name] for name in left_out)
    return _first_takes(parts, skipped, splits=len(left_out))


def read(part: Part, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
    """Yield a document for each article, called NAME#NUMBER."""
    if part.others:
        counts["dropped: files of another kind"] += part.others
    if part.splits:
        counts["dropped: files for evaluation (validation and test)"] += part.splits
    starts = [match.start(1) for match in _TITLE.finditer(part.raw)]
    number = part.first - 1
    for start, stop in zip([0, *starts], [*starts, len(part.raw)], strict=True):
        article = part.raw[start:stop]
        if start or article.strip():
            where = f"{part.name}#{number}"
            document = _article(where, decode(article, where, counts), bool(start), counts)
            if document.text:
                yield document
            else:
                counts["dropped: empty articles"] += 1
        number += 1


def _article(identity: str, text: str, is_titled: bool, counts: Counter[str]) -> Document:
    text, joined = _JOINED.subn(r"\1", text)
    count_cleaned(counts, "@-@, @,@ and @.@ joined", joined)
    if unknown := text.count("<unk>"):
        counts["unknown words"] += unknown
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    title = tidy(lines.pop(0)[2:-2], counts) if is_titled else ""
    pieces: list[str] = []
    last_text = 0  # headings after the last paragraph head nothing
    for line in lines:
        section = _SECTION.fullmatch(line)
        is_heading = section is not None and section[1].count("=") == section[3].count("=") > 1
        if piece := tidy(section[2] if section and is_heading else line, counts):
            pieces.append(piece)
            last_text = last_text if is_heading else len(pieces)
    if last_text < len(pieces):
        counts["dropped: headings of nothing"] += len(pieces) - last_text
    return Document(identity, title, join(pieces[:last_text]))


def _without_evaluation(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names to read and those left out; all are read if none is for training."""
    names = list(names)
    kept = [name for name in names if not _EVALUATION.search(PurePosixPath(name).name)]
    return (kept, [name for name in names if name not in kept]) if kept else (names, [])


def _first_takes(
    parts: Iterable[Part], input_bytes: int, others: int = 0, splits: int = 0
) -> Iterator[Part]:
    """Yield the parts, what is left out added to the first."""
    for part in parts:
        yield part._replace(
            input_bytes=part.input_bytes + input_bytes,
            others=part.others + others,
            splits=part.splits + splits,
        )
        input_bytes = others = splits = 0


def _divide_file(name: str, path: Path, size: int, config: FetchConfig) -> Iterator[Part]:
    kind = path.suffix.lower()
    if kind == ".zip":
        yield from _divide_zip(path, size, config)
        return
    blocks = _parquet_blocks(path) if kind == ".parquet" else _file_blocks(path)
    yield from _cut(name, blocks, size, path.stat().st_size, config)


def _divide_zip(path: Path, size: int, config: FetchConfig) -> Iterator[Part]:
    with open_zip(path) as archive:
        members = zip_members(archive, str(path))
        texts = {member.filename: member for member in members if _is_text(member.filename)}
        if not texts:
            raise DataError(f"{path} holds no wiki.*.raw or wiki.*.tokens", "download it again")
        kept, left_out = _without_evaluation(texts)
        rest = path.stat().st_size - sum(texts[name].compress_size for name in kept)
        parts = (
            part
            for name in kept
            for part in _cut(
                PurePosixPath(name).name,
                _zip_blocks(archive, texts[name], str(path), config.max_member_size),
                size,
                texts[name].compress_size,
                config,
            )
        )
        yield from _first_takes(parts, rest, len(members) - len(texts), len(left_out))


def _is_text(name: str) -> bool:
    return re.fullmatch(r"wiki\..*\.(raw|tokens)", PurePosixPath(name).name) is not None


def _cut(
    name: str, blocks: Iterable[Block], size: int, input_bytes: int, config: FetchConfig
) -> Iterator[Part]:
    """Yield parts of `size` bytes or just over, each up to where an article begins."""
    limit = min(config.max_member_size, LARGEST_TEXT)
    raw = _BLANK
    first, done = 1, 0
    for block, position in blocks:
        raw += block.removeprefix(BOM_UTF8) if raw == _BLANK else block
        if len(raw) < size:
            continue
        starts = [match.start(1) for match in _TITLE.finditer(raw)]
        if starts and (cut := starts[-1]) > len(_BLANK):
            yield Part(name, raw[:cut], first, position - done)
            raw = _BLANK + raw[cut:]
            first += len(starts) - 1
            done = position
        elif len(raw) > limit:
            raise too_large(f"{name}: article {first}", limit)
    yield Part(name, raw, first, input_bytes - done)


def _file_blocks(path: Path) -> Iterator[Block]:
    with path.open("rb") as file:
        while raw := file.read(READ_BYTES):
            yield Block(raw, file.tell())


def _zip_blocks(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, limit: int
) -> Iterator[Block]:
    done = 0
    with open_zipped(archive, member.filename, where) as file:
        while raw := file.read(READ_BYTES):
            done += len(raw)
            if done > limit:
                raise too_large(f"{where}: {member.filename}", limit)
            yield Block(raw, member.compress_size * done // max(member.file_size, 1))


def _parquet_blocks(path: Path) -> Iterator[Block]:
    size = path.stat().st_size
    done = 0
    with open_parquet(path) as file:
        if "text" not in file.schema_arrow.names:
            raise DataError(f'{path} has no column "text"', "name the Hub's train-*.parquet")
        rows = batch_rows(file, range(file.num_row_groups))
        raw = bytearray()
        for batch in file.iter_batches(rows, columns=["text"]):
            lines = [(line or "").removesuffix("\n") for line in batch["text"].to_pylist()]
            raw += "".join(f"{line}\n" for line in lines).encode()
            done += len(lines)
            if len(raw) >= READ_BYTES or done == file.metadata.num_rows:
                yield Block(bytes(raw), size * done // file.metadata.num_rows)
                raw.clear()
