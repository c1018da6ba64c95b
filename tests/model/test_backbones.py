"""Pairs of networks that are not ours: worked examples, and what is refused."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, ElectraForPreTraining
from transformers import ElectraConfig as ElectraShape

from model.backbones import (
    LogitsGenerator,
    Tapped,
    tapped_discriminator,
    tapped_generator,
    tapped_head,
)
from model.config import ElectraObjective
from model.electra import Electra, replaced_logits
from model.network import Network
from model.tying import are_tied
from tests.model.conftest import MASK

OBJECTIVE = ElectraObjective(mask_token_id=MASK)


class Plain(nn.Module):
    """A user's network: torch's own encoder, with a `scale` that is passed through."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.words = nn.Embedding(40, 16)
        self.widen = nn.Linear(16, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(width, outputs)

    def forward(self, *, input_ids, attention_mask, token_type_ids, scale=1.0) -> Tensor:
        states = self.widen(self.words(input_ids) * scale)
        return self.head(self.encoder(states, src_key_padding_mask=attention_mask == 0))


class Silent(Plain):
    """One that gives a summary and no states."""

    def forward(self, **named) -> dict[str, Tensor]:
        return {"summary": super().forward(**named).mean()}


def plain_pair(tie=("words", "words")) -> Electra:
    torch.manual_seed(0)
    return Electra(Plain(8, 40), Plain(12, 1), OBJECTIVE, tie=tie)


def transformers_pair() -> Electra:
    torch.manual_seed(0)
    shape = {
        "vocab_size": 40,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 12,
    }
    generator = BertForMaskedLM(BertConfig(hidden_size=16, **shape))
    discriminator = ElectraForPreTraining(ElectraShape(hidden_size=8, embedding_size=16, **shape))
    names = "bert.embeddings.word_embeddings", "electra.embeddings.word_embeddings"
    return Electra(generator, discriminator, OBJECTIVE, tie=names)


def tapped_pair() -> Electra:
    torch.manual_seed(0)
    generator = Network(
        Tapped(Silent(8, 1), "encoder.layers.2", words="words"),
        tapped_generator(tapped_head(8, vocab_size=40, embedding_size=16)),
    )
    discriminator = Network(Tapped(Silent(12, 1), -1), tapped_discriminator(tapped_head(12)))
    names = "backbone.module.words", "backbone.module.words"
    return Electra(generator, discriminator, OBJECTIVE, tie=names)


TABLES = {
    "torch": (plain_pair, ("generator.module.words", "discriminator.module.words")),
    "transformers": (
        transformers_pair,
        (
            "generator.module.bert.embeddings.word_embeddings",
            "discriminator.module.electra.embeddings.word_embeddings",
        ),
    ),
    "tapped": (
        tapped_pair,
        ("generator.backbone.module.words", "discriminator.backbone.module.words"),
    ),
}


@pytest.mark.parametrize(("make", "names"), TABLES.values(), ids=TABLES)
def test_a_pair_of_another_kind_learns_a_batch_by_heart(make, names, batch):
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    history = []
    for _ in range(40):
        output = model(**batch)
        optimizer.zero_grad()
        model.loss(output).backward()
        optimizer.step()
        history.append(output.means())
    assert set(history[0]) == {
        f"{name}_{what}"
        for name in ("masked_language_model", "replaced_token")
        for what in ("loss", "accuracy")
    }
    for name in ("masked_language_model_loss", "replaced_token_loss"):
        assert history[-1][name] < 0.7 * history[0][name], name


@pytest.mark.parametrize(("make", "names"), TABLES.values(), ids=TABLES)
def test_tied_embeddings_stay_one_after_a_move_a_step_a_copy_and_a_load(make, names, batch):
    model = make()
    assert are_tied(model, model, names)
    assert are_tied(*[model.to(torch.float64).to(torch.float32)] * 2, names)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.loss(model(**batch)).backward()
    optimizer.step()
    assert are_tied(model, model, names)
    twin = deepcopy(model)
    assert are_tied(twin, twin, names)
    loaded = make()
    loaded.load_state_dict(model.state_dict())
    assert are_tied(loaded, loaded, names)
    tables = (one.get_parameter(f"{names[0]}.weight") for one in (loaded, model))
    assert torch.equal(*tables)


def test_a_tied_head_of_transformers_follows_its_table():
    model = transformers_pair()
    head = model.generator.module.cls.predictions.decoder.weight
    table = model.discriminator.module.electra.embeddings.word_embeddings.weight
    assert head is table


def test_a_tied_table_gets_the_sum_of_both_gradients(batch):
    tied, free = plain_pair(), plain_pair(tie=None)
    free.load_state_dict(tied.state_dict())
    for model in (tied, free):
        torch.manual_seed(1)
        model.loss(model(**batch)).backward()
    both = free.generator.module.words.weight.grad + free.discriminator.module.words.weight.grad
    torch.testing.assert_close(tied.generator.module.words.weight.grad, both)


def test_losses_are_those_of_the_logits_that_the_networks_give(batch):
    model = plain_pair()
    output = model(**batch, scale=2.0)
    masked, real = batch["masked_positions"], batch["attention_mask"].bool()
    is_replaced = (output.read_ids != batch["input_ids"])[real]
    named = {name: batch[name] for name in ("attention_mask", "token_type_ids")} | {"scale": 2.0}
    verdict = model.discriminator.module(input_ids=output.read_ids, **named)[..., 0]
    torch.testing.assert_close(replaced_logits(output)[real], verdict[real])
    assert not replaced_logits(output)[~real].any()
    expected = F.binary_cross_entropy_with_logits(verdict[real], is_replaced.float())
    torch.testing.assert_close(output.means()["replaced_token_loss"], expected)
    assert output.counts == model.count(**batch)
    assert not (output.read_ids != batch["input_ids"])[~masked].any()


class Fixed(nn.Module):
    """One that says the same of every place, and remembers what it was given by name."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits, self.count = nn.Parameter(logits), 0

    def forward(self, *, input_ids, attention_mask, token_type_ids, **named) -> Tensor:
        self.count += 1
        self.named = named
        return self.logits.expand(*input_ids.shape, -1)


def test_named_arguments_reach_both_networks(batch):
    """And a module that happens to have a `count` is a module that gives logits."""
    model = Electra(Fixed(torch.zeros(40)), Fixed(torch.zeros(1)), OBJECTIVE)
    assert model.count(**batch) == model(**batch, scale=2.0).counts
    for half in (model.generator, model.discriminator):
        assert half.module.named == {"scale": 2.0}
        assert half.module.count == 1


def test_a_generator_of_logits_costs_what_they_say_of_the_masked_places(batch):
    logits = torch.linspace(-2, 2, 40)
    model = Electra(Fixed(logits), Fixed(torch.zeros(1)), OBJECTIVE)
    labels = batch["input_ids"][batch["masked_positions"]]
    output = model(**batch)
    assert model.count(**batch)["masked_language_model"] == len(labels)
    assert output.counts["masked_language_model"] == len(labels)
    expected = F.cross_entropy(logits.expand(len(labels), -1), labels)
    torch.testing.assert_close(output.means()["masked_language_model_loss"], expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_generator_of_logits_draws_from_their_softmax(temperature):
    """Each token's count is within 4 sigma of its expectation."""
    torch.manual_seed(0)
    logits, places = torch.tensor([2.0, 1.0, 0.0, -1.0, 0.5, -5.0]), 40_000
    objective = ElectraObjective(mask_token_id=MASK, temperature=temperature)
    model = Electra(Fixed(logits), Fixed(torch.zeros(1)), objective)
    ids = torch.zeros(100, 400, dtype=torch.long)
    drawn = model(ids, masked_positions=torch.ones_like(ids, dtype=torch.bool)).read_ids
    share = (logits / temperature).softmax(0)
    sigma = (places * share * (1 - share)).sqrt()
    counts = drawn.flatten().bincount(minlength=6)
    assert ((counts - places * share).abs() < 4 * sigma).all()


def test_a_half_that_learns_something_else_is_refused():
    def network(*names: str) -> Network:
        return Network(Plain(8, 40), dict.fromkeys(names, nn.Identity()))

    generates, judges = network("masked_language_model"), network("replaced_token")
    Electra(generates, judges, OBJECTIVE)
    more = network("masked_language_model", "span_boundary")
    message = r"the generator learns masked_language_model, span_boundary; known are masked_lang"
    with pytest.raises(ValueError, match=message):
        Electra(more, judges, OBJECTIVE)
    message = r"discriminator learns masked_language_model; known are replaced_token, .*_order"
    with pytest.raises(ValueError, match=message):
        Electra(generates, generates, OBJECTIVE)
    with pytest.raises(ValueError, match="the generator learns sentence_order; known are"):
        Electra(network("sentence_order"), judges, OBJECTIVE)


def test_no_gradient_reaches_a_generator_through_the_discriminator(batch):
    model = plain_pair(tie=None)
    model(**batch).losses["replaced_token"].backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())


