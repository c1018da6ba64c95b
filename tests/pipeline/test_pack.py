import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from pipeline import documents
from pipeline.config import PackConfig
from pipeline.documents import open_part, read_texts
from pipeline.encode import encode_documents, load_tokenizer
from pipeline.pack import pack
from pipeline.texts import text_sources
from shards.errors import DataError
from shards.format import NO_LABEL, Rows, concatenate
from shards.manifest import read_manifest
from shards.reader import ShardFolder, open_shard
from shards.verify import verify

ROOT = Path(__file__).parents[2]
CONFIG = PackConfig(max_length=32, mask_sets=2, validation_fraction=0.2, seed=3)
SOURCES = ("alpha", "beta", "gamma", "delta")


@pytest.fixture(scope="module")
def sources(tmp_path_factory, write_source, prose) -> Path:
    """Four small sources, hence four shards."""
    folder = tmp_path_factory.mktemp("sources")
    for seed, name in enumerate(SOURCES):
        write_source(folder / name, [*prose(12, seed + 10), "", f"Title\n\nOnly in {name}. Yes."])
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory, sources: Path, tokenizer_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack(sources, tokenizer_folder, folder, CONFIG, workers=1)
    return folder


@pytest.fixture
def copy(tmp_path: Path, packed: Path) -> Path:
    """A copy of `packed` that a test may break."""
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def content(folder: Path) -> dict[str, bytes]:
    """Return all files but the manifest, which keeps times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def texts_of(folder: Path) -> list[str]:
    """Return all texts in the order in which documents are numbered."""
    return [
        text
        for source in text_sources(folder)
        for group in source.row_groups()
        for text in read_texts(group)
    ]


def rows_of(folder: Path, split: str) -> Rows:
    shards = ShardFolder(folder, split)
    return shards.gather(np.arange(len(shards)))


def restore(rows: Rows) -> dict[int, list[list[int]]]:
    """Return the tokens of each row, un-swapped, for each document, in any order."""
    restored: dict[int, list[list[int]]] = {}
    for row in range(len(rows)):
        length, second = int(rows.length[row]), int(rows.second_start[row])
        a = rows.input_ids[row, 1 : second - 1].tolist()
        b = rows.input_ids[row, second : length - 1].tolist() if second < length else []
        text = b + a if rows.sentence_order_label[row] == 1 else a + b
        restored.setdefault(int(rows.document[row]), []).append(text)
    return restored


def can_tile(tokens: list[int], pieces: list[list[int]]) -> bool:
    """Return whether the pieces, in some order, are exactly these tokens."""
    left = sorted(pieces, key=len, reverse=True)
    stack = [(0, left)]
    while stack:
        place, rest = stack.pop()
        if not rest:
            return place == len(tokens)
        for number, piece in enumerate(rest):
            if tokens[place : place + len(piece)] == piece:
                stack.append((place + len(piece), rest[:number] + rest[number + 1 :]))
    return False


# --- what is made --------------------------------------------------------------------------------


def test_an_intact_folder_is_made(packed: Path):
    assert list(verify(packed)) == []


def test_the_shared_folder_is_intact(shards_folder: Path):
    assert list(verify(shards_folder)) == []


def test_a_source_of_several_row_groups_is_several_shards(shards_folder: Path):
    manifest = read_manifest(shards_folder)
    assert manifest is not None
    names = [name for name in manifest.files if name.startswith("train/")]
    assert sorted(names) == [f"train/64/part-{number:05d}.arrow" for number in range(3)]


def test_every_token_is_kept(shards_folder: Path):
    manifest = read_manifest(shards_folder)
    assert manifest is not None
    for counts in manifest.counts["balance"].values():
        assert counts["tokens_kept"] == counts["tokens"] > 0


def test_documents_are_restored_from_the_shards(packed: Path, sources: Path):
    tokenizer = load_tokenizer(packed / "tokenizer" / "tokenizer.json")
    texts = texts_of(sources)
    restored = restore(concatenate([rows_of(packed, "train"), rows_of(packed, "validation")]))
    for number, text in enumerate(texts):
        tokens = encode_documents(tokenizer, [text]).input_ids.tolist()
        assert can_tile(tokens, restored.pop(number, []))
    assert restored == {}


def test_each_split_holds_whole_documents(packed: Path, shards_folder: Path):
    for folder in (packed, shards_folder):
        train, validation = (
            set(rows_of(folder, split).document.tolist()) for split in ("train", "validation")
        )
        assert train
        assert validation
        assert not train & validation


def test_equal_texts_are_on_the_same_side(tmp_path, write_source, prose, tokenizer_folder):
    texts = prose(30, 4)
    for name in ("one", "two"):
        write_source(tmp_path / "text" / name, texts)
    config = replace(CONFIG, validation_fraction=0.5)
    pack(tmp_path / "text", tokenizer_folder, tmp_path / "out", config, workers=1)
    held_out = set(rows_of(tmp_path / "out", "validation").document.tolist())
    assert 0 < len(held_out) < 60
    assert held_out == {(number + 30) % 60 for number in held_out}


def test_equal_texts_of_two_sources_are_packed_differently(packed, write_source, tmp_path, prose):
    """Their draws are keyed by source and number: a repeated text is not a repeated row."""
    texts = prose(10, 4)
    for name in ("one", "two"):
        write_source(tmp_path / "text" / name, texts)
    config = replace(CONFIG, validation_fraction=0)
    pack(tmp_path / "text", packed / "tokenizer", tmp_path / "out", config, workers=1)
    rows = rows_of(tmp_path / "out", "train")
    halves = [rows.take(rows.document < 10), rows.take(rows.document >= 10)]
    distinct = [set(map(bytes, half.masks)) for half in halves]
    assert len(distinct[0] & distinct[1]) < 0.2 * len(distinct[0])


def test_without_a_validation_fraction_nothing_is_held_out(tmp_path, sources, tokenizer_folder):
    config = replace(CONFIG, validation_fraction=0)
    pack(sources, tokenizer_folder, tmp_path, config, workers=1)
    assert not (tmp_path / "validation").exists()
    assert len(ShardFolder(tmp_path, "validation")) == 0


def test_rows_are_shuffled_inside_a_shard(shards_folder: Path):
    _, rows = open_shard(shards_folder / "train/64/part-00000.arrow")
    document = rows.document.astype(float)
    assert abs(np.corrcoef(np.arange(len(rows)), document)[0, 1]) < 0.08  # 4 sigma


def test_labels_are_balanced(shards_folder: Path):
    label = rows_of(shards_folder, "train").sentence_order_label
    pairs = label != NO_LABEL
    share = (label[pairs] == 1).mean()
    assert share == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(pairs.sum()))


def test_the_folder_holds_what_the_format_says_and_nothing_else(packed: Path):
    numbers = range(len(SOURCES))
    shards = {f"train/32/part-{number:05d}.arrow" for number in numbers}
    held_out = {name.replace("train", "validation") for name in shards}
    tokenizer = {"tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"}
    assert set(content(packed)) - held_out == shards | tokenizer
    assert not (packed / ".unfinished").exists()


def test_the_manifest_tells_how_it_was_made(packed: Path, sources: Path, tokenizer_folder: Path):
    manifest = read_manifest(packed)
    assert manifest is not None
    assert (manifest.stage, manifest.config) == ("pack", asdict(CONFIG))
    assert set(manifest.inputs) == {*SOURCES, "tokenizer"}
    assert set(manifest.versions) == {"tokenizers", "sentencex", "numpy", "pyarrow"}
    documents = [{"name": name, "documents": 14} for name in sorted(SOURCES)]
    assert manifest.counts["sources"] == documents
    assert manifest.damaged(packed) == []


def test_the_balance_sheet_adds_up(packed: Path):
    manifest = read_manifest(packed)
    assert manifest is not None
    balance = manifest.counts["balance"]
    assert list(balance) == [*sorted(SOURCES), "all"]
    every = balance["all"]
    for name, number in every.items():
        assert number == sum(balance[source].get(name, 0) for source in SOURCES), name
    rows = concatenate([rows_of(packed, "train"), rows_of(packed, "validation")])
    assert every["rows"] == len(rows) == every["train_rows"] + every["validation_rows"]
    assert every["rows"] == every["rows_pair"] + every["rows_single"] + every["rows_piece"]
    assert every["rows_swapped"] == (rows.sentence_order_label == 1).sum()
    assert every["real_tokens"] == rows.length.sum(dtype=np.int64)
    assert every["masked_tokens"] == np.unpackbits(rows.masks).sum(dtype=np.int64)
    assert every["documents"] == 56
    assert every["empty_documents"] == 4


# --- the same bytes ------------------------------------------------------------------------------


def test_two_workers_make_the_same_bytes(tmp_path, sources, packed, tokenizer_folder):
    outcome = pack(sources, tokenizer_folder, tmp_path, CONFIG, workers=2)
    assert not outcome.was_finished
    assert content(tmp_path) == content(packed)
    manifest = read_manifest(packed)
    assert manifest is not None
    assert outcome.manifest.fingerprint() == manifest.fingerprint()
    assert outcome.manifest.counts == manifest.counts


def test_rows_do_not_depend_on_how_the_text_is_divided(
    tmp_path, write_source, prose, tokenizer_folder, monkeypatch
):
    """Neither into row groups, nor these into shards: draws are keyed by the document alone."""
    texts, found, shards = prose(40, 6), [], []
    for name, size in (("whole", 1 << 20), ("divided", 1500)):
        monkeypatch.setattr(documents, "ROW_GROUP_BYTES", size)
        write_source(tmp_path / name / "books", texts)
        out = tmp_path / f"{name}_out"
        pack(tmp_path / name, tokenizer_folder, out, CONFIG, workers=1)
        rows = rows_of(out, "train")
        columns = [column.reshape(len(rows), -1) for column in vars(rows).values()]
        found.append(sorted(np.concatenate(columns, axis=1, dtype=np.int64).tolist()))
        shards.append(len(list(out.glob("train/32/*.arrow"))))
    assert found[0] == found[1]
    assert (
        shards[0]
        == 1
        < shards[1]
        < open_part(tmp_path / "divided/books/part-00000.parquet").metadata.num_row_groups
    )  # several shards of several row groups


def test_another_seed_makes_other_bytes(tmp_path, sources, packed, tokenizer_folder):
    pack(sources, tokenizer_folder, tmp_path, replace(CONFIG, seed=4), workers=1)
    one, other = content(packed), content(tmp_path)
    assert all(one[name] != other[name] for name in one if name.startswith("train/"))


def test_a_second_run_finds_it_done_and_touches_nothing(sources, packed, tokenizer_folder):
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    outcome = pack(sources, tokenizer_folder, packed, CONFIG, workers=1)
    assert outcome.was_finished
    assert outcome.manifest == read_manifest(packed)
    assert {path: path.stat().st_mtime_ns for path in packed.rglob("*")} == before


@pytest.mark.parametrize("damage", ["delete", "cut", "flip"])
def test_a_damaged_shard_is_made_again(copy, packed, sources, tokenizer_folder, damage):
    path = copy / "train/32/part-00001.arrow"
    whole = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(whole[:-9] if damage == "cut" else whole[:-9] + b"x" + whole[-8:])
        os.utime(path, ns=(1, 1))
    outcome = pack(sources, tokenizer_folder, copy, CONFIG, workers=1)
    assert not outcome.was_finished
    assert content(copy) == content(packed)
    assert list(verify(copy)) == []


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_length": 64}, "max_length 32, not 64"),
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
    with pytest.raises(DataError, match="was made from other input: tokenizer '"):
        pack(sources, bpe_folder, packed, CONFIG, workers=1)


def test_more_text_is_refused(tmp_path, packed, sources, tokenizer_folder, write_source):
    shutil.copytree(sources, tmp_path / "text")
    write_source(tmp_path / "text" / "epsilon", ["More text."])
    with pytest.raises(DataError, match="was made from other input: epsilon None, not"):
        pack(tmp_path / "text", tokenizer_folder, packed, CONFIG, workers=1)


def test_a_missing_tokenizer_says_what_to_run(tmp_path: Path, sources: Path):
    with pytest.raises(DataError, match=r"no tokenizer at .*: run `python cli.py tokenize` first"):
        pack(sources, tmp_path / "none", tmp_path / "out", CONFIG, workers=1)
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path, sources, tokenizer_folder):
    shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace("[CLS]", "[BOS]"), encoding="utf-8")
    with pytest.raises(DataError, match=r"tokenizer\.json has no token \[CLS\]"):
        pack(sources, tmp_path / "tokenizer", tmp_path / "out", CONFIG, workers=1)


def test_a_tokenizer_with_holes_in_its_ids_keeps_every_id_inside_the_vocabulary(
    tmp_path, sources, tokenizer_folder
):
    """`vocab_size` bounds the ids: their number is not enough when one was taken out."""
    shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "tokenizer.json"
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


# --- interruptions -------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path, sources: Path, tokenizer_folder: Path):
    """Return a function that starts `pack` in a process of its own."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.config import PackConfig\n"
        "from pipeline.pack import pack\n"
        "if __name__ == '__main__':\n"
        f"    config = PackConfig(**{asdict(CONFIG)!r})\n"
        "    print('ready', flush=True)\n"
        f"    pack(Path({str(sources)!r}), Path({str(tokenizer_folder)!r}),\n"
        f"         Path({str(tmp_path / 'out')!r}), config, workers=int(sys.argv[1]))\n"
    )
    (tmp_path / "run_pack.py").write_text(script)
    started: list[subprocess.Popen[str]] = []

    def begin(workers: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "run_pack.py"), str(workers)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_pack_killed_after_its_first_shard_goes_on_to_the_same_bytes(
    tmp_path, start, packed, sources, tokenizer_folder
):
    out = tmp_path / "out"
    process = start(1)
    wait_for(lambda: list(out.glob("train/32/*.arrow")))
    process.kill()
    process.wait()
    assert not (out / "manifest.json").exists()
    pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert content(out) == content(packed)
    assert list(verify(out)) == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_pack_killed_at_any_moment_goes_on_to_the_same_bytes(
    tmp_path, start, packed, sources, tokenizer_folder, workers
):
    out = tmp_path / "out"
    began = time.monotonic()
    start(workers).wait()
    whole = time.monotonic() - began
    for moment in np.linspace(0.2, 1.0, 8) * whole:
        shutil.rmtree(out)
        out.mkdir()
        began = time.monotonic()
        process = start(workers)
        time.sleep(max(0, moment - (time.monotonic() - began)))
        process.kill()
        process.wait()
        time.sleep(0.3)  # for the workers to notice
        pack(sources, tokenizer_folder, out, CONFIG, workers=1)
        assert content(out) == content(packed)
        assert list(verify(out)) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("to_group", [True, False])
