"""Our own trainer: all that the benchmarks know of it."""

import gc
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.training.job import SEED, Job
from model.electra import Electra
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows
from train.ahead import Ahead
from train.batch import Batch, to_batches
from train.config import execution, pretrain_config
from train.loop import Trainer
from train.precision import Precision
from train.runs import Run
from train.setup import new_model, new_trainer
from train.stages import Stage


def make_trainer(job: Job) -> Trainer:
    """Return a trainer at step 0."""
    networks = job.networks(job.open().header)
    config = pretrain_config(
        job.preset,
        steps=job.steps,
        batch_size=job.rows,
        learning_rate=job.learning_rate,
        warmup=float(job.warmup_steps),
        stages=(Stage(job.length),),
        sentence_order=networks.sentence_order,
        precision=job.precision,
        seed=SEED,
    )
    run = Run(Path(), config, networks, str(job.shards), "", {})
    how = execution(job.preset, micro_batch=job.micro_batch, memory=job.memory, quiet=True)
    precision = Precision(job.precision, f"{job.precision}, as asked for")
    model = new_model(run, _say, None)
    return new_trainer(run, model, how, torch.device(job.device), precision, _say)


def _say(line: str) -> None:
    print(line, flush=True)


def start_training(job: Job) -> Callable[[int], float]:
    """Return what does so many steps and says how many seconds of them it waited for data."""
    trainer = make_trainer(job)
    gc.collect()
    gc.freeze()  # as `pretrain` does before its first step

    def train(steps: int) -> float:
        return sum(float(line["waited"]) for line in _lines(trainer, steps))

    return train


def _lines(trainer: Trainer, steps: int) -> Iterator[dict[str, Any]]:
    """Do some steps as `Trainer.train` does; yield the line of each, and what it `waited`."""
    trainer.start_clock()
    for number in range(1, steps + 1):
        trainer.pending.append(trainer.train_step())
        if number == steps or trainer.state.step % trainer.log_every == 0:
            waits = [one.waited for one in trainer.pending]
            for line, waited in zip(trainer.read_numbers(), waits, strict=True):
                yield line | {"waited": waited}


def first_step(job: Job) -> tuple[Electra, Batch, dict[str, Any]]:
    """Return the model as it is drawn, the first step's rows in one batch, and its metrics."""
    trainer = make_trainer(job)
    weights = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    (line,) = _lines(trainer, 1)
    trainer.model.load_state_dict(weights)
    (batch,) = next(read_batches(job.open(), job.rows, job.device))
    return cast(Electra, trainer.model), batch, line


def read_batches(shards: ShardFolder, rows: int, device: str) -> Iterator[list[Batch]]:
    """Yield the batches of a run on the device, made as the trainer makes them."""
    shuffled, place = ShuffledRows(shards, SEED), torch.device(device)

    def make(cursor: int) -> list[Batch]:
        found, epochs = shuffled.read(cursor, rows)
        return to_batches(found, epochs, shards.header, rows, place)

    ahead = Ahead(make)
    for cursor in count(0, rows):
        batches = ahead.take(cursor)
        ahead.foresee(cursor + rows)
        yield batches
