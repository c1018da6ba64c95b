"""A factorized GPT-2 (ALGPT2) multiplied out, so that GPT2LMHeadModel holds it.

Nothing but products lies between the table of embeddings and the hidden states: no LayerNorm and no
activation, on the way in and on the way out. With words X (V, E) and positions Y (P, E), the
projection in (W, b) and the one out (D, d):

    in:   (X + Y) W' + b                      = wte + wpe, wte = X W', wpe = Y W' + b
    out:  (D (n g + c) + d) X'                = lm_head (n g + c*), lm_head = X D, D c* = D c + d

where n is the last LayerNorm's normed state and g, c its weight and bias: GPT-2's head has no bias,
so d moves into the LayerNorm's, by the pseudo-inverse of D (E < H: D has full rank). X W' and X D
differ, for the two projections are separate, so the head cannot be tied to the table. Products are
made in float64: logits agree to float32's rounding, not to the bit.
"""

from typing import cast

import torch
from torch import nn

from model.heads import CausalLanguageModelHead
from model.huggingface_tensors import Tensors, gpt2_tensors
from model.parts import Parts


def multiplied_out(parts: Parts, prefix: str) -> Tensors:
    """Return a factorized decoder's tensors as those of GPT2LMHeadModel, head included."""
    transformer, head = parts.transformer, cast(CausalLanguageModelHead, parts.tokens)
    tensors = gpt2_tensors(transformer, prefix)
    wide = {name: tensor.double() for name, tensor in transformer.state_dict().items()}
    enter, shift = wide["projection.weight"], wide["projection.bias"]
    words = wide["embeddings.word_embeddings.weight"][: transformer.config.vocab_size]
    leave = cast(nn.Linear, head.dense)
    out, offset = leave.weight.detach().double(), leave.bias.detach().double()
    tensors[f"{prefix}wte.weight"] = words @ enter.T
    positions = wide["embeddings.position_embeddings.weight"]
    tensors[f"{prefix}wpe.weight"] = positions @ enter.T + shift
    tensors[f"{prefix}ln_f.bias"] = wide["final_norm.bias"] + torch.linalg.pinv(out) @ offset
    tensors["lm_head.weight"] = words @ out
    return {name: tensor.float() for name, tensor in tensors.items()}
