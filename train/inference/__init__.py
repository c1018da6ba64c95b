"""A trained model in use: fill, detect, generate, embed, perplexity."""
