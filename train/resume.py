"""What must be the same where a run goes on; what differs is named."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shards.errors import DataError
from shards.files import hash_file
from shards.format import ShardHeader
from shards.manifest import Manifest, difference, read_manifest
from shards.reader import read_shard_manifest
from train.runs import Run


def check_choices(run: Run, chosen: Mapping[str, Any]) -> None:
    """Refuse configuration that was given again and is not the run's own.

    Args:
        run: The run.
        chosen: Fields of `PretrainConfig`; a precision of "auto" leaves the choice to the run.

    Raises:
        DataError: One differs; it is named.
    """
    given = {name: value for name, value in chosen.items() if (name, value) != AUTOMATIC}
    own = {name: getattr(run.config, name) for name in given}
    if found := difference(own, given):
        remedy = "leave the option out to go on, or start another run with another --out"
        raise DataError(f"{run.folder} was started with {found}", remedy)


AUTOMATIC = ("precision", "auto")


def check_shards(run: Run, shards: Path) -> None:
    """Refuse other shards, and another tokenizer.

    Raises:
        DataError: There are none, or they are others; the first difference is named.
    """
    manifest, headers = read_shard_manifest(shards)
    header = next(iter(headers.values()))
    if manifest.fingerprint() != run.fingerprint:
        problem = f"{shards} does not hold the shards that {run.folder} was started on"
        if found := _first_difference(run, manifest, header):
            problem += f" ({found})"
        raise DataError(problem, "give them with --shards, or start another run")
    path = run.tokenizer / "tokenizer.json"
    if not path.is_file() or hash_file(path) != header.tokenizer:
        problem = f"{path} is not the tokenizer of the shards in {shards}"
        raise DataError(problem, f"copy {shards / 'tokenizer'} there again")


def _first_difference(run: Run, manifest: Manifest, header: ShardHeader) -> str | None:
    """Return what differs first: tokenizer, header, configuration of `pack`, inputs or files."""
    before = read_manifest(run.shards_manifest)
    if before is None:
        return None
    own = dict(before.counts.get("header", {}))
    if own.get("tokenizer") != header.tokenizer:
        return f"another tokenizer: {str(own.get('tokenizer'))[:8]}, not {header.tokenizer[:8]}"
    files, others = (
        {name: record.blake3[:8] for name, record in one.files.items()}
        for one in (before, manifest)
    )
    same = {"max_length": header.max_length}  # of one of several lengths
    return (
        difference(own | same, asdict(header))
        or difference(before.config, manifest.config)
        or difference(before.inputs, manifest.inputs)
        or difference(files, others)
    )
