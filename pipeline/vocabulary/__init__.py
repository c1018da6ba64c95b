"""What a tokenizer is made of: trained on a sample of text, or imported, and then completed.

`sample` draws the text; `train` and `unigram` train; `imports`, `spm` and `settings` read files of
others, and `names` finds their special tokens; `special` gives every tokenizer its five, and
padding; `report` shows what it does.
"""
