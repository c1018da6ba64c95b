"""The real files, served by a local server, from the first address to the last document."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from shards.errors import DataError
from tests.pipeline.fetching import fetch_all


@pytest.fixture
def real_server(real_data):
    """A server of the real mirror, if HEARTH_DATA has one; its address."""
    if not (real_data / "mirror").is_dir():
        pytest.skip(f"{real_data} holds no mirror")
    handler = partial(QuietHandler, directory=str(real_data / "mirror"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log; it knows no byte ranges."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.mark.slow
def test_the_real_files_give_the_documents_that_are_in_them(real_server, tmp_path):
    """252 articles of 253 pages: 113 marked redirects, one article that is a list and no text."""
    sources = ["wikipedia", "gutenberg", "openwebtext", "glue"]
    outcomes, _ = fetch_all(sources, real_server, tmp_path, workers=2)
    counts = {name: outcome.manifest.counts for name, outcome in outcomes.items()}
    assert counts["wikipedia"]["documents"] == 138
    assert counts["wikipedia"]["dropped"]["redirects"] == 113
    assert counts["wikipedia"]["dropped"]["empty articles"] == 1
    assert counts["wikipedia"]["dropped"]["other namespaces"] == 1
    assert counts["gutenberg"]["documents"] == 260
    assert counts["openwebtext"]["documents"] == 700
    rows = {
        task: {split: one["rows"] for split, one in splits.items() if split in ("train", "dev")}
        for task, splits in counts["glue"]["tasks"].items()
    }
    assert rows["cola"] == {"train": 8_551, "dev": 1_043}
    assert rows["sst2"] == {"train": 67_349, "dev": 872}
    assert rows["mrpc"] == {"train": 3_668, "dev": 408}
    assert rows["stsb"] == {"train": 5_749, "dev": 1_500}
    assert rows["rte"] == {"train": 2_490, "dev": 277}
    assert rows["wnli"] == {"train": 635, "dev": 71}
    assert rows["qqp"] == {"train": 19_999, "dev": 2_000}
    assert counts["glue"]["absent"] == {}


def test_with_a_limit_the_first_real_tar_is_enough(real_server, tmp_path):
    outcomes, _ = fetch_all(["openwebtext"], real_server, tmp_path, limit=2_000_000)
    manifest = outcomes["openwebtext"].manifest
    assert list(manifest.inputs) == ["urlsf_subset00.tar"]
    assert 400 < manifest.counts["documents"] < 500
    assert 2_000_000 <= manifest.counts["text_bytes"] < 2_100_000


def test_vocabularies_that_come_stay_where_others_do_not(tmp_path, real_data):
    mirror = real_data / "mirror"
    if not mirror.is_dir():
        pytest.skip(f"{real_data} holds no mirror")
    with pytest.raises(DataError, match=r"merges\.txt"):
        fetch_all(["vocab"], mirror, tmp_path)
    for name in ("bert-base-uncased", "electra"):
        assert len((tmp_path / "vocab" / name / "vocab.txt").read_text().splitlines()) == 30_522
