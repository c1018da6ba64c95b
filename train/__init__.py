"""Objectives' training loop, checkpoints, GLUE fine-tuning, inference and reports."""
