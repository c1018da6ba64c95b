"""The disk is looked at before the work begins."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.disk import most_bytes, most_tokens_per_byte
from pipeline.divide import divide
from pipeline.pack import pack
from pipeline.room import free_bytes
from pipeline.shard_task import ShardTask
from shards.errors import DataError
from tests.pipeline.pack.packing import CONFIG, LAYOUTS, content


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of the shards of each task."""
    found: dict[str, int] = {}
    for path in folder.glob("*/*/*.arrow"):
        found[path.stem] = found.get(path.stem, 0) + path.stat().st_size
    return found


def needed(tasks: list[ShardTask]) -> int:
    return sum(most_bytes(task, most_tokens_per_byte(task)) for task in tasks)


def test_text_in_another_script_than_the_tokenizers_is_foreseen(tmp_path, write_source, bpe_folder):
    write_source(tmp_path / "text" / "pages", ["これは日本語の文章です。" * 50] * 20)
    config = replace(CONFIG, max_length=(128,))
    tasks = divide(tmp_path / "text", bpe_folder, tmp_path / "out", config, 10**9).tasks()
    assert most_tokens_per_byte(tasks[0]) == 1
    pack(tmp_path / "text", bpe_folder, tmp_path / "out", config, workers=1)
    assert sum(sizes(tmp_path / "out").values()) < needed(tasks)


def test_a_disk_too_small_is_told_in_one_line_before_anything_is_written(
    tmp_path, sources, tokenizer_folder, leave
):
    leave(10_000)
    with pytest.raises(DataError) as caught:
        pack(sources, tokenizer_folder, tmp_path / "out", CONFIG, workers=1)
    line = str(caught.value)
    assert "kB more, and 10.0 kB are free on its disk: make room" in line
    assert "\n" not in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_estimate_is_on_the_safe_side(tmp_path, sources, bpe_folder, layout, dropout):
    config = replace(LAYOUTS[layout], subword_dropout=dropout)
    tokenizer_folder = bpe_folder
    tasks = divide(sources, tokenizer_folder, tmp_path, config, 10**9).tasks()
    pack(sources, tokenizer_folder, tmp_path, config, workers=1)
    made = sizes(tmp_path)
    assert sum(made.values()) < needed(tasks) < 4 * sum(made.values())


def test_what_an_interrupted_run_has_made_counts_as_done(
    tmp_path, sources, packed, tokenizer_folder, leave
):
    """Killed after half of the shards, with room for little more than the other half."""
    tasks = divide(sources, tokenizer_folder, tmp_path, CONFIG, 10**9).tasks()
    for name in ("part-00000.arrow", "part-00001.arrow"):
        target = tmp_path / "out" / "train" / "32" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(packed / "train" / "32" / name, target)
    (tmp_path / "out" / ".unfinished").mkdir()
    leave(needed(tasks[2:]))
    pack(sources, tokenizer_folder, tmp_path / "out", CONFIG, workers=1)
    assert content(tmp_path / "out") == content(packed)


def test_a_damaged_shard_is_made_again_where_nothing_else_fits(
    copy, packed, sources, tokenizer_folder, leave
):
    (copy / "train/32/part-00001.arrow").write_bytes(b"")
    leave(1)
    pack(sources, tokenizer_folder, copy, CONFIG, workers=1)
    assert content(copy) == content(packed)


def test_the_free_bytes_of_a_folder_that_is_not_there_yet_are_its_parents(tmp_path: Path):
    assert free_bytes(tmp_path / "a" / "b" / "c") > 0


@given(length=st.integers(8, 65535), sets=st.integers(1, 64), short=st.floats(0, 1))
def test_more_of_anything_needs_more(shard_task, length, sets, short):
    config = replace(CONFIG, max_length=(length,), mask_sets=sets, short_row_probability=short)
    header = replace(shard_task.header, max_length=length, mask_sets=sets)
    one = most_bytes(replace(shard_task, config=config, header=header), 0.3)
    both = replace(config, max_length=(length, 8 if length > 8 else 9))
    assert 0 < one < most_bytes(replace(shard_task, config=both, header=header), 0.3)
    assert one < most_bytes(replace(shard_task, config=config, header=header), 0.4)
    assert most_bytes(replace(shard_task, config=config, header=header, share=0.5), 0.3) < one


@pytest.fixture(scope="module")
def shard_task(tmp_path_factory, sources, tokenizer_folder):
    out = tmp_path_factory.mktemp("out")
    return divide(sources, tokenizer_folder, out, CONFIG, 10**9).tasks()[0]
