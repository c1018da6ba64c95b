"""Whether the shards will fit on the disk, told before the work begins.

The estimate errs on the side of too much, by about half; `pack --dry-run` forecasts more closely.
"""

from dataclasses import replace
from pathlib import Path

from pipeline.documents import read_texts
from pipeline.encode import load_tokenizer
from pipeline.room import free_bytes
from pipeline.shard_task import ShardTask
from pipeline.tables import in_units
from shards.errors import DataError

SAMPLE_CHARACTERS = 100_000
"""Of each source's first row group, to see how many tokens a byte of its text has."""
MARGIN = 4 / 3
"""For text that has more tokens than its beginning."""
DROPOUT_FACTOR = 3.3
"""Times the subword dropout it makes so many more tokens, or fewer: with byte-level BPE of 8,000
entries on English books 1.2 times as many were measured at .1, 1.8 at .3, 2.5 at .5."""
FILL = 0.75
"""Part of a row that is not padding, short rows apart: .78 to .95 was measured on lengths of 128
and 512. A document's last row adds to that: one row a document is counted besides."""


def check_disk(out: Path, tasks: list[ShardTask]) -> None:
    """Compare the shards that are still to be made with what is free where `out` lies.

    A task of which a file is there counts as done; one that is made again takes its place.

    Raises:
        DataError: They do not fit.
    """
    made = {path.name for path in out.glob("*/*/*.arrow")}
    missing = [task for task in tasks if f"{task.name}.arrow" not in made]
    rates = {task.source: most_tokens_per_byte(task) for task in reversed(missing)}
    needed = sum(most_bytes(task, rates[task.source]) for task in missing)
    check_room(out, needed)


def check_room(out: Path, needed: float) -> None:
    """Compare bytes with what is free where `out` lies.

    Raises:
        DataError: They do not fit.
    """
    free = free_bytes(out)
    if needed > free:
        problem = (
            f"{out} needs about {in_units(needed)} more, and {in_units(free)} are free on its disk"
        )
        remedy = "make room, or choose another disk with --out, or fewer --max-length or --weights"
        raise DataError(problem, remedy)


def most_tokens_per_byte(task: ShardTask) -> float:
    """Return how many tokens a byte of the task's text will hardly exceed, from its beginning."""
    text = "\n".join(read_texts(task.groups[0]))[:SAMPLE_CHARACTERS]
    tokens = len(load_tokenizer(task.tokenizer).encode(text, add_special_tokens=False))
    dropped = 1 + DROPOUT_FACTOR * task.config.subword_dropout
    return min(1.0, MARGIN * dropped * tokens / max(1, len(text.encode())))


def most_bytes(task: ShardTask, tokens_per_byte: float) -> int:
    """Return how many bytes the task's shards will hardly exceed."""
    config = task.config
    documents = sum(group.documents for group in task.groups)
    tokens = sum(group.text_bytes for group in task.groups) * tokens_per_byte
    fill = FILL * (1 - config.short_row_probability / 2)
    size = 0.0
    for length in config.max_length:
        if config.layout == "stream":
            rows = (tokens + documents) / length + 1
        else:
            rows = tokens / (fill * length) + documents
        size += rows * replace(task.header, max_length=length).row_bytes
    return round(task.share * size)
