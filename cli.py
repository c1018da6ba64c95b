"""The commands' common entry: `python cli.py COMMAND`, and the boundary where errors become lines.

The commands themselves are in `pipeline.commands`, `pipeline.completion`, and modules of `train`
whose names end with `commands` or `command`.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from traceback import walk_tb
from typing import Any

from pipeline.errors import DataError, lacking

try:
    import click
except ModuleNotFoundError:
    sys.exit(f"Error: {lacking('click')}")

from pipeline.commands import fetch, inspect, pack, tokenize, verify
from pipeline.completion import completion
from pipeline.console import as_typed
from pipeline.interrupt import no_interrupt_in_imports
from train.commands import export, import_model, pretrain
from train.file_commands import embed, perplexity
from train.glue_command import glue
from train.inference_commands import detect, fill, generate
from train.look_commands import doctor, runs
from train.plan_command import plan
from train.play_command import play
from train.report_command import report

OURS = ("pipeline", "model", "train", "shards")
"""Packages that no installation lacks."""
ELSEWHERE = "choose a folder that you can write to, and run the command again"
REMEDIES = {
    errno.ENOSPC: "make room on this disk and run the command again; what is finished is kept",
    errno.EDQUOT: "make room on this disk and run the command again; what is finished is kept",
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), ELSEWHERE),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "name a folder, not a file"),
    errno.EISDIR: "name a file, not a folder",
}
"""What to do about an error of the operating system."""
PARTS = {
    "The line, in this order": (fetch, tokenize, pack, pretrain, glue),
    "Look": (verify, inspect, plan, report, runs, doctor),
    "Use a model": (fill, detect, generate, embed, perplexity, play),
    "Hand it on": (export, import_model, completion),
}
"""The commands, as `--help` lists them."""


class Boundary(click.Group):
    """The one place where an error becomes a line: what is wrong, where, what to do."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their parts."""
        width = max(map(len, self.commands))
        for title, commands in PARTS.items():
            lines = [one.get_short_help_str(formatter.width - width - 6) for one in commands]
            names = [(one.name or "").ljust(width) for one in commands]
            with formatter.section(title):
                formatter.write_dl(list(zip(names, lines, strict=True)))

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Read the options before the command."""
        with _ending_with_help(context):
            return super().parse_args(context, arguments)

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401
        """Run a command; end with 1 on bad data, a failing disk or Ctrl-C, 2 on a bad option."""
        try:
            with no_interrupt_in_imports(), _ending_with_help(context):
                return super().invoke(context)
        except DataError as error:
            raise click.ClickException(as_typed(str(error))) from error
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in OURS:
                raise
            raise click.ClickException(str(lacking(error.name))) from error
        except BrokenPipeError:
            raise  # Click ends in silence: the reader, `head` say, has had enough
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            remedy = REMEDIES.get(error.errno or 0, "mend that and run the command again")
            raise click.ClickException(f"{where}{error.strerror or error}: {remedy}") from error
        except KeyboardInterrupt:
            raise click.ClickException(
                "interrupted; nothing half-written is left: run the command again"
            ) from None


@contextmanager
def _ending_with_help(context: click.Context) -> Iterator[None]:
    """Within `with`, Click's own errors of usage end with what to do, as ours do."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # Click prints the help
    except click.UsageError as error:
        *_, (frame, _) = walk_tb(error.__traceback__)
        if not frame.f_globals["__name__"].startswith("click."):
            raise
        command = context.invoked_subcommand
        path = ["python cli.py", *([command] if command and command in main.commands else [])]
        problem = " ".join(error.format_message().split()).removesuffix(".")
        see = " See" if problem.endswith(("?", "?)")) else ": see"
        raise click.UsageError(as_typed(f"{problem}{see} `{' '.join(path)} --help`")) from error


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from pipeline.about import describe_versions

    click.echo(describe_versions())
    context.exit()


@click.group(cls=Boundary, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions and exit.",
)
def main() -> None:
    """Pretrain a transformer at home."""


for command in chain.from_iterable(PARTS.values()):
    main.add_command(command)


if __name__ == "__main__":
    main()
