import json

import pytest

from pipeline.downloads.wikipedia_dumps import HOSTS, dump_files
from pipeline.sources import RemoteFile
from shards.errors import DataError


class Server:
    """Serves small files by the path after the host, and remembers what was asked for."""

    def __init__(self, files):
        self.files = files
        self.asked = []

    def __call__(self, file):
        path = file.addresses[0].removeprefix(f"{HOSTS[0]}/")
        assert file.addresses == tuple(f"{host}/{path}" for host in HOSTS)
        self.asked.append(path)
        if path not in self.files:
            raise DataError(f"404 for {path}", "try another")
        return self.files[path]


def status(**jobs):
    return json.dumps(
        {
            "version": "0.8",
            "jobs": {
                job: {
                    "status": state,
                    "files": {
                        name: {"size": 7, "url": f"/xwiki/20240801/{name}", "sha1": "a" * 40}
                        for name in names
                    },
                }
                for job, (state, names) in jobs.items()
            },
        }
    ).encode()


def names(route):
    return [file.name for file in route]


ONE = "xwiki-20240801-pages-articles.xml.bz2"
STREAMS = "xwiki-20240801-pages-articles-multistream.xml.bz2"
STREAM_PARTS = [
    f"xwiki-20240801-pages-articles-multistream{part}.xml-p{first}p{first + 9}.bz2"
    for part, first in ((1, 1), (2, 50), (10, 900), (10, 100))
]
INDEX = "xwiki-20240801-pages-articles-multistream-index.txt.bz2"


def test_parts_of_the_multistream_dump_come_first_in_the_order_of_their_pages(tmp_path):
    files = {
        "xwiki/20240801/dumpstatus.json": status(
            articlesdumprecombine=("done", [ONE]),
            articlesmultistreamdumprecombine=("done", [STREAMS, INDEX]),
            articlesmultistreamdump=("done", [*STREAM_PARTS[::-1], INDEX]),
        )
    }
    route = dump_files("x", "20240801", tmp_path, Server(files))
    assert names(route) == [STREAM_PARTS[0], STREAM_PARTS[1], STREAM_PARTS[3], STREAM_PARTS[2]]
    assert route[0] == RemoteFile(
        STREAM_PARTS[0],
        tuple(f"{host}/xwiki/20240801/{STREAM_PARTS[0]}" for host in HOSTS),
        7,
        "sha1:" + "a" * 40,
    )


def test_a_job_that_is_not_done_is_passed_over(tmp_path):
    files = {
        "xwiki/20240801/dumpstatus.json": status(
            articlesdump=("done", [ONE]), articlesmultistreamdump=("in-progress", [STREAMS])
        )
    }
    assert names(dump_files("x", "20240801", tmp_path, Server(files))) == [ONE]


def test_a_dump_that_has_just_begun_is_an_error_that_names_its_state(tmp_path):
    files = {"xwiki/20240801/dumpstatus.json": status(articlesdump=("waiting", []))}
    with pytest.raises(DataError, match="waiting"):
        dump_files("x", "20240801", tmp_path, Server(files))


SUMS = f"{'b' * 40}  {INDEX}\n{'c' * 40}  {STREAMS}\n{'d' * 40}  {ONE}\n"


def test_without_status_the_sums_of_latest_are_mapped_to_the_names_that_are_served(tmp_path):
    server = Server({"xwiki/latest/xwiki-latest-sha1sums.txt": SUMS.encode()})
    [file] = dump_files("x", "latest", tmp_path, server)
    assert file == RemoteFile(
        STREAMS,
        tuple(
            f"{host}/xwiki/latest/xwiki-latest-pages-articles-multistream.xml.bz2" for host in HOSTS
        ),
        None,
        "sha1:" + "c" * 40,
    )


def test_latest_is_resolved_to_its_date_and_that_dump_s_status(tmp_path):
    server = Server(
        {
            "xwiki/latest/xwiki-latest-sha1sums.txt": SUMS.encode(),
            "xwiki/20240801/dumpstatus.json": status(articlesdump=("done", [ONE])),
        }
    )
    assert names(dump_files("x", "latest", tmp_path, server)) == [ONE]


