"""How each source's raw files become documents: one module a format, imported only when used.

A reader works in two places. In the command's own process `divide` cuts the raw files into parts,
as a function of their bytes alone; in a worker `read` makes the documents of one part. A part
carries what a worker needs to know and no more: a range of a file, or some raw bytes of it.
"""
