"""Runs the command line on a network that leaves nothing to chance: `bert-tiny`, smaller, plain.

    torchrun --nproc-per-node 2 start_small.py FOLDER PAUSE pretrain ...

The file FOLDER/RANK gets the process's id; every update is followed by a PAUSE of so many seconds.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from cli import main
from model import presets
from train.step import Updater

SIZES = {"embedding_size": 32, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
NO_DROPOUT = {
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "embedding_dropout_prob": 0.0,
}


def shrink():
    """Make draws of the preset come to nothing: what is masked is always [MASK]."""
    preset = presets.PRESETS["bert-tiny"]
    shape = replace(preset.model.model, **SIZES, **NO_DROPOUT)
    model = replace(preset.model, model=shape, mask_replace_prob=1.0, random_replace_prob=0.0)
    presets.PRESETS["bert-tiny"] = replace(preset, model=model)


def pause_after_updates(seconds):
    update = Updater.update

    def update_and_rest(self, *given):
        measured = update(self, *given)
        time.sleep(seconds)
        return measured

    Updater.update = update_and_rest


if __name__ == "__main__":
    folder, pause, *words = sys.argv[1:]
    (Path(folder) / os.environ.get("RANK", "0")).write_text(str(os.getpid()))
    shrink()
    if float(pause):
        pause_after_updates(float(pause))
    main(words)
