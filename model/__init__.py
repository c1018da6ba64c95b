"""Networks, their heads, presets, and Hugging Face export and import."""
