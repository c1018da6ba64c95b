"""The training loop: read it from the top in five minutes.

A step is: find its rows, update the weights (`train.step`), remember what was measured. Now and
then what was measured is read and written down, the model is scored, and a checkpoint is saved.
Everything random in a step is seeded by the step's number, and its rows are found by that number,
so the state of the loop is the weights, the optimizer and a few numbers (`State`).

The device is waited for only where its numbers are read. A step takes a snapshot at most: the
checkpoint is written by a thread.
"""

import gc
import math
import time
from dataclasses import replace
from pathlib import Path

import torch

from model.flops import step_flops
from shards.order import share
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows
from train.again import resume_command
from train.ahead import Ahead
from train.bar import Progress, news
from train.checkpoint import Snapshot, State, load_checkpoint, take_snapshot
from train.config import Execution
from train.crew import SharedError
from train.evaluate import evaluate
from train.interrupt import Interrupt
from train.metrics import Line, MetricsWriter
from train.out_of_memory import memory_for
from train.pending import Pending, read, unsound
from train.precision import Precision
from train.runs import Run, stages_of
from train.samples import write_samples
from train.saver import Saver
from train.schedule import progress, step_rate
from train.speed import peak_memory, peak_rate, utilisation
from train.stages import Position, begin_stages, find_position, first_steps
from train.step import Model, Say, Taken, Updater, not_finite

MOST_SKIPPED = 20
"""Updates in a row that the loss scaler may skip: each halves its factor, which begins at 2^16."""


