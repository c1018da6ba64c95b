"""What a tokenizer_config.json, lying beside a vocabulary, says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.vocabulary.files import read_json
from shards.errors import DataError

NAME = "tokenizer_config.json"


@dataclass(frozen=True)
class Settings:
    """Settings as `transformers` names them.

    Attributes:
        path: The file; it need not be there.
        values: What it holds.
    """

    path: Path
    values: Mapping[str, Any]

    def flag(self, name: str) -> bool | None:
        """Return a setting that is true or false; None where nothing is said.

        Raises:
            DataError: It is something else.
        """
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return value
        problem = f"{self.path} has {name} {value!r}, neither true nor false"
        raise DataError(problem, "correct it, or take the file away")

    def token(self, role: str) -> str | None:
        """Return the token that plays a role; None where none is named.

        Raises:
            DataError: What is named is no text.
        """
        value = self.values.get(f"{role}_token")
        token = value.get("content") if isinstance(value, dict) else value
        if token is not None and not isinstance(token, str):
            problem = f"{self.path} has {role}_token {value!r}, which is no text"
            raise DataError(problem, "correct it, or take the file away")
        return token or None


def read_settings(folder: Path) -> Settings:
    """Read the tokenizer_config.json of a folder, if it has one.

    Raises:
        DataError: It is no JSON object.
    """
    path = folder / NAME
    values = read_json(path) if path.is_file() else {}
    if not isinstance(values, dict):
        raise DataError(f"{path} is no object of settings", "correct it, or take it away")
    return Settings(path, values)
