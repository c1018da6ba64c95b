from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.texts import text_sources
from pipeline.vocabulary.sample import draw_sample, share_evenly


def texts(count: int, kind: str) -> list[str]:
    """Documents of 100 to 199 bytes that all differ."""
    return [f"{kind} {number}".ljust(100 + number * 7 % 100, ".") for number in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_source) -> Path:
    """A large source, a small one, and one without documents."""
    folder = tmp_path_factory.mktemp("sources")
    write_source(folder / "large", texts(2000, "large"))
    write_source(folder / "small", texts(30, "small"))
    write_source(folder / "void", [])
    return folder


@given(st.lists(st.integers(0, 10**12), max_size=8), st.integers(0, 10**13))
def test_shares_are_equal_but_for_what_a_source_lacks(sizes: list[int], total: int):
    shares = share_evenly(sizes, total)
    assert sum(shares) == min(total, sum(sizes))
    whole = [share for share, size in zip(shares, sizes, strict=True) if share == size]
    cut = [share for share, size in zip(shares, sizes, strict=True) if share < size]
    assert not cut or max(cut) - min(cut) <= len(sizes)
    assert not (cut and whole) or max(whole) <= max(cut) + len(sizes)


def test_a_small_source_is_drawn_whole_and_its_lack_given_to_others(folder: Path):
    large, small, void = draw_sample(text_sources(folder), 100_000)
    assert (small.documents, void.documents) == (30, 0)
    assert 100_000 <= large.text_bytes + small.text_bytes < 100_000 + 200


def test_what_is_recorded_is_what_is_drawn(folder: Path):
    for part in draw_sample(text_sources(folder), 20_000):
        drawn = list(part.texts())
        assert len(drawn) == part.documents
        assert sum(map(len, drawn)) == part.text_bytes


def test_all_is_all(folder: Path):
    (large, small, _) = draw_sample(text_sources(folder), None)
    assert list(large.texts()) == texts(2000, "large")
    assert list(small.texts()) == texts(30, "small")


def test_the_documents_drawn_do_not_depend_on_their_order(tmp_path: Path, folder, write_source):
    write_source(tmp_path / "large", texts(2000, "large")[::-1])
    (turned,) = draw_sample(text_sources(tmp_path), 10_000)
    straight = draw_sample(text_sources(folder)[:1], 10_000)[0]
    assert sorted(turned.texts()) == sorted(straight.texts())


def test_a_larger_sample_holds_the_smaller(folder: Path):
    drawn = [set(draw_sample(text_sources(folder)[:1], size)[0].texts()) for size in (500, 50_000)]
    assert 0 < len(drawn[0]) < len(drawn[1])
    assert drawn[0] < drawn[1]


def test_documents_are_drawn_from_all_of_a_source(folder: Path):
    (part,) = draw_sample(text_sources(folder)[:1], 60_000)
    numbers = [int(text.split(".")[0].split()[1]) for text in part.texts()]
    quarters = [sum(500 * q <= number < 500 * q + 500 for number in numbers) for q in range(4)]
    assert min(quarters) > len(numbers) / 8
