"""Getting raw files whole: `downloader` runs `transfer`s, `raw_files` proves what arrived."""
