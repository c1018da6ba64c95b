"""Tokenizing each distinct word once.

`cuts` says where a text may be divided into words, `rules` learns that from a tokenizer; `table`
knows words by their bytes, `models` spells new ones, `known` keeps both within a budget; `column`
turns a text into numbers of words and back into tokens, and `columnar` runs it all.
"""
