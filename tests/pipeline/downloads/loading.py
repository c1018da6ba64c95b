"""What the server has, and how a download of it is judged."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from pipeline.downloads.downloader import STAGING, Downloader
from pipeline.downloads.raw_files import RawFile, sidecar
from pipeline.sources import RemoteFile
from shards.errors import DataError

BODY = random.Random(1).randbytes(2_300_000)
OTHER = random.Random(2).randbytes(len(BODY))
CUT = 1_200_000
"""gdown writes half a megabyte at a time, so two writes are done before such a cut."""
NAME = "corpus.bin"


def remote(*addresses: str, name: str = NAME, body: bytes | None = BODY) -> RemoteFile:
    """Return a file whose size and sum are published, unless `body` is None."""
    if body is None:
        return RemoteFile(name, addresses)
    return RemoteFile(name, addresses, len(body), f"sha256:{hashlib.sha256(body).hexdigest()}")


def only_waits(message: str) -> None:
    """Take what is said where no terminal shows a wait; nothing else is to be said."""
    if "; next attempt in " not in message:
        pytest.fail(message)


def load(file: RemoteFile, folder: Path, warn: Callable[[str], None] = only_waits, **options):
    with Downloader(warn=warn, **options) as downloader:
        return downloader.submit(file, folder).result(timeout=20)


def assert_right(raw: RawFile, folder: Path, body: bytes = BODY, *, published: bool = True) -> None:
    path = folder / raw.name
    assert path.read_bytes() == body
    assert (raw.path, raw.blake3) == (path, blake3(body).hexdigest())
    assert raw.is_published is published
    record = json.loads(sidecar(path).read_text())
    assert record["blake3"] == raw.blake3
    assert record["bytes"] == len(body)
    assert record["address"] == raw.address
    assert not (folder / STAGING).exists()


def fails(file: RemoteFile, folder: Path, *words: str, **options) -> DataError:
    """Assert that the download fails, that the error holds the words, and that no file is left."""
    with pytest.raises(DataError) as caught:
        load(file, folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    assert not (folder / file.name).exists()
    return caught.value
