"""The on-disk format: write, map, verify and order fixed-width Arrow shards (see FORMAT.md)."""
