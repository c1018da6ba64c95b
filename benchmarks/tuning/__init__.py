"""The two sides that `python -m benchmarks glue` compares."""
