"""The `pretrain` stage: shards in, a run out, from its first step or from where it stopped."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.electra import make_electra
from shards.errors import DataError
from shards.manifest import MANIFEST_NAME, difference, library_versions
from shards.reader import ShardFolder
from train.card import hearth_version
from train.checkpoint import load_checkpoint, whole_checkpoints
from train.config import PretrainConfig
from train.device import choose_device
from train.evaluate import unigram_loss
from train.export import export_model
from train.interrupt import interruptible
from train.loop import Trainer
from train.metrics import read_metrics, write_metrics
from train.optimizer import adamw
from train.runs import RUN_FILE, Run, load_run, model_config

Say = Callable[[str], None]

GOOD_AUC = 0.6
"""Below it the discriminator has hardly begun to tell replaced tokens from original ones."""


def start_run(shards: Path, out: Path, config: PretrainConfig, device: str, say: Say) -> Run:
    """Start a run in the new folder `out` and train it to its end.

    Raises:
        DataError: There are no shards, `out` holds something, or training had to stop.
    """
    if (out / RUN_FILE).exists():
        raise DataError(f"{out} holds a run", "go on with --resume, or choose another --out")
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out} is not empty", "choose another --out")
    train = _open_shards(shards, config)
    place = choose_device(device)
    run = Run(
        folder=out,
        config=config,
        model=model_config(config, train.header),
        shards=str(shards.resolve()),
        fingerprint=train.manifest.fingerprint(),
        versions={"hearth": hearth_version()} | library_versions("torch", "numpy"),
    )
    shutil.copytree(shards / "tokenizer", run.tokenizer)
    run.shards_manifest.mkdir()
    shutil.copyfile(shards / MANIFEST_NAME, run.shards_manifest / MANIFEST_NAME)
    run.write()
    _train(_new_trainer(run, train, place), say)
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
    if is_finished(run):
        say(f"already done: {out} has all of its {run.config.steps} steps")
        return run
    train = _open_shards(shards or Path(run.shards), run.config)
    if train.manifest.fingerprint() != run.fingerprint:
        problem = f"{train.folder} does not hold the shards that {out} was started on"
        raise DataError(problem, "give them with --shards, or start another run")
    trainer = _new_trainer(run, train, choose_device(device))
    for checkpoint in whole_checkpoints(run.checkpoints):
        trainer.state = load_checkpoint(checkpoint, trainer.model, trainer.optimizer)
        say(f"going on after step {trainer.state.step}, from {checkpoint}")
        break
    else:
        say("no whole checkpoint: starting at step 0")
    _train(trainer, say)
    return run


def _open_shards(folder: Path, config: PretrainConfig) -> ShardFolder:
    """Open the rows to train on."""
    shards = ShardFolder(folder, "train", config.max_length)
    if shards.header.layout == "stream":
        problem = f"{folder} holds running text, which these models do not learn from"
        raise DataError(problem, "run `python cli.py pack` with --layout pairs or segments")
    return shards


def is_finished(run: Run) -> bool:
    """Return whether the run has written its export, the last thing it does."""
    return (run.export / "config.json").is_file()


def _new_trainer(run: Run, train: ShardFolder, device: torch.device) -> Trainer:
    """Return a trainer at step 0; the weights are drawn from the run's seed."""
    torch.manual_seed(run.config.seed)
    model = make_electra(run.model).to(device)
    optimizer = adamw(model, run.config.learning_rate)
    validation = ShardFolder(train.folder, "validation", train.header.max_length)
    return Trainer(run, model, optimizer, train, validation, device)


def _train(trainer: Trainer, say: Say) -> None:
    """Train to the end, export, and tell what came of it."""
    run = trainer.run
    _describe(trainer, say)
    with (
        write_metrics(run.metrics, trainer.state.step) as metrics,
        interruptible() as interrupt,
    ):
        trainer.train(metrics, interrupt)
    export_model(run, trainer.model, trainer.state.step, run.export)
    last: dict[str, float] | None = None
    for line in read_metrics(run.metrics):
        last = line.get("validation", last)
    if last is not None:
        baseline = unigram_loss(trainer.train_rows, trainer.validation_rows)
        for text in summary(last, baseline):
            say(text)


def _describe(trainer: Trainer, say: Say) -> None:
    config = trainer.run.config
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    rows, held_out = len(trainer.train_rows), len(trainer.validation_rows)
    say(
        f"{config.preset}: {parameters / 1e6:.2f} M parameters on {trainer.device}; "
        f"{rows:,} training rows, {held_out:,} validation rows; {config.steps:,} steps of "
        f"{config.batch_size} rows = {config.steps * config.batch_size / rows:.2f} epochs"
    )
    if not held_out:
        say("no validation rows: nothing is evaluated (pack with a larger --validation-fraction)")


def _beside(loss: float, baseline: float) -> str:
    relation = "under" if loss < baseline else "OVER"
    return f"loss {loss:.3f}, {abs(baseline - loss):.3f} {relation} guessing"


def summary(scores: dict[str, float], baseline: float) -> list[str]:
    """Return what a person wants to know at the end: did it learn, by how much, what is unsure.

    Args:
        scores: What `train.evaluate.evaluate` returned last.
        baseline: The loss of guessing masked tokens by frequency, in nats.
    """
    # A discriminator that does not learn the order of sentences has no accuracy in it.
    rows = int(scores["sentence_order_rows"]) if "sentence_order_accuracy" in scores else 0
    accuracy = scores["sentence_order_accuracy"] if rows else math.nan
    sigma, auc = scores["sentence_order_sigma"], scores["replaced_token_auc"]
    lines = [
        f"on held-out rows, where guessing masked tokens by frequency costs {baseline:.3f} nats:",
        f"  generator       {_beside(scores['masked_language_model_loss'], baseline)}, as it is "
        "trained: some masked tokens show",
        f"                  {_beside(scores['hidden_token_loss'], baseline)}, with [MASK] at all",
        f"  discriminator   loss {scores['replaced_token_loss']:.4f}, always answering the base "
        f"rate {scores['replaced_token_entropy']:.4f}; AUC {auc:.3f}, chance .5",
        f"  sentence order  accuracy {accuracy:.3f}, chance .5, sigma {sigma:.3f} ({rows:,} rows)"
        if rows
        else "  sentence order  not learned, or no held-out row has two segments",
    ]
    if auc < GOOD_AUC or accuracy < 0.5 + 3 * sigma:
        lines.append("The discriminator and sentence order need hours of training, not minutes.")
    return lines
