"""A published model as a run's folder, so that `fill`, `glue` and `export` take it as their own.

    RUN/import.json               what was read, and what was not taken as it is
    RUN/tokenizer/                the tokenizer, as `tokenize` writes one
    RUN/hf/                       the model, as `export` writes one

A pair's discriminator is read from the folder, its generator from `generator/` inside it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from model.config import ModelConfig
from model.huggingface import GENERATOR, write_parts
from model.huggingface_files import CONFIG, weight_files
from model.huggingface_heads import HEADS
from model.huggingface_read import Found, read_parts
from pipeline.about import hearth_version
from pipeline.config import ImportConfig
from pipeline.tokenizer import FAST
from pipeline.vocabulary.imports import read_vocabulary, vocabulary_files
from pipeline.vocabulary.special import add_roles, hugging_face_config
from shards.errors import DataError
from shards.files import TEMPORARY_SUFFIX, hash_file, sync, write_text
from train.card import CARD, imported_card
from train.export import write_tokenizer
from train.runs import IMPORT_FILE

Networks = dict[str, Found]
"""By "discriminator", "generator" or "model"."""


def import_folder(source: Path, out: Path) -> dict[str, Any]:
    """Make the run `out` of the model in `source`; return what `import.json` holds.

    Raises:
        DataError: `source` holds no model that ours can be, or no tokenizer that fits it, or `out`
            is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is not empty", "choose another --out")
    networks = _read(source)
    whole = out.resolve()  # "." has no name
    temporary = whole.with_name(whole.name + TEMPORARY_SUFFIX)
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "tokenizer").mkdir(parents=True)
    try:
        imported = _write_run(source, networks, temporary)
        if whole.exists():
            whole.rmdir()
        temporary.rename(whole)
        sync(whole.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return imported


def _write_run(source: Path, networks: Networks, run: Path) -> dict[str, Any]:
    remarks = [remark for found in networks.values() for remark in found.remarks]
    remarks += _take_tokenizer(source, run / "tokenizer", next(iter(networks.values())))
    folders = {"generator": GENERATOR} if len(networks) == 2 else {}
    classes = {}
    for name, found in networks.items():
        folder = run / "hf" / folders.get(name, "")
        classes[name] = _write_network(folder, found, source)
        if (folder / HEADS).is_file():
            remarks.append(f"heads for which {classes[name]} has no place are in {HEADS}")
        length = found.parts.transformer.config.max_position_embeddings
        write_tokenizer(run / "tokenizer", folder, length)
    imported = {
        "source": source.resolve().name,
        "files": _hashes(source, list(folders.values())),
        "classes": classes,
        "remarks": remarks,
        "hearth": hearth_version(),
    }
    (run / "hf" / CARD).write_text(imported_card(imported, "both"), encoding="utf-8")
    write_text(run / IMPORT_FILE, json.dumps(imported, indent=1) + "\n")
    for path in run.rglob("*.*"):
        sync(path)
    return imported


def _read(source: Path) -> Networks:
    """Read the networks of a folder."""
    if not source.is_dir():
        raise DataError(f"no folder at {source}", "give the one that a model was downloaded to")
    remedy = (
        "give a folder with the config.json and all weights of an ALBERT, BERT, ELECTRA, GPT-2 or "
        "Nystromformer"
    )
    try:
        first = read_parts(source)
        if not (source / GENERATOR / CONFIG).is_file():
            return {"discriminator" if "replaced" in first.parts.heads else "model": first}
        other = read_parts(source / GENERATOR)
    except FileNotFoundError as error:
        raise DataError(f"{source} has no {CONFIG}", remedy) from error
    except ValueError as error:
        raise DataError(str(error).replace("\n", " "), remedy) from error
    sizes = [found.parts.transformer.config.vocab_size for found in (first, other)]
    if sizes[0] != sizes[1]:
        problem = f"{source} has {sizes[0]} tokens and its generator {sizes[1]}"
        raise DataError(problem, "give two networks of one vocabulary, or take generator/ away")
    return {"discriminator": first, "generator": other}


def _write_network(folder: Path, found: Found, source: Path) -> str:
    try:
        return write_parts(folder, found.parts, found.family, found.special)
    except ValueError as error:
        problem = f"{source} can be read, but not be written again ({error})"
        raise DataError(problem, "use it from Python, by model.huggingface_read") from error


def _take_tokenizer(source: Path, out: Path, found: Found) -> list[str]:
    """Write the tokenizer in `source` as `tokenize --import` does; return what should be known.

    A decoder's stays without [CLS], [SEP] and [MASK], for which it has no rows of embeddings.
    """
    shape = found.parts.transformer.config
    try:
        files = vocabulary_files(source)
    except DataError as error:
        remedy = "download the tokenizer of the model into it too, best its tokenizer.json"
        raise DataError(error.problem, remedy) from error
    imported = read_vocabulary(files, ImportConfig())
    tokenizer = imported.tokenizer
    if shape.is_decoder:
        content = _decoder_config(tokenizer, found.special)
    else:
        tokenizer, appended = add_roles(tokenizer, imported.names)
        if appended:
            problem = f"{files[0]} has no {', '.join(appended)}"
            raise DataError(problem, "name the tokens in their place in its tokenizer_config.json")
        content = hugging_face_config(imported.names, FAST, imported.lowercase)
    remarks = [f"its tokenizer: {remark}" for remark in imported.remarks]
    remarks += _check_size(files[0], tokenizer, shape)
    write_text(out / "tokenizer.json", tokenizer.to_str(pretty=True))
    write_text(out / "tokenizer_config.json", json.dumps(content, indent=1))
    return remarks


def _decoder_config(tokenizer: Tokenizer, special: dict[str, int]) -> dict[str, object]:
    """Return the tokenizer_config.json of a decoder, whose tokens end texts at most."""
    names = {
        name.replace("_id", ""): tokenizer.id_to_token(number) for name, number in special.items()
    }
    return {
        "tokenizer_class": FAST,
        "model_input_names": ["input_ids", "attention_mask"],
        **{role: name for role, name in names.items() if name is not None},
    }


def _check_size(path: Path, tokenizer: Tokenizer, shape: ModelConfig) -> list[str]:
    """Compare a tokenizer with the table of embeddings; return what should be known."""
    size = tokenizer.get_vocab_size()
    if size > shape.vocab_size:
        problem = f"{path} has {size} tokens, its model only {shape.vocab_size}"
        raise DataError(problem, "give the tokenizer that belongs to the model")
    if size == shape.vocab_size:
        return []
    return [f"{shape.vocab_size - size} of the {shape.vocab_size} embeddings belong to no token"]


def _hashes(source: Path, folders: list[str]) -> dict[str, str]:
    """Return the content hash of each configuration and weights file that was read."""
    paths = [
        path
        for folder in ("", *folders)
        for path in (source / folder / CONFIG, *weight_files(source / folder))
    ]
    return {path.relative_to(source).as_posix(): hash_file(path) for path in paths}
