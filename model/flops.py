"""Floating-point operations of a training step, counted for what is really computed.

Only products of matrices count, two operations for each multiply-add. The backward pass computes
twice as many as the forward pass; what is computed again there is not counted twice.

Shapes: B rows, T places, N real tokens, M wanted places, H hidden width, E embedding width.
"""

from dataclasses import dataclass

from model.config import ElectraConfig, LanguageModelConfig, ModelConfig
from model.heads import SpanBoundaryHead
from model.language_model import objective_weights
from model.nystrom import ITERATIONS


@dataclass(frozen=True)
class BatchSize:
    """How much there is to compute.

    Attributes:
        rows: B, each with a label where the order of sentences is learned.
        length: T; attention computes padding too.
        tokens: N.
        masked: Of these, the tokens to be predicted.
    """

    rows: int
    length: int
    tokens: int
    masked: int


def step_flops(config: ElectraConfig | LanguageModelConfig, batch: BatchSize) -> int:
    """Return the operations of a forward and a backward pass over a batch."""
    if isinstance(config, LanguageModelConfig):
        return 3 * _network_flops(config.model, set(objective_weights(config)), batch)
    generates, judges = {"masked_language_model"}, {"replaced_token"}
    if config.sentence_order in ("generator", "both"):
        generates.add("sentence_order")
    if config.sentence_order in ("discriminator", "both"):
        judges.add("sentence_order")
    forward = _network_flops(config.generator, generates, batch)
    return 3 * (forward + _network_flops(config.discriminator, judges, batch))


def _network_flops(config: ModelConfig, objectives: set[str], batch: BatchSize) -> int:
    """Return the operations of one network's forward pass."""
    places = {
        "masked_language_model": batch.masked,
        "sentence_order": batch.rows,
        "span_boundary": 2 * batch.masked,
        "replaced_token": batch.tokens,
        "causal_language_model": batch.tokens - batch.rows,
    }
    wanted = sum(places[name] for name in objectives)
    heads = sum(_head_flops(config, name, batch) for name in objectives)
    return transformer_flops(config, batch, wanted) + heads


def transformer_flops(config: ModelConfig, batch: BatchSize, wanted: int) -> int:
    """Return the operations of a forward pass whose last layer computes `wanted` places."""
    width, layers = config.hidden_size, config.num_hidden_layers
    projection = 2 * batch.tokens * config.embedding_size * width
    project = config.embedding_size != width
    gathered = (layers - 1) * batch.tokens + wanted  # places that pass what follows attention
    blocks = 2 * gathered * (width * width + 2 * width * config.intermediate_size)
    attention = sum(_attention_flops(config, index, batch) for index in range(layers))
    query_key_value = layers * 2 * batch.tokens * 3 * width * width
    return project * projection + query_key_value + attention + blocks


def _attention_flops(config: ModelConfig, index: int, batch: BatchSize) -> int:
    """Return the operations between the products of one layer's attention."""
    rows, length, width = batch.rows, batch.length, config.hidden_size
    seen = length
    is_global = index % config.global_attn_every_n_layers == 0
    reach = config.local_attention // 2
    if config.attention == "local" and not is_global and length > reach + 1:
        seen, length = (2 if config.is_decoder else 3) * reach, -(-length // reach) * reach
    if config.attention == "nystrom" and length > config.num_landmarks:
        marks, heads = config.num_landmarks, config.num_attention_heads
        means, scores = 2 * 2 * marks * length * width, 2 * marks * marks * width
        inverse = ITERATIONS * 4 * 2 * heads * marks**3
        around = 2 * (4 * length * marks * width) + 2 * marks * marks * width
        return rows * (means + scores + inverse + around)
    return 4 * rows * length * seen * width


def _head_flops(config: ModelConfig, objective: str, batch: BatchSize) -> int:
    """Return the operations of one objective's head."""
    hidden, embedding = config.hidden_size, config.embedding_size
    vocabulary = 2 * embedding * config.padded_vocab_size
    project = 2 * hidden * embedding
    if objective == "masked_language_model":
        return batch.masked * (project + vocabulary)
    if objective == "causal_language_model":
        return (batch.tokens - batch.rows) * (project * (hidden != embedding) + vocabulary)
    if objective == "span_boundary":
        inputs = 2 * hidden + SpanBoundaryHead.NUMBER_SIZE
        return batch.masked * (2 * inputs * hidden + project + vocabulary)
    if objective == "replaced_token":
        return batch.tokens * 2 * (hidden * hidden + hidden)
    return batch.rows * 2 * (hidden * hidden + 2 * hidden)
