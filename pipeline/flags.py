"""Command-line flags: those of configuration dataclasses, and those that commands share."""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from pipeline.bar import hide_bars
from pipeline.config import ALL, SIZE, SIZE_OR_ALL
from pipeline.executors import MPI, PROCESSES, Crew, is_mpi_job

Command = Callable[..., None]
Made = TypeVar("Made")


class SomePath(click.Path):
    """A path; an empty one, which would be the working folder, is an error."""

    def convert(
        self,
        value: Any,  # noqa: ANN401
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """Return the path."""
        if value == "":
            raise click.BadParameter("is empty: name a path", context, parameter)
        return super().convert(value, parameter, context)


class Picture(SomePath):
    """The path of a PNG to write."""

    name = "png"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """Return the path."""
        path = super().convert(value, parameter, context)
        if path.suffix.lower() != ".png" or path.is_dir():
            raise click.BadParameter(
                f"{path} is no name of a .png file: give one", context, parameter
            )
        return path


PATH: click.Path = SomePath(path_type=Path)
PICTURE: click.Path = Picture(path_type=Path)
LEAST_MEMORY = 600_000_000
"""Of a process of `pack`: what it takes besides its table of words, which may be small."""
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "B": 1}


def configured_by(config: type, leave_out: Collection[str] = ()) -> Callable[[Command], Command]:
    """Add a flag for each annotated field of a configuration dataclass, but those to leave out.

    A flag that is not given is None: what then holds is the configuration's own business. A field
    that marks its type with a function has that read the text.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(config, include_extras=True)
        for field in reversed(fields(config)):
            if hasattr(hints[field.name], "__metadata__") and field.name not in leave_out:
                command = _flag(field, hints[field.name])(command)
        return command

    return decorate


def _flag(field: Field[Any], hint: Any) -> Callable[[Command], Command]:  # noqa: ANN401
    kind, (text, *marks) = get_args(hint)[0], hint.__metadata__
    if get_origin(kind) in (UnionType, Union):
        kind = next(option for option in get_args(kind) if option is not NoneType)
    flag = "--" + field.name.replace("_", "-")
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", field.name, default=None, help=text)
    choices = click.Choice(get_args(kind)) if get_origin(kind) is Literal else LISTS.get(kind, kind)
    if is_size := SIZE in marks or SIZE_OR_ALL in marks:
        choices = Size(or_all=SIZE_OR_ALL in marks)
    if parse := next(filter(callable, marks), None):
        choices = Parsed(parse)
    if field.default is not None:
        default = "the preset's" if field.default is MISSING else field.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default)) or "none"
        if isinstance(default, int) and is_size:
            default = f"{default / 10**9:g}GB"
        text += f"  [default: {default}]"
    return click.option(flag, field.name, type=choices, default=None, help=text)


def build(make: Callable[..., Made], options: dict[str, Any]) -> Made:
    """Call `make` with the options that were given; a value it refuses is a usage error."""
    try:
        return make(**{name: value for name, value in options.items() if value is not None})
    except ValueError as error:
        raise click.UsageError(str(error)) from error


class Size(click.ParamType[int]):
    """A number of bytes such as 100MB; kB, MB and GB are powers of ten.

    Args:
        or_all: Whether the word "all" is a size too: `ALL`.
        least: The smallest size that is taken.
    """

    name = "size"

    def __init__(self, *, or_all: bool = False, least: int = 1) -> None:
        self.or_all = or_all
        self.least = least

    def convert(
        self, value: str, parameter: click.Parameter | None, context: click.Context | None
    ) -> int:
        """Return the bytes."""
        if self.or_all and value == "all":
            return ALL
        for unit, scale in UNITS.items():
            number = value.upper().removesuffix(unit)
            if number != value.upper():
                with suppress(ValueError, OverflowError):
                    size = float(number) * scale
                    if size >= self.least:
                        return int(size)
                    if size >= 1:
                        least = f"{self.least / 1e6:g}MB"
                        message = f"{value} is less than {least}: give that or more"
                        raise click.BadParameter(message, context, parameter)
                break
        message = f"{value!r} is no size such as 100MB: give a number and KB, MB, GB or TB"
        raise click.BadParameter(message, context, parameter)


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between: 128,512."""

    name = "numbers"

    def convert(
        self, value: str, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers."""
        try:
            return tuple(map(int, value.split(",")))
        except ValueError:
            message = f"{value!r} is no number, or several with commas, such as 128,512"
            raise click.BadParameter(message, context, parameter) from None


class Weights(click.ParamType[tuple[tuple[str, float], ...]]):
    """Names and numbers: wikipedia=2,gutenberg=0.5."""

    name = "name=number"

    def convert(
        self, value: str, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[tuple[str, float], ...]:
        """Return the pairs."""
        try:
            pairs = [pair.split("=") for pair in value.split(",")]
            return tuple((name.strip(), float(number)) for name, number in pairs)
        except ValueError:
            message = f"{value!r} is not of the form wikipedia=2,gutenberg=0.5"
            raise click.BadParameter(message, context, parameter) from None


class Parsed(click.ParamType[Any]):
    """What a configuration's own function reads from text.

    Args:
        parse: Takes the text; its ValueError says what is wrong with it.
    """

    name = "text"

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self.parse = parse

    def convert(
        self, value: str, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:  # noqa: ANN401
        """Return what was read."""
        try:
            return self.parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None


LISTS: dict[Any, click.ParamType[Any]] = {
    tuple[int, ...]: Numbers(),
    tuple[tuple[str, float], ...]: Weights(),
}
"""How fields with several values are written."""


def given(name: str) -> bool:
    """Return whether a person gave this option."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, click.core.ParameterSource.DEFAULT)


def choose_crew(workers: int, executor: str | None) -> Crew:
    """Return who does the tasks of a stage; a choice that cannot be is a usage error."""
    if executor is None:
        executor = MPI if is_mpi_job() else PROCESSES
    crew = build(Crew, {"workers": workers, "executor": executor})
    if crew.is_remote and given("workers"):
        raise click.UsageError(f"--workers is for processes of this machine, not {executor}")
    return crew


def folder(flag: str, default: str, text: str) -> Callable[[Command], Command]:
    """Return an option that names a folder."""
    return click.option(flag, type=PATH, default=Path(default), show_default=True, help=text)


def _hide(context: click.Context, parameter: click.Parameter, quiet: bool) -> None:
    """Hide progress bars as long as the command runs."""
    hide_bars(hidden=quiet)
    context.call_on_close(lambda: hide_bars(hidden=False))


workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default=True,
    help="processes; the result does not depend on it",
)
executor_option = click.option(
    "--executor",
    metavar="[processes|mpi|dask://HOST:PORT]",
    help="who works: processes of this machine, or a cluster's; the result does not depend on it"
    "  [default: mpi where mpiexec has started this, else processes]",
)
memory_option = click.option(
    "--memory",
    type=Size(least=LEAST_MEMORY),
    default="1GB",
    show_default=True,
    help="most that a process takes; the result does not depend on it",
)
json_option = click.option("--json", "as_document", is_flag=True, help="print JSON")
quiet_option = click.option(
    "--quiet", is_flag=True, expose_value=False, callback=_hide, help="no progress bar"
)
data_option = folder("--data", "data", "folder that holds raw/, text/, glue/ and vocab/")
from_option = click.option(
    "--from", "source_path", type=PATH, help="an already downloaded file or folder"
)
