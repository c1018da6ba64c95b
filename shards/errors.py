"""The one exception that a person, not a programmer, has to act upon."""


class DataError(Exception):
    """A file, folder or run is missing, broken or does not fit; the command line prints one line.

    Args:
        problem: What is wrong, with the value seen and where (path, row).
        remedy: What to do about it: a command, an option, or a file to replace.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the single line that a person reads."""
        return f"{self.problem}: {self.remedy}"
