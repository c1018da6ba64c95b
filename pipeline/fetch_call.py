"""One call of `fetch`: what is asked for, and where it goes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.config import FetchConfig
from pipeline.downloads.mirror import open_mirror
from pipeline.executors import Crew
from pipeline.sources import SOURCES

NOT_FROM_FILES = ("docstrings", "vocab")
OWN_OPTIONS = {"wikipedia": ("language", "date"), "text": ("text_field",)}
"""Options that change one source only."""


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """One call of `fetch`.

    Attributes:
        sources: Names in SOURCES.
        data: The folder that holds raw/, text/, glue/ and vocab/.
        config: What is fetched, and how it is read.
        crew: Who reads; it changes no byte of the result.
        source_path: Files that a person has already, instead of a download.
        base_url: A mirror of one's own: a folder or server with the tree HOST/PATH.
        offline: Use what is there; never the network.
        drop_raw: Remove each downloaded file once its parts are on disk.
        warn: Shows a person one line.
    """

    sources: tuple[str, ...]
    data: Path
    config: FetchConfig
    crew: Crew
    source_path: Path | None = None
    base_url: str | None = None
    offline: bool = False
    drop_raw: bool = False
    warn: Callable[[str], None]

    def __post_init__(self) -> None:
        if unknown := [name for name in self.sources if name not in SOURCES]:
            raise ValueError(f"no source {unknown[0]!r}: choose from {', '.join(SOURCES)}")
        if self.base_url is not None:
            open_mirror(self.base_url)
        if self.source_path is None:
            if "text" in self.sources:
                raise ValueError("the source text is your own files: name them with --from PATH")
            return
        if len(self.sources) > 1:
            raise ValueError(f"--from goes with one SOURCE, not {len(self.sources)}")
        if self.sources[0] in NOT_FROM_FILES:
            raise ValueError(f"{self.sources[0]} is not read from a file: leave --from out")
        if self.base_url is not None or self.drop_raw:
            raise ValueError("--from reads your own files: leave --base-url and --drop-raw out")

    def everywhere(self) -> "Fetch":
        """Return the same call, its paths as they are for the crew."""
        path = self.source_path
        source_path = None if path is None else self.crew.path(path)
        return replace(self, data=self.crew.path(self.data), source_path=source_path)

    def out(self, name: str) -> Path:
        """Return the folder that a source is written to."""
        return self.data / name if name in ("glue", "vocab") else self.data / "text" / name

    def options(self, name: str) -> dict[str, Any]:
        """Return the options that decide what the documents of a source are."""
        chosen = ("limit", "max_member_size", *OWN_OPTIONS.get(name, ()))
        return {"source": name, **{option: getattr(self.config, option) for option in chosen}}
