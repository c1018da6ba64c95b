"""Which token of somebody else's tokenizer plays which role."""

import json
from typing import Any

from tokenizers import Tokenizer

from pipeline.vocabulary.settings import Settings
from pipeline.vocabulary.special import ROLES, Names
from shards.errors import DataError

CUSTOM_NAMES = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<cls>", "<s>"),
    "sep": ("[SEP]", "<sep>", "</s>", "<|endoftext|>"),
    "mask": ("[MASK]", "<mask>"),
}
"""Names that published tokenizers have for each role, where no tokenizer_config.json says so.

The first is the standard one, which is appended where the vocabulary has none. GPT-2's end of text
ends a segment too.
"""


def find_names(tokenizer: Tokenizer, settings: Settings) -> Names:
    """Return the token of each role: as the settings beside it say, or by custom.

    A token that is said to have several of these roles has none: ids must tell roles apart. Only
    what the model itself gives for the unknown stays that.

    Raises:
        DataError: Every customary name of a role is said to have another one.
    """
    vocabulary = tokenizer.get_vocab()
    own = _own_unknown(tokenizer)
    said = {role: settings.token(role) for role in ROLES} | own
    tokens = list(said.values())
    names = {}
    for role, token in said.items():
        if token and (tokens.count(token) == 1 or role in own):
            names[role] = token
            continue
        free = [name for name in CUSTOM_NAMES[role] if name not in tokens]
        if not free:
            problem = f"{settings.path} gives {' and '.join(CUSTOM_NAMES[role])} to other roles"
            raise DataError(problem, f"name a {role}_token there")
        names[role] = next((name for name in free if name in vocabulary), free[0])
    return names


def _own_unknown(tokenizer: Tokenizer) -> dict[str, str]:
    """Return the token that the model itself gives for what is unknown, if there is one."""
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return {"unk": model["vocab"][model["unk_id"]][0]}
    return {"unk": model["unk_token"]} if model.get("unk_token") else {}
