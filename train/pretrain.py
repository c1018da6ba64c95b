"""The `pretrain` stage: shards in, a run out, from its first step or from where it stopped."""

import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from shards.errors import DataError
from shards.manifest import MANIFEST_NAME, library_versions
from shards.reader import read_shard_manifest
from train.card import hearth_version
from train.checkpoint import model_tensors, whole_checkpoints
from train.config import Execution, PretrainConfig
from train.crew import Alone, Crew
from train.device import choose_device
from train.export import export_model
from train.initial import Source, open_source
from train.interrupt import interruptible
from train.loop import Trainer
from train.metrics import read_metrics, write_metrics
from train.precision import HOME, Precision, choose_precision
from train.resume import check_choices, check_shards
from train.runs import RUN_FILE, Run, load_run, main_shape, stages_of
from train.saver import Saver
from train.setup import choose_networks, describe, new_model, new_trainer
from train.step import Model
from train.summary import summary

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


def start_run(
    shards: Path,
    out: Path,
    config: PretrainConfig,
    execution: Execution,
    say: Say,
    *,
    init_from: Path | None = None,
    model: Model | None = None,
    crew: Crew | None = None,
) -> Run:
    """Start a run in the new folder `out` and train it to its end.

    Args:
        shards: Folder that `pack` wrote.
        out: The run's folder.
        config: What decides the numbers.
        execution: How it is carried out.
        say: Called with each line that a person should read.
        init_from: Where the first weights come from; None: they are drawn.
        model: A model of the user's own, from Python, instead of the preset's.
        crew: The processes, each of which calls this (`train.crew.join_crew`); None: one alone.

    Raises:
        DataError: There are no fitting shards, `out` holds something, or training had to stop.
    """
    crew = crew or Alone()
    given = model

    def prepare() -> Prepared:
        nonlocal model
        _check_empty(out)
        source = open_source(init_from) if init_from is not None else None
        prepared = _prepare(shards, out, config, execution, source, given, crew)
        if given is None:
            model = new_model(prepared.run, say, source)  # no folder yet: it may be refused
        _write(prepared.run, shards)
        return prepared

    prepared = crew.share(prepare)
    _train(_assemble(prepared, model, execution, crew, say))
    return prepared.run


def resume_run(
    out: Path,
    chosen: Mapping[str, Any],
    shards: Path | None,
    execution: Execution,
    say: Say,
    *,
    model: Model | None = None,
    crew: Crew | None = None,
) -> Run:
    """Take up the run in `out` where its newest whole checkpoint left it; a finished one stands.

    Args:
        out: The run's folder.
        chosen: Configuration fields that were given again; they must be the run's own.
        shards: Where the shards are now, or None for where they were.
        execution: How to carry it out from now on.
        say: Called with each line that a person should read.
        model: The model that was given from Python, if one was.
        crew: The processes, each of which calls this (`train.crew.join_crew`); None: one alone.

    Raises:
        DataError: There is no run, it was started otherwise, or training had to stop.
    """
    crew = crew or Alone()

    def prepare() -> tuple[Run, Prepared | None]:
        run = load_run(out)
        check_choices(run, chosen)
        if (run.export / "config.json").is_file():
            say(f"already done: {out} has its export")
            return run, None
        if (model is None) is (run.model is None):
            begun = "a model given from Python" if run.model is None else "its preset's model"
            raise DataError(f"{out} was started with {begun}", "go on with the same")
        run = run if shards is None else replace(run, shards=str(shards.resolve()))
        check_shards(run, Path(run.shards))
        _check_rows(run.config, Path(run.shards), crew)
        device = crew.place(choose_device(execution.device))
        precision = choose_precision(run.config.precision, device)
        newest = next(whole_checkpoints(run.checkpoints, say), None)
        if newest is None:
            say("no whole checkpoint: starting at step 0")
        return run, Prepared(run, device, precision, newest)

    run, prepared = crew.share(prepare)
    if prepared is not None:
        _train(_assemble(prepared, model, execution, crew, say))
    return run