def test_tables_of_different_shapes_are_not_tied():
    with pytest.raises(ValueError, match=r"words is \(40, 16\) and head \(1, 12\); tables of"):
        plain_pair(tie=("words", "head"))


def test_logits_of_another_shape_are_refused(batch):
    with pytest.raises(ValueError, match=r"Plain gave logits \(5, 12, 2\), not \(5, 12\)"):
        Electra(Plain(8, 40), Plain(12, 2), OBJECTIVE)(**batch)
    flat = LogitsGenerator(nn.Identity())
    flat.module.forward = lambda **named: torch.zeros(5, 12)
    with pytest.raises(ValueError, match=r"Identity gave logits \(5, 12\), not \(5, 12, V\)"):
        Electra(flat, Plain(12, 1), OBJECTIVE)(**batch)


def test_an_output_without_logits_is_refused_with_the_remedy(batch):
    with pytest.raises(TypeError, match=r"Silent returned a dict, .* model\.backbones\.Tapped"):
        Electra(Silent(8, 40), Plain(12, 1), OBJECTIVE)(**batch)


@pytest.mark.parametrize(
    ("layer", "message"),
    [(3, r"layer 3 to tap; encoder\.layers has 3"), (-4, "layer -4 to tap")],
)
def test_a_layer_that_is_not_there_is_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        Tapped(Plain(8, 1), layer)
    with pytest.raises(AttributeError, match="middle"):
        Tapped(Plain(8, 1), "middle")
    with pytest.raises(ValueError, match=r"Linear has no nn\.ModuleList: name the layer to tap"):
        Tapped(nn.Linear(2, 2), 0)


