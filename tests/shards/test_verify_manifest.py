"""Manifests that lie: each contradiction is named, by the manifest's own path."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shards.errors import DataError
from shards.manifest import Manifest, read_manifest
from shards.verify import verify
from tests.shards.damage import SHARD

COUNTS = {
    "12/rows": 11,
    "12/train_rows": 9,
    "12/validation_rows": 2,
    "12/real_tokens": 96,
    "12/rows_pair": 9,
    "12/rows_swapped": 3,
}
"""What the folder of these tests holds."""


def lie(folder: Path, change: Callable[[Manifest], Any]) -> list[str]:
    """Change the manifest as a whole that is written again, and return what is said of it."""
    manifest = read_manifest(folder)
    assert manifest is not None
    change(manifest)
    manifest.write(folder)
    path = f"{folder / 'manifest.json'} "
    return [line.removeprefix(path) for line in verify(folder)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda manifest: manifest.inputs.update(tokenizer="1" * 64),
            f"has tokenizer {'1' * 64} as input, and {'0' * 64} in the header",
        ),
        (
            lambda manifest: manifest.config.update(layout="stream"),
            "has layout 'stream' in config, 'pairs' in counts",
        ),
        (
            lambda manifest: manifest.config.update(max_length="12,24"),
            "has max_length '12,24' in config, '12' in counts",
        ),
        (
            lambda manifest: manifest.counts.update(max_lengths=[12, 24]),
            "has 24 in max_lengths, and lists no shard of this length",
        ),
        (
            lambda manifest: manifest.counts.update(max_lengths=[12, 12]),
            "has max_lengths [12, 12], which do not begin with the header's, each once",
        ),
    ],
)
def test_a_contradiction_in_the_manifest_is_named(folder: Path, change, problem: str):
    assert lie(folder, change) == [problem]


@pytest.mark.parametrize("sources", [None, 3, [], ["text"], [{"name": "text"}]])
def test_sources_without_documents_are_named(folder: Path, sources):
    lines = lie(folder, lambda manifest: manifest.counts.update(sources=sources))
    assert lines[0] == "does not say how many documents each source has"


@pytest.mark.parametrize("lengths", [3, ["12"], [0], [12, None], [[12]]])
def test_lengths_that_are_none_are_refused(folder: Path, lengths):
    with pytest.raises(DataError, match="cannot be read"):
        lie(folder, lambda manifest: manifest.counts.update(max_lengths=lengths))


@pytest.mark.parametrize(
    "name",
    [
        "../other/train/12/part-00000.arrow",
        "train/012/part-00000.arrow",
        "train/12/part-1.arrow",
        "test/12/part-00000.arrow",
        "tokenizer/vocab.txt",
    ],
)
def test_a_name_that_no_shards_have_is_named(folder: Path, name: str):
    def change(manifest: Manifest) -> None:
        manifest.files[name] = manifest.files[SHARD]

    lines = lie(folder, change)
    assert lines == [f"{folder / name} is listed, but no shards have a file of this name"]


@pytest.mark.parametrize("field", ["bytes", "rows", "blake3"])
@pytest.mark.parametrize("value", [None, -1, "x", {}])
def test_a_record_of_nonsense_is_named(folder: Path, field: str, value):
    def change(manifest: Manifest) -> None:
        manifest.files[SHARD] = replace(manifest.files[SHARD], **{field: value})

    lines = lie(folder, change)
    assert len(lines) == 1
    assert lines[0].startswith(str(folder / SHARD))


def lie_in_balance(folder: Path, all_: dict[str, int], text: dict[str, int]) -> list[str]:
    balance = {"text": COUNTS | text, "all": COUNTS | all_}
    return lie(folder, lambda manifest: manifest.counts.update(balance=balance))


def test_a_true_balance_sheet_is_no_problem(folder: Path):
    assert lie_in_balance(folder, {"documents": 7}, {"documents": 7}) == []


@pytest.mark.parametrize("name", COUNTS)
def test_a_number_that_contradicts_the_rows_is_named(folder: Path, name: str):
    lines = lie_in_balance(folder, {name: 1}, {name: 1})
    assert lines == [f"counts 1 {name}, the shards have {COUNTS[name]}"]


def test_sources_that_do_not_add_up_are_named(folder: Path):
    lines = lie_in_balance(folder, {"documents": 6}, {"documents": 7})
    assert lines == ["counts 6 documents in all, its sources 7"]


@pytest.mark.parametrize("sheet", [3, {}, {"all": 3}, {"all": {"12/rows": "9"}}])
def test_a_balance_sheet_that_is_none_is_named(folder: Path, sheet):
    lines = lie(folder, lambda manifest: manifest.counts.update(balance=sheet))
    assert lines == ["has a balance that is no table of numbers with a column for all"]


def test_a_manifest_changed_by_hand_is_named(folder: Path):
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    document["config"]["seed"] = 7
    path.write_text(json.dumps(document, indent=1) + "\n")
    expected = f"{path} is not what was written: its content hash differs"
    assert list(verify(folder)) == [expected]


def test_a_manifest_without_a_hash_of_its_own_passes(folder: Path):
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    del document["blake3"]
    path.write_text(json.dumps(document))
    assert list(verify(folder)) == []
