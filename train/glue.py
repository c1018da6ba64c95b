"""Did the pretraining help: fine-tune on GLUE's tasks and compare with having learnt nothing.

Each task is trained from the pretrained encoder and, in the same way, from a randomly initialised
twin of the same shape, once per seed; beside them stands the majority class. Scores are those of
the dev files; nothing is chosen by them (no early stop, no best epoch). A run with the same model,
configuration and output folder goes on after the tasks that are already done.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

from model.config import ModelConfig
from model.huggingface_files import WEIGHTS
from model.huggingface_read import load_transformer
from model.transformer import Transformer
from pipeline.readers.glue import unpack_glue
from pipeline.tasks import TASKS, Task, read_examples
from shards.errors import DataError
from shards.files import hash_file
from shards.manifest import Manifest, difference, read_manifest
from train.device import choose_device
from train.finetune import Classifier, finetune, make_classifier, predict, steps_of
from train.glue_config import DEFAULT_MAX_LENGTH, GlueConfig
from train.glue_results import (
    RESULTS_FILE,
    GlueResults,
    Measured,
    SplitCounts,
    TaskResults,
    continue_results,
    other_out,
)
from train.glue_rows import EncodedRows, encode_examples, load_row_tokenizer
from train.runs import find_export
from train.scores import baseline, check_packages, score

DevScores = dict[str, dict[str, float]]
"""Each metric of each dev split."""


@dataclass(frozen=True)
class Pretrained:
    """The model that is judged: its folder, its encoder's shape, and its size in weights."""

    folder: Path
    config: ModelConfig
    parameters: int

    def load(self) -> Transformer:
        """Return the encoder with its pretrained weights."""
        return load_transformer(self.folder)


@dataclass(frozen=True)
class TaskRows:
    """The splits of one task that are used, encoded, and what was counted on the way."""

    train: EncodedRows
    dev: dict[str, EncodedRows]
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
    """Fine-tune on `tasks` but those done before; results are written after each.

    Args:
        run: A folder that `pretrain` made, or an ALBERT folder as `transformers` writes it.
        tasks: As `pipeline.tasks.choose_tasks` returns them.
        source_path: GLUE's zips or TSV folders, unpacked first; None if `data/glue` is there.
        data: The folder that holds glue/.
        out: Receives results.json and results.md; the tasks in them are kept.
        config: How to train.
        device: As for `choose_device`.

    Raises:
        DataError: Model, data, device or a package is missing or broken, `out` holds results of
            another model or configuration, or the training diverged.
    """
    check_packages()
    place = choose_device(device)
    pretrained = find_model(run)
    config = replace(config, max_length=row_length(config, pretrained))
    results = continue_results(_no_results(run, pretrained, config), out)
    folder = data / "glue"
    manifest = find_data(folder, tasks, source_path)
    kept = check_kept(results, manifest, out)
    for name in tasks:
        if name not in kept:
            task = _run_task(pretrained, TASKS[name], folder, manifest, config, place)
            results = results.with_task(task)
        results.write(out)
    return results


def find_model(run: Path) -> Pretrained:
    """Return the model of a run or of a folder in Hugging Face's layout.

    Raises:
        DataError: There is none, or it cannot be loaded.
    """
    folder = find_export(run)
    try:
        encoder = load_transformer(folder)
    except (ValueError, FileNotFoundError) as error:
        remedy = "export the model again, or name another folder"
        raise DataError(f"{folder} cannot be loaded ({error})", remedy) from error
    if encoder.config.is_decoder:
        problem = f"{folder} holds a decoder, whose first token sees nothing of its row"
        raise DataError(problem, "give an encoder: GLUE's classes are told by the first token")
    if not (folder / WEIGHTS).is_file():
        remedy = f"take it over with `python cli.py import {folder} --out RUN` and give RUN"
        raise DataError(f"{folder} has no {WEIGHTS}", remedy)
    parameters = sum(one.numel() for one in encoder.parameters())
    return Pretrained(folder, encoder.config, parameters)


def row_length(config: GlueConfig, pretrained: Pretrained) -> int:
    """Return the most tokens of a row that `config` stands for on this model.

    Raises:
        DataError: It asks for rows longer than the model takes.
    """
    limit = pretrained.config.max_position_embeddings
    length = config.max_length or min(DEFAULT_MAX_LENGTH, limit)
    if length > limit:
        problem = f"--max-length {length} is more than the {limit} positions of the model"
        remedy = f"choose at most --max-length {limit}, or pretrain on longer rows"
        raise DataError(f"{problem} in {pretrained.folder}", remedy)
    return length


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
    absent = [name for name in names if not _hashes(manifest, TASKS[name])]
    if absent:
        rest = ",".join(name for name in names if name not in absent)
        choice = f", or choose `--tasks {rest}`" if rest else ""
        remedy = f"delete {folder} and run `{command}`{choice}"
        raise DataError(f"{folder} lacks the tasks {', '.join(absent)}", remedy)
    if damaged := manifest.damaged(folder):
        raise DataError(f"{folder / damaged[0]} is not as it was unpacked", f"run `{command}`")
    return manifest


def check_kept(results: GlueResults, manifest: Manifest, out: Path) -> list[str]:
    """Return, and tell, the tasks done before; their data, where it is there, must be the same.

    Raises:
        DataError: It is not.
    """
    for task in results.tasks:
        present = _hashes(manifest, TASKS[task.task])
        if present and (changed := difference(task.data, present)):
            raise DataError(f"{out / RESULTS_FILE} was made with {changed}", other_out(out))
    kept = [task.task for task in results.tasks]
    if kept:
        path = out / RESULTS_FILE
        tqdm.write(f"kept {len(kept)} from {path}, not trained again: {', '.join(kept)}")
    return kept


def _no_results(run: Path, pretrained: Pretrained, config: GlueConfig) -> GlueResults:
    return GlueResults(
        model=str(run),
        model_blake3=hash_file(pretrained.folder / WEIGHTS),
        parameters=pretrained.parameters,
        config=asdict(config),
    )


def _hashes(manifest: Manifest, task: Task) -> dict[str, str]:
    """Return the content hash of each file of `task` that is trained on or scored, by its name."""
    paths = [task.path(Path(), split).as_posix() for split in ("train", *task.dev_splits)]
    return {path: manifest.files[path].blake3 for path in paths if path in manifest.files}


def _run_task(
    pretrained: Pretrained,
    task: Task,
    folder: Path,
    manifest: Manifest,
    config: GlueConfig,
    device: torch.device,
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
            scores.append(Measured(split, metric, ours, twins, majority[metric]))
    return TaskResults(
        task=task.name,
        data=_hashes(manifest, task),
        device=str(device),
        epochs=config.epochs_of(task.name),
        counts=rows.counts,
        scores=tuple(scores),
        seconds=time.monotonic() - began,
    )


def _encode_task(pretrained: Pretrained, task: Task, folder: Path, config: GlueConfig) -> TaskRows:
    """Read and encode the splits that have labels."""
    max_length = row_length(config, pretrained)
    tokenizer = load_row_tokenizer(pretrained.folder, max_length, pretrained.config.vocab_size)
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
    load: Callable[[], Transformer] | None,
) -> list[DevScores]:
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
    classifier: Classifier, task: Task, dev: Mapping[str, EncodedRows], batch_size: int
) -> DevScores:
    return {
        split: score(task.metrics, rows.labels, predict(classifier, task, rows, batch_size))
        for split, rows in dev.items()
    }
