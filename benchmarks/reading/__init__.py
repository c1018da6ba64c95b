"""What `python -m benchmarks read` is made of."""
