"""The files of GLUE's tasks: found, checked against what was unpacked, read and encoded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.readers.glue import unpack_glue
from pipeline.tasks import TASKS, Examples, Task, read_examples
from shards.errors import DataError
from shards.manifest import Manifest, read_manifest
from train.glue.classifier import Pretrained, row_length
from train.glue.config import GlueConfig
from train.glue.recipes import Settings
from train.glue.results import SplitCounts
from train.glue.row_tokenizer import load_row_tokenizer
from train.glue.rows import EncodedRows
from train.glue.submission import ANSWERED_BY

SAMPLE_SEED = 0
"""Draws the training rows that `--max-train-rows` leaves: the same for all models and seeds."""


@dataclass
class TaskRows:
    """The splits of one task that are used, encoded, and what was counted on the way.

    Attributes:
        train: What is trained on, with both orders of a pair where the recipe wants them.
        dev: By split.
        test: Rows that the leaderboard scores, by task (AX has those of MNLI's model) and split.
        counts: How much of each labelled split is used.
    """

    train: EncodedRows = field(init=False)
    dev: dict[str, EncodedRows] = field(default_factory=dict)
    test: dict[tuple[str, str], EncodedRows] = field(default_factory=dict)
    counts: dict[str, SplitCounts] = field(default_factory=dict)


def find_data(folder: Path, names: Sequence[str], source_path: Path | None) -> Manifest:
    """Unpack `source_path`, if given, into `folder`; check that all tasks are there, whole.

    Raises:
        DataError: They are not.
    """
    command = "python cli.py fetch glue"
    if source_path is not None:
        unpack_glue(source_path, folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise DataError(f"no GLUE data in {folder}", f"run `{command}` first")
    absent = [name for name in names if not hashes(manifest, TASKS[name])]
    if absent:
        rest = ",".join(name for name in names if name not in absent)
        choice = f", or choose `--tasks {rest}`" if rest else ""
        remedy = f"delete {folder} and run `{command}`{choice}"
        raise DataError(f"{folder} lacks the tasks {', '.join(absent)}", remedy)
    if damaged := manifest.damaged(folder):
        raise DataError(f"{folder / damaged[0]} is not as it was unpacked", f"run `{command}`")
    return manifest


def hashes(manifest: Manifest, task: Task, *, with_test: bool = False) -> dict[str, str]:
    """Return the content hash of each file that training and scoring, or testing too, reads."""
    paths = [task.path(Path(), split).as_posix() for split in ("train", *task.dev_splits)]
    if with_test:
        paths += [one.path(Path(), split).as_posix() for one, split in test_files(task)]
    return {path: manifest.files[path].blake3 for path in paths if path in manifest.files}


def test_files(task: Task) -> list[tuple[Task, str]]:
    """Return the test files that the model of `task` answers, by task and split."""
    own = [(task, split) for split in task.test_splits]
    others = [TASKS[name] for name, trained in ANSWERED_BY.items() if trained == task.name]
    return own + [(other, split) for other in others for split in other.test_splits]


def encode_task(
    pretrained: Pretrained,
    task: Task,
    folder: Path,
    config: GlueConfig,
    settings: Settings,
    *,
    with_test: bool,
) -> TaskRows:
    """Read and encode the splits that have labels, and those of the leaderboard if wanted.

    Args:
        pretrained: Its tokenizer is used.
        task: Which task.
        folder: Of all tasks.
        config: How long rows may be, and how many are trained on.
        settings: Whether both orders of a pair are trained on.
        with_test: Whether to read test files, as far as they are there.
    """
    length = row_length(config, pretrained)
    tokenizer = load_row_tokenizer(pretrained.folder, length, pretrained.shape.vocab_size)
    found = TaskRows()
    for split in ("train", *task.dev_splits):
        examples = read_examples(task, folder, split)
        rows = tokenizer.encode(examples)
        if split == "train":
            rows = sample_rows(rows, config)
            found.train = rows.both_orders() if settings.both_orders else rows
        else:
            found.dev[split] = rows
        found.counts[split] = count_rows(task, split, examples, rows)
    for one, split in test_files(task) if with_test else ():
        if one.path(folder, split).is_file():
            found.test[one.name, split] = tokenizer.encode(read_examples(one, folder, split))
    return found


def sample_rows(rows: EncodedRows, config: GlueConfig) -> EncodedRows:
    """Return the training rows that `--max-train-rows` leaves."""
    if config.max_train_rows is None:
        return rows
    return rows.sample(config.max_train_rows, SAMPLE_SEED)


def count_rows(task: Task, split: str, examples: Examples, rows: EncodedRows) -> SplitCounts:
    """Return how much of a split is used: `rows` of `examples`."""
    return SplitCounts(
        rows=len(rows),
        in_file=len(examples),
        official=task.rows[split],
        skipped=examples.skipped,
        truncated=rows.truncated,
    )
