"""ELECTRA (https://arxiv.org/abs/2003.10555), with ALBERT's sentence-order prediction on request.

A generator fills masked positions with tokens drawn from what it predicts; the discriminator says
of every token whether it was replaced. Either may be a network of the user's own. Our own pair
shares all embeddings and the LayerNorm over them, and nothing else (google-research/electra,
`run_pretraining.py` and `pretrain/pretrain_helpers.py`).

Shapes: B rows, T places, M masked tokens of all rows.
"""

from collections.abc import Mapping
from inspect import signature
from typing import Any, Protocol, TypeVar, cast

from torch import Tensor, nn

from model.backbones import LogitsDiscriminator, LogitsGenerator
from model.config import ElectraConfig, ElectraObjective
from model.corruption import hide_tokens, replace_tokens
from model.network import Network
from model.objectives import MaskedLanguageModel, ReplacedToken, Score, SentenceOrder
from model.output import Output, total_loss
from model.places import Places
from model.rows import Rows, to_rows
from model.transformer import Transformer
from model.tying import Names, tie_embeddings

Value = TypeVar("Value")


class Learner(Protocol):
    """Half of a pair: `model.network.Network`, or an adapter of `model.backbones`.

    A generator gives the score "masked_language_model", whose `answer` is a token drawn for each of
    its `places`; a discriminator gives "replaced_token". Either may give "sentence_order" too.
    """

    def __call__(self, rows: Rows, **named: Any) -> dict[str, Score]:  # noqa: ANN401
        """Return scores by the objective's name."""
        ...

    def count(self, rows: Rows) -> dict[str, Tensor]:
        """Return how many losses each of them has in a batch."""
        ...


class Electra(nn.Module):
    """A generator and a discriminator, trained together.

    Random draws (what is hidden, what is sampled, dropout) come from torch's default generator.

    Args:
        generator: An `nn.Module` that is a `Learner`, or one that gives logits: see
            `model.backbones`.
        discriminator: Another.
        objective: How they are trained.
        tie: Names of the `nn.Embedding` in each that shall be one, as in `get_submodule`; None =
            leave them as they are.

    Raises:
        ValueError: The embeddings to tie differ in shape, or one half learns something that a pair
            does not.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        objective: ElectraObjective,
        tie: Names | None = None,
    ) -> None:
        super().__init__()
        self.objective = objective
        if tie is not None:
            tie_embeddings(generator, discriminator, tie)
        if not _reads_rows(generator):
            generator = LogitsGenerator(generator, objective.temperature)
        if not _reads_rows(discriminator):
            discriminator = LogitsDiscriminator(discriminator)
        _check_objectives("generator", generator, "masked_language_model")
        _check_objectives("discriminator", discriminator, "replaced_token")
        self.generator = generator
        self.discriminator = discriminator
        self.weights = {
            "masked_language_model": objective.generator_weight,
            "replaced_token": objective.discriminator_weight,
            "sentence_order": objective.sentence_order_weight,
            "generator_sentence_order": objective.sentence_order_weight,
        }

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        masked_positions: Tensor | None = None,
        sentence_order_label: Tensor | None = None,
        places: Places | None = None,
        **named: Any,  # noqa: ANN401
    ) -> Output:
        """Corrupt the batch with the generator and judge it with the discriminator.

        Sentence order is predicted from what each network reads: the discriminator sees the
        sampled tokens, the generator the [MASK] tokens, never the original row. A token that was
        drawn rightly is not replaced.

        Args:
            input_ids: Original tokens (B, T), int64.
            attention_mask: 1 = a token, 0 = padding (B, T); None = no padding.
            token_type_ids: 0 = first segment, 1 = second (B, T); None = all first.
            masked_positions: Tokens to be predicted (B, T), bool; never specials or padding; None
                = none.
            sentence_order_label: 0 = original order, 1 = swapped, -100 = no label (B,); None = no
                labels.
            places: Where all this lies (`model.places.find_places`), found on the host so that no
                device is waited for; None = find it here.
            **named: Passed to both networks.
        """
        rows = to_rows(
            input_ids,
            attention_mask,
            token_type_ids,
            masked_positions,
            sentence_order_label,
            places,
        )
        hidden_ids = hide_tokens(
            input_ids,
            rows.masked_positions,
            self.objective.mask_token_id,
            self.objective.mask_replace_prob,
        )
        generated: dict[str, Score] = self.generator(rows._replace(input_ids=hidden_ids), **named)
        guess = generated["masked_language_model"]
        read_ids = replace_tokens(input_ids, guess.places, guess.answer)
        judged: dict[str, Score] = self.discriminator(rows._replace(input_ids=read_ids), **named)
        return Output(_named(generated, judged), read_ids)

    def count(self, **batch: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """Return how many losses each objective has in a batch, without computing them."""
        rows = to_rows(**batch)
        generator, discriminator = (
            cast(Learner, half).count(rows) for half in (self.generator, self.discriminator)
        )
        return _named(generator, discriminator)

    def loss(self, output: Output, counts: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return the weighed sum of mean losses; see `total_loss`."""
        return total_loss(output, self.weights, counts)


def make_electra(config: ElectraConfig) -> Electra:
    """Return our own pair, its weights drawn anew."""
    generator = Transformer(config.generator)
    embeddings = generator.embeddings if config.tie_embeddings else None
    discriminator = Transformer(config.discriminator, embeddings)
    generates: dict[str, nn.Module] = {
        "masked_language_model": MaskedLanguageModel(config.generator, config.temperature)
    }
    judges: dict[str, nn.Module] = {"replaced_token": ReplacedToken(config.discriminator)}
    if config.sentence_order in ("generator", "both"):
        generates["sentence_order"] = SentenceOrder(config.generator)
    if config.sentence_order in ("discriminator", "both"):
        judges["sentence_order"] = SentenceOrder(config.discriminator)
    return Electra(Network(generator, generates), Network(discriminator, judges), config)


def replaced_logits(output: Output) -> Tensor:
    """Return the verdict on each place (B, T), above 0 = replaced; 0 in the padding; detached."""
    score = output.scores["replaced_token"]
    flat = score.answer.new_zeros(output.read_ids.numel())
    return flat.index_copy(0, score.places, score.answer).view_as(output.read_ids)


def _reads_rows(module: nn.Module) -> bool:
    """Return whether a module is a `Learner`; one that gives logits takes `input_ids` by name."""
    return next(iter(signature(module.forward).parameters), None) == "rows"


def _check_objectives(half: str, network: nn.Module, needed: str) -> None:
    """Refuse a network of ours that learns less or more than its half of a pair does.

    Raises:
        ValueError: It does.
    """
    if not isinstance(network, Network):
        return
    found = set(network.objectives)
    if needed not in found or not found <= {needed, "sentence_order"}:
        raise ValueError(
            f"the {half} learns {', '.join(network.objectives)}; known are {needed}, which it "
            "must learn, and sentence_order"
        )


def _named(generator: dict[str, Value], discriminator: dict[str, Value]) -> dict[str, Value]:
    """Put what both networks give into one dictionary, the generator's sentence order renamed."""
    renamed = {
        "generator_sentence_order" if name == "sentence_order" else name: value
        for name, value in generator.items()
    }
    return renamed | discriminator
