"""What a person can choose in `inspect`; nothing heavy."""

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """Which rows are shown, and how."""

    rows: Annotated[int, "rows to show"] = 3
    split: Annotated[Literal["train", "validation"], "which rows"] = "train"
    max_length: Annotated[int | None, "width of the rows  [default: the first]"] = None
    document: Annotated[int | None, "only rows that come from this document"] = None
    mask_set: Annotated[int, "which mask set to mark, from 0"] = 0
    seed: Annotated[int | None, "draw rows at random; the first are shown otherwise"] = None

    def __post_init__(self) -> None:
        for name in ("rows", "document", "mask_set", "seed"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"--{name.replace('_', '-')} {value} is below 0")
