"""What a tokenizer is made of: trained on a sample of text, or imported, and then completed.

`sample` draws the text; `train` and `unigram` train; `imports` and `spm` read files of others;
`special` gives every tokenizer its five special tokens, and padding; `report` shows what it does.
"""
