"""The two sides that `python -m benchmarks model` compares."""
