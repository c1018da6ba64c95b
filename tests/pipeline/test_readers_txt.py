"""Long texts: pieces and documents, the same however the file is packed."""

import gzip
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers import text, txt
from tests.pipeline.text_files import PACK, read

LINES = st.lists(st.sampled_from(["", " ", "One.", "Two words.", "Trois mots très élégants."])).map(
    "\n".join
)


def test_a_long_txt_becomes_several_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(txt, "DOCUMENT_BYTES", 10)
    (tmp_path / "long.txt").write_text("One two.\n\nThree.\n\nFour\nfive.\n\nSix.")
    documents, _ = read(tmp_path / "long.txt")
    assert [document.id for document in documents] == ["long.txt", "long.txt#2", "long.txt#3"]
    assert [document.text for document in documents] == [
        "One two.",
        "Three.\n\nFour five.",
        "Six.",
    ]


def test_a_huge_txt_is_cut_into_pieces_first(tmp_path, monkeypatch):
    monkeypatch.setattr(txt, "DOCUMENT_BYTES", 10)
    monkeypatch.setattr(txt, "PIECE_BYTES", 16)
    monkeypatch.setattr(text, "LARGEST_PART", 1)
    (tmp_path / "long.txt").write_text("One two.\n\nThree.\n\nFour\nfive.\n\nSix.")
    documents, _ = read(tmp_path / "long.txt")
    assert [(document.id, document.text) for document in documents] == [
        ("long.txt", "One two."),
        ("long.txt#2", "Three."),
        ("long.txt#2.1", "Four five."),
        ("long.txt#2.2", "Six."),
    ]


@given(LINES, st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_how_a_txt_is_read_changes_no_document(
    tmp_path_factory, content, piece_bytes, part_bytes, document_bytes, giant
):
    folder = tmp_path_factory.mktemp("txt")
    path = folder / "x.txt"
    path.write_text(content, encoding="utf-8")
    packed = folder / "packed" / "x.txt.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(content.encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(txt, "PIECE_BYTES", piece_bytes)
        patch.setattr(txt, "DOCUMENT_BYTES", document_bytes)
        patch.setattr(txt, "GIANT_LINE", giant)
        whole = read(path)
        assert "".join("".join(one.text for one in whole[0]).split()) == "".join(content.split())
        assert len({one.id for one in whole[0]}) == len(whole[0])
        assert "cleaned: not UTF-8" not in whole[1]
        patch.setattr(text, "LARGEST_PART", part_bytes)
        assert read(path) == whole
        assert [(one.title, one.text) for one in read(packed)[0]] == [
            (one.title, one.text) for one in whole[0]
        ]


@pytest.mark.parametrize("end", ["", "\n", "\nAnother line.\n"])
@pytest.mark.parametrize("suffix", ["", *PACK])
@pytest.mark.parametrize("largest", [1, 1 << 20])
def test_a_giant_line_is_cut_at_spaces(tmp_path, monkeypatch, end, suffix, largest):
    monkeypatch.setattr(text, "LARGEST_PART", largest)
    monkeypatch.setattr(txt, "PIECE_BYTES", 1000)
    monkeypatch.setattr(txt, "GIANT_LINE", 500)
    monkeypatch.setattr(txt, "DOCUMENT_BYTES", 100)
    words = [f"word{number}" for number in range(1000)]
    content = (" ".join(words) + end).encode()
    path = tmp_path / f"x.txt{suffix}"
    path.write_bytes(PACK[suffix](content) if suffix else content)
    documents, _ = read(path)
    assert " ".join(one.text for one in documents).split() == [*words, *end.split()]
    assert max(len(one.text) for one in documents) <= 120
    assert documents[1].id == f"x.txt{suffix}#2"


@pytest.mark.parametrize("mark", ["\r", "é", "字", "\N{GRINNING FACE}"])
def test_a_giant_line_is_cut_at_carriage_returns_or_between_characters(tmp_path, monkeypatch, mark):
    monkeypatch.setattr(txt, "PIECE_BYTES", 1001)
    monkeypatch.setattr(txt, "GIANT_LINE", 500)
    monkeypatch.setattr(txt, "DOCUMENT_BYTES", 101)
    path = tmp_path / "x.txt"
    content = "Some words." + mark if mark == "\r" else mark
    path.write_text(content * 2000, encoding="utf-8", newline="")
    documents, counts = read(path)
    texts = [one.text for one in documents]
    assert len(texts) > 10
    assert "".join(texts).replace("\n\n", "") == content.strip() * 2000
    assert all(one.startswith("Some") and one.endswith("words.") for one in texts) or mark != "\r"
    assert counts == {}


def test_short_lines_beside_a_giant_one_stay_together():
    lines = [b"One.\n", b"Two.\n", b"a" * txt.GIANT_LINE + b" b\n", b"Three.\n", b"Four."]
    pieces = list(txt._cut_giant_lines(b"".join(lines)))
    assert b"".join(pieces) == b"".join(lines)
    assert (pieces[0], pieces[-1]) == (b"One.\nTwo.\n", b"Three.\nFour.")


def test_a_line_that_ends_is_not_cut_in_a_text_of_one_piece(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("Some words. " * 1_000_000)
    assert len(read(path)[0]) == 1


READ = """
import sys
from collections import Counter
from pathlib import Path
from pipeline.config import FetchConfig
from pipeline.readers import text
for part in text.divide(text.find(Path(sys.argv[1])), FetchConfig(), 1):
    for document in text.read(part, FetchConfig(), Counter()):
        pass
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the most memory is known on Linux alone")
@pytest.mark.parametrize("kind", ["txt", "txt.gz", "parquet"])
def test_much_text_takes_little_memory(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    line = "some words of text " * 2_200_000
    if kind == "parquet":
        pq.write_table(pa.table({"text": [f"{'x' * 99} " * 10_000] * 300}), path)
    else:
        path.write_bytes(gzip.compress(line.encode(), 1) if kind == "txt.gz" else line.encode())
    run = subprocess.run([sys.executable, "-c", READ, path], check=True, capture_output=True)
    assert int(run.stdout) < 300_000  # kB
