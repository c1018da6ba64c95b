"""What a run is put together from: networks for the shards, weights, and what fits in memory."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from pipeline.tables import in_units
from shards.errors import DataError
from shards.format import ShardHeader
from shards.reader import ShardFolder, read_shard_manifest
from train.available import host_memory
from train.config import Execution, PretrainConfig
from train.initial import Source, checkpoint_activations, initialize, make_model
from train.loop import Trainer
from train.memory import Training, largest_micro_batch, predict_memory
from train.optimizer import make_optimizer
from train.out_of_memory import memory_for
from train.precision import Precision
from train.runs import ModelKind, Run, main_shape, model_config, stages_of
from train.step import Model

Say = Callable[[str], None]
MANY_EPOCHS = 100
"""Of the same rows, beyond which nobody has said that it helps: a wrong number of steps."""
STATE_BYTES = 60
"""Roughly kept for the backward pass, for each number of a layer's hidden states: 62 of
electra-small, 47 of bert-base, in float32 (`python -m benchmarks presets`)."""
NEAR = 0.1
"""Of the memory, from where on such an estimate is not enough: long rows, whose attention weights a
CPU keeps, and large vocabularies take up to five times as much."""


def choose_networks(
    config: PretrainConfig, header: ShardHeader, source: Source | None, shards: Path
) -> ModelKind:
    """Return the networks for these shards; their positions are as many as the source has.

    Raises:
        DataError: The preset learns from rows of another layout, or the source's rows are shorter.
    """
    positions = header.max_length if source is None else source.max_position_embeddings
    if source is not None and positions < header.max_length:
        problem = f"{source.folder} takes {positions} tokens, not rows of {header.max_length}"
        raise DataError(problem, "choose shorter ones with --stages, or pack such")
    model = model_config(config, header, positions)
    is_stream = header.layout == "stream"
    if main_shape(model).is_decoder != is_stream:
        layout = "pairs or segments" if is_stream else "stream"
        problem = f"{shards} has rows of layout {header.layout}; {config.preset} learns from others"
        raise DataError(problem, f"run `python cli.py pack` with --layout {layout}")
    return model


def new_model(run: Run, say: Say, source: Source | None) -> Model:
    """Return the run's model with its first weights: drawn from its seed, or a source's."""
    if run.model is None:
        raise TypeError("a model of the user's own is given, not made")
    torch.manual_seed(run.config.seed)
    model = make_model(run.model)
    if source is not None:
        tokenizer = Path(run.shards) / "tokenizer" / "tokenizer.json"
        remarks = initialize(model, run.model, source, tokenizer)
        say(f"weights from {source.folder}")
        for remark in remarks:
            say(f"note: {remark}")
    return model


def new_trainer(
    run: Run,
    model: Model,
    execution: Execution,
    device: torch.device,
    precision: Precision,
    say: Say,
) -> Trainer:
    """Return a trainer at step 0.

    Raises:
        DataError: The model, or with it a row of the longest, does not fit, or the optimizer's
            package is not installed.
        ValueError: Memory is limited, for networks whose need of it is not known.
    """
    say(f"precision: {precision.reason}")
    micro_batches: dict[int, int] = {}
    if execution.memory is not None:
        if run.model is None:
            raise ValueError("--memory is for presets: give a model of your own a --micro-batch")
        execution, micro_batches = fit_memory(run, run.model, execution, device, precision, say)
    elif run.model is not None and device.type == "cpu":
        check_host(run, run.model, execution, precision, say)
    checkpoint_activations(model, execution.activation_checkpointing)
    with memory_for(f"the weights on {device}", "choose a smaller --preset"):
        model = model.to(device)
    if execution.compile:
        say("the networks are compiled in the first update, which may take minutes")
        model.compile(dynamic=True)
    optimizer = make_optimizer(model, run.config)

    def say_above_the_bar(line: str) -> None:
        with tqdm.external_write_mode():
            say(line)

    trainer = Trainer(run, model, optimizer, execution, device, precision, say_above_the_bar)
    trainer.micro_batches = micro_batches
    if (most := execution.most_tokens) is not None:
        trainer.updater.most_tokens = most
        say(f"{most:,} tokens in a forward pass at most: with more there was no memory")
    return trainer


def check_host(
    run: Run, networks: ModelKind, execution: Execution, precision: Precision, say: Say
) -> None:
    """Check that no forward pass takes more than this machine has.

    There is no error of memory to mend on a CPU: the system ends the process without a word. To
    count takes seconds, so it is done where a rough estimate is near.

    Raises:
        DataError: One does.
    """
    memory, shape = host_memory(), main_shape(networks)
    if memory is None:
        return
    _, headers = read_shard_manifest(Path(run.shards))
    for stage in stages_of(run.config, Path(run.shards)):
        batch_size = stage.batch_size or 1
        rows = min(execution.micro_batch or batch_size, batch_size)
        states = stage.max_length * shape.hidden_size * shape.num_hidden_layers
        near = math.ceil(memory.total / (STATE_BYTES * states))
        if rows < NEAR * near:
            continue
        say(f"counting the memory of a step on rows of {stage.max_length} ...")
        training = Training(
            config=run.config,
            kind=networks,
            header=headers[stage.max_length],
            dtype=precision.dtype,
            device="cpu",
        )
        checkpoints = execution.activation_checkpointing
        some = min(rows, near * (8 if checkpoints else 2))  # more take more
        if predict_memory(training, some, some, checkpoints).total > memory.total:
            problem = f"{rows:,} rows of {stage.max_length} in a forward pass take more memory"
            there_is = f"the {in_units(memory.total)} that this machine has"
            remedy = f"give --memory {memory.free // 10**6}MB, which chooses what fits"
            raise DataError(f"{problem} than {there_is}", remedy)


def fit_memory(
    run: Run,
    networks: ModelKind,
    execution: Execution,
    device: torch.device,
    precision: Precision,
    say: Say,
) -> tuple[Execution, dict[int, int]]:
    """Return what fits `execution.memory`: the micro-batch by the length of rows, too.

    Whether activations are computed again is decided by the longest rows.
    """
    chosen: dict[int, int] = {}
    _, headers = read_shard_manifest(Path(run.shards))
    checkpoints: bool | None = execution.activation_checkpointing or None
    by_length = sorted(stages_of(run.config, Path(run.shards)), key=lambda one: -one.max_length)
    for stage in by_length:
        training = Training(
            config=run.config,
            kind=networks,
            header=headers[stage.max_length],
            dtype=precision.dtype,
            device=device.type,
        )
        choice = largest_micro_batch(
            training, execution.memory or 0, stage.batch_size or 1, checkpoints
        )
        checkpoints = choice.activation_checkpointing
        most = min(execution.micro_batch or choice.micro_batch, choice.micro_batch)
        chosen[stage.max_length] = most
        say(f"rows of {stage.max_length}: {choice.reason}")
    return replace(execution, activation_checkpointing=bool(checkpoints)), chosen


def describe(trainer: Trainer) -> None:
    """Say what is trained, on how many rows."""
    run, config, say = trainer.run, trainer.run.config, trainer.say
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    every = trainer.execution.checkpoint_every
    name = config.preset if run.model is not None else "a model of your own"
    length = f"{config.hours:g} hours" if config.hours else f"{config.steps:,} steps"
    say(f"{name}: {parameters / 1e6:.2f} M parameters on {trainer.device}; {length}")
    say(f"{_rates(config)}; shards in {run.shards}")
    say(f"the run's folder is {run.folder}; a checkpoint each {every:,} updates")
    is_held_out = True
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
        is_held_out = is_held_out and held_out > 0
        if not config.hours and stage.share * config.steps * batch > MANY_EPOCHS * train:
            say(f"each of them is read over {MANY_EPOCHS} times: give fewer --steps, or more text")
    if not is_held_out:
        from pipeline.sheet import MORE_HELD_OUT

        say(f"no validation rows: nothing is evaluated; {MORE_HELD_OUT}")


def _rates(config: PretrainConfig) -> str:
    """Return the optimizer, and how its rate goes."""
    steps, share = config.warmup_steps, config.warmup
    rises = f"{share:.0%} of the run" if config.hours and share else f"{steps:,} updates"
    rate = f"learning rate {config.learning_rate:g}, {config.schedule} after {rises} of warm-up"
    return f"{config.optimizer}, {rate}"
