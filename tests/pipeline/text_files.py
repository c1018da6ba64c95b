"""Files of one's own text, compressed in every way, as the reader reads them."""

import bz2
import gzip
import lzma
import pickle
from collections import Counter

import pyarrow as pa

from pipeline.config import FetchConfig
from pipeline.readers import text


def zst(raw):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as file:
        file.write(raw)
    return out.getvalue().to_pybytes()


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zst}


def read(path, config=None):
    config = config or FetchConfig()
    counts = Counter()
    files = text.find(path)
    parts = [pickle.loads(pickle.dumps(part)) for part in text.divide(files, config, 1)]
    assert sum(part.input_bytes for part in parts) == sum(
        file.stat().st_size for file in files.values()
    )
    documents = [document for part in parts for document in text.read(part, config, counts)]
    return documents, counts
