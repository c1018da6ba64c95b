"""`config.json` of each family: the shape that it describes, and the shape described by one."""

from dataclasses import fields
from typing import Any

from model.config import ModelConfig
from model.huggingface_families import FAMILIES, GPT2, NYSTROMFORMER, Family

SPECIAL = ("bos_token_id", "eos_token_id")
"""Ids that a configuration may tell and our shape does not."""


def write_config(family: Family, architecture: str, shape: ModelConfig) -> dict[str, Any]:
    """Return the content of `config.json`: every size, for the defaults are of other models."""
    own: dict[str, Any] = {name: getattr(shape, ours) for name, ours in family.fields.items()}
    if family is NYSTROMFORMER:  # equal, they mean softmax; for the kernel see `no_convolution`
        kernel = {"conv_kernel_size": shape.conv_kernel_size or 1}
        own |= {"num_landmarks": 64, "segment_means_seq_len": 64} | kernel
    if family.model_type == "albert":
        own |= {"inner_group_num": 1, "classifier_dropout_prob": shape.hidden_dropout_prob}
    return own | {
        "architectures": [architecture],
        "model_type": family.model_type,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def find_content_family(content: dict[str, Any]) -> Family:
    """Return the family that a configuration is of.

    Raises:
        ValueError: It is none of ours, or has what ours have not.
    """
    found = content.get("model_type") or _type_by_class(content.get("architectures"))
    if not isinstance(found, str) or found not in FAMILIES:
        raise ValueError(f"it has model_type {found!r}; known are {', '.join(FAMILIES)}")
    family = FAMILIES[found]
    for name, wanted in family.fixed.items():
        if content.get(name, wanted) != wanted:
            raise ValueError(f"{name} is {content[name]!r}; our models have {wanted!r}")
    return family


def _type_by_class(architectures: Any) -> str | None:  # noqa: ANN401
    """Return the family of a class: configurations of 2019 have no model_type."""
    names = {name: one.model_type for one in FAMILIES.values() for _, name in one.classes}
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    return names.get(first) if isinstance(first, str) else None


def read_shape(family: Family, content: dict[str, Any]) -> ModelConfig:
    """Return the shape that a configuration describes.

    A field that is absent or null has the default of its class; sizes have none.

    Raises:
        ValueError: Sizes are missing, or a value is out of range.
    """
    told = {name: value for name, value in content.items() if value is not None}
    missing = [name for name in family.fields if name not in told | family.defaults]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    values = family.defaults | told
    own = {ours: values[name] for name, ours in family.fields.items()}
    for one in fields(ModelConfig):
        if one.name in own and not _is_of(own[one.name], one.type):
            raise ValueError(f"{one.name} is {own[one.name]!r}, which is no number of its kind")
    try:
        return ModelConfig(**own | _rest(family, own, values))
    except TypeError as error:
        raise ValueError(str(error)) from error


def _is_of(value: Any, kind: Any) -> bool:  # noqa: ANN401
    """Return whether a JSON value is what a field takes; those that are no numbers are not told."""
    if value is None or kind not in (int, float):
        return True
    return not isinstance(value, bool) and isinstance(value, kind | int)


def _rest(family: Family, own: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of ours that the family's configuration does not have."""
    rest: dict[str, Any] = {}
    if "embedding_size" not in own:
        rest["embedding_size"] = own["hidden_size"]
    if "num_hidden_groups" not in own:
        rest["num_hidden_groups"] = own["num_hidden_layers"]
    if family is GPT2:
        width = own["intermediate_size"] or 4 * own["hidden_size"]
        extra = {"type_vocab_size": 0, "norm_first": True, "is_decoder": True}
        return rest | extra | {"intermediate_size": width}
    if family is NYSTROMFORMER:
        rest |= _nystrom(own, values)
    return rest | {"embedding_dropout_prob": own["hidden_dropout_prob"]}


def _nystrom(own: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return what makes ours what the class computes where it has a landmark for every token."""
    landmarks, length = values["num_landmarks"], values["segment_means_seq_len"]
    if landmarks != length:
        raise ValueError(
            f"num_landmarks is {landmarks} and segment_means_seq_len {length}: the class computes "
            f"that at rows of {length} tokens alone, and ours otherwise; equal, they mean softmax"
        )
    return {
        "attention": "nystrom",
        "num_landmarks": own["max_position_embeddings"],
        "conv_kernel_size": values["conv_kernel_size"],
        "attention_probs_dropout_prob": 0.0,
    }
