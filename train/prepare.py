"""What process 0 finds out before a run may train, and the folder that it then writes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from pipeline.about import hearth_version
from shards.errors import DataError
from shards.manifest import MANIFEST_NAME, library_versions
from shards.reader import read_shard_manifest
from train.checkpoint import whole_checkpoints
from train.config import Execution, PretrainConfig
from train.crew import Crew
from train.device import choose_device
from train.initial import Source
from train.lock import LOCK_FILE
from train.precision import HOME, Precision, choose_precision
from train.resume import check_shards
from train.runs import RUN_FILE, Run, main_shape, stages_of
from train.setup import choose_networks
from train.step import Model

Say = Callable[[str], None]


class Prepared(NamedTuple):
    """A run that may train: what process 0 has found, and the others are told.

    Attributes:
        run: The run.
        device: Where process 0 computes.
        precision: Of the forward pass.
        newest: The checkpoint to go on from; None: it begins.
    """

    run: Run
    device: torch.device
    precision: Precision
    newest: Path | None = None


def prepare_start(
    shards: Path,
    out: Path,
    config: PretrainConfig,
    execution: Execution,
    source: Source | None,
    model: Model | None,
    crew: Crew,
) -> Prepared:
    """Return a new run on these shards, of which nothing is written yet."""
    manifest, headers = read_shard_manifest(shards)
    lengths = [stage.max_length for stage in stages_of(config, shards)]
    check_rows(config, shards, crew)
    header = headers[max(lengths)]
    networks = None if model is not None else choose_networks(config, header, source, shards)
    device = crew.place(choose_device(execution.device))
    shape = main_shape(networks) if networks is not None else HOME
    precision = choose_precision(config.precision, device, shape)
    run = Run(
        folder=out,
        config=replace(config, precision=precision.name),
        model=networks,
        shards=str(shards.resolve()),
        fingerprint=manifest.fingerprint(),
        versions={"hearth": hearth_version()} | library_versions("torch", "numpy"),
        init_from=str(source.folder.resolve()) if source is not None else None,
    )
    return Prepared(run, device, precision)


def prepare_resume(
    run: Run, shards: Path | None, execution: Execution, model: Model | None, crew: Crew, say: Say
) -> Prepared:
    """Return a run that goes on; its newest whole checkpoint is found.

    Raises:
        DataError: It was started with other shards, or with a model of another origin; or there
            are checkpoints, none of which is whole.
    """
    if (model is None) is (run.model is None):
        begun = "a model given from Python" if run.model is None else "its preset's model"
        raise DataError(f"{run.folder} was started with {begun}", "go on with the same")
    run = run if shards is None else replace(run, shards=str(shards.resolve()))
    check_shards(run, Path(run.shards))
    check_rows(run.config, Path(run.shards), crew)
    device = crew.place(choose_device(execution.device))
    precision = choose_precision(run.config.precision, device)
    precision = replace(precision, reason=f"{precision.name}, as before")
    newest = next(whole_checkpoints(run.checkpoints, say), None)
    if newest is None:
        if any(run.checkpoints.glob("step-*[0-9]")):
            problem = f"every checkpoint in {run.checkpoints} is damaged"
            raise DataError(problem, "put a whole one back, or delete them all to start over")
        say("no checkpoint: starting at step 0")
    return Prepared(run, device, precision, newest)


def check_rows(config: PretrainConfig, shards: Path, crew: Crew) -> None:
    """Refuse an update that has no row for some process."""
    for stage in stages_of(config, shards):
        if (stage.batch_size or 0) < crew.processes:
            problem = f"{stage.batch_size} rows in an update, for {crew.processes} processes"
            raise DataError(problem, "start no more processes than rows, or another run with more")


def check_empty(out: Path) -> None:
    """Refuse a folder that holds something; the file of a lock is nothing.

    Raises:
        DataError: It does.
    """
    if (out / RUN_FILE).exists():
        raise DataError(f"{out} holds a run", "go on with --resume, or choose another --out")
    if out.exists() and any(path.name != LOCK_FILE for path in out.iterdir()):
        raise DataError(f"{out} is not empty", "choose another --out")


def write_run(run: Run, shards: Path) -> None:
    """Fill the run's folder; `run.json` comes last, so that with it all else is there.

    What cannot be written whole is taken away again: the same command may be given once more.

    Raises:
        DataError: Another command has been faster.
    """
    check_empty(run.folder)
    try:
        shutil.copytree(shards / "tokenizer", run.tokenizer)
        run.shards_manifest.mkdir()
        shutil.copyfile(shards / MANIFEST_NAME, run.shards_manifest / MANIFEST_NAME)
        run.write()
    except BaseException:
        for path in run.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK_FILE:
                path.unlink()
        raise
