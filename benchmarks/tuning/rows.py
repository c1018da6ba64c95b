"""A task's rows, real ones or made ones, and a model for them with weights drawn anew."""

import os
from pathlib import Path
from typing import cast

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from benchmarks.tuning.job import SEED, Job, first_rows
from model.config import ElectraConfig
from model.configure import configure
from model.electra import make_electra
from model.huggingface import save
from model.presets import PairName
from pipeline.config import SPECIAL_TOKENS
from pipeline.readers.glue import unpack_glue
from pipeline.tasks import TASKS, Examples, read_examples
from pipeline.vocabulary.special import STANDARD, add_roles
from train.glue.classifier import find_model, make_classifier, save_classifier
from train.glue.config import DEFAULT_MAX_LENGTH
from train.glue.row_tokenizer import load_row_tokenizer

GLUE = Path("mirror", "dl.fbaipublicfiles.com")
VOCABULARY = Path("mirror", "storage.googleapis.com", "electra-data", "vocab.txt")
WORDS = 8000
TEXTS = {1: (12.0, 0.7), 2: (22.0, 0.35)}
"""Words of a made text, by texts of a row: the median, and the spread of the logarithm; those of
SST-2 and MRPC."""


def make_job(
    folder: Path, name: str, preset: PairName, rows: int, epochs: int, threads: int
) -> Job:
    """Write a model for the first `rows` rows of a task, and as many of dev to predict."""
    folder.mkdir(parents=True)
    downloads = os.environ.get("HEARTH_DATA")
    tokenizer = make_tokenizer() if downloads is None else _published(Path(downloads), folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    if downloads is None:
        train, dev = (make_rows(name, rows, seed) for seed in (1, 2))
    else:
        unpack_glue(Path(downloads) / GLUE, folder / "glue")
        train, dev = (
            first_rows(read_examples(TASKS[name], folder / "glue", split), rows)
            for split in ("train", "dev")
        )
    job = Job(folder, name, train, dev, epochs=epochs, threads=threads)
    write_model(job, preset, tokenizer)
    return job


def write_model(job: Job, preset: PairName, tokenizer: Tokenizer) -> None:
    """Write the discriminator of a preset into the job's folder, and the same with a head."""
    ids = tokenizer.get_vocab()
    config = configure(
        preset,
        vocab_size=len(ids),
        max_position_embeddings=DEFAULT_MAX_LENGTH,
        pad_token_id=ids[STANDARD["pad"]],
        mask_token_id=ids[STANDARD["mask"]],
    )
    torch.manual_seed(SEED)
    save(job.folder, make_electra(cast(ElectraConfig, config)))
    pretrained = find_model(job.folder)
    classifier = make_classifier(pretrained, job.task, SEED, True, job.settings)
    save_classifier(job.with_head, classifier, pretrained, job.task)


def make_tokenizer() -> Tokenizer:
    """Return a tokenizer whose words are numbers."""
    names = [*SPECIAL_TOKENS, *map(str, range(WORDS))]
    vocabulary = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=STANDARD["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return add_roles(tokenizer, STANDARD)[0]


def make_rows(name: str, count: int, seed: int) -> Examples:
    """Make rows of words drawn by Zipf's law; the labels are drawn too."""
    generator = np.random.default_rng(seed)
    task = TASKS[name]
    texts = 1 if task.second is None else 2
    middle, spread = TEXTS[texts]

    def column() -> list[str]:
        lengths = np.exp(generator.normal(np.log(middle), spread, count)).astype(np.int64) + 1
        return [" ".join(map(str, generator.zipf(1.2, length) % WORDS)) for length in lengths]

    labels = generator.integers(len(task.labels), size=count)
    return Examples(column(), column() if texts == 2 else None, labels, 0)


def _published(downloads: Path, folder: Path) -> Tokenizer:
    """Return ELECTRA's tokenizer."""
    (folder / "vocabulary").mkdir()
    text = (downloads / VOCABULARY).read_text(encoding="utf-8")
    (folder / "vocabulary" / VOCABULARY.name).write_text(text, encoding="utf-8")
    size = len(text.splitlines())
    return load_row_tokenizer(folder / "vocabulary", DEFAULT_MAX_LENGTH, size).tokenizer
