"""The raw files that a stage reads, as its manifest remembers them.

A hash of their content tells whether they are the same; their sizes and times tell that without
reading them (the Wikipedia dump has 22 GB), as long as nobody has touched them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from shards.files import hash_file
from shards.manifest import Manifest

STAMPS = "input_files"
"""Where a manifest's counts keep the stamps."""
MANY_INPUTS = 100
"""From here on the manifest keeps one entry for all inputs instead of one for each."""


def stamp_inputs(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the size and modification time of each file; take them before the hashes."""
    stamps = {}
    for name, file in files.items():
        status = file.stat()
        stamps[name] = f"{status.st_size} bytes, mtime {status.st_mtime_ns} ns"
    return _shorten(stamps)


def hash_inputs(
    files: Mapping[str, Path], stamps: Mapping[str, str], old: Manifest | None
) -> dict[str, str]:
    """Return the hash of each file, from `old` where the stamps are those that it keeps."""
    if old is not None and old.counts.get(STAMPS) == stamps:
        return old.inputs
    return _shorten({name: hash_file(file) for name, file in files.items()})


def fingerprint(inputs: Mapping[str, str]) -> str:
    """Return one hash of all inputs and their names."""
    return blake3(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _shorten(entries: dict[str, str]) -> dict[str, str]:
    """Return an entry for each file, or a single hash of all where they are many."""
    if len(entries) <= MANY_INPUTS:
        return entries
    return {f"{len(entries)} files": fingerprint(entries)}
