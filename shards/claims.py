"""What a folder's manifest claims of itself and of the rows, against what is so."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shards.format import ShardHeader
from shards.manifest import MANIFEST_NAME, Manifest, is_as_written

NAME = re.compile(
    r"(train|validation)/[1-9][0-9]*/part-[0-9]{5,}(-[1-9][0-9]*)?\.arrow"
    r"|tokenizer/tokenizer(_config)?\.json"
)
"""The files of a folder of shards (FORMAT.md, "Files")."""

COUNTED = ("rows", "train_rows", "validation_rows", "real_tokens", "rows_pair", "rows_swapped")
"""What the rows themselves tell of the balance sheet."""


def is_name(name: str) -> bool:
    """Return whether a folder of shards may have a file of this name."""
    return NAME.fullmatch(name) is not None


def documents_in(manifest: Manifest) -> int:
    """Return how many documents the sources have; 0 if the manifest does not say."""
    try:
        return sum(int(source["documents"]) for source in manifest.counts["sources"])
    except (KeyError, TypeError, ValueError):
        return 0


def check_manifest(
    folder: Path, manifest: Manifest, headers: Mapping[int, ShardHeader]
) -> Iterator[str]:
    """Yield a line for each contradiction inside the manifest."""
    path, first = folder / MANIFEST_NAME, next(iter(headers.values()))
    if not is_as_written(folder):
        yield f"{path} is not what was written: its content hash differs"
    if not documents_in(manifest):
        yield f"{path} does not say how many documents each source has"
    if (tokenizer := manifest.inputs.get("tokenizer", first.tokenizer)) != first.tokenizer:
        yield f"{path} has tokenizer {tokenizer} as input, and {first.tokenizer} in the header"
    header = {**asdict(first), "max_length": ",".join(map(str, headers))}
    for name in sorted(header.keys() & manifest.config.keys()):
        if manifest.config[name] != header[name]:
            found = f"{manifest.config[name]!r} in config, {header[name]!r} in counts"
            yield f"{path} has {name} {found}"
    yield from _check_lengths(path, manifest, list(headers))


def _check_lengths(path: Path, manifest: Manifest, found: list[int]) -> Iterator[str]:
    first = manifest.counts["header"]["max_length"]
    lengths = manifest.counts.get("max_lengths", [first])
    if found != lengths or found[0] != first:
        yield f"{path} has max_lengths {lengths}, which do not begin with the header's, each once"
    for length in found:
        if not any(f"/{length}/" in name for name in manifest.files):
            yield f"{path} has {length} in max_lengths, and lists no shard of this length"


def check_counts(
    folder: Path, manifest: Manifest, headers: Mapping[int, ShardHeader], counted: Counter[str]
) -> Iterator[str]:
    """Yield a line for each number of the balance sheet that contradicts the rows, or another.

    Args:
        folder: The folder.
        manifest: Its manifest; one without a balance sheet claims nothing.
        headers: The header of each length.
        counted: What was counted of the rows, as in the balance sheet's column "all".
    """
    path, balance = folder / MANIFEST_NAME, manifest.counts.get("balance")
    if balance is None:
        return
    if not _is_balance(balance):
        yield f"{path} has a balance that is no table of numbers with a column for all"
        return
    every = Counter(balance["all"])
    for name in (f"{length}/{name}" for length in headers for name in COUNTED):
        if every[name] != counted[name]:
            yield f"{path} counts {every[name]} {name}, the shards have {counted[name]}"
    sources = Counter[str]()
    for column in (column for source, column in balance.items() if source != "all"):
        sources.update(column)
    for name in sorted({*every, *sources}):
        if every[name] != sources[name]:
            yield f"{path} counts {every[name]} {name} in all, its sources {sources[name]}"


def _is_balance(balance: Any) -> bool:  # noqa: ANN401
    return (
        isinstance(balance, dict)
        and "all" in balance
        and all(isinstance(column, dict) for column in balance.values())
        and all(type(n) is int for column in balance.values() for n in column.values())
    )
