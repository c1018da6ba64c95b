"""What workers of `pack` need, loaded once by the server that they are forked from.

Half of what a process takes to begin are imports that libraries put off until their first call:
numba's own, and pandas by pyarrow where it is installed. So there is a first call of each here.
"""

import numpy as np
import pyarrow as pa

import pipeline.shard_task  # noqa: F401 - it is there when a worker asks for it
from pipeline.compiled import Index, compiled


@compiled
def _nothing() -> Index:
    return 0


pa.array(np.empty(0))
_nothing()