def test_a_layer_that_gives_no_states_is_refused(batch):
    backbone, wanted = Tapped(Plain(8, 1), "head"), torch.tensor([0])
    rows = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    assert backbone(**rows, wanted=wanted).shape == (1, 1)
    backbone.module.head = nn.Flatten(0, 1)
    with pytest.raises(ValueError, match=r"layer head of Plain gave \(60, 8\); hidden states are"):
        backbone(**rows, wanted=wanted)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_torchs_encoder_is_tapped_in_evaluation_as_in_training(batch):
    """In evaluation it leaves padding out by tensors of rows of different lengths."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    module = Plain(8, 1)
    module.encoder = nn.TransformerEncoder(layer, 3)
    backbone, real = Tapped(module, -1), batch["attention_mask"].flatten().nonzero().squeeze(1)
    rows = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        trained = backbone(**rows, wanted=real)
        evaluated = backbone.eval()(**rows, wanted=real)
    torch.testing.assert_close(evaluated, trained)


def test_columns_that_pad_a_vocabulary_are_neither_drawn_nor_scored(batch):
    logits = torch.zeros(48).index_fill(0, torch.arange(40, 48), 50.0)
    generator = LogitsGenerator(Fixed(logits), vocab_size=40)
    output = Electra(generator, Fixed(torch.zeros(1)), OBJECTIVE)(**batch)
    assert output.read_ids.max() < 40
    torch.testing.assert_close(
        output.means()["masked_language_model_loss"], torch.tensor(40.0).log()
    )
