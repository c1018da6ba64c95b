"""What rows look like as a whole, as a PNG: lengths, masks and second segments."""

from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.inspect import open_chosen
from pipeline.inspect_config import InspectConfig
from pipeline.masks import ngram_law
from shards.errors import DataError
from shards.format import Rows, ShardHeader, unpack_masks
from shards.manifest import Manifest
from shards.reader import ShardFolder

SAMPLE_SLOTS = 1 << 23
"""At most so many slots are looked at, in rows that are evenly spaced."""
LAW, OURS = "tab:orange", "tab:blue"


@dataclass(frozen=True)
class _Sample:
    """N rows, and their mask sets as (N, S, L) booleans."""

    header: ShardHeader
    manifest: Manifest
    rows: Rows
    is_masked: NDArray[np.bool_]


def draw_histograms(folder: Path, config: InspectConfig, picture: Path) -> Path:
    """Draw what the rows that were chosen look like, and return the picture's path.

    Raises:
        DataError: There are no such rows, or matplotlib is not installed.
    """
    shards = open_chosen(folder, config)
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise DataError("matplotlib is not installed", "pip install -e '.[watch]'") from error
    mpl.use("agg")
    from matplotlib import pyplot

    sample = _draw_sample(shards)
    panels = _panels(sample)
    figure, axes = pyplot.subplots(
        -(-len(panels) // 3), min(3, len(panels)), figsize=(15, 8 if len(panels) > 3 else 4.5),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    figure.suptitle(
        f"{folder}: layout {shards.header.layout}, {config.split} rows of "
        f"{shards.header.max_length} tokens, {len(sample.rows):,} of {len(shards):,} rows"
    )
    for axis, panel in zip(axes.flat, panels, strict=False):
        panel(sample, axis)
        axis.grid(alpha=0.3)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)
    return picture


def _draw_sample(shards: ShardFolder) -> _Sample:
    count = min(max(1, SAMPLE_SLOTS // shards.header.max_length), len(shards))
    rows = shards.gather(np.linspace(0, len(shards) - 1, count).astype(np.int64))
    header = shards.header
    sets = rows.masks.reshape(count * header.mask_sets, header.mask_bytes)
    masks = unpack_masks(sets, header.max_length)
    shape = (count, header.mask_sets, header.max_length)
    return _Sample(header, shards.manifest, rows, masks.reshape(shape))


def _panels(sample: _Sample) -> list[Any]:
    if sample.header.layout == "stream":
        return [_lengths, _documents]
    panels = [_lengths, _second_segments]
    return [*panels, _ngrams, _shares, _positions, _overlap] if sample.header.mask_sets else panels


def _lengths(sample: _Sample, axis: Any) -> None:  # noqa: ANN401
    width = sample.header.max_length
    length = sample.rows.length
    axis.hist(length, bins=_whole_bins(width), weights=_shares_of(length), color=OURS)
    axis.axvline(length.mean(), color=LAW, label=f"mean {length.mean():.1f}")
    axis.legend()
    axis.set(title="length of a row", xlabel="tokens before padding", ylabel="share of rows")


def _second_segments(sample: _Sample, axis: Any) -> None:  # noqa: ANN401
    rows = sample.rows
    is_pair = rows.second_start < rows.length
    place = rows.second_start[is_pair] / rows.length[is_pair]
    axis.hist(place, bins=np.linspace(0, 1, 51), weights=_shares_of(place), color=OURS)
    title = f"second segment ({is_pair.mean():.1%} of these rows have one)"
    axis.set(title=title, xlabel="its start / length of the row", ylabel="share of pairs")


def _ngrams(sample: _Sample, axis: Any) -> None:  # noqa: ANN401
    """Draw how often runs of n words were drawn and placed; counted when the rows were made."""
    config, width = sample.manifest.config, sample.header.max_length
    law = ngram_law(config["mask"], config["max_ngram"])
    counts = sample.manifest.counts["balance"]["all"]
    n = np.arange(1, len(law) + 1)
    for place, kind, colour in ((-0.2, "drawn", "tab:gray"), (0.2, "placed", OURS)):
        found = np.array([counts.get(f"{width}/ngrams_{kind}_{one}", 0) for one in n])
        axis.bar(n + place, found / max(1, found.sum()), width=0.4, label=kind, color=colour)
    axis.plot(n, law, "o", color=LAW, label="law")
    axis.set_xticks(n)
    axis.legend()
    title = f"runs of masked words ({config['mask']}), both splits"
    axis.set(title=title, xlabel="words in a run", ylabel="share of runs")


def _shares(sample: _Sample, axis: Any) -> None:  # noqa: ANN401
    share = (sample.is_masked.sum(2) / sample.rows.length[:, None]).ravel()
    masked = sample.is_masked.sum() / sample.rows.length.sum() / sample.header.mask_sets
    probability = sample.header.mask_probability
    bins = np.linspace(0, max(2 * probability, share.max()), 61)
    axis.hist(share, bins=bins, weights=_shares_of(share), color=OURS)
    axis.axvline(probability, color=LAW, label=f"at most {probability:g}, rounded")
    axis.legend()
    title = f"masked share of a row ({masked:.4f} of all tokens)"
    axis.set(title=title, xlabel="masked / length", ylabel="share of rows")


def _positions(sample: _Sample, axis: Any) -> None:  # noqa: ANN401
    """Draw how often the token at a position is masked, where rows are so long."""
    position = np.arange(sample.header.max_length)
    rows_there = (position < sample.rows.length[:, None]).sum(0)
    masked = sample.is_masked.mean(1).sum(0) / np.maximum(rows_there, 1)
    axis.plot(position[rows_there > 0], masked[rows_there > 0], color=OURS)
    axis.axhline(sample.header.mask_probability, color=LAW, label="most of a whole row")
    axis.set_ylim(0, None)
    axis.legend()
    title = "where masks are"
    axis.set(title=title, xlabel="position in the row", ylabel="masked, of rows this long")


def _overlap(sample: _Sample, axis: Any) -> None:  # noqa: ANN401
    """Draw in how many sets of its row a token is masked, and what chance would give."""
    sets = sample.header.mask_sets
    total = int(sample.rows.length.sum())
    times = sample.is_masked.sum(1, dtype=np.uint8)
    found = np.bincount(times.ravel(), minlength=sets + 1).astype(np.float64)
    found[0] = total - found[1:].sum()
    share = sample.is_masked.sum() / total / sets
    k = np.arange(sets + 1)
    chance = [comb(sets, one) * share**one * (1 - share) ** (sets - one) for one in k]
    axis.bar(k, found / total, color=OURS, label="tokens")
    axis.plot(k, chance, "o", color=LAW, label="independent sets")
    axis.set_xticks(k)
    axis.legend()
    title = f"sets of {sets} that mask a token"
    axis.set(title=title, xlabel="mask sets", ylabel="share of tokens")


def _documents(sample: _Sample, axis: Any) -> None:  # noqa: ANN401
    ends = (sample.rows.input_ids == sample.header.sep_token_id).sum(1)
    bins = np.arange(ends.max() + 2) - 0.5
    axis.hist(ends, bins=bins, weights=_shares_of(ends), color=OURS)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set(title="ends of documents", xlabel="[SEP] in a row", ylabel="share of rows")


def _shares_of(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.full(len(values), 1 / max(1, len(values)))


def _whole_bins(top: int) -> NDArray[np.float64]:
    """Return the edges of at most 64 bins of equally many whole numbers, the last one `top`."""
    step = -(-top // 64)
    return np.arange(top + 0.5, -step, -step)[::-1]
