"""A model asked about one text after another, and which of them it was that could not be read."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from shards.errors import DataError

Made = TypeVar("Made")


class TextError(DataError):
    """A text that a model cannot read, or that is not what was asked for.

    Args:
        text: It.
        problem: As in `DataError`.
        remedy: As in `DataError`.
    """

    def __init__(self, text: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.text = text

    def numbered(self, number: int) -> DataError:
        """Return the error of the text of this number, counted from 1."""
        return DataError(f"text {number}: {self.problem}", self.remedy)


def answers(
    texts: Iterable[str], is_one: bool, answer: Callable[[str], Made]
) -> Iterator[tuple[str, Made]]:
    """Yield each text and what the model says of it.

    Args:
        texts: As they are read.
        is_one: Whether there is only the one that a person typed, which needs no number.
        answer: Asks the model.

    Raises:
        DataError: As `answer`; of a text, with its number.
    """
    for number, text in enumerate(texts, start=1):
        try:
            made = answer(text)
        except TextError as error:
            raise (error if is_one else error.numbered(number)) from error
        yield text, made
