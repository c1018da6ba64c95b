"""What every tokenizer has here: five special tokens by role, their template, and padding.

A role is one of Hugging Face's: "pad" stands for `pad_token`. The name of the token that plays it
is in tokenizer_config.json, its id in tokenizer.json.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, pre_tokenizers, processors

from pipeline.config import SPECIAL_TOKENS
from shards.errors import DataError

ROLES = ("pad", "unk", "cls", "sep", "mask")
STANDARD = dict(zip(ROLES, SPECIAL_TOKENS, strict=True))
Names = Mapping[str, str]
"""The token that plays each role."""


def append_entries(tokenizer: Tokenizer, names: Sequence[str]) -> Tokenizer:
    """Return a copy whose vocabulary ends with `names`, which no merge and no score favours."""
    parts: dict[str, Any] = json.loads(tokenizer.to_str())
    vocabulary = parts["model"]["vocab"]
    # Where added tokens follow the model's own, the model takes them in: ids must have no gaps.
    outside = [
        token["content"] for token in parts["added_tokens"] if token["id"] >= len(vocabulary)
    ]
    if isinstance(vocabulary, list):
        least = min(score for _, score in vocabulary)
        vocabulary += [[name, least] for name in [*outside, *names]]
    else:
        for name in [*outside, *names]:
            vocabulary[name] = len(vocabulary)
    return Tokenizer.from_str(json.dumps(parts))


def add_roles(tokenizer: Tokenizer, names: Names) -> tuple[Tokenizer, list[str]]:
    """Make the tokens of all roles special; return which of them had to be appended."""
    vocabulary = tokenizer.get_vocab()
    missing = [name for name in names.values() if name not in vocabulary]
    if missing:
        tokenizer = append_entries(tokenizer, missing)
    # In bytes a word holds the space before it, and so does the mask that stands for it (RoBERTa).
    takes_space = isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel)
    mask = AddedToken(names["mask"], lstrip=takes_space, normalized=False, special=True)
    tokenizer.add_special_tokens([*(names[role] for role in ROLES[:-1]), mask])
    tokenizer.post_processor = _template(tokenizer, names)
    return tokenizer, missing


def _template(tokenizer: Tokenizer, names: Names) -> processors.TemplateProcessing:
    """Return BERT's template: the tokens around one text, and around two.

    It is given as it is stored: its constructor would parse names, such as "<s:1>" and "$C".
    """
    first, last = ({"id": names[role], "type_id": 0} for role in ("cls", "sep"))
    text, other = ({"id": name, "type_id": number} for number, name in enumerate("AB"))
    single = [{"SpecialToken": first}, {"Sequence": text}, {"SpecialToken": last}]
    pair = [*single, {"Sequence": other}, {"SpecialToken": last | {"type_id": 1}}]
    tokens = {
        name: {"id": name, "ids": [tokenizer.token_to_id(name)], "tokens": [name]}
        for name in (names["cls"], names["sep"])
    }
    parts = {"single": single, "pair": pair, "special_tokens": tokens}
    template = processors.TemplateProcessing()
    template.__setstate__(json.dumps({"type": "TemplateProcessing", **parts}).encode())
    return template


def pad_vocabulary(tokenizer: Tokenizer, multiple: int) -> Tokenizer:
    """Append unused entries until the size of the vocabulary is a multiple of `multiple`.

    No text yields them: their names hold a space, which every pre-tokenizer cuts at or replaces.
    """
    lacking = -tokenizer.get_vocab_size() % multiple
    if not lacking:
        return tokenizer
    vocabulary = tokenizer.get_vocab()
    numbers = (number for number in range(len(vocabulary) + lacking))
    names = (f"[unused {number}]" for number in numbers)
    free = [name for name in names if name not in vocabulary][:lacking]
    return append_entries(tokenizer, free)


def role_ids(tokenizer: Tokenizer, names: Names) -> dict[str, int]:
    """Return the id of each role."""
    vocabulary = tokenizer.get_vocab()
    return {role: vocabulary[name] for role, name in names.items()}


def typed_specials(tokenizer: Tokenizer, names: Names) -> list[str]:
    """Return the special tokens whose names, typed in a text, still become them.

    Whether the name of the unknown token is unknown does not matter.
    """
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = True
    return [
        name
        for role, name in names.items()
        if role != "unk"
        and copy.token_to_id(name) in copy.encode(name, add_special_tokens=False).ids
    ]


def hugging_face_config(names: Names, tokenizer_class: str, lowercase: bool) -> dict[str, object]:
    """Return tokenizer_config.json."""
    return {
        "tokenizer_class": tokenizer_class,
        "do_lower_case": lowercase,
        "model_max_length": 512,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **{f"{role}_token": name for role, name in names.items()},
    }


def read_names(path: Path) -> Names:
    """Read the token of each role from a tokenizer_config.json.

    Raises:
        DataError: The file is missing or broken, or names no token for a role.
    """
    remedy = "use a folder made by `python cli.py tokenize`"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        names = {role: config[f"{role}_token"] for role in ROLES}
    except FileNotFoundError as error:
        raise DataError(f"{path.parent} has no {path.name}", remedy) from error
    except KeyError as error:
        raise DataError(f"{path} names no {error.args[0]}", remedy) from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is not a tokenizer's configuration ({error})", remedy) from error
    if not all(isinstance(name, str) for name in names.values()):
        raise DataError(f"{path} names special tokens that are no text", remedy)
    return names
