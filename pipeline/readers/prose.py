"""Prose paragraphs out of docstrings, by a stated rule.

Lines come first. Doctests and their output, literal blocks (after a line that ends in `::`, in
fences, or under a directive that is no admonition), tables, rulers and headings with a ruler are
dropped. A blank line, a step in indentation or a new list item ends a paragraph. An entry such as
`name (type): text`, `:param name: text`, `- text` or `1. text` loses its label, and its first
letter becomes a capital.

A paragraph is kept when, inline markup removed, it

1. has 8 words or more,
2. of which 70 % or more are plain English words (ASCII letters, inner hyphen or apostrophe),
3. begins with a capital letter or a quotation mark before one, and ends in `.`, `!` or `?`,
4. and holds no backslash, brace, or other trace of code or mathematics (see `_CODE`).
"""

import inspect
import re
from collections.abc import Iterable, Iterator

SMALLEST_WORDS = 8
SMALLEST_SHARE = 0.7

_RULER = re.compile(r"[^\w\s]{3,}(?: +[^\w\s]{3,}){0,50}$")
_TABLE = re.compile(r"[|+]|.*\|$")
_DIRECTIVE = re.compile(r"\.\. (?:(\w[\w:-]*)::)?")
_ADMONITIONS = frozenset(
    {
        *("admonition", "attention", "caution", "danger", "deprecated", "hint", "important"),
        *("note", "seealso", "tip", "versionadded", "versionchanged", "warning"),
    }
)
_VERSIONED = re.compile(r"\s*\d[\w.]*\b:?")
_ENTRY = re.compile(
    r"(?:"
    r"[-*+•] +|"  # list items
    r"\(?(?:\d{1,2}|[a-z])[.)] +|"
    r":\w+(?: [^:`]{1,60})?: +|"  # :param int name:
    r"[*`]{0,3}[\w.]{1,40}[*`]{0,3}"  # name (type): or name -
    r"(?: ?\([^()]{1,100}(?:\([^()]{0,50}\))?[^()]{0,50}\))?(?::| --?) +"
    r")(?=\S)"
)
_ROLE = re.compile(r":(?:\w+:){1,2}`(?:[^`<]{1,200} ?<)?[~!.]?([^`<>]{1,200})>?`")
_LINK = re.compile(r"`([^`<]{1,200}) <[^`<>]{1,300}>`__?")
_FOOTNOTE = re.compile(r" ?\[(?:\d+|#\w*|[A-Z]\w*\d)\]_")
_LITERAL = re.compile(r"``([^`]{1,200})``|`([^`]{1,200})`_{0,2}|\*\*([^*]{1,300})\*\*")
_EMPHASIS = re.compile(r"(?<![\w*])\*([^*\s](?:[^*]{0,200}[^*\s])?)\*(?![\w*])")
_CODE = re.compile(
    r"[\\{}<>|`~^@$]|=|\*|::|->|https?:|www\.|\w\(\w*,|%[sdr(]|_{2}|\.\.\.[^ ]|#|&|\[\w+\]\w?|"
    r"\b\w+ : |\d\.\d+\.\d+\.\d"
)
_WORD = re.compile(r"[\"'(]{0,2}[A-Za-z]+(?:['-][A-Za-z]+){0,3}[\"').,;:!?]{0,4}$")
_BEGIN = re.compile(r"[\"'(]{0,2}[A-Z]")
_LOWER_WORD = re.compile(r"[a-z][a-z'-]{0,30}[,:;]? ")
_END = re.compile(r"[.!?][\"')]{0,2}$")


def prose(text: str) -> Iterator[str]:
    """Yield the prose paragraphs of one docstring, in order."""
    for lines in _blocks(_without_literals(_without_code(inspect.cleandoc(text).split("\n")))):
        paragraph = _capitalised(_plain(" ".join(" ".join(lines).split())))
        if is_prose(paragraph):
            yield paragraph


def is_prose(paragraph: str) -> bool:
    """Return whether a paragraph without inline markup is worth reading (see the module)."""
    words = paragraph.split()
    return (
        len(words) >= SMALLEST_WORDS
        and bool(_BEGIN.match(paragraph))
        and bool(_END.search(paragraph))
        and not _CODE.search(paragraph)
        and sum(1 for word in words if _WORD.match(word)) >= SMALLEST_SHARE * len(words)
    )


def _without_code(lines: list[str]) -> Iterator[str]:
    """Yield the lines outside of fences and doctests."""
    in_fence = in_doctest = False
    for line in lines:
        stripped = line.strip()
        if stripped.startswith(("```", "~~~")):
            in_fence = not in_fence
            yield ""
        elif not stripped:
            in_doctest = False
            yield ""
        elif not in_fence:
            in_doctest = in_doctest or stripped.startswith((">>>", "In ["))
            if not in_doctest:
                yield line


def _without_literals(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines outside of literal blocks, directives replaced by their prose."""
    literal_indent: int | None = None  # deeper lines belong to a literal block
    for line in lines:
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if not stripped:
            yield ""
            continue
        if literal_indent is not None and indent > literal_indent:
            continue
        literal_indent = None
        if directive := _DIRECTIVE.match(stripped):
            yield ""
            if directive[1] in _ADMONITIONS:
                text = _VERSIONED.sub("", stripped[directive.end() :], count=1)
                yield " " * (indent + 3) + text.strip()
            else:
                literal_indent = indent
            continue
        if stripped.endswith("::"):
            literal_indent = indent
        yield line.rstrip().removesuffix(":")


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    """Yield the lines of each paragraph, labels of entries removed."""
    block: list[str] = []
    start = 0
    is_entry = False
    for line in lines:
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if not stripped or _TABLE.match(stripped):
            yield block
            block = []
        elif _RULER.match(stripped):
            yield block if len(block) > 1 else []  # a single line above a ruler is its heading
            block = []
        elif entry := _ENTRY.match(stripped):
            yield block
            block, start, is_entry = [stripped[entry.end() :]], indent, True
        elif block and (indent == start or (is_entry and indent > start)):
            block.append(stripped)
        else:
            yield block
            block, start, is_entry = [stripped], indent, False
    yield block


def _plain(text: str) -> str:
    """Return `text` without inline reStructuredText markup."""
    if not ("`" in text or "*" in text or "_" in text):
        return text
    text = _ROLE.sub(r"\1", text)
    text = _LINK.sub(r"\1", text)
    text = _FOOTNOTE.sub("", text)
    text = _LITERAL.sub(lambda match: match[1] or match[2] or match[3], text)
    return _EMPHASIS.sub(r"\1", text)


def _capitalised(text: str) -> str:
    """Return `text` with a capital letter where its first word is a word and no identifier."""
    return text[0].upper() + text[1:] if _LOWER_WORD.match(text) else text
