"""The report of runs: one HTML page, a PNG of the curves, a short table for the terminal."""
