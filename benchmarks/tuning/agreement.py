"""With equal weights and nothing dropped out, both sides have equal logits; after updates too."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.tuning import hearth, peer
from benchmarks.tuning.job import Job, first_rows

UPDATES = 3
TOLERANCE = 1e-4
TOLERANCE_AFTER = 1e-3
"""Of logits after UPDATES: Adam divides by the root of squares, and so makes roundings larger."""


def check_agreement(job: Job) -> None:
    """Compare logits and first loss on one batch, and the logits after some updates on it.

    Nothing is warmed up: in that our rate is one step ahead of Trainer's, whose first is 0.

    Raises:
        SystemExit: They differ.
    """
    rows = first_rows(job.train, job.settings.batch_size)
    few = replace(job, train=rows, dropout=0.0, epochs=UPDATES, warmup_fraction=0.0)
    ours, theirs = hearth.logits_after(few), peer.logits_after(few)
    _compare("logits", ours[0], theirs[0], TOLERANCE)
    labels = torch.from_numpy(rows.labels)
    losses = [F.cross_entropy(logits[0], labels) for logits in (ours, theirs)]
    _compare("first loss", losses[0], losses[1], TOLERANCE)
    _compare(f"logits after {UPDATES} updates", ours[1], theirs[1], TOLERANCE_AFTER)


def _compare(what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    difference = float((ours - theirs).abs().max())
    if not difference <= tolerance:
        raise SystemExit(f"{what}: ours and those of `transformers` differ by {difference:.2g}")
