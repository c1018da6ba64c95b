"""The English documentation that a Python installation brings with it.

Docstrings of the standard library and of the packages installed beside it, read with `ast` and
never imported, and the language reference in `pydoc_data.topics`. A document is a module: its
texts in source order, reduced to prose by the rule of `pipeline.readers.prose`. A topic of the
reference is a document of its own. A paragraph that an earlier module had is dropped.

A text is the docstring of a module, class or function, or any other string of 200 characters or
more within a statement of a module or class that is a call, a bare string or an assignment (such
as the argument of `add_docstr` in torch and numpy). Bodies of functions are not searched.
"""

import ast
import gc
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.clean import join, tidy
from pipeline.config import FetchConfig
from pipeline.decode import decode
from pipeline.documents import Document
from pipeline.readers.parts import part_bytes
from pipeline.readers.prose import prose
from pipeline.workers import in_order
from shards.errors import DataError

LIBRARIES: tuple[str, ...] = ()

TASK_FILES = 64
"""Modules that a worker parses at a time."""
LARGEST_PART = 16 << 20
"""Bytes of Python."""
LONG_STRING = 200
"""Characters from which a string that is no docstring may be documentation."""
TOPICS = "pydoc_data/topics.py"
"""The language reference as `help()` shows it: a dictionary from topic to text."""

SKIPPED_FOLDERS = frozenset(
    {
        *("__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "site-packages"),
        *("test", "tests", "turtledemo"),
    }
)
OWN_NAMES = frozenset({"cli.py", "model", "pipeline", "shards", "train"})
"""This project itself, where it was installed as a copy."""


class Module(NamedTuple):
    """The prose of one module (or topic): paragraphs in source order."""

    id: str
    title: str
    paragraphs: list[str]


class Modules(NamedTuple):
    """A part: the prose of some modules, none of it in an earlier part."""

    input_bytes: int
    modules: list[Module]
    counts: Counter[str]


def find(path: Path) -> dict[str, Path]:
    """Return every Python file of the installation by its path from the library folder.

    Args:
        path: Not used; the place of an installation is known.
    """
    stdlib = Path(sysconfig.get_path("stdlib"))
    packages = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    found: dict[str, Path] = {}
    for root in (stdlib, *sorted(packages)):
        found |= dict(sorted((file.relative_to(root).as_posix(), file) for file in _search(root)))
    return found


def divide(files: Mapping[str, Path], config: FetchConfig, workers: int) -> Iterator[Modules]:
    """Yield parts of modules that hold prose, the standard library first.

    The modules are parsed here, by workers of its own: a paragraph is dropped where an earlier
    module had it, so that every part depends on those before it.
    """
    size = part_bytes(sum(file.stat().st_size for file in files.values()), LARGEST_PART)
    seen: set[str] = set()
    part = Modules(0, [], Counter())
    for modules, read_bytes, counts in in_order(_read_modules, _tasks(files.items()), workers):
        part.counts.update(counts)
        for module in modules:
            new = list(dict.fromkeys(text for text in module.paragraphs if text not in seen))
            part.counts["dropped: repeated paragraphs"] += len(module.paragraphs) - len(new)
            seen.update(new)
            part.modules.append(module._replace(paragraphs=new))
        part = part._replace(input_bytes=part.input_bytes + read_bytes)
        if part.input_bytes >= size:
            yield part
            part = Modules(0, [], Counter())
    yield part


def read(part: Modules, config: FetchConfig, counts: Counter[str]) -> Iterator[Document]:
    """Yield a document for each module that holds prose."""
    counts.update(part.counts)
    for module in part.modules:
        if module.paragraphs:
            yield Document(module.id, module.title, join(module.paragraphs))
        else:
            counts["dropped: modules without prose"] += 1


def _search(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in SKIPPED_FOLDERS:
            continue
        if path.is_dir():
            yield from _search(path)
        elif path.suffix == ".py":
            yield path


def _tasks(files: Iterable[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    files = [(name, file) for name, file in files if name.split("/")[0] not in OWN_NAMES]
    for start in range(0, len(files), TASK_FILES):
        yield files[start : start + TASK_FILES]


def _read_modules(
    files: list[tuple[str, Path]],
) -> tuple[list[Module], int, Counter[str]]:
    counts: Counter[str] = Counter()
    modules: list[Module] = []
    size = 0
    for name, file in files:
        raw = file.read_bytes()
        size += len(raw)
        counts["modules"] += 1
        if tree := _parse(raw, name, counts):
            read = _topics if name == TOPICS else _module
            modules += read(name, tree, counts)
    return modules, size, counts


def _parse(raw: bytes, name: str, counts: Counter[str]) -> ast.Module | None:
    """Return the syntax tree, or None for a file without long strings or that does not parse."""
    if b'"""' not in raw and b"'''" not in raw and name != TOPICS:
        return None
    gc.disable()  # a tree has no cycles; looking for them takes a fifth of the time
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(decode(raw, name, counts))
    except (SyntaxError, ValueError, RecursionError, DataError):
        counts["dropped: modules that do not parse"] += 1
        return None
    finally:
        gc.enable()


def _topics(name: str, tree: ast.Module, counts: Counter[str]) -> Iterator[Module]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
            for topic, text in ast.literal_eval(statement.value).items():
                yield Module(f"{name}#{topic}", topic, _paragraphs(text, counts))


def _module(name: str, tree: ast.Module, counts: Counter[str]) -> Iterator[Module]:
    title = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    paragraphs = [text for string in _strings(tree) for text in _paragraphs(string, counts)]
    yield Module(name, title, paragraphs)


def _paragraphs(text: str, counts: Counter[str]) -> list[str]:
    return [tidy(paragraph, counts) for paragraph in prose(text)]


def _strings(node: ast.AST) -> Iterator[str]:
    """Yield the docstrings and long strings of a module, class or block in source order."""
    docstring = None
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = ast.get_docstring(node, clean=False)
        if docstring is not None:
            yield docstring
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    statements = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    for statement in statements[docstring is not None :]:
        if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign):
            yield from _long_strings(statement)
        else:
            yield from _strings(statement)


def _long_strings(statement: ast.stmt) -> Iterator[str]:
    found = [
        (node.lineno, node.col_offset, node.value)
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(node.value) >= LONG_STRING
    ]
    yield from (text for _, _, text in sorted(found))
