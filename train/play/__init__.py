"""A local page to try a model on: `python cli.py play RUN`."""
