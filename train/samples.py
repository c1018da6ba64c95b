"""`samples.jsonl`: what the model guesses at a few held-out places, at every evaluation.

A line has the step, the objective, and a few rows: the beginning of each, `input_ids` as it stands
in the text, and `guesses` at some of its places: the likeliest tokens, and their probabilities. Of
masked models they are the masked places of mask set 0, all behind [MASK]; of causal ones some
places, told by what comes before. The tokens are ids: the trainer needs no tokenizer. Places where
a diverged model has no probabilities are left out.

Nothing is drawn, dropout is off, and the rows are the same each time.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from model.electra import Electra
from model.guesses import predictor, token_logits
from model.language_model import LanguageModel
from model.rows import to_rows
from shards.files import write_atomically
from shards.reader import ShardFolder
from train.batch import Batch, to_batch
from train.guessing import spread
from train.metrics import read_metrics
from train.precision import Precision, autocast

ROWS = 4
"""Held-out rows that are looked at."""
WINDOW = 64
"""Tokens of a row that are kept, from its beginning; the model reads all of it."""
TOP = 3
"""Guesses at a place."""
EVERY = 8
"""Of a causal model, each so many places are asked about."""
DIGITS = 4
"""Of a probability."""


def write_samples(
    path: Path,
    step: int,
    model: Electra | LanguageModel,
    validation: ShardFolder,
    device: torch.device,
    precision: Precision,
) -> None:
    """Append the guesses after a step, and put them on disk; a model without logits has none.

    Args:
        path: The file.
        step: Updates done.
        model: On `device`.
        validation: Held-out rows, at least one.
        device: Where the model is.
        precision: Of the forward pass.
    """
    rows = guess(model, validation, device, precision)
    if rows is None:
        return
    objective, found = rows
    line = {"step": step, "max_length": validation.header.max_length, "objective": objective}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line | {"rows": found}, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def forget_samples(path: Path, step: int) -> None:
    """Leave the whole lines of steps up to `step`, which a resumed run has done."""
    if path.exists():
        with write_atomically(path) as file:
            for line in read_metrics(path):
                if line["step"] <= step:
                    file.write(json.dumps(line).encode() + b"\n")


def guess(
    model: Electra | LanguageModel,
    validation: ShardFolder,
    device: torch.device,
    precision: Precision,
) -> tuple[str, list[dict[str, Any]]] | None:
    """Return the objective and the rows of a line; None: the model gives no logits."""
    found = predictor(model)
    if found is None:
        return None
    objective, network = found
    header, was_training = validation.header, model.training
    rows = validation.gather(spread(len(validation), ROWS))
    model.eval()
    try:
        # A network of the user's own may draw all the same.
        with torch.random.fork_rng(), torch.inference_mode(), autocast(precision, device):
            torch.manual_seed(0)
            batches = [
                to_batch(rows.take(np.array([one])), np.zeros(1, np.int64), header, device)
                for one in range(len(rows))
            ]
            mask = header.mask_token_id
            return objective, [_guess_row(network, objective, one, mask) for one in batches]
    finally:
        model.train(was_training)


def _guess_row(
    network: nn.Module, objective: str, batch: Batch, mask_token_id: int
) -> dict[str, Any]:
    """Return the beginning of one row and the guesses at its places."""
    length = min(WINDOW, int(batch.attention_mask.sum()))
    kept = batch.input_ids[0, :length].tolist()
    if objective == "masked_language_model":
        places = batch.masked_positions[0, :length].nonzero().squeeze(1)
        asked = places
    else:
        places = torch.arange(EVERY, length, EVERY, device=batch.input_ids.device)
        asked = places - 1
    if not len(places):
        return {"input_ids": kept, "guesses": []}
    rows = to_rows(**vars(batch))
    hidden = batch.input_ids.masked_fill(rows.masked_positions, mask_token_id)
    logits = token_logits(network, objective, rows._replace(input_ids=hidden), asked)
    best = logits.float().softmax(-1).topk(min(TOP, logits.shape[-1]))
    guesses = zip(places.tolist(), best.indices.tolist(), best.values.tolist(), strict=True)
    return {
        "input_ids": kept,
        "guesses": [
            {"place": place, "tokens": tokens, "probabilities": [round(p, DIGITS) for p in shares]}
            for place, tokens, shares in guesses
            if all(map(math.isfinite, shares))
        ],
    }
