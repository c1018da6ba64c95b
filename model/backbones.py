"""Networks of the user's own as halves of an ELECTRA pair.

What a module must do to be one, all that `Reader` says: take `input_ids`, `attention_mask` and
`token_type_ids` by name, and whatever names `Electra.forward` is given beside its own; return
logits, or an object with `.logits` as `transformers` does. A module that returns something else is
tapped: `Tapped` takes the hidden states that one of its layers gives, and a head of ours stands on
them.

Shapes: B rows, T places, M places asked about, H hidden width, V vocabulary.
"""

from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig
from model.objectives import (
    MaskedLanguageModel,
    ReplacedToken,
    Score,
    at_least_float32,
    number_of,
    score_verdicts,
)
from model.padding import Tokens
from model.rows import Rows
from model.vocabulary import sample


class HasLogits(Protocol):
    """An output of `transformers`."""

    logits: Tensor


class Reader(Protocol):
    """A network that reads tokens.

    A generator's logits are (B, T, V), a discriminator's (B, T) or (B, T, 1), above 0 = replaced.
    """

    def __call__(
        self,
        *,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        **named: Any,  # noqa: ANN401
    ) -> Tensor | HasLogits:
        """Return logits for each place."""
        ...


class LogitsGenerator(nn.Module):
    """A module that gives logits over the vocabulary, as a generator.

    Args:
        module: An `nn.Module` that is a `Reader`.
        temperature: Of the softmax that replacements are drawn from.
        vocab_size: V where the module gives more logits than there are tokens, as one whose table
            is padded does; None = it does not.
    """

    def __init__(
        self, module: nn.Module, temperature: float = 1.0, vocab_size: int | None = None
    ) -> None:
        super().__init__()
        self.module, self.temperature, self.vocab_size = module, temperature, vocab_size

    def forward(self, rows: Rows, **named: Any) -> dict[str, Score]:  # noqa: ANN401
        """Return the score "masked_language_model", with a token drawn for each masked place.

        Raises:
            ValueError: The module's logits are not of the batch's shape.
        """
        logits = read_logits(self.module, rows, named)
        if logits.dim() != 3:
            raise _misshapen(self.module, logits, rows, ", V")
        places = rows.places.masked
        asked = at_least_float32(logits.flatten(0, 1)[places, : self.vocab_size])
        labels = rows.original_ids.flatten()[places]
        score = Score(
            loss=F.cross_entropy(asked, labels, reduction="sum"),
            targets=self.count(rows)["masked_language_model"],
            correct=(asked.argmax(-1) == labels).sum(),
            places=places,
            answer=sample((asked.detach() / self.temperature).softmax(-1)),
        )
        return {"masked_language_model": score}

    def count(self, rows: Rows) -> dict[str, Tensor]:
        """Return how many places are masked."""
        return {"masked_language_model": number_of(rows.places.masked)}


