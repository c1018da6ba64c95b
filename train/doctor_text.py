"""What `doctor` found, for a person to read."""

from collections.abc import Mapping
from typing import Any

import click

from pipeline.tables import align, in_units, number_of
from train.doctor import Findings


def doctor_text(found: Findings, *, in_colour: bool = False) -> str:
    """Return the findings: the machine, the packages, the extras, and what is lacking."""
    lines = [
        f"Hearth {found.hearth}, Python {found.python} ({found.executable})",
        "",
        *align_left(_machine(found)),
        "",
        *align_left([("package", "there", "wanted", ""), *map(tuple, _packages(found))]),
        "",
        *align_left([("extra", "there", "what needs it, and how to install it"), *_extras(found)]),
        "",
        *(f"note: {note}" for note in found.notes),
    ]
    lines.append(_verdict(found))
    return "\n".join(_coloured(line) if in_colour else line for line in lines)


def align_left(table: list[tuple[str, ...]]) -> list[str]:
    """Pad all cells of a table but the last of each line to the left."""
    *columns, last = zip(*table, strict=True)
    padded = [align([(cell,) for cell in column]) for column in columns]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join([*(c.ljust(w) for c, w in zip(cells, widths, strict=True)), end]).rstrip()
        for *cells, end in zip(*padded, last, strict=True)
    ]


def _machine(found: Findings) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [("system", found.system)]
    usable = "" if found.cores == found.cores_usable else f", {found.cores_usable} of them usable"
    cores = f"{found.cores} cores{usable}"
    lines.append(("processor", f"{found.processor}, {cores}" if found.processor else cores))
    lines += [("device", _device(found.device))]
    if found.device is not None and "precision" in found.device:
        lines.append(("precision", f"auto is {found.device['reason']}"))
    lines.append(("memory", _memory(found.memory)))
    for name, disk in found.disk.items():
        closed = "" if disk["is_writable"] else ", but you may not write there"
        where = f"{in_units(disk['free'])} free where {disk['folder']} is{closed}"
        lines.append((f"disk, {name}", where))
    if found.compiled is not None:
        lines.append(("compiled", _compiled(found.compiled)))
    return lines


def _device(device: Mapping[str, Any] | None) -> str:
    if device is None:
        return "not known without torch"
    if "problem" in device:
        return str(device["problem"])
    words = [str(device["type"])]
    if device["name"]:
        words.append(str(device["name"]))
    if memory := device["memory"]:
        words.append(f"{in_units(memory['free'])} free of {in_units(memory['total'])}")
    return ", ".join(
        [*words, f"torch uses {number_of(device['threads'], 'thread')} of the processor"]
    )


def _memory(memory: Mapping[str, int | None]) -> str:
    if memory["total"] is None or memory["free"] is None:
        return "not known"
    limit = memory["limit"]
    most = "" if limit is None else f"; this container may take {in_units(limit)}"
    return f"{in_units(memory['free'])} free of {in_units(memory['total'])}{most}"


def _compiled(compiled: Mapping[str, Any]) -> str:
    if not compiled["functions"]:
        return "nothing yet: the first `tokenize`, `pack` and `pretrain` take some seconds longer"
    size = in_units(compiled["bytes"])
    return f"{compiled['functions']} functions, {size}, in {compiled['folder']}"


def _packages(found: Findings) -> list[tuple[str, ...]]:
    return [
        (
            one.name,
            one.version or "-",
            one.wanted or "any",
            f"{one.fault}: `{one.mend}`" if one.fault else "",
        )
        for one in found.packages
    ]


def _extras(found: Findings) -> list[tuple[str, ...]]:
    return [
        (
            one.name,
            "no" if one.missing else "yes",
            f"{one.use}: `{one.install}` brings {', '.join(one.missing)}"
            if one.missing
            else one.use,
        )
        for one in found.extras
    ]


def _verdict(found: Findings) -> str:
    return "the stages lack something" if found.faults else "the five stages have all they need"


def _coloured(line: str) -> str:
    if line.startswith("the stages lack"):
        return click.style(line, fg="red")
    return click.style(line, fg="green") if line.startswith("the five stages have") else line
