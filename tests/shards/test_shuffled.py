import gc
import inspect
import multiprocessing
import pickle
import sys
import threading
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import DataError
from shards.format import concatenate
from shards.order import WINDOW_BYTES, WINDOW_ROWS, share
from shards.reader import ShardFolder
from shards.shuffled import ShuffledRows
from tests.shards.shuffling import TOTAL, assert_equal, read_on

on_linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")


@pytest.fixture(scope="module")
def folder(make_folder) -> Path:
    return make_folder()


def test_rows_are_those_of_the_order(folder: Path):
    shards = ShardFolder(folder, "train")
    shuffled = ShuffledRows(shards, seed=3)
    for cursor in range(0, 2 * TOTAL, 4096):
        rows, epochs = shuffled.read(cursor, 4096)
        index, expected = shuffled.order.take(cursor, 4096)
        assert_equal(rows, shards.gather(index))
        assert np.array_equal(epochs, expected)


@pytest.mark.parametrize("changes", [{"mask_sets": 0}, {"vocab_size": 100_000, "max_length": 7}])
def test_rows_of_any_width_are_read(make_folder, changes):
    shards = ShardFolder(make_folder((600, 5, 900), **changes), "train")
    shuffled = ShuffledRows(shards, seed=0)
    index, _ = shuffled.order.take(100, 1405)
    assert_equal(shuffled.read(100, 1405)[0], shards.gather(index))


def test_wide_rows_are_read_in_smaller_windows(make_folder):
    shards = ShardFolder(make_folder((600, 5, 700), max_length=8000, mask_sets=0), "train")
    shuffled = ShuffledRows(shards, seed=0)
    index, _ = shuffled.order.take(100, 1305)
    assert np.array_equal(shuffled.read(100, 1305)[0].document, index)
    assert len(shuffled._now) == 1024
    assert shuffled._now.nbytes < WINDOW_BYTES


def test_no_rows_are_read_where_none_are_asked_for(folder: Path):
    rows, epochs = ShuffledRows(ShardFolder(folder, "train"), seed=0).read(*share(5, 3, 0, 4))
    assert (len(rows), rows.input_ids.shape, len(epochs)) == (0, (0, 12), 0)


def test_every_row_comes_once_an_epoch(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=1)
    for epoch in range(2):
        rows, epochs = shuffled.read(epoch * TOTAL, TOTAL)
        assert np.array_equal(np.sort(rows.document), np.arange(TOTAL))
        assert (epochs == epoch).all()


@settings(max_examples=20)
@given(st.integers(0, 3 * TOTAL), st.lists(st.integers(1, 40_000), min_size=1, max_size=4))
def test_a_resumed_reader_goes_on_as_if_unbroken(folder: Path, cursor: int, counts: list[int]):
    shards = ShardFolder(folder, "train")
    whole = ShuffledRows(shards, seed=2).read(cursor, sum(counts))
    resumed = ShuffledRows(shards, seed=2)
    found = []
    for count in counts:
        found.append(resumed.read(cursor, count))
        cursor += count
    assert_equal(concatenate(rows for rows, _ in found), whole[0])
    assert np.array_equal(np.concatenate([epochs for _, epochs in found]), whole[1])


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_batches_do_not_depend_on_the_number_of_processes(folder: Path, processes: int):
    shards = ShardFolder(folder, "train")
    readers = [ShuffledRows(shards, seed=4) for _ in range(processes)]
    first = WINDOW_ROWS // 1000
    for step in range(first - 1, first + 2):  # one of them spans windows
        shares = [
            reader.read(*share(step, 1000, process, processes))[0]
            for process, reader in enumerate(readers)
        ]
        index, _ = readers[0].order.take(step * 1000, 1000)
        assert_equal(concatenate(shares), shards.gather(index))


def test_a_mask_set_is_chosen_by_the_epoch(folder: Path):
    shards = ShardFolder(folder, "train")
    rows, epochs = ShuffledRows(shards, seed=0).read(TOTAL - 5, 10)
    masks = rows.mask_set(epochs % shards.header.mask_sets, shards.header)
    assert np.array_equal(masks[:5], rows.masks[:5, :2])
    assert np.array_equal(masks[5:], rows.masks[5:, 2:])


def test_what_is_read_belongs_to_the_reader(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    rows, _ = shuffled.read(0, 10)
    expected = rows.input_ids.copy()
    rows.input_ids[:] = 0
    assert np.array_equal(shuffled.read(0, 10)[0].input_ids, expected)


def test_a_split_without_rows_says_so(folder: Path):
    with pytest.raises(DataError, match="has no rows of the test split: run `python"):
        ShuffledRows(ShardFolder(folder, "test"), seed=0)


def test_another_process_gets_a_reader_without_rows_in_it(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=9)
    expected, _ = shuffled.read(50, 100)
    content = pickle.dumps(shuffled)
    assert len(content) < 1000
    assert_equal(pickle.loads(content).read(50, 100)[0], expected)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_reads_on(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=9)
    shuffled.read(0, 10)
    places = [WINDOW_ROWS + 5, 50]  # another window, and that of the parent again
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(
        target=lambda: there.send([shuffled.read(place, 100)[0] for place in places])
    )
    child.start()
    try:
        assert here.poll(20), "the child hangs"
        for place, found in zip(places, here.recv(), strict=True):
            assert_equal(found, shuffled.read(place, 100)[0])
    finally:
        child.kill()
        child.join()


LOAD, LOAD_BEGINS = inspect.getsourcelines(ShuffledRows._load)


@pytest.mark.parametrize("line", range(2, len(LOAD)))
def test_an_interrupt_anywhere_leaves_the_right_rows(folder: Path, line: int):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=3)
    places = (0, WINDOW_ROWS)
    expected = [rows.document for rows, _ in (shuffled.read(place, 5) for place in places)]
    shuffled.read(0, 5)

    def interrupt(frame: FrameType, event: str, _: object):
        if frame.f_code is ShuffledRows._load.__code__:
            if event == "line" and frame.f_lineno == LOAD_BEGINS + line:
                raise KeyboardInterrupt
            return interrupt
        return None

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        shuffled.read(WINDOW_ROWS, 5)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    for place, documents in zip(places, expected, strict=True):
        assert np.array_equal(shuffled.read(place, 5)[0].document, documents)


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@on_linux
def test_files_and_threads_are_given_back(folder: Path):
    ShuffledRows(ShardFolder(folder, "train"), seed=0).read(0, 1)  # what is opened once for all
    gc.collect()
    files, threads = count_open_files(), threading.active_count()
    maps = Path("/proc/self/maps").read_text().count(str(folder))
    readers = [ShuffledRows(ShardFolder(folder, "train"), seed=0) for _ in range(5)]
    for reader in readers:
        read_on(reader)
    started = [reader._thread._threads for reader in readers]
    del reader, readers
    gc.collect()
    for thread in (thread for one in started for thread in one):
        thread.join(10)
    assert count_open_files() <= files
    assert threading.active_count() <= threads
    assert Path("/proc/self/maps").read_text().count(str(folder)) <= maps


def anonymous_bytes() -> int:
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


@on_linux
def test_memory_does_not_grow_over_an_epoch(folder: Path):
    shuffled = ShuffledRows(ShardFolder(folder, "train"), seed=0)
    read_on(shuffled)
    before = anonymous_bytes()
    read_on(shuffled)
    assert anonymous_bytes() - before < 2e6
