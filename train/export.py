"""A run's newest checkpoint as a Hugging Face folder that `transformers` loads."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from model.config import ElectraConfig
from model.huggingface import GENERATOR, save
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, sync
from train.card import CARD, imported_card, trained_card
from train.checkpoint import newest_checkpoint, step_of
from train.initial import load_trained
from train.runs import Run, load_run, main_shape, model_of, read_import
from train.step import Model

Part = Literal["discriminator", "generator", "both"]

EXPORTED = {
    *("config.json", "model.safetensors", "heads.safetensors", "generator"),
    *("tokenizer.json", "tokenizer_config.json", CARD),
}


def export_run(folder: Path, out: Path, part: Part = "both") -> Path:
    """Write the newest whole checkpoint of the run at `folder` to `out`; return the checkpoint.

    Of a run that `import` made, its model.

    Raises:
        DataError: There is no run, no whole checkpoint, not that part, or `out` holds something
            else.
    """
    if read_import(folder) is not None:
        return _export_import(folder, out, part)
    run = load_run(folder)
    if part != "both" and not isinstance(model_of(run), ElectraConfig):
        raise DataError(f"{folder} holds one network", f"leave out --part {part}")
    checkpoint = newest_checkpoint(run.checkpoints)
    model = load_trained(run, checkpoint)
    export_model(run, model, step_of(checkpoint), out, part)
    return checkpoint


def export_model(run: Run, model: Model, step: int, out: Path, part: Part = "both") -> None:
    """Write a run's model to `out`, a pair's generator to `out/generator`, tokenizer included.

    One of a pair alone goes to `out`.

    Raises:
        DataError: No class holds the model, or `out` holds something that is no part of an earlier
            export.
    """
    if run.model is None:
        raise TypeError("networks of the user's own have no class")
    longest = main_shape(run.model).max_position_embeddings
    with _appearing(out, part) as temporary:
        try:
            classes = save(temporary, model)
        except ValueError as error:
            problem = f"the model of {run.folder} has no class in transformers ({error})"
            raise DataError(problem, "use it from Python, or with fill and glue") from error
        for folder in filter(Path.is_dir, (temporary, temporary / GENERATOR)):
            write_tokenizer(run.tokenizer, folder, longest)
        card = trained_card(run, step, classes, part)
        (_chosen(temporary, part) / CARD).write_text(card, encoding="utf-8")


def _export_import(folder: Path, out: Path, part: Part) -> Path:
    imported = read_import(folder) or {}
    source = folder / "hf"
    if part != "both" and not (source / GENERATOR).is_dir():
        problem = f"{folder} holds one network, {', '.join(imported['classes'].values())}"
        raise DataError(problem, f"leave out --part {part}")
    with _appearing(out, part) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
        card = imported_card(imported, part)
        (_chosen(temporary, part) / CARD).write_text(card, encoding="utf-8")
    return source


def write_tokenizer(tokenizer: Path, folder: Path, max_length: int) -> None:
    """Copy a tokenizer's files into an export; rows are as long as its model takes."""
    shutil.copyfile(tokenizer / "tokenizer.json", folder / "tokenizer.json")
    path = tokenizer / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model_max_length"] = max_length
    (folder / path.name).write_text(json.dumps(config, indent=1), encoding="utf-8")


@contextmanager
def _appearing(out: Path, part: Part) -> Iterator[Path]:
    """Give a folder for both networks to be written to; put what `part` names in place of `out`.

    It has another name until it is whole, so `out` is whole or absent.

    Raises:
        DataError: `out` holds something that is no part of an earlier export.
    """
    if foreign := sorted({path.name for path in out.glob("*")} - EXPORTED):
        raise DataError(f"{out} holds {foreign[0]}, no part of an export", "choose another --out")
    whole = out.resolve()  # "." has no name
    temporary = whole.with_name(whole.name + TEMPORARY_SUFFIX)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if part == "discriminator":
            shutil.rmtree(temporary / GENERATOR)
        for path in temporary.rglob("*.*"):
            sync(path)
        if whole.exists():
            shutil.rmtree(whole)
        _chosen(temporary, part).rename(whole)
        sync(whole.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _chosen(temporary: Path, part: Part) -> Path:
    return temporary / GENERATOR if part == "generator" else temporary
