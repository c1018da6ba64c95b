"""What a run computes: parameters, rows, tokens and operations, by the means of its shards."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from model.flops import BatchSize, step_flops
from train.plan import count_parameters
from train.report.curves import Curves
from train.report.runs import ReportedRun
from train.stages import Stage, with_rows


@dataclass(frozen=True)
class Cost:
    """What is known of it.

    Attributes:
        parameters: Of each network, and "total"; None: networks of the user's own.
        rows: Read so far.
        tokens: Real tokens in them, about; None: the shards' counts are not known.
        step_flops: Operations of the last step, about; None: tokens or networks are not known.
        flops: Of all steps so far, about.
    """

    parameters: dict[str, int] | None
    rows: int
    tokens: int | None
    step_flops: int | None
    flops: int | None


def cost_of(reported: ReportedRun) -> Cost:
    """Return what a run has computed so far."""
    run, curves = reported.run, reported.curves
    parameters = None if run.model is None else count_parameters(run.model)
    spans = _spans(curves)
    stages = _stages(reported, [length for length, _ in spans])
    batch = {stage.max_length: stage.batch_size or 1 for stage in stages}
    # A stage of the same length as an earlier one may have another number of rows: the first's.
    rows = sum(steps * batch.get(length, run.config.batch_size) for length, steps in spans)
    sizes = [_batch_size(reported, length, batch.get(length, 1)) for length, _ in spans]
    known = [size for size in sizes if size is not None]
    if not spans or len(known) < len(spans):
        return Cost(parameters, rows, None, None, None)
    steps = [count for _, count in spans]
    tokens = sum(count * size.tokens for count, size in zip(steps, known, strict=True))
    if run.model is None:
        return Cost(None, rows, tokens, None, None)
    each = [step_flops(run.model, size) for size in known]
    total = sum(count * one for count, one in zip(steps, each, strict=True))
    return Cost(parameters, rows, tokens, each[-1], total)


def _spans(curves: Curves) -> list[tuple[int, int]]:
    """Return the tokens of a row, and how many steps had such, in order."""
    ends = [*curves.lengths, (curves.last_step + 1, 0)]
    return [(length, following - first) for (first, length), (following, _) in pairwise(ends)]


def _stages(reported: ReportedRun, lengths: Sequence[int]) -> tuple[Stage, ...]:
    config = reported.run.config
    stages = config.stages or tuple(Stage(length) for length in lengths[:1])
    return with_rows(stages, config.batch_size) if stages else ()


def _batch_size(reported: ReportedRun, length: int, rows: int) -> BatchSize | None:
    """Return the mean batch of rows of a length; None: the shards' counts are not known."""
    if reported.manifest is None:
        return None
    counts = reported.manifest.counts.get("balance", {}).get("all", {})
    sets = reported.manifest.counts.get("header", {}).get("mask_sets", 0)
    there, real = counts.get(f"{length}/rows"), counts.get(f"{length}/real_tokens")
    if not there or not real:
        return None
    masked = counts.get(f"{length}/masked_tokens", 0) / max(1, sets)
    return BatchSize(rows, length, round(rows * real / there), round(rows * masked / there))
