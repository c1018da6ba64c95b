"""The balance sheet of `pack`: what became of each token, for each source and for all."""

from collections.abc import Mapping
from typing import Any

from pipeline.tables import align, in_units
from shards.errors import DataError
from shards.manifest import MANIFEST_NAME, Manifest

Counts = Mapping[str, int]

MORE_HELD_OUT = "pack with a larger --validation-fraction (documents are held out whole)"


def describe_shards(manifest: Manifest) -> str:
    """Return the balance sheet: a column for each source and, of several, one for all.

    Raises:
        DataError: It is not what `pack` wrote.
    """
    try:
        return _describe(manifest)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        problem = f"the balance sheet in {MANIFEST_NAME} is not what `pack` wrote ({error!r})"
        raise DataError(problem, "`python cli.py verify` tells what else is wrong") from error


def _describe(manifest: Manifest) -> str:
    if "balance" not in manifest.counts:  # another program made the shards
        return f"{MANIFEST_NAME} has no balance sheet"
    balance: dict[str, Counts] = dict(manifest.counts["balance"])
    if len(balance) == 2:
        del balance["all"]
    lines = [("", *balance)]
    layout = manifest.counts["header"]["layout"]
    lines += _transpose([_documents(counts, layout) for counts in balance.values()])
    ngrams, sizes = [], []
    for length in manifest.counts["max_lengths"]:
        header = manifest.counts["header"] | {"max_length": length}
        parts = [_of_length(counts, length) for counts in balance.values()]
        lines.append((f"rows of {length} tokens", *("" for _ in parts)))
        lines += _transpose([_rows(counts, header) for counts in parts])
        ngrams += _ngrams(dict(zip(balance, parts, strict=True)), length)
        sizes.append(_sizes(manifest, length, parts[-1]))
    words = [f"words: {path}" for path in manifest.counts.get("encoder", ())]
    *_, every = balance.values()
    none = [] if every["validation_documents"] else [f"nothing is held out: {MORE_HELD_OUT}"]
    return "\n".join([*align(lines), *ngrams, *sizes, *words, *none])


def _of_length(counts: Counts, length: int) -> dict[str, int]:
    """Return what is counted of the rows of one length, and the tokens that they should hold."""
    prefix = f"{length}/"
    own = {
        name.removeprefix(prefix): number
        for name, number in counts.items()
        if name.startswith(prefix)
    }
    return own | {"tokens": counts["tokens"] - counts["short_tokens"]}


def _sizes(manifest: Manifest, length: int, every: Counts) -> str:
    row_bytes = sum(
        record.bytes
        for name, record in manifest.files.items()
        if name.endswith(".arrow") and f"/{length}/" in name
    )
    slots, real = every["rows"] * length, every["real_tokens"]
    return (
        f"{in_units(row_bytes)} of shards of {length} tokens: {row_bytes / slots:.2f} bytes a "
        f"slot, {row_bytes / real:.2f} a real token"
    )


def _documents(counts: Counts, layout: str) -> dict[str, str]:
    column = {
        "documents": f"{counts['documents']:,}",
        "  held out": f"{counts['validation_documents']:,}",
        "  empty": f"{counts['empty_documents']:,}",
    }
    for kind, text in (("short", "left out, too short"), ("thinned", "left out by weight")):
        column[f"  {text}"] = f"{counts[f'{kind}_documents']:,}"
    column["text"] = in_units(counts["text_bytes"])
    if layout != "stream":
        column["sentences"] = f"{counts['sentences']:,}"
    return column | {
        "tokens in": f"{counts['tokens']:,}",
        "  in documents too short": _percent(counts["short_tokens"], counts["tokens"]),
        "  unknown": _percent(counts["unknown_tokens"], counts["tokens"]),
        "  typed special tokens": f"{counts.get('typed_specials', 0):,}",
    }


def _rows(counts: Counts, header: Mapping[str, Any]) -> dict[str, str]:
    rows, width = counts["rows"], header["max_length"]
    kept = {
        "  number": f"{rows:,}",
        "  tokens kept": _percent(counts["tokens_kept"], counts["tokens"]),
        "  fill": _percent(counts["real_tokens"], rows * width),
    }
    if header["layout"] == "stream":
        return kept
    column = kept | {
        "  fill, at most": _percent(counts["fewest_tokens"], counts["fewest_rows"] * width),
        "  two segments": _percent(counts["rows_pair"], rows),
        "  one sentence": _percent(counts["rows_single"], rows),
        "  cut sentence": _percent(counts["rows_piece"], rows),
    }
    if header["layout"] == "pairs":
        column["  swapped pairs"] = _percent(counts["rows_swapped"], counts["rows_pair"])
    masked = counts["real_tokens"] * header["mask_sets"]
    column["  masked a set"] = _percent(counts["masked_tokens"], masked)
    return column


def _ngrams(balance: Mapping[str, Counts], length: int) -> list[str]:
    """Return the share of each n among the n-grams drawn for all, and placed for each source."""
    kinds = {"drawn": list(balance.values())[-1]}
    kinds |= {f"placed, {source}": counts for source, counts in balance.items()}
    lines = []
    for text, counts in kinds.items():
        prefix = f"ngrams_{text.split(',')[0]}_"
        numbers = sorted(int(n.removeprefix(prefix)) for n in counts if n.startswith(prefix))
        found = [counts[f"{prefix}{n}"] for n in numbers]
        if sum(found):
            lines.append((f"  {text}", *(f"{number / sum(found):.3f}" for number in found)))
    if not lines:
        return []
    title = f"n-grams in rows of {length} tokens, n ="
    return align([(title, *map(str, range(1, len(lines[0])))), *lines])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def _transpose(columns: list[dict[str, str]]) -> list[tuple[str, ...]]:
    """Return a line for each name that some column has; a column without it gets a dash."""
    names = dict.fromkeys(name for column in columns for name in column)
    lines = [(name, *(column.get(name, "-") for column in columns)) for name in names]
    return [line for line in lines if any(cell not in ("0", "-", "0.00 %") for cell in line[1:])]
