"""Tokenizing each distinct word once.

`cuts` says where a text may be divided into words, `rules` learns that from a tokenizer; `table`
knows words by their bytes; `wordpiece`, `bpe` and `unigram` spell new ones, `known` keeps both
within a budget; `unspaced` tells the words of scripts without spaces; `column` turns a text into
numbers of words, `gather` these into tokens, and `columnar` runs it all. `pieces` cuts a text for
others to encode.
"""