class Trainer:
    """One run's model, optimizer and data, and the steps that it has done.

    Attributes:
        state: How far it is.
        micro_batches: By the length of rows, instead of the one of `execution`.
        ahead: Takes the rows of the next step while one is done.
        pending: Steps whose numbers were not read yet.
    """

    def __init__(
        self,
        run: Run,
        model: Model,
        optimizer: torch.optim.Optimizer,
        execution: Execution,
        device: torch.device,
        precision: Precision,
        say: Say,
    ) -> None:
        self.run, self.execution, self.say = run, execution, say
        self.model, self.optimizer, self.device = model, optimizer, device
        self.precision = precision
        self.updater = Updater(
            model,
            optimizer,
            precision,
            device,
            max_grad_norm=run.config.max_grad_norm,
            micro_batch=execution.micro_batch,
        )
        self.ahead = Ahead(self._take)
        self.state = State()
        self.stages = stages_of(run.config, Path(run.shards))
        self.log_every = execution.log_every or (1 if device.type == "cpu" else 10)
        self.peak_rate = peak_rate(device, precision.dtype)
        self.pending: list[Pending] = []
        self.opened: int | None = None
        self.micro_batches: dict[int, int] = {}
        self.interrupt, self.stops = Interrupt(), False
        self.start_clock()

    def train(
        self, metrics: MetricsWriter | None, saver: Saver | None, interrupt: Interrupt
    ) -> None:
        """Train from the present step to the end of the run.

        Args:
            metrics: Gets the numbers; None, like `saver`: process 0 evaluates and writes.
            saver: Gets the checkpoints.
            interrupt: Whether a person asked this process to stop.

        Raises:
            DataError: A number is not finite, or a person asked to stop; what is done is kept.
            OSError: A checkpoint could not be written.
        """
        config, execution = self.run.config, self.execution
        evaluate_every = execution.evaluate_every or execution.checkpoint_every
        self.interrupt = interrupt
        self.start_clock()
        self.first = self.state
        is_quiet = execution.quiet or metrics is None
        with Progress(config, self.state, self.say, is_quiet=is_quiet) as bar:
            while not self.is_done:
                self.pending.append(self.train_step())
                if saver is not None:
                    saver.check()
                step = self.state.step
                scores = self.is_done or step % evaluate_every == 0
                saves = self.is_done or self.stops or step % execution.checkpoint_every == 0
                if scores or saves or step % self.log_every == 0:
                    lines = self.read_numbers()
                    if metrics is not None:
                        self._report(lines, metrics, scores=scores)
                        bar.show(self.state, lines[-1])
                if saves and metrics is not None and saver is not None:
                    self._save(metrics, saver)
                if scores or saves:
                    self.interval_start = time.perf_counter()
                if self.stops and not self.is_done:
                    remedy = f"go on with `{resume_command(self.run.folder)}`"
                    raise SharedError(f"stopped after step {step}, as asked", remedy)

    def _save(self, metrics: MetricsWriter, saver: Saver) -> None:
        metrics.sync()  # before the checkpoint: a kill between the two costs no line
        saver.save(self.snapshot())
        gc.collect()

    def _report(self, lines: list[Line], metrics: MetricsWriter, *, scores: bool) -> None:
        if scores and len(self.validation):
            found = self.evaluate()
            lines[-1]["validation"] = {name: _finite(value) for name, value in found.items()}
            self.say(news(self.run.config, self.first, self.state, lines[-1]))
            where = (self.device, self.precision)
            write_samples(self.run.samples, self.state.step, self.model, self.validation, *where)
        metrics.write(lines)

    @property
    def is_done(self) -> bool:
        """Return whether the run is at its end."""
        return progress(self.run.config, self.state.step, self.state.seconds) >= 1

    def train_step(self) -> Pending:
        """Do one update.

        Raises:
            DataError: A number is not finite; where the device would have to be waited for to know,
                it is raised by `read_numbers`. The weights are as before.
        """
        start = time.perf_counter()
        config, state = self.run.config, self.state
        rate = step_rate(config, state.step, state.seconds)
        position = self.find_position()
        self._open(position.max_length)
        taken = self.ahead.take((self.rows, position))
        taking = time.perf_counter() - start
        following = find_position(self.stages, self._begun(), state.step + 1)
        if following.max_length == position.max_length:  # where the clock decides, it may be wrong
            self.ahead.foresee((self.rows, following))
        try:
            measured = self.updater.update(taken, rate, (config.seed, state.step), self.say)
        except FloatingPointError as error:
            raise unsound(str(error), state.step + 1, self.rows.order, position) from error
        own, sizes = self.run.model, measured.sizes
        flops = None if own is None else sum(step_flops(own, size) for size in sizes)
        crew = self.updater.crew
        seconds, self.stops = crew.agree(state.seconds + self._lap(), self.interrupt.requested)
        step, processes = state.step + 1, crew.processes
        self.state = replace(self.state, step=step, seconds=seconds, processes=processes)
        line: Line = {"step": step, "max_length": position.max_length}
        line |= {"learning_rate": rate, "seconds": seconds}
        order, waited = self.rows.order, taking + measured.waited
        return Pending(line, measured.numbers, order, position, waited, flops)

    def find_position(self) -> Position:
        """Return where the next step takes its rows."""
        config, state = self.run.config, self.state
        if config.seconds is not None:
            over = progress(config, state.step, state.seconds)
            begun = begin_stages(self.stages, state.begun, state.step, over)
            self.state = replace(state, begun=begun)
        return find_position(self.stages, self._begun(), state.step)

    def _begun(self) -> tuple[int, ...]:
        """Return the first steps of the stages: of all, or, by the clock, of those begun."""
        config = self.run.config
        return (
            first_steps(self.stages, config.steps) if config.seconds is None else self.state.begun
        )

    def _take(self, where: tuple[ShuffledRows, Position]) -> Taken:
        """Read this process's rows of a step, and make micro-batches of them."""
        rows, position = where
        crew = self.updater.crew
        first, count = share(0, position.batch_size, crew.process, crew.processes)
        found, epochs = rows.read(position.cursor + first, count)
        return self.updater.make_batches(Taken(found, epochs, rows.shards.header, first))

    def read_numbers(self) -> list[Line]:
        """Wait for the device, and return a line for each step since the last time.

        Raises:
            DataError: A number is not finite.
        """
        pending, self.pending = self.pending, []
        table = read(pending)  # here the device is waited for
        elapsed = time.perf_counter() - self.interval_start
        lines = []
        for one, numbers in table:
            line = one.line | {name: _finite(value) for name, value in numbers.items()}
            lines.append(line | self._check(one, numbers))
        tokens = sum(line.pop("tokens") for line in lines)
        flops = [one.flops for one in pending if one.flops is not None]
        rate = sum(flops) / elapsed
        shared = {
            "tokens_per_second": tokens / elapsed,
            "data_wait": sum(one.waited for one in pending) / elapsed,
            "flops_utilisation": utilisation(rate, self.peak_rate) if flops else None,
            "peak_memory": peak_memory(self.device),
        }
        self.state = replace(self.state, tokens=self.state.tokens + int(tokens))
        self.interval_start = time.perf_counter()
        return [line | shared for line in lines]

    def _check(self, one: Pending, numbers: dict[str, float]) -> Line:
        """Stop where a number is not finite, or, with a loss scaler, where that does not end.

        Returns:
            How many updates the loss scaler has skipped so far, if there is one.
        """
        problem = not_finite({name: numbers[name] for name in ("loss", "grad_norm")})
        has_scaler, state = self.updater.scaler.is_enabled(), self.state
        skipped = state.skipped + 1 if problem else 0
        if problem and (not has_scaler or skipped >= MOST_SKIPPED):
            raise unsound(problem, one.line["step"], one.order, one.position)
        total = state.skipped_updates + bool(problem)
        self.state = replace(state, skipped=skipped, skipped_updates=total)
        return {"skipped_updates": total} if has_scaler else {}

    def evaluate(self) -> dict[str, float]:
        """Score the model on validation rows as long as those of the last step."""
        most, where = self.updater.micro_batch, (self.device, self.precision)
        return evaluate(self.model, self.validation, most, *where, self.say)

    def snapshot(self) -> Snapshot:
        """Copy all that the loop changes to host memory.

        Raises:
            DataError: That has too little room.
        """
        with memory_for("a copy of the weights and the optimizer, which a checkpoint takes"):
            return take_snapshot(self.model, self.optimizer, self.updater.scaler, self.state)

    def load(self, checkpoint: Path) -> None:
        """Take up what a checkpoint holds.

        Raises:
            DataError: It is of another shape.
        """
        scaler, threads = self.updater.scaler, torch.get_num_threads()
        self.state = load_checkpoint(checkpoint, self.model, self.optimizer, scaler)
        if self.state.processes != self.updater.crew.processes:
            torch.set_num_threads(threads)  # the bits are others in any case
        if threads != torch.get_num_threads():
            self.say(f"computing with {torch.get_num_threads()} threads, as before")

    def start_clock(self) -> None:
        """Begin to count seconds from now."""
        self.lap_start = self.interval_start = time.perf_counter()

    def _lap(self) -> float:
        """Return the seconds since this was asked for last."""
        before, self.lap_start = self.lap_start, time.perf_counter()
        return self.lap_start - before

    def _open(self, max_length: int) -> None:
        """Open the rows of a length, and close those of another."""
        if self.opened != max_length:
            folder = Path(self.run.shards)
            train = ShardFolder(folder, "train", max_length)
            self.rows = ShuffledRows(train, self.run.config.seed)
            self.validation = ShardFolder(folder, "validation", max_length)
            most = self.micro_batches.get(max_length, self.execution.micro_batch)
            self.updater.limit(most, max_length)
            self.opened = max_length


def _finite(value: float) -> float | None:
    """Return the number, or None, for which JSON has a word."""
    return value if math.isfinite(value) else None
