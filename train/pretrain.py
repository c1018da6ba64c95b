"""The `pretrain` stage: shards in, a run out, from its first step or from where it stopped."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.electra import Electra
from shards.errors import DataError
from shards.manifest import difference, library_versions
from shards.reader import ShardFolder
from train.checkpoint import load_checkpoint, whole_checkpoints
from train.config import PretrainConfig
from train.device import choose_device
from train.evaluate import unigram_loss
from train.export import export_model
from train.interrupt import Interrupt
from train.loop import Trainer
from train.metrics import MetricsWriter, read_metrics
from train.optimizer import adamw
from train.runs import RUN_FILE, Run, load_run, model_config

Say = Callable[[str], None]


def start_run(shards: Path, out: Path, config: PretrainConfig, device: str, say: Say) -> Run:
    """Start a run in the new folder `out` and train it to its end.

    Raises:
        DataError: There are no shards, `out` exists, or training had to stop.
    """
    if (out / RUN_FILE).exists():
        raise DataError(f"{out} holds a run", "go on with --resume, or choose another --out")
    train = ShardFolder(shards, "train")
    run = Run(
        folder=out,
        config=config,
        model=model_config(config, train.header),
        shards=str(shards),
        fingerprint=train.manifest.fingerprint(),
        versions=library_versions("torch", "numpy"),
    )
    shutil.copytree(shards / "tokenizer", run.tokenizer, dirs_exist_ok=True)
    run.write()
    _train(run, train, device, say)
    return run


def resume_run(
    out: Path, chosen: dict[str, Any], shards: Path | None, device: str, say: Say
) -> Run:
    """Take up the run in `out` where its newest whole checkpoint left it; a finished one stands.

    Args:
        out: The run's folder.
        chosen: Configuration fields that were given again; they must be the run's own.
        shards: Where the shards are now, or None for where they were.
        device: As in `start_run`.
        say: Called with each line that a person should read.

    Raises:
        DataError: There is no run, it was started otherwise, or training had to stop.
    """
    run = load_run(out)
    own = {name: getattr(run.config, name) for name in chosen}
    if found := difference(own, chosen):
        remedy = "leave the option out to go on, or start another run with another --out"
        raise DataError(f"{out} was started with {found}", remedy)
    train = ShardFolder(shards or Path(run.shards), "train")
    if train.manifest.fingerprint() != run.fingerprint:
        problem = f"{train.folder} does not hold the shards that {out} was started on"
        raise DataError(problem, "give them with --shards, or start another run")
    if is_finished(run):
        say(f"already done: {out} has all of its {run.config.steps} steps")
        return run
    _train(run, train, device, say)
    return run


def is_finished(run: Run) -> bool:
    """Return whether the run has written its export, the last thing it does."""
    return (run.export / "config.json").is_file()


def _train(run: Run, train: ShardFolder, device: str, say: Say) -> None:
    """Train `run` to its end and export it."""
    place = choose_device(device)
    torch.manual_seed(run.config.seed)
    model = Electra(run.model).to(place)
    optimizer = adamw(model, run.config.learning_rate)
    validation = ShardFolder(train.folder, "validation")
    trainer = Trainer(run, model, optimizer, train, validation, place)
    for checkpoint in whole_checkpoints(run.checkpoints):
        trainer.state = load_checkpoint(checkpoint, model, optimizer)
        say(f"going on after step {trainer.state.step}, from {checkpoint}")
        break
    else:
        if run.metrics.exists():
            say("no whole checkpoint: starting at step 0")
    _describe(run, model, trainer, place, say)
    with MetricsWriter(run.metrics, trainer.state.step) as metrics, Interrupt() as interrupt:
        trainer.train(metrics, interrupt)
    export_model(run, model, run.export)
    for line in summary(run, train, validation):
        say(line)


def _describe(run: Run, model: Electra, trainer: Trainer, device: torch.device, say: Say) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    validation = len(trainer.validation_rows)
    say(
        f"{run.config.preset}: {parameters / 1e6:.2f} M parameters on {device}; "
        f"{len(trainer.train_rows)} training rows, {validation} validation rows; "
        f"{run.config.steps} steps of {run.config.batch_size} rows = "
        f"{run.config.steps * run.config.batch_size / len(trainer.train_rows):.2f} epochs"
    )
    if not validation:
        say("no validation rows: nothing is evaluated (pack with a larger --validation-fraction)")


def summary(run: Run, train: ShardFolder, validation: ShardFolder) -> list[str]:
    """Return what a person wants to know at the end: did it learn, by how much, what is unsure."""
    scored = [line["validation"] for line in read_metrics(run.metrics) if "validation" in line]
    if not scored:
        return []
    last = scored[-1]
    baseline = unigram_loss(train, validation)
    loss = last["masked_language_model_loss"]
    return [
        "on held-out rows:",
        f"  generator       loss {loss:.3f} nats, {baseline - loss:+.3f} under the baseline of "
        f"guessing by frequency, {baseline:.3f}",
        f"  discriminator   loss {last['replaced_token_loss']:.4f}, always answering the base rate "
        f"{last['replaced_token_entropy']:.4f}; AUC {last['replaced_token_auc']:.3f}, chance .5",
        f"  sentence order  accuracy {last['sentence_order_accuracy']:.3f}, chance .5, on "
        f"{last['sentence_order_rows']} rows (sigma {last['sentence_order_sigma']:.3f})",
        "  The generator learns in minutes; the other two need hours of training to leave chance.",
    ]
