"""`pack --dry-run`: close to what is then made, and nothing left behind."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from pipeline import documents, dry_run
from pipeline.config import PackConfig
from pipeline.dry_run import describe_forecast, forecast
from pipeline.pack import pack
from shards.errors import DataError
from tests.pipeline.pack.packing import CONFIG, LAYOUTS


@pytest.fixture(scope="module")
def many(tmp_path_factory, write_source, prose) -> Path:
    """Two sources of some hundred small row groups."""
    folder = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "ROW_GROUP_BYTES", 6000)
        write_source(folder / "alpha", prose(500, 1))
        write_source(folder / "beta", [text[:300] for text in prose(600, 2)])
        write_source(folder / "gamma", prose(20, 3))
    return folder


def differs(expected: float, found: float) -> float:
    return abs(expected - found) / found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_forecast_is_within_a_tenth_of_what_is_made(tmp_path, many, tokenizer_folder, layout):
    config = LAYOUTS[layout]
    found = forecast(many, tokenizer_folder, tmp_path, config, workers=1, memory=10**9)
    sampled = sum(source.sample_bytes for source in found.sources.values())
    assert sampled < sum(source.text_bytes for source in found.sources.values()) / 2
    manifest = pack(many, tokenizer_folder, tmp_path, config, workers=1).manifest
    balance = manifest.counts["balance"]
    for length in config.max_length:
        key = f"{length}/rows"
        assert differs(found.rows(length), balance["all"][key]) < 0.1
        for name, source in found.sources.items():
            if source.text_bytes > 100_000:
                assert differs(source.rows(length), balance[name][key]) < 0.1
        made = sum(path.stat().st_size for path in tmp_path.glob(f"*/{length}/*.arrow"))
        assert differs(found.shard_bytes[length], made) < 0.1


def test_a_small_corpus_is_packed_whole_and_so_its_rows_are_known(
    tmp_path, packed, sources, tokenizer_folder
):
    found = forecast(sources, tokenizer_folder, tmp_path, CONFIG, workers=1, memory=10**9)
    assert all(source.sample_bytes == source.text_bytes for source in found.sources.values())
    shards = [path for path in packed.glob("*/*/*.arrow")]
    size = sum(path.stat().st_size for path in shards)
    assert differs(found.shard_bytes[32], size) < 0.1


def test_every_source_has_a_sample_when_time_is_up(tmp_path, many, tokenizer_folder, monkeypatch):
    monkeypatch.setattr(dry_run, "SAMPLE_SECONDS", 0.0)
    found = forecast(many, tokenizer_folder, tmp_path, CONFIG, workers=1, memory=10**9)
    assert all(source.sample_bytes > 0 for source in found.sources.values())


def test_more_workers_take_less_time(tmp_path, many, tokenizer_folder, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    found = forecast(many, tokenizer_folder, tmp_path, CONFIG, workers=64, memory=10**9)
    assert found.workers == 4
    assert found.seconds > 0


def test_the_command_prints_a_forecast_and_leaves_nothing(tmp_path, sources, tokenizer_folder):
    out = tmp_path / "some" / "shards"
    options = ["--max-length", "16,32", "--workers", "2", "--weights", "beta=2", "--dry-run"]
    paths = ["--text", sources, "--tokenizer", tokenizer_folder, "--out", out]
    result = CliRunner().invoke(main, ["pack", *map(str, paths), *options])
    assert result.exit_code == 0, result.output
    assert re.search(r"rows of 16 tokens( +[0-9,]+){5}\n", result.output)
    assert re.search(r"shards: \d+\.\d kB of 16 tokens, .* kB of 32 tokens; ", result.output)
    assert re.search(r"time: about \d+ s with [12] worker", result.output)
    assert result.output.splitlines()[-1] == "next: the same command without --dry-run"
    assert list(tmp_path.iterdir()) == []


def test_a_forecast_of_text_without_rows_is_nothing(tmp_path, write_source, tokenizer_folder):
    write_source(tmp_path / "text" / "books", [])
    found = forecast(tmp_path / "text", tokenizer_folder, tmp_path / "out", CONFIG, 1, 10**9)
    assert (found.rows(32), found.seconds) == (0, 0)
    assert "0 s" in describe_forecast(found)


def test_a_forecast_that_does_not_fit_the_disk_is_an_error(
    tmp_path, sources, tokenizer_folder, monkeypatch
):
    monkeypatch.setattr("pipeline.disk.free_bytes", lambda out: 1000)
    with pytest.raises(DataError, match=r"needs about .* more, and 1\.0 kB are free"):
        forecast(sources, tokenizer_folder, tmp_path, CONFIG, workers=1, memory=10**9)


def test_what_pack_refuses_a_forecast_refuses(tmp_path, sources, tokenizer_folder):
    config = replace(CONFIG, weights=(("omega", 2.0),))
    with pytest.raises(DataError, match="has no source omega"):
        forecast(sources, tokenizer_folder, tmp_path, config, workers=1, memory=10**9)


@pytest.mark.slow
def test_the_forecast_of_real_text_is_within_a_tenth(tmp_path, real_text, tokenizer_folder):
    config = PackConfig(max_length=(128, 512), validation_fraction=0.05)
    found = forecast(real_text, tokenizer_folder, tmp_path, config, workers=1, memory=10**9)
    manifest = pack(real_text, tokenizer_folder, tmp_path, config, workers=1).manifest
    for length in config.max_length:
        rows = manifest.counts["balance"]["all"][f"{length}/rows"]
        assert differs(found.rows(length), rows) < 0.1


@pytest.fixture(scope="module")
def real_text(tmp_path_factory, real_data: Path, write_source) -> Path:
    """Text of a real archive, as `fetch` makes documents of it."""
    from collections import Counter

    from pipeline.config import FetchConfig
    from pipeline.readers import gutenberg as books

    archive = next(real_data.rglob("Gutenberg.zip"), None)
    if archive is None:
        pytest.skip(f"{real_data} holds no Gutenberg.zip")
    config, texts = FetchConfig(), []
    for part in books.divide(books.find(archive), config, 1):
        texts += [book.text for book in books.read(part, config, Counter())]
    folder = tmp_path_factory.mktemp("real")
    write_source(folder / "gutenberg", texts)
    return folder
