"""Heads for fine-tuning as the classes of `transformers` have them, and folders of such models.

Names and layouts are those of transformers 5, ...ForSequenceClassification and
...ForTokenClassification of each family (`models/*/modeling_*.py`). ELECTRA and Nystromformer
classify with a dense layer and a GELU, BERT and ALBERT with their pooler.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from model.config import ModelConfig
from model.heads import ClassificationHead, PooledClassificationHead, TokenClassificationHead
from model.huggingface_configs import write_config
from model.huggingface_families import ALBERT, BERT, ELECTRA, NYSTROMFORMER, Family, Heads
from model.huggingface_files import CONFIG, TORCH, WEIGHTS, write_json, write_tensors
from model.huggingface_heads import constant_tensors, family_tensors, with_first_positions
from model.huggingface_tensors import named_tensors
from model.parts import Parts
from model.transformer import Transformer

Head = ClassificationHead | PooledClassificationHead | TokenClassificationHead
ProblemType = Literal[
    "single_label_classification", "multi_label_classification", "regression", "tagging"
]
CLASSES = {
    one.model_type: name
    for one, name in (
        *((ALBERT, "Albert"), (BERT, "Bert"), (ELECTRA, "Electra")),
        (NYSTROMFORMER, "Nystromformer"),
    )
}
"""How the names of a family's classes begin."""
DROPOUT = {"albert": "classifier_dropout_prob", "bert": "classifier_dropout"} | {
    "electra": "classifier_dropout"
}
"""The field for the head's dropout; Nystromformer's is that of its hidden states."""


def make_head(family: Family, config: ModelConfig, num_outputs: int, problem: ProblemType) -> Head:
    """Return the head that the family's class has, drawn anew."""
    if problem == "tagging":
        return TokenClassificationHead(config, num_outputs)
    if family in (ALBERT, BERT):
        return PooledClassificationHead(config, num_outputs)
    # ElectraClassificationHead's activation is fixed, Nystromformer's is the configuration's.
    return ClassificationHead(config, num_outputs, "gelu" if family is ELECTRA else None)


def save_classifier(
    folder: Path,
    family: Family,
    encoder: Transformer,
    head: Head,
    *,
    problem: ProblemType,
    labels: Sequence[str],
    score_scale: tuple[float, float] = (0.0, 1.0),
) -> str:
    """Write a model folder that `transformers` loads with its head; return the class.

    Args:
        folder: Is made where it is missing.
        family: Whose class to write; it must be able to hold the encoder.
        encoder: Its weights, and its shape.
        head: As `make_head` returned it.
        problem: What the outputs are.
        labels: Names of the outputs; of a regression none.
        score_scale: Of a regression, a and b: the class gives a + b times the head's output.
    """
    kind = "Token" if problem == "tagging" else "Sequence"
    architecture = f"{CLASSES[family.model_type]}For{kind}Classification"
    pooler = head.pooler if isinstance(head, PooledClassificationHead) else None
    own: Heads = frozenset({"pooler"} if pooler else ())
    tensors = family_tensors(family, Parts(encoder, pooler=pooler), own, family.prefix)
    tensors |= constant_tensors(family, encoder.config, family.prefix)
    tensors |= _head_tensors(head)
    if problem == "regression":
        _stretch(tensors, head, *score_scale)
    content = write_config(family, architecture, encoder.config)
    content |= _outputs(problem, labels)
    if family.model_type in DROPOUT:
        content[DROPOUT[family.model_type]] = head.dropout.p
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, content)
    write_tensors(folder / WEIGHTS, with_first_positions(family, tensors, family.prefix), TORCH)
    return architecture


def _head_tensors(head: Head) -> dict[str, Tensor]:
    if isinstance(head, ClassificationHead):
        return named_tensors(head, "classifier.")
    return named_tensors(head.classifier, "classifier.")


def _stretch(tensors: dict[str, Tensor], head: Head, offset: float, factor: float) -> None:
    """Have the last layer give `offset` + `factor` times what it gave."""
    name = "classifier.out_proj" if isinstance(head, ClassificationHead) else "classifier"
    weight, bias = f"{name}.weight", f"{name}.bias"
    tensors |= {weight: tensors[weight] * factor, bias: tensors[bias] * factor + offset}


def _outputs(problem: ProblemType, labels: Sequence[str]) -> dict[str, Any]:
    """Return what a configuration tells of the outputs."""
    names = labels if problem != "regression" else ["LABEL_0"]
    told: dict[str, Any] = {
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
    }
    return told if problem == "tagging" else told | {"problem_type": problem}
