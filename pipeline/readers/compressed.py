"""Compressed files as streams: .gz, .bz2, .xz and .zst, read to their very end in bounded memory.

Several streams or members that follow one another are one content, as `cat a.gz b.gz` makes it.
The readers of the standard library take what follows a bz2 or xz stream and is none for the end of
the file; here it is damage.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

import pyarrow as pa

from shards.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
READ_BYTES = 1 << 18
LZMA_MEMORY = 256 << 20
"""Bytes that an .xz may ask for; `xz -9` needs 65 MB (xz(1), "Compression preset")."""


class UnpackedStreams(io.RawIOBase):
    """The content of streams that follow one another, zeros between or after them apart."""

    def __init__(
        self, file: IO[bytes], make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
    ) -> None:
        self._file = file
        self._make = make
        self._unpacker = make()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill `buffer` and return how many bytes it took, 0 at the end.

        Raises:
            EOFError: The file ends within a stream.
        """
        view = memoryview(buffer)
        while True:
            raw = b""
            if self._unpacker.eof:
                raw = self._next_stream()
                if not raw:
                    return 0
                self._unpacker = self._make()
            elif self._unpacker.needs_input and not (raw := self._file.read(READ_BYTES)):
                raise EOFError("it ends too early")
            if unpacked := self._unpacker.decompress(raw, len(view)):
                view[: len(unpacked)] = unpacked
                return len(unpacked)

    def _next_stream(self) -> bytes:
        raw = self._unpacker.unused_data.lstrip(b"\0")
        while not raw and (block := self._file.read(READ_BYTES)):
            raw = block.lstrip(b"\0")
        return raw


def unpack_xz(file: IO[bytes]) -> IO[bytes]:
    """Return the content of an .xz as a stream; EOFError and lzma.LZMAError tell of damage."""
    make = partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, LZMA_MEMORY)
    return io.BufferedReader(UnpackedStreams(file, make), READ_BYTES)


@contextmanager
def damage(where: str, remedy: str) -> Iterator[None]:
    """Turn what a decompressor raises into a DataError that begins with `where`."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{where} is truncated or damaged ({error})", remedy) from error


def unpack(file: BinaryIO, path: Path) -> IO[bytes]:
    """Return the content of an open file as a stream, unpacked as its name asks for.

    Raises:
        EOFError: A compressed file is empty.
    """
    suffix = path.suffix.lower()
    if suffix not in _UNPACK:
        return file
    if not path.stat().st_size:
        raise EOFError("it is empty")
    return _UNPACK[suffix](file)


def _unpack_bz2(file: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(UnpackedStreams(file, bz2.BZ2Decompressor), READ_BYTES)


def _unpack_gz(file: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(gzip.GzipFile(fileobj=file), READ_BYTES)


def _unpack_zst(file: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(pa.CompressedInputStream(file, "zstd"), READ_BYTES)


_UNPACK: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": _unpack_gz,
    ".bz2": _unpack_bz2,
    ".xz": unpack_xz,
    ".zst": _unpack_zst,
}
