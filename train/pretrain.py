"""The `pretrain` stage: shards in, a run out, from its first step or from where it stopped."""

import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from shards.errors import DataError
from shards.manifest import MANIFEST_NAME, library_versions
from shards.reader import ShardFolder, read_shard_manifest
from train.card import hearth_version
from train.checkpoint import whole_checkpoints
from train.config import Execution, PretrainConfig
from train.device import choose_device
from train.export import export_model
from train.initial import open_source
from train.interrupt import interruptible
from train.loop import Trainer
from train.metrics import read_metrics, write_metrics
from train.precision import HOME, choose_precision
from train.resume import check_choices, check_shards
from train.runs import RUN_FILE, Run, load_run, main_shape, stages_of
from train.saver import Saver
from train.setup import choose_networks, new_model, new_trainer
from train.step import Model
from train.summary import summary

Say = Callable[[str], None]


def start_run(
    shards: Path,
    out: Path,
    config: PretrainConfig,
    execution: Execution,
    say: Say,
    *,
    init_from: Path | None = None,
    model: Model | None = None,
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

    Raises:
        DataError: There are no fitting shards, `out` holds something, or training had to stop.
    """
    _check_empty(out)
    manifest, headers = read_shard_manifest(shards)
    lengths = [stage.max_length for stage in stages_of(config, shards)]
    header = headers[max(lengths)]
    source = open_source(init_from) if init_from is not None else None
    networks = None if model is not None else choose_networks(config, header, source, shards)
    device = choose_device(execution.device)
    shape = main_shape(networks) if networks is not None else HOME
    precision = choose_precision(config.precision, device, shape)
    run = Run(
        folder=out,
        config=replace(config, precision=precision.name),
        model=networks,
        shards=str(shards.resolve()),
        fingerprint=manifest.fingerprint(),
        versions={"hearth": hearth_version()} | library_versions("torch", "numpy"),
        init_from=str(init_from.resolve()) if init_from is not None else None,
    )
    if model is None:
        model = new_model(run, say, source)  # before there is a folder: it may be refused
    _write(run, shards)
    _train(new_trainer(run, model, execution, device, precision, say))
    return run


def resume_run(
    out: Path,
    chosen: Mapping[str, Any],
    shards: Path | None,
    execution: Execution,
    say: Say,
    *,
    model: Model | None = None,
) -> Run:
    """Take up the run in `out` where its newest whole checkpoint left it; a finished one stands.

    Args:
        out: The run's folder.
        chosen: Configuration fields that were given again; they must be the run's own.
        shards: Where the shards are now, or None for where they were.
        execution: How to carry it out from now on.
        say: Called with each line that a person should read.
        model: The model that was given from Python, if one was.

    Raises:
        DataError: There is no run, it was started otherwise, or training had to stop.
    """
    run = load_run(out)
    check_choices(run, chosen)
    if (run.export / "config.json").is_file():
        say(f"already done: {out} has its export")
        return run
    if (model is None) is (run.model is None):
        begun = "a model given from Python" if run.model is None else "its preset's model"
        raise DataError(f"{out} was started with {begun}", "go on with the same")
    run = run if shards is None else replace(run, shards=str(shards.resolve()))
    check_shards(run, Path(run.shards))
    device = choose_device(execution.device)
    precision = choose_precision(run.config.precision, device)
    newest = next(whole_checkpoints(run.checkpoints, say), None)
    if model is None:
        model = _first_weights(run, say, are_kept=newest is not None)
    trainer = new_trainer(run, model, execution, device, precision, say)
    if newest is None:
        say("no whole checkpoint: starting at step 0")
    else:
        trainer.load(newest)
        say(f"going on after step {trainer.state.step}, from {newest}")
    _train(trainer)
    return run


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


def _train(trainer: Trainer) -> None:
    """Train to the end, export, and tell what came of it."""
    run, execution, say = trainer.run, trainer.execution, trainer.say
    _describe(trainer)
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


def _describe(trainer: Trainer) -> None:
    run, config, say = trainer.run, trainer.run.config, trainer.say
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    name = config.preset if run.model is not None else "a model of your own"
    length = f"{config.hours:g} hours" if config.hours else f"{config.steps:,} steps"
    say(f"{name}: {parameters / 1e6:.2f} M parameters on {trainer.device}; {length}")
    for stage in trainer.stages:
        train, held_out = (
            len(ShardFolder(Path(run.shards), split, stage.max_length))
            for split in ("train", "validation")
        )
        batch = stage.batch_size or 0
        share = f" for {stage.share:.0%} of them" if stage.share < 1 else ""
        epochs = (
            "" if config.hours else f" = {stage.share * config.steps * batch / train:.2f} epochs"
        )
        say(
            f"rows of {stage.max_length} tokens{share}: {batch} in an update{epochs}; "
            f"{train:,} training rows, {held_out:,} validation rows"
        )
        if not held_out:
            say("no validation rows: nothing is evaluated (pack with a larger share)")
