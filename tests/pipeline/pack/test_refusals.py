"""What `pack` refuses: another configuration, a wrong tokenizer, a damaged text."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from pipeline.divide import divide
from pipeline.pack import _with_records, pack
from pipeline.shard_task import ShardTask, _encoder, make_shard
from shards.errors import DataError
from shards.reader import ShardFolder
from shards.verify import verify
from tests.pipeline.pack.packing import CONFIG


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_length": (64,)}, "max_length '32', not '64'"),
        ({"mask_sets": 3}, "mask_sets 2, not 3"),
        ({"seed": 4}, "seed 3, not 4"),
        ({"validation_fraction": 0.1}, "validation_fraction 0.2, not 0.1"),
    ],
)
def test_another_configuration_is_refused(packed, sources, tokenizer_folder, changes, problem):
    with pytest.raises(DataError) as caught:
        pack(sources, tokenizer_folder, packed, replace(CONFIG, **changes), workers=1)
    assert caught.value.problem == f"{packed} was made with {problem}"


def test_another_tokenizer_is_refused(packed: Path, sources: Path, bpe_folder: Path):
    with pytest.raises(DataError, match="was made from another tokenizer than the present one"):
        pack(sources, bpe_folder, packed, CONFIG, workers=1)


def test_more_text_is_refused(tmp_path, packed, sources, tokenizer_folder, write_source):
    shutil.copytree(sources, tmp_path / "text")
    write_source(tmp_path / "text" / "epsilon", ["More text."])
    with pytest.raises(DataError, match="was made without epsilon, which is there now"):
        pack(tmp_path / "text", tokenizer_folder, packed, CONFIG, workers=1)


def test_a_missing_tokenizer_says_what_to_run(tmp_path: Path, sources: Path):
    with pytest.raises(DataError, match=r"no tokenizer at .*: run `python cli.py tokenize` first"):
        pack(sources, tmp_path / "none", tmp_path / "out", CONFIG, workers=1)
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path, sources, tokenizer_folder):
    own_tokenizer = tmp_path / "tokenizer"
    shutil.copytree(tokenizer_folder, own_tokenizer, ignore=shutil.ignore_patterns("manifest.json"))
    path = own_tokenizer / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace("[CLS]", "[BOS]"), encoding="utf-8")
    with pytest.raises(DataError, match=r"tokenizer\.json has no token \[CLS\]"):
        pack(sources, tmp_path / "tokenizer", tmp_path / "out", CONFIG, workers=1)


def test_a_tokenizer_with_holes_in_its_ids_keeps_every_id_inside_the_vocabulary(
    tmp_path, sources, tokenizer_folder
):
    """`vocab_size` bounds the ids: their number is not enough when one was taken out."""
    own_tokenizer = tmp_path / "tokenizer"
    shutil.copytree(tokenizer_folder, own_tokenizer, ignore=shutil.ignore_patterns("manifest.json"))
    path = own_tokenizer / "tokenizer.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = document["model"]["vocab"]
    [unused] = [token for token, number in vocabulary.items() if number == 30]
    [last] = [token for token, number in vocabulary.items() if number == 599]
    del vocabulary[unused]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert Tokenizer.from_file(str(path)).token_to_id(last) == 599
    pack(sources, tmp_path / "tokenizer", tmp_path / "out", CONFIG, workers=1)
    assert list(verify(tmp_path / "out")) == []
    assert ShardFolder(tmp_path / "out", "train").header.vocab_size == 600


def test_a_tokenizer_that_was_changed_since_it_was_made_is_named(
    tmp_path, sources, tokenizer_folder
):
    shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"tokenizer\.json is not what `tokenize` wrote"):
        pack(sources, tmp_path / "tokenizer", tmp_path / "out", CONFIG, workers=1)


@pytest.mark.parametrize("name", ["manifest.json", "tokenizer.json"])
def test_a_tokenizers_file_in_its_folders_place_is_named(tmp_path, sources, tokenizer_folder, name):
    with pytest.raises(DataError, match="is a file: give the folder that holds it"):
        pack(sources, tokenizer_folder / name, tmp_path / "out", CONFIG, workers=1)


def test_a_folder_with_other_files_is_left_alone(tmp_path, sources, tokenizer_folder):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds other files, such as thesis\.txt: choose an empty"):
        pack(sources, tokenizer_folder, tmp_path, CONFIG, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_shards_without_their_manifest_are_other_files(copy, sources, tokenizer_folder):
    (copy / "manifest.json").unlink()
    with pytest.raises(DataError, match="holds other files, such as tokenizer"):
        pack(sources, tokenizer_folder, copy, CONFIG, workers=1)


def test_weights_that_differ_in_the_last_digit_are_other_weights(
    tmp_path, sources, tokenizer_folder
):
    first, second = (replace(CONFIG, weights=(("beta", w),)) for w in (1.4999999, 1.5))
    pack(sources, tokenizer_folder, tmp_path, first, workers=1)
    with pytest.raises(DataError, match=r"weights 'beta=1\.4999999', not 'beta=1\.5'"):
        pack(sources, tokenizer_folder, tmp_path, second, workers=1)


def test_weights_that_mean_the_same_are_the_same(tmp_path, packed, copy, sources, tokenizer_folder):
    config = replace(CONFIG, weights=(("beta", 1.0),))
    assert pack(sources, tokenizer_folder, copy, config, workers=1).was_finished


def test_a_choice_that_gives_no_rows_does_not_claim_the_folder(tmp_path, sources, tokenizer_folder):
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"gives no training rows.* or --min-document-tokens"):
        pack(sources, tokenizer_folder, out, replace(CONFIG, min_document_tokens=10**9), workers=1)
    pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert list(verify(out)) == []


def test_shards_in_the_place_of_text_are_named(packed, tmp_path, tokenizer_folder):
    with pytest.raises(DataError, match="was itself made by `pack`: give the folder above"):
        pack(packed, tokenizer_folder, tmp_path / "out", CONFIG, workers=1)


def test_a_folder_with_tokenizer_json_alone_is_refused_before_the_work(
    tmp_path, sources, tokenizer_folder
):
    (tmp_path / "tokenizer").mkdir()
    shutil.copy(tokenizer_folder / "tokenizer.json", tmp_path / "tokenizer")
    with pytest.raises(DataError, match=r"tokenizer_config\.json"):
        pack(sources, tmp_path / "tokenizer", tmp_path / "out", CONFIG, workers=1)


def test_a_missing_text_folder_says_what_to_run(tmp_path: Path, tokenizer_folder: Path):
    with pytest.raises(DataError, match=r"no text at .*: run `python cli.py fetch SOURCE` first"):
        pack(tmp_path / "text", tokenizer_folder, tmp_path / "out", CONFIG, workers=1)


def test_a_damaged_text_is_named(tmp_path: Path, sources: Path, tokenizer_folder: Path):
    shutil.copytree(sources, tmp_path / "text")
    part = tmp_path / "text" / "beta" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-10])
    with pytest.raises(DataError) as caught:
        pack(tmp_path / "text", tokenizer_folder, tmp_path / "out", CONFIG, workers=1)
    assert caught.value.problem == f"{part} is not what was fetched"


def test_an_unfinished_source_is_not_left_out_in_silence(tmp_path, sources, tokenizer_folder):
    """Its folder lies there without a manifest: an interrupted fetch."""
    shutil.copytree(sources, tmp_path / "text")
    (tmp_path / "text" / "beta" / "manifest.json").unlink()
    with pytest.raises(DataError, match="beta"):
        pack(tmp_path / "text", tokenizer_folder, tmp_path / "out", CONFIG, workers=1)


def test_text_without_tokens_gives_no_training_rows(tmp_path, write_source, tokenizer_folder):
    write_source(tmp_path / "text" / "books", ["", "\n\n"])
    with pytest.raises(DataError, match="gives no training rows"):
        pack(tmp_path / "text", tokenizer_folder, tmp_path / "out", CONFIG, workers=1)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.fixture
def task(tmp_path, sources, tokenizer_folder) -> ShardTask:
    """A task on its way to a machine whose files a test may change."""
    shutil.copytree(sources, tmp_path / "text")
    shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    work = divide(tmp_path / "text", tmp_path / "tokenizer", tmp_path / "out", CONFIG, 10**9)
    _encoder.cache_clear()  # as in a new process
    return _with_records(work)[0]


def test_a_machine_with_another_tokenizer_is_refused(task: ShardTask):
    path = task.tokenizer
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has another .*tokenizer\.json than this pack"):
        make_shard(task)
    assert not task.out.exists()


def test_a_machine_with_another_text_is_refused(task: ShardTask, write_source):
    [(path, _)] = task.parts
    write_source(path.parent, ["Another text of another person."])
    with pytest.raises(DataError, match=r"has another .*part-00000\.parquet than this pack"):
        make_shard(task)
    assert not task.out.exists()


def test_a_part_that_breaks_in_a_worker_is_named(tmp_path, sources, tokenizer_folder):
    """Its size and time are as recorded, so that nobody looks before the worker does."""
    shutil.copytree(sources, tmp_path / "text")
    part = tmp_path / "text" / "beta" / "part-00000.parquet"
    times, whole = part.stat(), part.read_bytes()
    part.write_bytes(whole[:100] + bytes(len(whole) - 2100) + whole[-2000:])
    os.utime(part, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DataError) as caught:
        pack(tmp_path / "text", tokenizer_folder, tmp_path / "out", CONFIG, workers=2)
    assert str(part) in caught.value.problem
    assert not (tmp_path / "out" / "manifest.json").exists()