def test_a_dated_dump_without_status_is_read_from_its_sums(tmp_path):
    server = Server({"xwiki/20240801/xwiki-20240801-sha1sums.txt": SUMS.encode()})
    [file] = dump_files("x", "20240801", tmp_path, server)
    assert file.addresses[0] == f"{HOSTS[0]}/xwiki/20240801/{STREAMS}"


def test_what_latest_means_is_asked_once(tmp_path):
    """So that a download that takes nights stays with one dump."""
    server = Server({"xwiki/latest/xwiki-latest-sha1sums.txt": SUMS.encode()})
    first = dump_files("x", "latest", tmp_path, server)
    (tmp_path / f"{first[0].name}.json").write_text("{}")  # what a download leaves beside its file
    newer = SUMS.replace("20240801", "20240901").encode()
    again = Server({"xwiki/latest/xwiki-latest-sha1sums.txt": newer})
    assert dump_files("x", "latest", tmp_path, again) == first
    assert again.asked == []


def test_what_latest_means_is_asked_again_while_nothing_is_loaded(tmp_path):
    dump_files(
        "x", "latest", tmp_path, Server({"xwiki/latest/xwiki-latest-sha1sums.txt": SUMS.encode()})
    )
    newer = SUMS.replace("20240801", "20240901").encode()
    server = Server({"xwiki/latest/xwiki-latest-sha1sums.txt": newer})
    [file] = dump_files("x", "latest", tmp_path, server)
    assert "20240901" in file.name


def test_a_list_of_sums_that_is_cut_short_is_an_error(tmp_path):
    """Whole lines of it would be a dump without its last parts."""
    server = Server({"xwiki/latest/xwiki-latest-sha1sums.txt": SUMS.encode()[:-1]})
    with pytest.raises(DataError, match="cut short"):
        dump_files("x", "latest", tmp_path, server)


def test_a_language_nobody_has_is_an_error_with_both_reasons(tmp_path):
    with pytest.raises(DataError) as caught:
        dump_files("xx", "20240801", tmp_path, Server({}))
    assert "404 for xxwiki/20240801/dumpstatus.json" in caught.value.problem
    assert "404 for xxwiki/20240801/xxwiki-20240801-sha1sums.txt" in caught.value.problem
    assert list(tmp_path.iterdir()) == []


def test_a_hyphen_in_a_language_is_an_underscore_in_its_dump(tmp_path):
    server = Server({})
    with pytest.raises(DataError):
        dump_files("zh-min-nan", "20240801", tmp_path, server)
    assert server.asked[0] == "zh_min_nanwiki/20240801/dumpstatus.json"


@pytest.mark.parametrize(
    "raw", [b"<html>", b"[]", b'{"jobs": {"articlesdump": {"status": "done"}}}']
)
def test_a_status_that_is_none_is_an_error(tmp_path, raw):
    with pytest.raises(DataError, match="no list of"):
        dump_files("x", "20240801", tmp_path, Server({"xwiki/20240801/dumpstatus.json": raw}))


def test_the_real_status_of_a_dump(tmp_path, real_data):
    """Counts and sizes as that page shows them."""
    folder = real_data / "mirror" / "dumps.wikimedia.org"
    if not folder.is_dir():
        pytest.skip(f"{real_data} holds no dumpstatus.json")
    path = "enwiki/20240801/dumpstatus.json"
    server = Server({path: (folder / path).read_bytes()})
    route = dump_files("en", "20240801", tmp_path, server)
    assert len(route) == 67
    assert route[0].name == "enwiki-20240801-pages-articles-multistream1.xml-p1p41242.bz2"
    assert route[0].bytes == 282_798_280
    assert route[0].checksum == "sha1:36995a67bb0d932ddeddbab49a406047231453ea"
    index = 262_224_639
    assert 23_800_000_000 < sum(file.bytes or 0 for file in route) < 24_113_637_818 - index // 2
