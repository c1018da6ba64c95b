"""The README's table: what fits on a GPU of so many GB, told before there is one.

`pretrain --memory` chooses by the same prediction. It is counted on tensors that are only shapes,
for CUDA in float16, with rows as `plan` assumes them where there are no shards.
"""

import json
from typing import get_args

import click
import torch

from shards.errors import DataError
from train.config import PresetName, pretrain_config
from train.memory import Choice, Training, largest_micro_batch
from train.plan_rows import VOCAB_SIZE, plan_rows
from train.stages import parse_stages

GIGABYTES = 2, 4, 6, 8, 12, 24
PRESETS: tuple[PresetName, ...] = (
    "home",
    "electra-small",
    "albert-base",
    "electra-base",
    "bert-base",
    "gpt2-small",
)
LENGTHS = 128, 512


@click.command()
@click.option(
    "--preset",
    "presets",
    type=click.Choice(get_args(PresetName)),
    multiple=True,
    default=PRESETS,
    help="which; may be repeated",
)
def main(presets: tuple[PresetName, ...]) -> None:
    """Print a table in Markdown and, last, a JSON line."""
    heads = "preset", *(f"{size} GB" for size in GIGABYTES)
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    found: dict[str, list[str]] = {}
    for preset in presets:
        found[preset] = [
            " / ".join(_cell(preset, length, size) for length in LENGTHS) for size in GIGABYTES
        ]
        print(f"| {preset} | " + " | ".join(found[preset]) + " |", flush=True)
    print("\n" + json.dumps({"benchmark": "cards", "rows": found}))


def _cell(preset: PresetName, length: int, gigabytes: int) -> str:
    """Return how many rows go through the networks at a time; * = with checkpointing."""
    try:
        choice = _choose(preset, length, gigabytes)
    except DataError:
        return "-"
    mark = "*" if choice.activation_checkpointing else ""
    return f"{choice.micro_batch:,}{mark}"


def _choose(preset: PresetName, length: int, gigabytes: int) -> Choice:
    config = pretrain_config(preset, stages=parse_stages(str(length)))
    rows = plan_rows(config, None, VOCAB_SIZE)
    training = Training(
        config=config,
        kind=rows.kind,
        header=rows.headers[length],
        dtype=torch.float16,
        device="cuda",
    )
    batch_size = rows.stages[0].batch_size or 1
    return largest_micro_batch(training, gigabytes * 10**9, batch_size)


if __name__ == "__main__":
    main()