def _prepare(
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
    _check_rows(config, shards, crew)
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


def _check_rows(config: PretrainConfig, shards: Path, crew: Crew) -> None:
    """Refuse an update that has no row for some process."""
    for stage in stages_of(config, shards):
        if (stage.batch_size or 0) < crew.processes:
            problem = f"{stage.batch_size} rows in an update, for {crew.processes} processes"
            raise DataError(problem, "start no more processes than rows, or another run with more")


def _assemble(
    prepared: Prepared, model: Model | None, execution: Execution, crew: Crew, say: Say
) -> Trainer:
    """Return a trainer where the run is; the weights of all processes are those of process 0."""
    run, newest = prepared.run, prepared.newest
    is_first = crew.process == 0
    if model is None:
        model = _first_weights(run, say, are_kept=newest is not None or not is_first)
    device = crew.place(prepared.device)
    speak = say if is_first else _say_nothing
    trainer = new_trainer(run, model, execution, device, prepared.precision, speak)
    trainer.updater.crew = crew
    if newest is not None:
        if not newest.is_dir():
            problem = f"{newest} is not there, where another process has found it"
            raise DataError(problem, "give the run a folder that all machines share")
        trainer.load(newest)
        speak(f"going on after step {trainer.state.step}, from {newest}")
    crew.copy(list(model_tensors(model).values()))
    if not is_first:
        trainer.say = lambda line: say(f"process {crew.process}: {line}")
    return trainer


def _check_empty(out: Path) -> None:
    """Refuse a folder that holds something."""
    if (out / RUN_FILE).exists():
        raise DataError(f"{out} holds a run", "go on with --resume, or choose another --out")
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out} is not empty", "choose another --out")


def _write(run: Run, shards: Path) -> None:
    """Make the run's folder; `run.json` comes last, so that with it all else is there."""
    shutil.copytree(shards / "tokenizer", run.tokenizer)
    run.shards_manifest.mkdir()
    shutil.copyfile(shards / MANIFEST_NAME, run.shards_manifest / MANIFEST_NAME)
    run.write()


def _first_weights(run: Run, say: Say, *, are_kept: bool) -> Model:
    """Return the model to go on with; its weights matter where no checkpoint has kept any."""
    source = open_source(Path(run.init_from)) if run.init_from and not are_kept else None
    return new_model(run, say, source)


def _say_nothing(line: str) -> None:
    """Be silent: process 0 says it."""


def _train(trainer: Trainer) -> None:
    """Train to the end; process 0 writes, exports, and tells what came of it."""
    if trainer.updater.crew.process == 0:
        _train_first(trainer)
    else:
        with interruptible() as interrupt, _little_garbage():
            trainer.train(None, None, interrupt)


def _train_first(trainer: Trainer) -> None:
    run, execution, say = trainer.run, trainer.execution, trainer.say
    describe(trainer)
    with (
        write_metrics(run.metrics, trainer.state.step) as metrics,
        Saver(
            run.checkpoints,
            keep=execution.keep,
            keep_every=execution.keep_every,
            command=execution.on_checkpoint,
            say=say,
        ) as saver,
        interruptible() as interrupt,
        _little_garbage(),
    ):
        trainer.train(metrics, saver, interrupt)
    if run.model is None:
        say(f"networks of your own are not exported: their weights are in {run.checkpoints}")
    else:
        _export(trainer)
    last: Mapping[str, float] | None = None
    for line in read_metrics(run.metrics):
        last = line.get("validation", last)
    if last is not None:
        for text in summary(last, trainer.baseline()):
            say(text)


def _export(trainer: Trainer) -> None:
    try:
        export_model(trainer.run, trainer.model, trainer.state.step, trainer.run.export)
    except DataError as error:  # what was trained is there, and must not be taken for lost
        trainer.say(f"not exported: {error}")


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Keep what is alive now out of the collector's way.

    Some hundred thousand objects of torch and ours are looked at no more; what a step leaves to the
    collector is next to nothing, so that its runs take microseconds.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
