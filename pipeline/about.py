"""What this program is: its version, and the packages that it wants.

Beside the sources lies `pyproject.toml`, which is never older than they are; what is installed as
a wheel has metadata alone. Nothing of other people's is imported.
"""

import platform
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any

NAME = "hearth"
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(?:\[.*?\])?\s*\(?(?P<wanted>[^;)]*)\)?\s*(?:;.*)?")
EXTRA = re.compile(r"""extra\s*==\s*["'](?P<extra>[\w.-]+)["']""")
CLAUSE = re.compile(r"(>=|<=|==|!=|~=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?")


@dataclass(frozen=True)
class Requirement:
    """A package that is wanted.

    Attributes:
        name: As package registries know it.
        wanted: Which versions, such as ">=2.13,<2.14"; "" for any.
        extra: The extra that it belongs to; None: Hearth does not work without.
    """

    name: str
    wanted: str
    extra: str | None = None

    def suits(self, found: str) -> bool:
        """Return whether a version is one of those wanted, as far as its numbers tell."""
        return all(
            _holds(found, sign, number, bool(any_after))
            for sign, number, any_after in CLAUSE.findall(self.wanted)
        )

    def __str__(self) -> str:
        """Return it as `pip install` takes it."""
        return self.name + self.wanted


def _holds(found: str, sign: str, number: str, any_after: bool) -> bool:
    given, wanted = _numbers(found), _numbers(number)
    if sign in ("==", "!=") and any_after:
        given = given[: len(wanted)]
    size = max(len(given), len(wanted))
    one, other = (numbers + (0,) * (size - len(numbers)) for numbers in (given, wanted))
    return {
        ">=": one >= other,
        "~=": one >= other and given[: len(wanted) - 1] == wanted[:-1],
        "<=": one <= other,
        "==": one == other,
        "!=": one != other,
        "<": one < other,
        ">": one > other,
    }[sign]


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def hearth_version() -> str:
    """Return the version of this program."""
    if (project := _project()) is not None:
        return str(project["version"])
    try:
        return version(NAME)
    except PackageNotFoundError:  # a copy of some of the sources
        return "(not installed)"


def describe_versions() -> str:
    """Return the versions that a bug report begins with; torch is not imported for its own."""
    try:
        torch = f"torch {version('torch')}"
    except PackageNotFoundError:
        torch = "no torch"
    return f"{NAME} {hearth_version()} (Python {platform.python_version()}, {torch})"


def requirements() -> list[Requirement]:
    """Return what is wanted, in the order of `pyproject.toml`; [] where nothing tells."""
    if (project := _project()) is not None:
        extras = project.get("optional-dependencies", {})
        found = [parse(line) for line in project.get("dependencies", ())]
        return found + [parse(line, extra) for extra, lines in extras.items() for line in lines]
    try:
        lines: Iterable[str] = metadata(NAME).get_all("Requires-Dist") or ()
    except PackageNotFoundError:
        return []
    return [parse(line) for line in lines]


def parse(line: str, extra: str | None = None) -> Requirement:
    """Return a requirement as `pyproject.toml` or a package's metadata writes it."""
    found = REQUIREMENT.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"{line!r} is no requirement")
    if extra is None and (marked := EXTRA.search(line)):
        extra = marked["extra"]
    return Requirement(found["name"], found["wanted"].replace(" ", ""), extra)


def is_checkout() -> bool:
    """Return whether this program runs from its sources."""
    return _project() is not None


@cache
def _project() -> dict[str, Any] | None:
    """Return the table "project" of the `pyproject.toml` beside the sources, if that is there."""
    if not PROJECT.is_file():
        return None
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8")).get("project", {})
    return project if project.get("name") == NAME else None
