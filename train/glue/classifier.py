"""The model that is judged, and classifiers made of it: an encoder with a head for one task."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from model import huggingface_classifiers
from model.config import ModelConfig
from model.heads import PooledClassificationHead
from model.huggingface_classifiers import Head, ProblemType, make_head
from model.huggingface_families import FAMILIES
from model.huggingface_files import CONFIG, weight_files
from model.huggingface_read import Found, read_parts
from model.transformer import Transformer
from pipeline.tasks import Kind, Task
from shards.errors import DataError
from shards.files import hash_file, sync
from train.glue.batch import Batch, score_scale
from train.glue.config import DEFAULT_MAX_LENGTH, GlueConfig
from train.glue.recipes import Settings
from train.runs import find_export

PROBLEMS: dict[Kind, ProblemType] = {
    "classification": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
    "tagging": "tagging",
}
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "spiece.model"),
)
TEMPORARY_SUFFIX = ".tmp"


@dataclass(frozen=True)
class Pretrained:
    """The model that is judged.

    Attributes:
        folder: Where it lies, in Hugging Face's layout.
        shape: Of its encoder.
        family: Its model type: "albert", "bert", "electra" or "nystromformer".
        parameters: Weights of the encoder.
        digest: BLAKE3 of configuration, weights and tokenizer.
        remarks: What was not taken as it is, a sentence each.
    """

    folder: Path
    shape: ModelConfig
    family: str
    parameters: int
    digest: str
    remarks: tuple[str, ...] = ()


class Classifier(nn.Module):
    """An encoder with a head that gives the task's outputs for each row, or each word."""

    def __init__(self, encoder: Transformer, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, batch: Batch) -> Tensor:
        """Return the outputs (M, C) in float32: logits, or scores moved to 0..1."""
        states = self.encoder(
            batch.input_ids,
            token_type_ids=batch.token_type_ids,
            wanted=batch.wanted,
            tokens=batch.tokens,
        )
        outputs: Tensor = self.head(states).float()
        return outputs


def find_model(path: Path) -> Pretrained:
    """Return the model of a run, or of a folder that `transformers` loads; its weights are read.

    Raises:
        DataError: There is none, or it cannot be loaded with every weight, or it is a decoder.
    """
    folder = find_export(path)
    found = _read(folder)
    encoder = found.parts.transformer
    if encoder.config.is_decoder:
        problem = f"{folder} holds a decoder, whose first token sees nothing of its row"
        raise DataError(problem, "give an encoder: GLUE's classes are told by the first token")
    return Pretrained(
        folder=folder,
        shape=encoder.config,
        family=found.family.model_type,
        parameters=sum(one.numel() for one in encoder.parameters()),
        digest=_digest(folder),
        remarks=tuple(found.remarks),
    )


def _digest(folder: Path) -> str:
    tokenizer = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    return "-".join(
        hash_file(one)[:32] for one in [folder / CONFIG, *weight_files(folder), *tokenizer]
    )


def row_length(config: GlueConfig, pretrained: Pretrained) -> int:
    """Return the most tokens of a row that `config` stands for on this model.

    Raises:
        DataError: It asks for rows longer than the model takes.
    """
    limit = pretrained.shape.max_position_embeddings
    length = config.max_length or min(DEFAULT_MAX_LENGTH, limit)
    if length > limit:
        problem = f"--max-length {length} is more than the {limit} positions of the model"
        remedy = f"choose at most --max-length {limit}, or pretrain on longer rows"
        raise DataError(f"{problem} in {pretrained.folder}", remedy)
    return length


def make_classifier(
    pretrained: Pretrained,
    task: Task,
    seed: int,
    learnt: bool,
    settings: Settings,
) -> Classifier:
    """Make a classifier on the CPU; what is not learnt before is drawn from `seed`.

    Args:
        pretrained: The model.
        task: Says what outputs there are.
        seed: The head is the same with and without learnt weights.
        learnt: Whether the encoder has the pretrained weights; else it is the random twin's. A
            pooler that was pretrained is taken with it.
        settings: Say how much is dropped.
    """
    shape = with_dropout(pretrained.shape, settings.dropout)
    torch.manual_seed(seed)
    family = FAMILIES[pretrained.family]
    head = make_head(family, shape, task.num_outputs, PROBLEMS[task.kind])
    encoder = Transformer(shape)
    if learnt:
        parts = _read(pretrained.folder).parts
        _copy(encoder, parts.transformer)
        if parts.pooler is not None and isinstance(head, PooledClassificationHead):
            _copy(head.pooler, parts.pooler)
    return Classifier(encoder, head)


def save_classifier(
    folder: Path, classifier: Classifier, pretrained: Pretrained, task: Task
) -> str:
    """Write a folder that `transformers` loads with its head; return the class.

    A regression's outputs are in the range of the task's scores there.

    Args:
        folder: It appears when it is whole; an earlier one is replaced.
        classifier: On any device.
        pretrained: What it was made from; its tokenizer is copied.
        task: What it was trained on.
    """
    temporary = folder.with_name(folder.name + TEMPORARY_SUFFIX)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    name = huggingface_classifiers.save_classifier(
        temporary,
        FAMILIES[pretrained.family],
        classifier.encoder,
        classifier.head,
        problem=PROBLEMS[task.kind],
        labels=task.labels,
        score_scale=score_scale(task),
    )
    for file in TOKENIZER_FILES:
        if (pretrained.folder / file).is_file():
            shutil.copyfile(pretrained.folder / file, temporary / file)
    for path in temporary.iterdir():
        sync(path)
    if folder.exists():
        shutil.rmtree(folder)
    temporary.rename(folder)
    sync(folder.parent)
    return name


def _read(folder: Path) -> Found:
    """Read a model; that every weight comes from its files is checked in reading."""
    try:
        return read_parts(folder)
    except (ValueError, FileNotFoundError) as error:
        remedy = "export the model again, or name another folder"
        reason = str(error).replace("\n", " ")
        raise DataError(f"{folder} cannot be loaded ({reason})", remedy) from error


def with_dropout(shape: ModelConfig, dropout: float) -> ModelConfig:
    """Return the shape with dropout everywhere but in Nystrom attention, which has none."""
    attention = shape.attention_probs_dropout_prob if shape.attention == "nystrom" else dropout
    return replace(
        shape,
        hidden_dropout_prob=dropout,
        embedding_dropout_prob=dropout,
        attention_probs_dropout_prob=attention,
    )


@torch.no_grad()
def _copy(target: nn.Module, source: nn.Module) -> None:
    """Copy all weights of a module of the same kind."""
    for own, other in zip(target.parameters(), source.parameters(), strict=True):
        own.copy_(other)
