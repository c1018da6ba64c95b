"""Prints the most anonymous memory, in bytes, that two updates of a preset took above the imports.

Run as a script, in a process of its own, with glibc told to give back what is freed:

    python measured_step.py PRESET ROWS MICRO_BATCH LENGTH CHECKPOINTING(0|1) PRECISION [OPTIMIZER]
"""

import re
import sys
import threading
from pathlib import Path

import numpy as np
import torch

from train.config import pretrain_config
from train.fake_step import make_rows
from train.initial import checkpoint_activations, make_model
from train.optimizer import make_optimizer
from train.plan_rows import plan_rows
from train.precision import Precision
from train.stages import Stage
from train.step import Taken, Updater


def anonymous_bytes():
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024


def train(preset, count, micro_batch, length, checkpointing, precision, optimizer):
    config = pretrain_config(
        preset, optimizer=optimizer, learning_rate=1e-4, stages=(Stage(length, 1.0, count),)
    )
    planned = plan_rows(config, None, 30522)
    header = planned.headers[length]
    rows = make_rows(header, np.full(count, length - 1))
    model = make_model(planned.kind)
    checkpoint_activations(model, checkpointing)
    updater = Updater(
        model,
        make_optimizer(model, config),
        Precision(precision, ""),
        torch.device("cpu"),
        max_grad_norm=1.0,
        micro_batch=micro_batch,
    )
    for step in range(2):
        taken = Taken(rows, np.zeros(count, np.int64), header, 0)
        updater.update(taken, 1e-4, (0, step), print)


def main():
    preset, count, micro_batch, length, checkpointing, precision, *more = sys.argv[1:]
    torch.set_num_threads(1)
    base = peak = anonymous_bytes()
    done = threading.Event()

    def look():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, anonymous_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        numbers = int(count), int(micro_batch), int(length)
        train(preset, *numbers, checkpointing == "1", precision, *(more or ["adamw"]))
    finally:
        done.set()
        watcher.join()
    sys.stdout.write(f"{peak - base}\n")


if __name__ == "__main__":
    main()
