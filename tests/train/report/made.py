"""Metrics made by hand, of a pair of networks."""

import math

from shards.format import ShardHeader

HEADER = ShardHeader(
    max_length=64,
    vocab_size=600,
    mask_sets=4,
    mask_probability=0.15,
    pad_token_id=0,
    unk_token_id=1,
    cls_token_id=2,
    sep_token_id=3,
    mask_token_id=4,
    tokenizer="",
)
PAIR_SCORES = {
    "masked_language_model_loss": 5.5,
    "hidden_token_loss": 6.0,
    "masked_language_model_accuracy": 0.2,
    "replaced_token_loss": 0.38,
    "replaced_token_accuracy": 0.87,
    "replaced_share": 0.13,
    "replaced_token_entropy": 0.385,
    "replaced_token_auc": 0.55,
    "sentence_order_loss": 0.69,
    "sentence_order_accuracy": 0.52,
    "sentence_order_rows": 100,
    "sentence_order_sigma": 0.05,
}
DRAWN = ("masked_language_model", "replaced_token", "sentence_order")


def metrics(steps, evaluate_every=0):
    """Yield the lines of a pair's training."""
    for step in range(1, steps + 1):
        wave = math.sin(step) / 10
        line = {"step": step, "max_length": 64, "learning_rate": 0.001 * step / steps}
        line |= {"seconds": step / 4, "loss": 20 + wave}
        for name in DRAWN:
            line |= {f"{name}_loss": 5 / step**0.1 + wave, f"{name}_accuracy": 0.5 + wave}
        line |= {"grad_norm": 2 + wave, "tokens_per_second": 4000.0, "data_wait": 0.001}
        line |= {"flops_utilisation": 0.5, "peak_memory": 700_000_000}
        if evaluate_every and step % evaluate_every == 0:
            line["validation"] = PAIR_SCORES
        yield line
