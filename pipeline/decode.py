"""From bytes to text by one stated rule, never by a guess over the content.

1. A byte order mark decides: UTF-8, UTF-16 or UTF-32.
2. Otherwise the bytes are UTF-8 if they decode as such.
3. Otherwise they are Windows-1252, its five undefined bytes read as Latin-1; this is counted.

A NUL character where no mark announced UTF-16 or UTF-32 means a binary file.
"""

import codecs
from collections import Counter

from shards.errors import DataError

_WIDE_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WINDOWS_1252 = "".join(
    bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in range(256)
)


def decode(raw: bytes, name: str, counts: Counter[str]) -> str:
    """Return the text of `raw` without byte order mark, its lines ended by a line feed alone.

    Args:
        raw: A whole file or line.
        name: What to call it in an error.
        counts: Gains "cleaned: not UTF-8" when rule 3 was used.

    Raises:
        DataError: The bytes are binary, or break the encoding that their mark announces.
    """
    for mark, encoding in _WIDE_MARKS:
        if raw.startswith(mark):
            return newlines(_decode_wide(raw[len(mark) :], encoding, name))
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if (position := raw.find(0)) >= 0:
        raise _binary(name, position)
    try:
        return newlines(raw.decode("utf-8"))
    except UnicodeDecodeError:
        counts["cleaned: not UTF-8"] += 1
        return newlines(codecs.charmap_decode(raw, "strict", _WINDOWS_1252)[0])


def decode_member(raw: bytes, counts: Counter[str]) -> str | None:
    """Return the text of an archive's member, or None for one that is not text, counting it.

    Nobody chose the members of an archive one by one, so that one must not stop all others.
    """
    try:
        return decode(raw, "", counts)
    except DataError:
        counts["dropped: binary files"] += 1
        return None


def newlines(text: str) -> str:
    """Return `text` with CR LF and CR replaced by LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decode_wide(raw: bytes, encoding: str, name: str) -> str:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        problem = f"{name} begins with the mark of {encoding} but breaks it at byte {error.start}"
        raise DataError(problem, "save it as UTF-8, or leave it out") from error
    if (position := text.find("\0")) >= 0:
        raise _binary(name, position)
    return text


def _binary(name: str, position: int) -> DataError:
    problem = f"{name} is not text: it has a NUL character at {position}"
    return DataError(problem, "leave it out, or unpack or convert it to text first")
