"""One table of embeddings for two networks, the same memory and not a copy."""

from torch import nn

Names = tuple[str, str]
"""Of an `nn.Embedding` in the one network and of one in the other."""


def tie_embeddings(one: nn.Module, other: nn.Module, names: Names) -> None:
    """Put the embedding of `one` wherever `other` uses its own, heads that are tied to it too.

    Raises:
        ValueError: The two tables differ in shape.
    """
    mine, replaced = (_table(*pair) for pair in zip((one, other), names, strict=True))
    if mine.shape != replaced.shape:
        raise ValueError(
            f"{names[0]} is {tuple(mine.shape)} and {names[1]} {tuple(replaced.shape)}; "
            "tables of different shapes cannot be tied"
        )
    for module in other.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            if parameter is replaced:
                setattr(module, name, mine)


def are_tied(one: nn.Module, other: nn.Module, names: Names) -> bool:
    """Return whether the two embeddings are the same memory."""
    mine, theirs = (_table(*pair) for pair in zip((one, other), names, strict=True))
    return mine.data_ptr() == theirs.data_ptr() and mine.shape == theirs.shape


def _table(module: nn.Module, name: str) -> nn.Parameter:
    return module.get_parameter(f"{name}.weight")
