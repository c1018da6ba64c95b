"""Which files make up a Wikipedia dump, as the dump server itself tells.

A dated dump has a `dumpstatus.json` with names, sizes and sums
(https://dumps.wikimedia.org/enwiki/20240801/dumpstatus.json). Where that is gone there are sum
files; those under `latest/` list dated names for files that are served under `latest` names.
`latest` is resolved once and written down, so that a resumed download stays with one dump.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.downloads.answers import NoNetwork
from pipeline.downloads.downloader import STAGING
from pipeline.downloads.raw_files import sidecar
from pipeline.sources import RemoteFile, Route
from shards.errors import DataError
from shards.files import write_text

HOSTS = ("https://dumps.wikimedia.org", "https://mirror.accum.se/mirror/wikimedia.org/dumps")
"""The server itself, and a mirror that
https://meta.wikimedia.org/wiki/Mirroring_Wikimedia_project_XML_dumps lists."""
JOBS = (
    "articlesmultistreamdump",
    "articlesmultistreamdumprecombine",
    "articlesdump",
    "articlesdumprecombine",
)
"""Kinds of dump in order of preference: multistream is read on all cores without an index pass,
and parts can be fetched, read and dropped one by one."""

_NAME = re.compile(
    r"(?P<wiki>\w+)-(?P<date>\d{8})-pages-articles(?P<multistream>-multistream)?"
    r"(?P<part>\d*)\.xml(?:-p(?P<first>\d+)p\d+)?\.bz2"
)

Load = Callable[[RemoteFile], bytes]
"""Download a small file and return its content; a DataError if nobody serves it."""


def dump_files(language: str, date: str, folder: Path, load: Load) -> Route:
    """Return the files of a dump.

    Args:
        language: As in the host name: en, simple, zh-min-nan.
        date: "latest" or YYYYMMDD.
        folder: Where the answer is kept, and the files go: once one of them is begun, the answer
            stays the same.
        load: Reads the server's own lists.

    Raises:
        DataError: The server has no such dump, or it is not finished.
    """
    wiki = f"{language.replace('-', '_')}wiki"
    kept = folder / f"{wiki}-{date}.json"
    if kept.is_file():
        files = _read_kept(kept)
        if date != "latest" or _is_begun(files, folder):
            return files
    files = _resolve(wiki, date, load)
    write_text(kept, json.dumps([asdict(file) for file in files], indent=1) + "\n")
    return files


def _is_begun(files: Route, folder: Path) -> bool:
    has_records = any(sidecar(folder / file.name).is_file() for file in files)
    return has_records or (folder / STAGING).is_dir()


def _read_kept(path: Path) -> Route:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            RemoteFile(**{**entry, "addresses": tuple(entry["addresses"])}) for entry in entries
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no list of a dump's files ({error})", "delete it") from error


def _resolve(wiki: str, date: str, load: Load) -> Route:
    if date != "latest":
        try:
            return _from_status(wiki, date, load)
        except DataError as no_status:
            return _from_sums(wiki, date, load, no_status)[1]
    found, files = _from_sums(wiki, date, load, None)
    try:
        return _from_status(wiki, found, load)
    except DataError:
        return files


def _from_status(wiki: str, date: str, load: Load) -> Route:
    """Return the files of the first job in JOBS that is done."""
    address = f"{wiki}/{date}/dumpstatus.json"
    raw = load(RemoteFile("dumpstatus.json", _addresses(address)))
    try:
        jobs: Mapping[str, Any] = json.loads(raw)["jobs"]
        states = {name: jobs[name]["status"] for name in JOBS if name in jobs}
        for name in JOBS:
            files = jobs[name]["files"] if states.get(name) == "done" else {}
            route = [
                RemoteFile(
                    file, _addresses(of["url"].lstrip("/")), of["size"], f"sha1:{of['sha1']}"
                )
                for file, of in files.items()
                if _NAME.fullmatch(file)
            ]
            if route:
                return tuple(sorted(route, key=_order))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{HOSTS[0]}/{address} is no list of a dump's files ({error!r})"
        raise DataError(problem, "choose another --date") from error
    problem = f"the dump of {wiki} of {date} has no articles yet ({states})"
    raise DataError(problem, "choose an earlier --date YYYYMMDD")


def _from_sums(wiki: str, date: str, load: Load, earlier: DataError | None) -> tuple[str, Route]:
    """Return the dump's date and its files as `WIKI-DATE-sha1sums.txt` lists them, no sizes."""
    listing = f"{wiki}/{date}/{wiki}-{date}-sha1sums.txt"
    try:
        text = load(RemoteFile("sha1sums.txt", _addresses(listing))).decode(errors="replace")
    except NoNetwork:
        raise
    except DataError as error:
        problem = f"no list of the dump of {wiki} of {date}"
        reasons = "; ".join(dict.fromkeys(one.problem for one in (earlier, error) if one))
        raise DataError(f"{problem} ({reasons})", "choose another --language or --date") from error
    if not text.endswith("\n"):
        raise DataError(f"{HOSTS[0]}/{listing} is cut short", "try again")
    jobs: dict[str, list[RemoteFile]] = {}
    found = date
    for line in text.splitlines():
        sha1, _, name = line.partition("  ")
        if match := _NAME.fullmatch(name.strip()):
            found = match["date"]
            served = name.strip().replace(match["date"], date)
            file = RemoteFile(
                name.strip(), _addresses(f"{wiki}/{date}/{served}"), None, f"sha1:{sha1}"
            )
            jobs.setdefault(_job(match), []).append(file)
    for name in JOBS:
        if name in jobs:
            return found, tuple(sorted(jobs[name], key=_order))
    problem = f"{HOSTS[0]}/{listing} lists no pages-articles dump"
    raise DataError(problem, "choose another --language or --date")


def _job(match: re.Match[str]) -> str:
    multistream = "multistream" if match["multistream"] else ""
    return f"articles{multistream}dump{'' if match['part'] else 'recombine'}"


def _addresses(path: str) -> tuple[str, ...]:
    return tuple(f"{host}/{path}" for host in HOSTS)


def _order(file: RemoteFile) -> tuple[int, int]:
    match = _NAME.fullmatch(file.name)
    assert match is not None  # only names that match get here
    return int(match["part"] or 0), int(match["first"] or 0)
