"""The commands that train a model and hand it on: parse, call one function, print.

Each command imports its own code when it runs, so that `--help` answers at once.
"""

from dataclasses import asdict, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.console import next_command
from pipeline.flags import PATH, build, configured_by, folder, given
from train.config import Execution, PretrainConfig, pretrain_config
from train.config import execution as make_execution
from train.inference_commands import PROMPT, SENTENCE
from train.interrupt import terminable

if TYPE_CHECKING:
    from train.export import Part

FILLING = ("MaskedLM", "AlbertForPreTraining", "BertForPreTraining")
"""Ends of the names of classes that predict masked tokens."""
PLAYING = (*FILLING, "GPT2LMHeadModel")
"""Of those that `play` shows."""


@click.command()
@folder("--shards", "data/shards", "folder that pack wrote")
@click.option("--out", type=PATH, help="the run's folder  [default: runs/PRESET-DATE_TIME]")
@configured_by(PretrainConfig)
@configured_by(Execution)
@click.option("--resume", is_flag=True, help="go on with the run in --out")
@click.option("--init-from", type=PATH, help="begin with the weights of this run or model folder")
@terminable()
def pretrain(
    shards: Path,
    out: Path | None,
    resume: bool,
    init_from: Path | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Train a model, from random weights or old ones; export it."""
    from train.crew import join_crew
    from train.pretrain import resume_run, start_run

    how = {one.name: options.pop(one.name) for one in fields(Execution) if one.name in options}
    if resume and out is None:
        raise click.UsageError("--resume needs --out: give the folder of the run to go on with")
    if resume and init_from is not None:
        raise click.UsageError("--init-from begins a new run, --resume goes on with one: give one")
    with join_crew(how["device"] or "auto") as crew:
        if resume and out is not None:
            chosen = {name: value for name, value in options.items() if given(name)}
            execution = build(Execution, crew.share(partial(_again, out, how)))
            where = shards if given("shards") else None
            run = resume_run(out, chosen, where, execution, click.echo, crew=crew)
        else:
            config = crew.share(partial(build, pretrain_config, options))
            execution = build(partial(make_execution, config.preset), how)
            out = out or Path("runs") / f"{config.preset}-{datetime.now():%Y%m%d_%H%M%S}"
            begin = partial(start_run, shards, out, config, execution, click.echo)
            run = begin(init_from=init_from, crew=crew)
        if crew.process == 0:
            next_command("report", run.folder)


def _again(out: Path, how: dict[str, Any]) -> dict[str, Any]:
    """Return how to go on with a run: as before, but for the options that were given."""
    from train.again import read_execution, still_holding, taken_over
    from train.runs import load_run

    preset = load_run(out).config.preset
    chosen = {name: value for name, value in how.items() if value is not None}
    kept = still_holding(read_execution(out), chosen)
    if words := taken_over(kept, chosen, preset):
        click.echo(f"as before: {words}")
    return asdict(make_execution(preset)) | kept | chosen


@click.command()
@click.argument("run", type=PATH)
@click.option("--out", type=PATH, required=True, help="folder to write")
@click.option(
    "--part",
    type=click.Choice(["discriminator", "generator", "both"]),
    default="both",
    show_default=True,
    help="which networks of a pair; both: the generator goes to OUT/generator",
)
def export(run: Path, out: Path, part: "Part") -> None:
    """Write RUN's newest checkpoint for `transformers` to load."""
    from train.export import export_run

    click.echo(f"{export_run(run, out, part)} -> {out}")
    next_command("play" if _is_playable(out) else "glue", out)


def _is_playable(out: Path) -> bool:
    """Return whether an export is for `play`: a discriminator alone is for `glue` first."""
    import json

    config = json.loads((out / "config.json").read_bytes())
    return config["architectures"][0].endswith(PLAYING) or (out / "generator").is_dir()


@click.command("import")
@click.argument("folder", type=PATH)
@click.option("--out", type=PATH, required=True, help="the run's folder, to be made")
def import_model(folder: Path, out: Path) -> None:
    """Make a run of the published model in FOLDER.

    fill, glue, export and pretrain --init-from take it then.
    """
    from train.imports import import_folder

    imported = import_folder(folder, out)
    for name, architecture in imported["classes"].items():
        click.echo(f"{name}: {architecture}")
    for remark in imported["remarks"]:
        click.echo(f"note: {remark}")
    can_fill = any(name.endswith(FILLING) for name in imported["classes"].values())
    is_decoder = "GPT2LMHeadModel" in imported["classes"].values()
    if can_fill:
        next_command("fill", out, SENTENCE)
    else:
        next_command(*(("generate", out, PROMPT) if is_decoder else ("glue", out)))
