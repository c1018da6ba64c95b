"""Where text comes from: one module for each source, imported only when it is fetched.

A module of text offers `LIBRARIES`, the packages whose version can change its documents;
`input_files(path)`, the raw files; and `documents(path, counts, workers)`, a generator of clean
documents in an order that does not depend on `workers`. It counts in `counts` what it drops
("dropped: WHY"), what it repairs ("cleaned: WHAT"), and in "input_bytes" how far it has read.
"""

SOURCES: tuple[str, ...] = (
    "docstrings",
    "text",
    "wikipedia",
    "gutenberg",
    "openwebtext",
    "glue",
)
