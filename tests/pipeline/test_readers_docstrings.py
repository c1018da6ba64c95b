import ast
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from pipeline.config import FetchConfig
from pipeline.readers import docstrings

SOURCE = '''
"""The first sentence of this module has more than eight words."""

def f():
    """The second sentence stands in a function and is kept."""
    x = """This long string inside a function is not documentation of it.""" * 9

class A:
    """The third sentence stands in a class and is kept too."""

    if True:
        async def g(self):
            """The fourth sentence stands in a method under a condition."""

add_docstr(f, r"""
The fifth sentence is an argument, and such a string must be long to count.

Its second paragraph makes it longer than the two hundred characters that are
asked for, so that both of its paragraphs are taken into the document.
""".format(x=1))
'''


def test_texts_come_in_source_order():
    (module,) = docstrings._module("a/b/__init__.py", ast.parse(SOURCE), Counter())
    assert module.title == "a.b"
    assert [paragraph.split()[1] for paragraph in module.paragraphs] == [
        "first", "second", "third", "fourth", "fifth", "second",
    ]  # fmt: skip


@pytest.fixture
def installation(tmp_path, monkeypatch):
    sentence = '"""%s sentence of this module has more than eight words."""'
    files = {
        "stdlib/a.py": sentence % "The\\x07 first",
        "stdlib/test/b.py": sentence % "A tested",
        "stdlib/bad.py": '"""',
        "stdlib/latin.py": b'"""caf\xe9"""',
        "stdlib/pydoc_data/topics.py": "topics = {'if': 'The if statement is used for "
        "conditional execution of code.\\n'}",
        "packages/c.py": sentence % "The first",
        "packages/train/d.py": sentence % "Our own",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    paths = {"stdlib": "stdlib", "purelib": "packages", "platlib": "packages"}
    monkeypatch.setattr(docstrings.sysconfig, "get_path", lambda name: tmp_path / paths[name])


def read_all(counts, workers):
    config = FetchConfig()
    parts = docstrings.divide(docstrings.find(Path()), config, workers)
    return [document for part in parts for document in docstrings.read(part, config, counts)]


def test_each_module_and_each_topic_is_a_document(installation):
    counts = Counter()
    documents = read_all(counts, 1)
    assert [(document.id, document.title) for document in documents] == [
        ("a.py", "a"),
        ("pydoc_data/topics.py#if", "if"),
    ]
    assert counts == {
        "modules": 5,
        "cleaned: control characters": 1,
        "cleaned: not UTF-8": 1,
        "dropped: modules that do not parse": 1,
        "dropped: modules without prose": 2,
        "dropped: repeated paragraphs": 1,
    }


def test_parts_cover_all_files(installation, monkeypatch):
    monkeypatch.setattr(docstrings, "TASK_FILES", 1)
    monkeypatch.setattr(docstrings, "part_bytes", lambda total, largest: 1)
    files = docstrings.find(Path())
    parts = list(docstrings.divide(files, FetchConfig(), 1))
    assert len(parts) > 4
    assert sum(part.input_bytes for part in parts) == sum(
        file.stat().st_size for name, file in files.items() if name != "train/d.py"
    )


@pytest.mark.slow
def test_the_standard_library_gives_the_same_prose_for_any_workers(tmp_path, monkeypatch):
    stdlib = sysconfig.get_path("stdlib")
    paths = {"stdlib": stdlib, "purelib": tmp_path, "platlib": tmp_path}
    monkeypatch.setattr(docstrings.sysconfig, "get_path", paths.get)
    documents = read_all(Counter(), 2)
    assert sum(len(document.text) for document in documents) > 500_000
    assert documents == read_all(Counter(), 1)
