"""The sources of text that `fetch` has left under a folder, each with its manifest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.documents import RowGroup, row_groups
from shards.errors import DataError
from shards.manifest import Manifest, read_manifest

FETCH = "`python cli.py fetch`"


@dataclass(frozen=True)
class TextSource:
    """One source: its name, its folder, and what `fetch` recorded of it."""

    name: str
    folder: Path
    manifest: Manifest

    @property
    def documents(self) -> int:
        """Return how many documents the source holds."""
        return int(self.manifest.counts["documents"])

    @property
    def text_bytes(self) -> int:
        """Return how many bytes of UTF-8 text the source holds."""
        return int(self.manifest.counts["text_bytes"])

    def row_groups(self) -> Iterator[RowGroup]:
        """Yield the row groups of all parts in order; copies of earlier documents are left out."""
        copies = self.manifest.counts.get("copies", {})
        for name in sorted(self.manifest.files):
            yield from row_groups(self.folder / name, copies.get(name, ()))


def text_sources(folder: Path) -> list[TextSource]:
    """Return the finished sources under `folder`, by name.

    Raises:
        DataError: There is none, or one is damaged.
    """
    if folder.is_file():
        raise DataError(f"{folder} is a file", f"give the folder of folders that {FETCH} wrote")
    if (manifest := read_manifest(folder)) is not None:
        remedy = f"give the folder above those that {FETCH} wrote, such as data/text"
        raise DataError(f"{folder} was itself made by `{manifest.stage}`", remedy)
    sources = []
    for child in sorted(path for path in folder.glob("*") if path.is_dir()):
        manifest = read_manifest(child)
        if manifest is None:
            remedy = f"run {FETCH} for it again, or give a folder that holds nothing else"
            raise DataError(f"{child} is not a finished source of text", remedy)
        if manifest.stage != "fetch":
            remedy = f"give the folder whose folders {FETCH} wrote (--text)"
            raise DataError(f"{child} was made by `{manifest.stage}`, not `fetch`", remedy)
        if damaged := manifest.damaged(child):
            remedy = f"delete {child} and run `python cli.py fetch {child.name}` again"
            raise DataError(f"{child / damaged[0]} is not what was fetched", remedy)
        sources.append(TextSource(child.name, child, manifest))
    if not sources:
        remedy = (
            "run `python cli.py fetch SOURCE` first, or `fetch text --from` with files of yours"
        )
        raise DataError(f"no text at {folder}", remedy)
    return sources
