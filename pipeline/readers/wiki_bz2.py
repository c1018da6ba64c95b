"""A .bz2 file read from any byte on, whether it holds one stream or many.

bzip2 compresses blocks of up to 900 kB, each by itself. A block begins with a mark of 48 bits, at
any bit, and its checksum (the layout is that of decompress.c in bzip2). So a worker finds by these
marks the blocks that begin in its range of the file, and decodes each as a stream of its own, as
the program bzip2recover does: there is no index, and nothing is handed from process to process.
Between two streams, as in a multistream dump, are an end mark, a checksum, at most seven bits and a
header.

Compressed bits are as good as random, and 48 of them are a mark by chance once in 700 dumps of the
English Wikipedia. So a block that does not decode up to the next mark is tried up to the one after
it. (By chance in the few bits before the first block of a range, it would make us refuse a sound
file: once in 100,000 dumps.) Each block's checksum is compared, and nothing between two blocks is
passed over; the checksum over all blocks of a stream is not compared.
"""

import bz2
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from shards.errors import DataError

AGAIN = "download it again, and compare its sum"

_BLOCK = 0x314159265359
_END = 0x177245385090
_MARK_BITS = 48
_CHECKSUM_BITS = 32
_HEADER = re.compile(rb"BZh[1-9]")
_CHANCE_MARKS = 2
"""Marks by chance in one block: there will never be so many."""
_WINDOW_BYTES = 1 << 20
_LAST_BYTES = 1 << 22
"""More than two of the longest blocks."""

_WITHIN_MARK = {
    (mark << 8 - shift).to_bytes(7, "big")[1:6]: shift
    for mark in (_BLOCK, _END)
    for shift in range(8)
}
"""The whole bytes within a mark that begins `shift` bits into the byte before them."""
_SEARCH = re.compile(b"|".join(map(re.escape, _WITHIN_MARK)), re.DOTALL)


class Bz2File:
    """The blocks of one .bz2 file."""

    def __init__(self, path: Path, raw: mmap.mmap) -> None:
        self.path = path
        self._raw = raw

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the content of each block that begins in the bytes from `start` to before `stop`.

        It has 900 kB, or at most 46 MB where it repeats itself.

        Raises:
            DataError: The file is truncated or damaged there, or no .bz2 file.
        """
        marks = self._marks(start)
        if start == 0:
            begin = self._first_block(0)
        else:
            begin = next((bit for bit, is_block in marks if is_block), None)
        while begin is not None and begin < stop * 8:
            content, end, is_block = self._whole_block(begin, marks)
            yield content
            begin = end if is_block else self._first_block(_after_end(end))

    def last_bytes(self, number: int) -> bytes:
        """Return the end of the content: `number` bytes or more, or all there is.

        Raises:
            DataError: The file is truncated or damaged there, or no .bz2 file.
        """
        size = len(self._raw)
        content = b""
        marks = self._marks(max(0, size - _LAST_BYTES))
        for begin in reversed([bit for bit, is_block in marks if is_block]):
            content = b"".join(self.blocks(begin // 8, size))
            if len(content) >= number:
                break
        return content

    def _marks(self, start: int) -> Iterator[tuple[int, bool]]:
        """Yield the bit at which each mark begins, and whether it is that of a block."""
        for window in range(start + 1, len(self._raw), _WINDOW_BYTES):
            raw = self._raw[window : window + _WINDOW_BYTES + 4]
            for found in _SEARCH.finditer(raw):
                byte = window + found.start() - 1
                shift = _WITHIN_MARK[found[0]]
                mark = int.from_bytes(self._raw[byte : byte + 7].ljust(7), "big") >> 8 - shift
                mark &= (1 << _MARK_BITS) - 1
                if mark in (_BLOCK, _END):
                    yield byte * 8 + shift, mark == _BLOCK

    def _first_block(self, byte: int) -> int | None:
        """Return the bit of the first block of the streams from `byte` on; None if none is left."""
        while byte != len(self._raw):
            if not _HEADER.fullmatch(self._raw[byte : byte + 4]):
                raise self._damaged(byte)
            mark = int.from_bytes(self._raw[byte + 4 : byte + 10], "big")
            if mark == _BLOCK:
                return (byte + 4) * 8
            if mark != _END:
                raise self._damaged(byte)
            byte = _after_end((byte + 4) * 8)
        return None

    def _whole_block(
        self, begin: int, marks: Iterator[tuple[int, bool]]
    ) -> tuple[bytes, int, bool]:
        """Return the block's content, the bit after it, and whether another block begins there."""
        after = (mark for mark in marks if mark[0] > begin)
        for end, is_block in islice(after, 1 + _CHANCE_MARKS):
            content = self._decode(begin, end)
            if content is not None:
                return content, end, is_block
        raise self._damaged(begin // 8)

    def _decode(self, begin: int, end: int) -> bytes | None:
        """Return the content of the block in these bits, or None if they are no whole block."""
        size = end - begin
        if size < _MARK_BITS + _CHECKSUM_BITS:
            return None
        first, last = begin // 8, -(-end // 8)
        bits = int.from_bytes(self._raw[first:last], "big") >> last * 8 - end
        bits &= (1 << size) - 1
        checksum = bits >> size - _MARK_BITS - _CHECKSUM_BITS & (1 << _CHECKSUM_BITS) - 1
        bits = (bits << _MARK_BITS | _END) << _CHECKSUM_BITS | checksum
        size += _MARK_BITS + _CHECKSUM_BITS
        stream = (bits << -size % 8).to_bytes(-(-size // 8), "big")
        try:
            return bz2.decompress(b"BZh9" + stream)
        except (OSError, ValueError):
            return None

    def _damaged(self, byte: int) -> DataError:
        if byte == 0:
            return DataError(f"{self.path} is no .bz2 file: it begins {self._raw[:10]!r}", AGAIN)
        size = len(self._raw)
        problem = f"{self.path} is truncated or damaged at or after byte {byte} of {size}"
        return DataError(problem, AGAIN)


@contextmanager
def open_bz2(path: Path) -> Iterator[Bz2File]:
    """Open a .bz2 file.

    Raises:
        DataError: The file is empty.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise DataError(f"{path} is empty", AGAIN)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            yield Bz2File(path, raw)


def _after_end(bit: int) -> int:
    """Return the byte after the stream whose end mark begins at `bit`."""
    return -(-(bit + _MARK_BITS + _CHECKSUM_BITS) // 8)
