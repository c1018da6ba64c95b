"""One file for each claim; `python -m benchmarks NAME` prints figures and, last, one JSON line."""
