"""What a stage made, for a person to read: the end of each manifest's story."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.masks import MAX_NGRAM
from shards.manifest import Manifest

Counts = Mapping[str, int]


def describe(manifest: Manifest) -> str:
    """Return the summary of what a stage made."""
    return DESCRIBE[manifest.stage](manifest)


def describe_text(manifest: Manifest) -> str:
    """Return what `fetch` wrote, dropped and cleaned."""
    counts = manifest.counts
    lines = [f"{counts['documents']:,} documents, {counts['text_bytes'] / 1e6:,.1f} MB of text"]
    for kind in ("dropped", "cleaned"):
        if counts.get(kind):
            found = ", ".join(f"{number:,} {what}" for what, number in counts[kind].items())
            lines.append(f"{kind}: {found}")
    if other := counts.get("not_published"):
        lines.append(f"not the published file: {', '.join(other)}")
    return "\n".join(lines)


def describe_glue(manifest: Manifest) -> str:
    """Return the tasks that `fetch glue` unpacked, with their rows."""
    lines = []
    for task, splits in manifest.counts["tasks"].items():
        found = [
            f"{split} {counts['rows']:,}"
            + (f" of {counts['official']:,} (partial)" if counts["partial"] else "")
            for split, counts in splits.items()
        ]
        lines.append(f"{task}: {', '.join(found)}")
    if absent := manifest.counts["absent"]:
        lines.append(f"not found: {', '.join(absent)}")
    return "\n".join(lines)


def describe_vocab(manifest: Manifest) -> str:
    """Return the vocabularies that `fetch vocab` brought."""
    return "\n".join(f"{name}: {record.bytes:,} bytes" for name, record in manifest.files.items())


def describe_tokenizer(manifest: Manifest) -> str:
    """Return what `tokenize` trained or took over, and what that does to text."""
    counts = manifest.counts
    tokens = counts["special_tokens"].items()
    ids = (f"{token} {counts['special_ids'][role]}" for role, token in tokens)
    unused = f", {counts['unused_entries']} of them unused" if counts["unused_entries"] else ""
    lines = [f"{counts['type']} vocabulary of {counts['vocab_size']:,} entries{unused}"]
    lines += [", ".join(ids), *counts.get("remarks", ())]
    sources = counts["report"]["sources"]
    table = [("", "tokens a word", "characters a token", "unknown tokens", "trained on")]
    for name, rates in sources.items():
        drawn = counts.get("sample", {}).get(name)
        table.append(
            (
                name,
                f"{rates['tokens_per_word']:.3f}",
                f"{rates['characters_per_token']:.3f}",
                f"{100 * rates['unknown_rate']:.3f} %",
                f"{drawn['text_bytes'] / 1e6:,.1f} MB" if drawn else "-",
            )
        )
    lines += _align(table) if sources else []
    return "\n".join([*lines, *map(" | ".join, counts["report"]["sentences"])])


def describe_shards(manifest: Manifest) -> str:
    """Return the balance sheet of `pack`: a column for each source and one for all."""
    header = manifest.counts["header"]
    balance: Mapping[str, Counts] = manifest.counts["balance"]
    width, sets = header["max_length"], header["mask_sets"]
    columns = [_column(counts, width, sets) for counts in balance.values()]
    lines = [("", *balance)]
    lines += [(name, *(column[name] for column in columns)) for name in columns[0]]
    row_bytes = sum(
        record.bytes for name, record in manifest.files.items() if name.endswith(".arrow")
    )
    every = balance["all"]
    slots, real = every["rows"] * width, every["real_tokens"]
    return "\n".join(
        [
            *_align(lines),
            f"{row_bytes / 1e6:.1f} MB of shards: {row_bytes / slots:.2f} bytes a slot, "
            f"{row_bytes / real:.2f} a real token",
            *(f"words: {path}" for path in manifest.counts.get("encoder", ())),
        ]
    )


def _column(counts: Counts, width: int, sets: int) -> dict[str, str]:
    rows, pairs = counts["rows"], counts["rows_pair"]
    column = {
        "documents": f"{counts['documents']:,}",
        "  held out": f"{counts['validation_documents']:,}",
        "  empty": f"{counts['empty_documents']:,}",
        "text": f"{counts['text_bytes'] / 1e6:,.1f} MB",
        "sentences": f"{counts['sentences']:,}",
        "tokens in": f"{counts['tokens']:,}",
        "tokens kept": _percent(counts["tokens_kept"], counts["tokens"]),
        "tokens unknown": _percent(counts["unknown_tokens"], counts["tokens"]),
        "rows": f"{rows:,}",
        "  two segments": _percent(pairs, rows),
        "  one sentence": _percent(counts["rows_single"], rows),
        "  cut sentence": _percent(counts["rows_piece"], rows),
        "swapped pairs": _percent(counts["rows_swapped"], pairs),
        "fill": _percent(counts["real_tokens"], rows * width),
        "masked a set": _percent(counts["masked_tokens"], counts["real_tokens"] * sets),
    }
    for kind in ("drawn", "placed"):
        numbers = [counts[f"ngrams_{kind}_{n}"] for n in range(1, MAX_NGRAM + 1)]
        shares = [f"{number / max(1, sum(numbers)):.3f}" for number in numbers]
        column[f"n-grams {kind}, n = 1..{MAX_NGRAM}"] = " ".join(shares)
    return column


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def _align(lines: Sequence[Sequence[Any]]) -> list[str]:
    """Pad the cells of a table: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


DESCRIBE: dict[str, Callable[[Manifest], str]] = {
    "fetch": describe_text,
    "glue": describe_glue,
    "vocab": describe_vocab,
    "tokenize": describe_tokenizer,
    "pack": describe_shards,
}