def test_an_interrupt_ends_a_pack_of_two_workers_within_seconds(
    tmp_path, start, packed, sources, tokenizer_folder, to_group
):
    out = tmp_path / "out"
    process = start(2)
    wait_for(lambda: (out / ".unfinished" / "manifest.json").exists())
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=8)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert content(out) == content(packed)
    assert list(verify(out)) == []


def test_what_a_full_disk_left_is_taken_up_again(
    tmp_path, packed, sources, tokenizer_folder, monkeypatch
):
    """The third file fails to be written; as a disk that was full and then was not."""
    out = tmp_path / "out"
    (out / "train/32").mkdir(parents=True)
    (out / "train/32/part-00002.arrow.partial").mkdir()  # a file cannot be opened there
    with pytest.raises(OSError, match="part-00002"):
        pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert not (out / "manifest.json").exists()
    (out / "train/32/part-00002.arrow.partial").rmdir()
    pack(sources, tokenizer_folder, out, CONFIG, workers=1)
    assert content(out) == content(packed)


def test_a_run_killed_while_it_cleaned_up_leaves_nothing_behind(copy, sources, tokenizer_folder):
    """The manifest is written, what was needed to resume is not yet deleted."""
    manifest = read_manifest(copy)
    assert manifest is not None
    (copy / ".unfinished").mkdir()
    replace(manifest, files={}, counts={}, versions={}).write(copy / ".unfinished")
    assert pack(sources, tokenizer_folder, copy, CONFIG, workers=1).was_finished
    assert list(verify(copy)) == []


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
