"""HTML from text: everything that was written by others is escaped here, once."""

import html
import re
from collections.abc import Iterable, Sequence

VOID = ("meta", "br")
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What HTML may not hold, and halves of characters, which UTF-8 has no bytes for."""


def escape(text: object) -> str:
    """Return text that is safe between tags and in quoted attributes."""
    return html.escape(CONTROLS.sub("\N{REPLACEMENT CHARACTER}", str(text)))


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an element.

    Args:
        name: Of the tag.
        content: HTML.
        **attributes: Text; an underscore stands for a hyphen, one at the end for nothing.
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{words}>" if name in VOID else f"<{name}{words}>{content}</{name}>"


def table(
    head: Sequence[object], lines: Iterable[Sequence[object]], *, text: Iterable[int] = (0,)
) -> str:
    """Return a table of text that scrolls in a box of its own where it is too wide.

    Args:
        head: Of each column.
        lines: As many cells each.
        text: Columns that are words, and stand to the left; numbers stand to the right.
    """
    left = set(text)

    def row(cells: Sequence[object], name: str) -> str:
        return tag(
            "tr",
            "".join(
                tag(name, cell if isinstance(cell, Markup) else escape(cell), class_="text")
                if number in left
                else tag(name, cell if isinstance(cell, Markup) else escape(cell))
                for number, cell in enumerate(cells)
            ),
        )

    body = "".join(row(line, "td") for line in lines)
    return box(tag("table", tag("thead", row(head, "th")) + tag("tbody", body)))


class Markup(str):
    """Text that is HTML already, for a cell."""

    __slots__ = ()


def box(content: str) -> str:
    """Return HTML in a box that scrolls by itself; keys reach it too."""
    return tag("div", content, class_="box", tabindex="0")


def paragraph(text: object, class_: str = "") -> str:
    """Return text as a paragraph."""
    return tag("p", escape(text), class_=class_) if class_ else tag("p", escape(text))


def section(name: str, title: str, content: str) -> str:
    """Return a part of the page with an address; nothing where there is no content."""
    return tag("section", tag("h2", escape(title)) + content, id=name) if content else ""


def details(title: str, content: str) -> str:
    """Return what is shown once a reader asks for it."""
    return tag("details", tag("summary", escape(title)) + content)
