"""Run a benchmark by name: `python -m benchmarks read`, `python -m benchmarks encode --help`."""

from importlib import import_module
from pathlib import Path

import click

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("name", type=click.Choice(NAMES))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def main(name: str, options: tuple[str, ...]) -> None:
    """Measure NAME, both sides in turn in one run, after checking that they agree."""
    benchmark = import_module(f"benchmarks.{name}").main
    if isinstance(benchmark, click.Command):
        benchmark.main(list(options), prog_name=f"python -m benchmarks {name}")
    elif options:
        raise click.UsageError(f"{name} has no options")
    else:
        benchmark()


if __name__ == "__main__":
    main()
