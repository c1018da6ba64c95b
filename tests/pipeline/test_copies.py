from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.copies import copied_bytes, find_copies
from pipeline.documents import Document, DocumentWriter
from shards.manifest import record_file


def write_parts(folder: Path, parts: list[list[str]]):
    files = {}
    for number, texts in enumerate(parts):
        path = folder / f"part-{number:05d}.parquet"
        with DocumentWriter(path) as writer:
            for text in texts:
                writer.write(Document("", "", text))
        if texts:
            files[path.name] = record_file(path, len(texts))
    return files


@settings(max_examples=30)
@given(st.lists(st.lists(st.text("ab\n", max_size=2), max_size=6), min_size=1, max_size=4))
def test_every_document_but_the_first_of_its_text_is_a_copy(tmp_path_factory, parts):
    if not any(parts):
        return
    folder = tmp_path_factory.mktemp("parts")
    copies = find_copies(folder, write_parts(folder, parts))
    seen: set[str] = set()
    size = 0
    expected: dict[str, list[int]] = {}
    for number, texts in enumerate(parts):
        for row, text in enumerate(texts):
            if text in seen:
                expected.setdefault(f"part-{number:05d}.parquet", []).append(row)
                size += len(text)
            seen.add(text)
    assert copies == expected
    assert copied_bytes(folder, copies) == size
