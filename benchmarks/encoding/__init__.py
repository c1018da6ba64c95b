"""Parts of the benchmarks of encoding: the text, the tokenizers, the other engines, a worker."""

import os

os.environ["RAYON_NUM_THREADS"] = "1"  # one core for each side; read at the first parallel call
