"""A run's newest checkpoint as a Hugging Face folder that `transformers` loads."""

import json
import shutil
from pathlib import Path

from model.electra import Electra
from model.huggingface import save
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, sync
from train.checkpoint import load_weights, newest_checkpoint
from train.runs import Run, load_run

CARD = "README.md"
EXPORTED = {
    *("config.json", "model.safetensors", "heads.safetensors", "generator"),
    *("tokenizer.json", "tokenizer_config.json", CARD),
}


def export_run(folder: Path, out: Path) -> Path:
    """Write the newest whole checkpoint of the run at `folder` to `out`; return the checkpoint.

    Raises:
        DataError: There is no run, no whole checkpoint, or `out` holds something else.
    """
    run = load_run(folder)
    checkpoint = newest_checkpoint(run.checkpoints)
    model = Electra(run.model)
    load_weights(checkpoint, model)
    export_model(run, model, out)
    return checkpoint


def export_model(run: Run, model: Electra, out: Path) -> None:
    """Write the discriminator to `out` and the generator to `out/generator`, tokenizer included.

    The folder is made under another name and renamed, so `out` is whole or absent.

    Raises:
        DataError: `out` holds something that is no part of an earlier export.
    """
    if foreign := sorted({path.name for path in out.glob("*")} - EXPORTED):
        raise DataError(f"{out} holds {foreign[0]}, no part of an export", "choose another --out")
    temporary = out.with_name(out.name + TEMPORARY_SUFFIX)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save(temporary, model, run.model)
    for folder in (temporary, temporary / "generator"):
        _write_tokenizer(run, folder)
    (temporary / CARD).write_text(_card(run), encoding="utf-8")
    for path in temporary.rglob("*.*"):
        sync(path)
    if out.exists():
        shutil.rmtree(out)
    temporary.rename(out)
    sync(out.parent)


def _write_tokenizer(run: Run, folder: Path) -> None:
    shutil.copyfile(run.tokenizer / "tokenizer.json", folder / "tokenizer.json")
    path = run.tokenizer / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model_max_length"] = run.model.discriminator.max_position_embeddings
    (folder / path.name).write_text(json.dumps(config, indent=1), encoding="utf-8")


def _card(run: Run) -> str:
    """Return the model card: what the files are and how they load."""
    return f"""# {run.folder.name}

Pretrained with Hearth: preset `{run.config.preset}`, {run.config.steps} steps of
{run.config.batch_size} rows, ELECTRA with sentence-order prediction.

- This folder: the discriminator's encoder, the model to fine-tune. Its layers are shared, so it is
  an `AlbertModel` (`AutoModel.from_pretrained`); its pooler is the one that sentence order trained.
- `heads.safetensors`: the replaced-token head (1 = replaced) and the sentence-order classifier
  (0 = original order, 1 = swapped), for which no class of `transformers` fits.
- `generator/`: the generator, an `AlbertForMaskedLM` (`AutoModelForMaskedLM.from_pretrained`).
"""
