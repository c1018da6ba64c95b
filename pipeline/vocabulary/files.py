"""Text files of others, read to the letter: what is wrong with one is said and never mended."""

import json
from pathlib import Path
from typing import Any

from shards.errors import DataError

AGAIN = "fetch or copy it again"


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text whose every line ends with LF.

    Raises:
        DataError: It is something else.
    """
    text = read_text(path)
    if "\r" in text:
        raise DataError(f"{path} has lines that end with CR LF", "save it with LF (dos2unix)")
    if not text.endswith("\n"):
        problem = f"{path} is cut: its last line, {text.split(chr(10))[-1][:40]!r}, has no end"
        raise DataError(problem, f"{AGAIN}, or end it with a newline if it is whole")
    return text.split("\n")[:-1]


def read_text(path: Path) -> str:
    """Return the content of a text file.

    Raises:
        DataError: It is empty, no UTF-8, or binary.
    """
    raw = path.read_bytes()
    if not raw:
        raise DataError(f"{path} is empty", AGAIN)
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        problem = f"{path} begins with a byte order mark"
        raise DataError(problem, "save it as UTF-8 without one")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}", AGAIN) from error
    if "\0" in text:
        raise DataError(f"{path} is not text: it has a NUL at {text.index(chr(0))}", AGAIN)
    return text


def read_json(path: Path) -> Any:  # noqa: ANN401
    """Return the content of a JSON file.

    Raises:
        DataError: It is none.
    """
    try:
        content = json.loads(read_text(path))
        json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        return content
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error})", AGAIN) from error
