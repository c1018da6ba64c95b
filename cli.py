"""The commands' common entry: `python cli.py COMMAND`, and the boundary where errors become lines.

The commands themselves are in `pipeline.commands`, `train.commands`, `train.glue_command` and
`train.plan_command`.
"""

import errno
from typing import Any

import click

from pipeline.commands import fetch, inspect, pack, tokenize, verify
from pipeline.interrupt import no_interrupt_in_imports
from train.commands import export, fill, import_model, pretrain, report
from train.glue_command import glue
from train.plan_command import plan

ELSEWHERE = "choose a folder that you can write to, and run the command again"
REMEDIES = {
    errno.ENOSPC: "make room on this disk and run the command again; what is finished is kept",
    errno.EDQUOT: "make room on this disk and run the command again; what is finished is kept",
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), ELSEWHERE),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "name a folder, not a file"),
    errno.EISDIR: "name a file, not a folder",
}
"""What to do about an error of the operating system."""


class Boundary(click.Group):
    """The one place where an error becomes a line: what is wrong, where, what to do."""

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401
        """Run a command; end with 1 on bad data, a failing disk or Ctrl-C, 2 on a bad option."""
        from pipeline.errors import DataError

        try:
            with no_interrupt_in_imports():
                return super().invoke(context)
        except DataError as error:
            raise click.ClickException(str(error)) from error
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


@click.group(cls=Boundary, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hearth")
def main() -> None:
    """Pretrain a transformer at home: fetch, tokenize, pack, pretrain, glue, in this order."""


for command in (
    *(fetch, tokenize, pack, pretrain, glue),
    *(verify, inspect, plan, fill, export, import_model, report),
):
    main.add_command(command)


if __name__ == "__main__":
    main()
