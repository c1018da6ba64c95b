"""What `python -m benchmarks train` and `starve` run."""
