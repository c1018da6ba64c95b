"""The page's part on the data: the balance sheet of `pack`, sources, runs of masks, lengths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.sheet import describe_shards
from shards.errors import DataError
from shards.manifest import Manifest, read_manifest
from shards.reader import ShardFolder
from train.guessing import spread
from train.report.bars import histogram, list_bars
from train.report.curves import Floats
from train.report.markup import box, escape, paragraph, section, tag
from train.report.runs import ReportedRun

SAMPLE_ROWS = 20_000
"""Rows whose lengths are counted, evenly spaced."""
BINS = 32


def data(runs: Sequence[ReportedRun]) -> str:
    """Return the section: a part for each folder of shards, with the runs that read it."""
    by_shards: dict[str, list[ReportedRun]] = {}
    for run in runs:
        by_shards.setdefault(run.run.fingerprint, []).append(run)
    parts = []
    for readers in by_shards.values():
        if len(by_shards) > 1:
            parts.append(tag("h3", escape(f"Read by {', '.join(run.name for run in readers)}")))
        parts.append(_part(readers[0]))
    return section("data", "Data", "".join(parts))


def _part(reported: ReportedRun) -> str:
    manifest = reported.manifest
    if manifest is None:
        return paragraph("The shards' manifest is not known: no copy is in the run.", "note")
    try:
        sheet = describe_shards(manifest)
        figures = [*_sources(manifest), *_spans(manifest), *_lengths(reported)]
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        return paragraph(f"The balance sheet cannot be read: {error}", "note")
    drawn = tag("div", "".join(figures), class_="charts") if figures else ""
    return drawn + tag("h3", "What became of each token") + box(tag("pre", escape(sheet)))


def _sources(manifest: Manifest) -> list[str]:
    balance = manifest.counts.get("balance", {})
    tokens = {name: counts["tokens"] for name, counts in balance.items() if name != "all"}
    total = sum(tokens.values())
    if not total:
        return []
    texts = [f"{100 * count / total:.1f} %" for count in tokens.values()]
    return [list_bars(f"tokens by source, of {total:,}", tokens, texts)]


def _spans(manifest: Manifest) -> list[str]:
    """Return how often runs of n words were drawn and placed, for each length of rows."""
    counts = manifest.counts.get("balance", {}).get("all", {})
    figures = []
    for length in manifest.counts["max_lengths"]:
        shares = {kind: _shares(counts, f"{length}/ngrams_{kind}_") for kind in ("drawn", "placed")}
        if all(shares.values()):
            labels = [str(n + 1) for n in range(len(shares["placed"]))]
            title = f"runs of masked words in rows of {length} tokens"
            figures.append(histogram(title, labels, shares, "words in a run"))
    return figures


def _shares(counts: dict[str, Any], prefix: str) -> list[float]:
    numbers = sorted(int(name.removeprefix(prefix)) for name in counts if name.startswith(prefix))
    found = [counts[f"{prefix}{n}"] for n in numbers]
    return [count / sum(found) for count in found] if sum(found) else []


def _lengths(reported: ReportedRun) -> list[str]:
    """Return the lengths of training rows, which only the shards themselves know."""
    folder, figures = Path(reported.run.shards), []
    for length in sorted({length for _, length in reported.curves.lengths}):
        lengths = _read_lengths(folder, length, reported.run.fingerprint)
        if lengths is None:
            return [paragraph(f"Lengths of rows are not known: {folder} has changed.", "note")]
        width = -(-length // BINS)
        edges = np.arange(length + 0.5, 0.5 - width, -width)[::-1]
        shares = np.histogram(lengths, edges)[0] / len(lengths)
        labels = [_span(int(last) - width + 1, int(last)) for last in edges[1:] - 0.5]
        title = f"tokens in rows of {length}, mean {lengths.mean():.1f}"
        shown = {"share of rows": shares.tolist()}
        figures.append(histogram(title, labels, shown, "tokens before padding"))
    return figures


def _span(first: int, last: int) -> str:
    """Return how a bar of lengths is labelled: by the first that a row can have, and the last."""
    return str(last) if max(1, first) == last else f"{max(1, first)}\N{EN DASH}{last}"


def _read_lengths(folder: Path, max_length: int, fingerprint: str) -> Floats | None:
    """Return the lengths of rows; None: the shards are gone, or are others now."""
    try:
        manifest = read_manifest(folder)
        if manifest is None or manifest.fingerprint() != fingerprint:
            return None
        shards = ShardFolder(folder, "train", max_length)
        lengths: Floats = shards.gather(spread(len(shards), SAMPLE_ROWS)).length.astype(np.float64)
        return lengths
    except (DataError, OSError):
        return None
