"""A GPT-2 of next to no size, for rows of running text."""

from dataclasses import replace

import torch

from train.config import pretrain_config
from train.initial import make_model
from train.runs import model_config


def make_small_decoder(header):
    """Return one with random weights, the same each time."""
    torch.manual_seed(0)
    shape = model_config(pretrain_config("gpt2-small"), header)
    sizes = {"hidden_size": 32, "embedding_size": 32, "num_attention_heads": 2}
    sizes |= {"num_hidden_layers": 2, "num_hidden_groups": 2, "intermediate_size": 64}
    return make_model(replace(shape, model=replace(shape.model, **sizes)))
