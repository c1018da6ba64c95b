"""`manifest.json`: what a stage made, from what, and how; written last, so it marks completion.

The fingerprint covers content only (names and hashes, not times or library versions), so that two
machines that made the same bytes agree on it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blake3 import blake3

from shards.errors import DataError
from shards.files import hash_file, write_text

MANIFEST_VERSION = 1
MANIFEST_NAME = "manifest.json"
SEAL = "blake3"
"""The manifest's last field: the hash of the file up to the comma before it."""
SEAL_START = f',\n "{SEAL}": "'


@dataclass(frozen=True)
class FileRecord:
    """One file as it was when it was recorded: size, modification time and content hash."""

    bytes: int
    mtime_ns: int
    blake3: str
    rows: int = 0
    """Rows of an Arrow shard, documents of a Parquet part, else 0."""

    def stands(self, path: Path) -> bool:
        """Return whether `path` still holds this content, hashing only if size or time moved."""
        if not path.is_file():
            return False
        status = path.stat()
        if status.st_size != self.bytes:
            return False
        return status.st_mtime_ns == self.mtime_ns or hash_file(path) == self.blake3


def record_file(path: Path, rows: int = 0) -> FileRecord:
    """Hash `path` and record its size and time."""
    status = path.stat()
    return FileRecord(status.st_size, status.st_mtime_ns, hash_file(path), rows)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything worth knowing about a stage's output folder.

    Attributes:
        stage: The command that wrote the folder.
        config: The resolved configuration, JSON values only.
        inputs: A hash for each input: a file's content or another manifest's fingerprint.
        files: Every output file by its path relative to the folder, POSIX separators.
        counts: What was read, kept and dropped, and why.
        versions: Versions of the libraries that can change the output.
    """

    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]
    files: dict[str, FileRecord]
    counts: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Return the BLAKE3 hash of the output files' names and contents."""
        content = {name: record.blake3 for name, record in self.files.items()}
        return blake3(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into `folder`."""
        document = {"manifest_version": MANIFEST_VERSION, **asdict(self)}
        body = json.dumps(document, indent=1).removesuffix("\n}")
        write_text(folder / MANIFEST_NAME, _sealed(body))

    def damaged(self, folder: Path) -> list[str]:
        """Return the names of files that are missing or no longer hold what was recorded."""
        return [name for name, record in self.files.items() if not record.stands(folder / name)]


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of `folder`, or None where there is none.

    Raises:
        DataError: The manifest cannot be parsed or has another version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    remedy = f"delete {folder} and run the command that makes it again"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
        document.pop(SEAL, None)
        found = document.pop("manifest_version")
        if found != MANIFEST_VERSION:
            problem = f"{path} has manifest version {found}, this Hearth reads {MANIFEST_VERSION}"
            raise DataError(problem, remedy)
        files = {name: FileRecord(**record) for name, record in document.pop("files").items()}
        return Manifest(files=files, **document)
    except KeyError as error:
        raise DataError(f"{path} is not a manifest (no field {error})", remedy) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a manifest ({error})", remedy) from error


def is_as_written(folder: Path) -> bool:
    """Return whether the hash that a readable manifest ends with is that of all before it.

    One without this field, which is younger than the format, passes.
    """
    text = (folder / MANIFEST_NAME).read_bytes().decode()  # line ends as they are
    return SEAL not in json.loads(text) or text == _sealed(text.rpartition(SEAL_START)[0])


def _sealed(body: str) -> str:
    """Return the JSON object whose fields are in `body`, with the hash of `body` as the last."""
    return f'{body}{SEAL_START}{blake3(body.encode()).hexdigest()}"\n}}\n'


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return a phrase naming the first field in which two configurations differ, else None."""
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before != after:
            return f"{name} {before!r}, not {after!r}"
    return None


def library_versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package."""
    return {package: version(package) for package in packages}
