"""From raw corpora to rows: fetch, tokenize, pack. Never imports torch."""
