"""Did the pretraining help: fine-tune on GLUE's tasks and compare with having learnt nothing.

Each task is trained from the pretrained encoder and, in the same way, from a randomly initialised
twin of the same shape, once per seed; beside them stands the majority class. Scores are those of
the dev files; nothing is chosen by them (no early stop, no best epoch).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from model.config import ModelConfig
from model.encoder import Encoder
from model.huggingface import load_encoder
from pipeline.sources.glue import unpack_glue
from pipeline.tasks import TASKS, Task, choose_tasks, read_examples
from shards.errors import DataError
from shards.manifest import read_manifest
from train.device import choose_device
from train.fill import find_export
from train.finetune import Classifier, finetune, make_classifier, predict, steps_of
from train.glue_config import GlueConfig
from train.glue_results import GlueResults, Score, SplitCounts, TaskResults
from train.glue_rows import Rows, encode_examples, load_tokenizer
from train.scores import baseline, check_packages, score

Scores = dict[str, dict[str, float]]
"""Each metric of each dev split."""


@dataclass(frozen=True)
class Pretrained:
    """The model that is judged: its folder, its encoder's shape, and its size in weights."""

    folder: Path
    config: ModelConfig
    parameters: int

    def load(self) -> Encoder:
        """Return the encoder with its pretrained weights."""
        return load_encoder(self.folder)[0]


@dataclass(frozen=True)
class TaskRows:
    """The splits of one task that are used, encoded, and what was counted on the way."""

    train: Rows
    dev: dict[str, Rows]
    counts: dict[str, SplitCounts]


def run_glue(
    run: Path,
    *,
    tasks: Sequence[str],
    source_path: Path | None,
    data: Path,
    out: Path,
    config: GlueConfig,
    device: str = "auto",
) -> GlueResults:
    """Fine-tune on every task in `tasks`; results are written to `out` after each of them.

    Args:
        run: A folder that `pretrain` made, or an ALBERT folder as `transformers` writes it.
        tasks: Names out of `pipeline.tasks.SCORED_TASKS`, or "all".
        source_path: GLUE's zips or TSV folders, unpacked first; None if `data/glue` is there.
        data: The folder that holds glue/.
        out: Receives results.json and results.md.
        config: How to train.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        ValueError: A task name is wrong.
        DataError: Model, data, device or a package is missing or broken, or the training diverged.
    """
    names = choose_tasks(tasks)
    check_packages()
    place = choose_device(device)
    pretrained = find_model(run)
    folder = data / "glue"
    if source_path is not None:
        unpack_glue(source_path, folder)
    check_data(folder, names)
    results = GlueResults(str(run), pretrained.parameters, str(place), asdict(config))
    for name in names:
        results.tasks.append(_run_task(pretrained, TASKS[name], folder, config, place))
        results.write(out)
    return results


def find_model(run: Path) -> Pretrained:
    """Return the model of a run or of a folder in Hugging Face's layout.

    Raises:
        DataError: There is none, or it cannot be loaded.
    """
    folder = find_export(run)
    try:
        encoder, _ = load_encoder(folder)
    except (ValueError, FileNotFoundError) as error:
        remedy = "export the model again, or name another folder"
        raise DataError(f"{folder} cannot be loaded ({error})", remedy) from error
    parameters = sum(one.numel() for one in encoder.parameters())
    return Pretrained(folder, encoder.config, parameters)


def check_data(folder: Path, names: Sequence[str]) -> None:
    """Check that the files of all tasks are in `folder`, whole.

    Raises:
        DataError: They are not.
    """
    command = "python cli.py fetch glue --from FOLDER"
    manifest = read_manifest(folder)
    if manifest is None:
        raise DataError(f"no GLUE data in {folder}", f"run `{command}` first")
    present = {name.partition("/")[0] for name in manifest.files}
    absent = [name for name in names if TASKS[name].folder not in present]
    if absent:
        rest = ",".join(name for name in names if name not in absent)
        choice = f", or choose `--tasks {rest}`" if rest else ""
        remedy = f"delete {folder} and run `{command}` on a folder that has them{choice}"
        raise DataError(f"{folder} lacks the tasks {', '.join(absent)}", remedy)
    if damaged := manifest.damaged(folder):
        raise DataError(f"{folder / damaged[0]} is not as it was unpacked", f"run `{command}`")


def _run_task(
    pretrained: Pretrained, task: Task, folder: Path, config: GlueConfig, device: torch.device
) -> TaskResults:
    began = time.monotonic()
    rows = _encode_task(pretrained, task, folder, config)
    learnt = _run_seeds(pretrained, task, rows, config, device, pretrained.load)
    unlearnt = _run_seeds(pretrained, task, rows, config, device, None)
    scores = []
    for split, dev in rows.dev.items():
        majority = score(task.metrics, dev.labels, baseline(task, rows.train.labels, len(dev)))
        for metric in task.metrics:
            ours = tuple(seed[split][metric] for seed in learnt)
            twins = tuple(seed[split][metric] for seed in unlearnt)
            scores.append(Score(split, metric, ours, twins, majority[metric]))
    epochs = config.epochs_of(task.name)
    return TaskResults(task.name, epochs, rows.counts, scores, time.monotonic() - began)


def _encode_task(pretrained: Pretrained, task: Task, folder: Path, config: GlueConfig) -> TaskRows:
    """Read and encode the splits that have labels."""
    model = pretrained.config
    max_length = min(config.max_length, model.max_position_embeddings)
    tokenizer = load_tokenizer(pretrained.folder, max_length, model.vocab_size)
    encoded, counts = {}, {}
    for split in ("train", *task.dev_splits):
        examples = read_examples(task, folder, split)
        rows = encode_examples(tokenizer, examples, max_length)
        official = task.rows[split]
        encoded[split] = rows
        counts[split] = SplitCounts(
            len(rows), official, examples.is_partial(official), examples.skipped, rows.truncated
        )
    return TaskRows(encoded.pop("train"), encoded, counts)


def _run_seeds(
    pretrained: Pretrained,
    task: Task,
    rows: TaskRows,
    config: GlueConfig,
    device: torch.device,
    load: Callable[[], Encoder] | None,
) -> list[Scores]:
    """Train once per seed, from `load` or from random weights, and return the dev scores."""
    steps = steps_of(len(rows.train), config.epochs_of(task.name), config.batch_size)
    name = f"{task.name} {'random twin' if load is None else 'pretrained'}"
    results = []
    with tqdm(total=steps * config.seeds, desc=name, unit="step", disable=None) as progress:
        for seed in range(config.seeds):
            classifier = make_classifier(pretrained.config, task, seed, load).to(device)
            try:
                finetune(classifier, task, rows.train, config, seed, progress.update)
                results.append(_score_dev(classifier, task, rows.dev, config.batch_size))
            except torch.OutOfMemoryError as error:
                problem = f"{task.name} does not fit into the memory of {device}"
                raise DataError(problem, f"halve --batch-size {config.batch_size}") from error
    return results


def _score_dev(
    classifier: Classifier, task: Task, dev: Mapping[str, Rows], batch_size: int
) -> Scores:
    return {
        split: score(task.metrics, rows.labels, predict(classifier, task, rows, batch_size))
        for split, rows in dev.items()
    }
