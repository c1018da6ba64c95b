"""What a stage made, for a person to read: the end of each manifest's story."""

from collections.abc import Callable

from pipeline.sheet import describe_shards
from pipeline.tables import align, in_units, number_of
from shards.manifest import Manifest


def describe(manifest: Manifest) -> str:
    """Return the summary of what a stage made."""
    return DESCRIBE[manifest.stage](manifest)


def describe_text(manifest: Manifest) -> str:
    """Return what `fetch` wrote, dropped and cleaned."""
    counts = manifest.counts
    documents = number_of(counts["documents"], "document")
    lines = [f"{documents}, {in_units(counts['text_bytes'])} of text"]
    for kind in ("dropped", "cleaned"):
        if counts.get(kind):
            found = ", ".join(f"{what} {number:,}" for what, number in counts[kind].items())
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
                in_units(drawn["text_bytes"]) if drawn else "-",
            )
        )
    lines += align(table) if sources else []
    return "\n".join([*lines, *map(" | ".join, counts["report"]["sentences"])])


DESCRIBE: dict[str, Callable[[Manifest], str]] = {
    "fetch": describe_text,
    "glue": describe_glue,
    "vocab": describe_vocab,
    "tokenize": describe_tokenizer,
    "pack": describe_shards,
}
