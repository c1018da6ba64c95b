"""Run a benchmark by name: `python -m benchmarks read`."""

from importlib import import_module
from pathlib import Path

import click

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


@click.command()
@click.argument("name", type=click.Choice(NAMES))
def main(name: str) -> None:
    """Measure NAME, both sides in turn in one run, after checking that they agree."""
    import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
