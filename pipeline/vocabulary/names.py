"""Which token of somebody else's tokenizer plays which role."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipeline.vocabulary.files import read_json
from pipeline.vocabulary.special import ROLES, STANDARD, Names
from shards.errors import DataError

CUSTOM_NAMES = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<cls>", "<s>"),
    "sep": ("[SEP]", "<sep>", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
"""Names that published tokenizers have for each role, where no tokenizer_config.json says so."""


def find_names(tokenizer: Tokenizer, folder: Path) -> Names:
    """Return the token of each role: as tokenizer_config.json beside it says, or by custom.

    A token that is said to have several of these roles has none: ids must tell roles apart.

    Raises:
        DataError: The unknown token has another role too.
    """
    vocabulary = tokenizer.get_vocab()
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    said = {role: config.get(f"{role}_token") for role in ROLES} if isinstance(config, dict) else {}
    tokens = [one.get("content") if isinstance(one, dict) else one for one in said.values()]
    names = {}
    for role, token in zip(ROLES, tokens, strict=False):
        custom = [name for name in CUSTOM_NAMES[role] if name in vocabulary]
        is_own = isinstance(token, str) and token and tokens.count(token) == 1
        names[role] = str(token) if is_own else [*custom, STANDARD[role]][0]
    names |= _own_unknown(tokenizer)
    if len(set(names.values())) < len(names):
        problem = f"{folder} has a tokenizer whose {names['unk']} stands for more than the unknown"
        raise DataError(problem, "choose another vocabulary, or train one")
    return names


def _own_unknown(tokenizer: Tokenizer) -> Names:
    """Return the token that the model itself gives for what is unknown, if there is one."""
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return {"unk": model["vocab"][model["unk_id"]][0]}
    return {"unk": model["unk_token"]} if model.get("unk_token") else {}
