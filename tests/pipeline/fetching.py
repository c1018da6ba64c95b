"""Calls of `fetch` as tests make them."""

import pyarrow.parquet as pq

from pipeline.config import FetchConfig
from pipeline.executors import Crew
from pipeline.fetch import fetch
from pipeline.fetch_call import Fetch


def fetch_all(sources, mirror, data, *, drop_raw=False, offline=False, workers=1, **options):
    warnings = []
    call = Fetch(
        sources=tuple(sources),
        data=data,
        config=FetchConfig(**options),
        crew=Crew(workers),
        base_url=str(mirror) if mirror else None,
        offline=offline,
        drop_raw=drop_raw,
        warn=warnings.append,
    )
    return dict(fetch(call)), warnings


def texts_of(folder):
    paths = sorted(folder.glob("part-*.parquet"))
    return [text for path in paths for text in pq.read_table(path)["text"].to_pylist()]
