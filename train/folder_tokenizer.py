"""The tokenizer in a model's folder: a tokenizer.json, or a vocabulary that one is made of."""

from pathlib import Path

from tokenizers import Tokenizer

from pipeline.config import ImportConfig
from pipeline.encode import load_tokenizer
from pipeline.vocabulary.imports import read_vocabulary, vocabulary_files
from pipeline.vocabulary.special import add_roles
from shards.errors import DataError


def load_folder_tokenizer(folder: Path, remedy: str, *, is_decoder: bool = False) -> Tokenizer:
    """Load a tokenizer so that a text is encoded whole, as text: special tokens in it too.

    Args:
        folder: Of the model.
        remedy: What to do where it has none.
        is_decoder: Whether its model reads texts without [CLS] and [SEP] around them.

    Raises:
        DataError: A file is missing or broken, or has no token for a role.
    """
    if (folder / "tokenizer.json").is_file():
        return load_tokenizer(folder / "tokenizer.json", remedy)
    try:
        files = vocabulary_files(folder)
    except DataError as error:
        raise DataError(error.problem, remedy) from error
    imported = read_vocabulary(files, ImportConfig())
    tokenizer = imported.tokenizer
    if not is_decoder:
        tokenizer, appended = add_roles(tokenizer, imported.names)
        if appended:
            problem = f"{files[0]} has no {', '.join(appended)}"
            raise DataError(problem, "name the tokens in their place in its tokenizer_config.json")
    tokenizer.encode_special_tokens = True
    return tokenizer
