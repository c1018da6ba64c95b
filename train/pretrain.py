"""The `pretrain` stage: shards in, a run out, from its first step or from where it stopped."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.tables import in_time, in_units
from shards.errors import DataError
from train.again import resumable, write_execution
from train.checkpoint import delete_partial, model_tensors
from train.config import Execution, PretrainConfig
from train.crew import Alone, Crew
from train.export import export_model
from train.guessing import guess_in
from train.initial import Source, open_source
from train.interrupt import interruptible
from train.lock import lock_run
from train.loop import Trainer
from train.metrics import Line, read_metrics, write_metrics
from train.prepare import Prepared, check_empty, prepare_resume, prepare_start, write_run
from train.resume import check_choices
from train.runs import Run, load_run
from train.samples import forget_samples
from train.saver import Saver
from train.setup import describe, new_model, new_trainer
from train.speed import peak_memory
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
        model: A model of the user's own, from Python; it takes no limit of memory.
        crew: The processes, each of which calls this; None: one alone.

    Raises:
        DataError: There are no fitting shards, `out` holds something, or training had to stop.
    """
    crew = crew or Alone()
    own: list[Trainer] = []
    with ExitStack() as held:

        def prepare() -> Prepared:
            prepared, trainer = _new(shards, out, config, execution, init_from, model, crew, say)
            own.append(trainer)
            held.enter_context(lock_run(out))
            write_run(prepared.run, shards)
            return prepared

        prepared = crew.share(prepare)
        _train(prepared, own[0] if own else None, model, execution, crew, say)
    return prepared.run


def _new(
    shards: Path,
    out: Path,
    config: PretrainConfig,
    execution: Execution,
    init_from: Path | None,
    model: Model | None,
    crew: Crew,
    say: Say,
) -> tuple[Prepared, Trainer]:
    """Return a new run and its trainer; all that may be refused is, before there is a folder."""
    check_empty(out)
    source = open_source(init_from) if init_from is not None else None
    prepared = prepare_start(shards, out, config, execution, source, model, crew)
    return prepared, _assemble(prepared, model, execution, crew, say, source)


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
        crew: The processes, each of which calls this; None: one alone.

    Raises:
        DataError: There is no run, it was started otherwise, or training had to stop.
    """
    crew = crew or Alone()
    with resumable(out), ExitStack() as held:

        def prepare() -> tuple[Run, Prepared | None]:
            run = load_run(out)
            check_choices(run, chosen)
            if (run.export / "config.json").is_file():
                say(f"already done: {out} has its export")
                return run, None
            held.enter_context(lock_run(out))
            return run, prepare_resume(run, shards, execution, model, crew, say)

        run, prepared = crew.share(prepare)
        if prepared is not None:
            _train(prepared, None, model, execution, crew, say)
    return run


def _assemble(
    prepared: Prepared,
    model: Model | None,
    execution: Execution,
    crew: Crew,
    say: Say,
    source: Source | None = None,
) -> Trainer:
    """Return a trainer where the run is; it waits for no other process."""
    run, newest = prepared.run, prepared.newest
    is_first = crew.process == 0
    if model is None:
        if run.init_from and newest is None and is_first and source is None:
            source = open_source(Path(run.init_from))
        model = new_model(run, say, source)  # its weights matter where none are kept
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
    if is_first:
        describe(trainer)
    return trainer


def _say_nothing(line: str) -> None:
    """Be silent: process 0 says it."""


def _train(
    prepared: Prepared,
    trainer: Trainer | None,
    model: Model | None,
    execution: Execution,
    crew: Crew,
    say: Say,
) -> None:
    """Train to the end, from weights that all have of process 0; that one writes and tells."""
    with resumable(prepared.run.folder):
        if trainer is None:
            trainer = _assemble(prepared, model, execution, crew, say)
        crew.copy(list(model_tensors(trainer.model).values()))
        if crew.process == 0:
            # As asked; a trainer's is what fits.
            write_execution(prepared.run.folder, execution)
            trainer.updater.keep = lambda most: write_execution(
                prepared.run.folder, replace(execution, most_tokens=most)
            )
            _train_first(trainer)
            return
        trainer.say = lambda line: say(f"process {crew.process}: {line}")
        with interruptible() as interrupt, _little_garbage():
            trainer.train(None, None, interrupt)


def _train_first(trainer: Trainer) -> None:
    """Train, write down what came of it, and tell it."""
    run, execution, say = trainer.run, trainer.execution, trainer.say
    delete_partial(run.checkpoints)
    forget_samples(run.samples, trainer.state.step)
    with (
        interruptible() as interrupt,  # around the saver, which waits for the last checkpoint
        write_metrics(run.metrics, trainer.state.step, say) as metrics,
        Saver(
            run.checkpoints,
            keep=execution.keep,
            keep_every=execution.keep_every,
            command=execution.on_checkpoint,
            say=say,
        ) as saver,
        _little_garbage(),
    ):
        trainer.train(metrics, saver, interrupt)
    memory = peak_memory(trainer.device)  # before the export, which is no part of it
    if skipped := trainer.state.skipped_updates:
        say(f"{skipped} of {trainer.state.step:,} updates were skipped by the loss scaler")
    if run.model is None:
        say(f"networks of your own are not exported: their weights are in {run.checkpoints}")
    else:
        _export(trainer)
    state = trainer.state
    say(
        f"{state.step:,} updates in {in_time(state.seconds)}; {state.tokens:,} tokens, "
        f"{state.tokens / state.seconds:,.0f} a second"
        f"{'' if memory is None else f'; {in_units(memory)} of memory at most'}"
    )
    _tell(trainer)


def _tell(trainer: Trainer) -> None:
    """Tell the last scores on held-out rows, beside guessing."""
    last: Line = {}
    for line in read_metrics(trainer.run.metrics):
        last = line if "validation" in line else last
    if last:
        # Older runs have not written it.
        max_length = last.get("max_length", trainer.stages[-1].max_length)
        guessing = guess_in(Path(trainer.run.shards), max_length)
        if guessing is not None:
            for text in summary(last["validation"], guessing.loss, max_length):
                trainer.say(text)


def _export(trainer: Trainer) -> None:
    try:
        export_model(trainer.run, trainer.model, trainer.state.step, trainer.run.export)
    except DataError as error:  # what was trained is there, and must not be taken for lost
        trainer.say(f"not exported: {error}")
    else:
        trainer.say(f"the model for transformers is in {trainer.run.export}")


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