class LogitsDiscriminator(nn.Module):
    """A module that gives a logit for each token, as a discriminator.

    Args:
        module: An `nn.Module` that is a `Reader`.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, rows: Rows, **named: Any) -> dict[str, Score]:  # noqa: ANN401
        """Return the score "replaced_token".

        Raises:
            ValueError: The module's logits are not of the batch's shape.
        """
        logits = read_logits(self.module, rows, named)
        if logits.numel() != rows.input_ids.numel():
            raise _misshapen(self.module, logits, rows, "")
        places = rows.places.tokens.all_places()
        return {"replaced_token": score_verdicts(logits.flatten()[places], places, rows)}

    def count(self, rows: Rows) -> dict[str, Tensor]:
        """Return how many real tokens there are."""
        return {"replaced_token": number_of(rows.places.tokens.all_places())}


class Tapped(nn.Module):
    """A module of any output, as a `model.network.Backbone`: the states one of its layers gives.

    Args:
        module: Takes what a `Reader` takes.
        layer: Name of the layer, or its number in the module's longest `nn.ModuleList`, -1 = last.
        words: Name of the `nn.Embedding` that tokens are to be predicted with, if they are.
    """

    def __init__(self, module: nn.Module, layer: str | int, words: str | None = None) -> None:
        super().__init__()
        self.module, self.words = module, words
        self.layer = layer if isinstance(layer, str) else _nth_layer(module, layer)
        module.get_submodule(self.layer)

    @property
    def word_embeddings(self) -> Tensor | None:
        """Return the table (V, E) that tokens are predicted with, if there is one."""
        if self.words is None:
            return None
        table: Tensor = self.module.get_parameter(f"{self.words}.weight")
        return table

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        wanted: Tensor,
        tokens: Tokens | None = None,
        **named: Any,  # noqa: ANN401
    ) -> Tensor:
        """Return the hidden states (M, H) at the places `wanted` (M,) of the flattened batch.

        The module is told of padding by the attention mask alone, not by `tokens`.

        Raises:
            ValueError: The layer did not give states (B, T, H).
        """
        found: list[Any] = []
        layer = self.module.get_submodule(self.layer)
        hook = layer.register_forward_hook(lambda *call: found.append(call[2]))
        try:
            self.module(
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=token_type_ids,
                **named,
            )
        finally:
            hook.remove()
        states = found[-1][0] if found and isinstance(found[-1], tuple) else (found or [None])[-1]
        if isinstance(states, Tensor) and states.is_nested:  # torch's own encoder, in evaluation
            shape = (*input_ids.shape, states.size(-1))
            states = states.to_padded_tensor(0.0, shape)
        if not isinstance(states, Tensor) or states.shape[:2] != input_ids.shape:
            shape = tuple(states.shape) if isinstance(states, Tensor) else states
            raise ValueError(
                f"layer {self.layer} of {type(self.module).__name__} gave {shape}; hidden states "
                f"are {tuple(input_ids.shape)} and their width"
            )
        return states.flatten(0, 1)[wanted]


def tapped_head(hidden_size: int, vocab_size: int = 1, embedding_size: int = 1) -> ModelConfig:
    """Return a shape that objectives can be made from, over a network without a `ModelConfig`.

    Args:
        hidden_size: Width of its hidden states.
        vocab_size: Tokens in its vocabulary, where tokens are predicted.
        embedding_size: Width of its word embeddings, where tokens are predicted.
    """
    return ModelConfig(
        vocab_size=vocab_size,
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=1,
        max_position_embeddings=1,
    )


def tapped_generator(config: ModelConfig, temperature: float = 1.0) -> dict[str, nn.Module]:
    """Return the objectives of a tapped generator, for `model.network.Network`."""
    return {"masked_language_model": MaskedLanguageModel(config, temperature)}


def tapped_discriminator(config: ModelConfig) -> dict[str, nn.Module]:
    """Return the objectives of a tapped discriminator, for `model.network.Network`."""
    return {"replaced_token": ReplacedToken(config)}


def read_logits(module: nn.Module, rows: Rows, named: dict[str, Any]) -> Tensor:
    """Return what the module says of a batch.

    Raises:
        TypeError: It says it in another form.
    """
    output = module(
        input_ids=rows.input_ids,
        attention_mask=rows.attention_mask,
        token_type_ids=rows.token_type_ids,
        **named,
    )
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor):
        name = type(module).__name__
        raise TypeError(
            f"{name} returned a {type(output).__name__}, neither logits nor an object with "
            ".logits; tap one of its layers with model.backbones.Tapped"
        )
    return logits


def _misshapen(module: nn.Module, logits: Tensor, rows: Rows, more: str) -> ValueError:
    wanted = ", ".join(map(str, rows.input_ids.shape))
    return ValueError(
        f"{type(module).__name__} gave logits {tuple(logits.shape)}, not ({wanted}{more})"
    )


def _nth_layer(module: nn.Module, number: int) -> str:
    """Return the name of a layer by its number in the longest list of layers.

    Raises:
        ValueError: There is no list, or it is shorter.
    """
    lists = [(name, one) for name, one in module.named_modules() if isinstance(one, nn.ModuleList)]
    if not lists:
        raise ValueError(f"{type(module).__name__} has no nn.ModuleList: name the layer to tap")
    name, layers = max(lists, key=lambda item: len(item[1]))
    if not -len(layers) <= number < len(layers):
        raise ValueError(f"layer {number} to tap; {name} has {len(layers)}")
    return f"{name}.{number % len(layers)}" if name else str(number % len(layers))
