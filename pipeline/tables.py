"""Tables, sizes and times for a terminal."""

from collections.abc import Sequence


def align(lines: Sequence[Sequence[str]]) -> list[str]:
    """Pad the cells of a table: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def in_units(size: float) -> str:
    """Return bytes as a person reads them; kB, MB and GB are powers of ten."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size / 1e3:,.1f} kB"


def in_time(seconds: float) -> str:
    """Return seconds in the unit that suits them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def number_of(count: int, what: str) -> str:
    """Return a count with its noun, which gets an s where there are more or none."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
