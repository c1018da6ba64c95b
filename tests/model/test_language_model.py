"""Losses and gradients of one network beside those of transformers' models, weights copied."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AlbertForPreTraining,
    BertConfig,
    BertForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
)

from model.config import LanguageModelConfig, ModelConfig
from model.corruption import scramble_tokens
from model.huggingface_tensors import (
    albert_tensors,
    bert_tensors,
    gpt2_tensors,
    head_tensors,
    named_tensors,
)
from model.language_model import LanguageModel
from tests.model.conftest import MASK

PRECISIONS = {torch.float32: 1e-5, torch.float64: 1e-10}
GPT2 = {
    "embedding_size": 16,
    "num_hidden_groups": 4,
    "hidden_act": "gelu_new",
    "layer_norm_eps": 1e-5,
    "type_vocab_size": 0,
    "norm_first": True,
    "is_decoder": True,
}


def albert_names(model: LanguageModel):
    transformer, objectives = model.network.backbone, model.network.objectives
    order = objectives["sentence_order"].head
    return (
        albert_tensors(transformer, "albert.")
        | head_tensors(objectives["masked_language_model"].head, "predictions.")
        | named_tensors(order.pooler, "albert.pooler.")
        | named_tensors(order.classifier, "sop_classifier.classifier.")
    )


def bert_names(model: LanguageModel):
    transformer, objectives = model.network.backbone, model.network.objectives
    order, head = (objectives[name].head for name in ("sentence_order", "masked_language_model"))
    return (
        bert_tensors(transformer, "bert.")
        | named_tensors(order.pooler, "bert.pooler.dense.")
        | named_tensors(order.classifier, "cls.seq_relationship.")
        | named_tensors(head.dense, "cls.predictions.transform.dense.")
        | named_tensors(head.norm, "cls.predictions.transform.LayerNorm.")
        | {"cls.predictions.bias": head.bias.detach()}
    )


def assert_equal_gradients(ours, theirs, gradients, names, precision) -> None:
    expected = gradients(theirs).state_dict()
    for name, gradient in names(gradients(ours)).items():
        scale = expected[name].abs().max().clamp(min=1)
        tolerance = {"rtol": PRECISIONS[precision], "atol": PRECISIONS[precision]}
        torch.testing.assert_close(gradient / scale, expected[name] / scale, **tolerance)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("family", ["albert", "bert"])
def test_masked_tokens_and_sentence_order_cost_what_they_cost_transformers(
    micro,
    batch,
    rows,
    shape_of,
    albert_config,
    scramble,
    copy_weights,
    gradients,
    family,
    precision,
):
    """The loss is the sum of the two means; with the same ids read, given [MASK] at all masks."""
    shape = micro if family == "albert" else replace(micro, embedding_size=16, num_hidden_groups=4)
    config = LanguageModelConfig(
        model=shape, mask_token_id=MASK, mask_replace_prob=1.0, random_replace_prob=0.0
    )
    if family == "albert":
        theirs, names = AlbertForPreTraining(albert_config(shape)), albert_names
        label_name = "sentence_order_label"
    else:
        theirs, names = BertForPreTraining(BertConfig(**shape_of(shape))), bert_names
        label_name = "next_sentence_label"
    scramble(theirs)
    theirs.eval()  # its classifier has a dropout of its own
    theirs, ours = theirs.to(precision), LanguageModel(config).to(precision)
    copy_weights(theirs, names(ours))

    output = ours(**batch)
    masked = batch["masked_positions"]
    assert torch.equal(output.read_ids, rows["input_ids"].masked_fill(masked, MASK))
    labels = rows["input_ids"].masked_fill(~masked, -100)
    expected = theirs(
        **rows | {"input_ids": output.read_ids, label_name: batch["sentence_order_label"]},
        labels=labels,
    ).loss
    loss = ours.loss(output)
    close = {"rtol": PRECISIONS[precision], "atol": PRECISIONS[precision]}
    torch.testing.assert_close(loss, expected, **close)
    loss.backward()
    expected.backward()
    assert_equal_gradients(ours, theirs, gradients, names, precision)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_a_decoder_costs_what_it_costs_transformers(
    micro, rows, scramble, copy_weights, gradients, precision
):
    config = LanguageModelConfig(model=replace(micro, **GPT2))
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=40,
            n_positions=12,
            n_embd=16,
            n_layer=4,
            n_head=2,
            n_inner=24,
            embd_pdrop=0.0,
            resid_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    scramble(theirs)
    theirs, ours = theirs.to(precision), LanguageModel(config).to(precision)

    def names(model):
        return gpt2_tensors(model.network.backbone, "transformer.")

    copy_weights(theirs, names(ours))
    ids, mask = rows["input_ids"], rows["attention_mask"]
    output = ours(ids, mask)
    assert output.counts["causal_language_model"] == (mask.sum(1) - 1).sum()
    labels = ids.masked_fill(mask == 0, -100)
    logits = theirs(ids, attention_mask=mask).logits  # their own loss is float32 always
    expected = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    loss = ours.loss(output)
    close = {"rtol": PRECISIONS[precision], "atol": PRECISIONS[precision]}
    torch.testing.assert_close(loss, expected, **close)
    loss.backward()
    expected.backward()
    assert_equal_gradients(ours, theirs, gradients, names, precision)


def test_a_shared_factorized_decoder_predicts_through_two_products(
    micro: ModelConfig, rows, scramble, copy_weights
):
    """ALGPT2: its logits are two products, H -> E and E -> vocabulary."""
    shape = replace(micro, **GPT2 | {"embedding_size": 8, "num_hidden_groups": 1})
    ours = LanguageModel(LanguageModelConfig(model=shape)).double()
    scramble(ours)
    backbone, head = ours.network.backbone, ours.network.objectives["causal_language_model"].head
    states = backbone(**{name: rows[name] for name in ("input_ids", "attention_mask")})
    logits = head(states) @ backbone.word_embeddings.t()
    places = torch.arange(12) + 1 < rows["attention_mask"].sum(1)[:, None]
    labels = rows["input_ids"].roll(-1, 1)[places]
    expected = F.cross_entropy(logits[places], labels)
    found = ours.loss(ours(rows["input_ids"], rows["attention_mask"]))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_span_boundaries_cost_what_they_cost_one_by_one(micro: ModelConfig, batch, scramble):
    config = LanguageModelConfig(model=micro, mask_token_id=MASK, span_boundary_weight=1.0)
    model = LanguageModel(config).double()
    scramble(model)
    output = model(**batch)
    backbone, head = model.network.backbone, model.network.objectives["span_boundary"].head
    states = backbone(output.read_ids, batch["attention_mask"], batch["token_type_ids"])
    losses, masked = [], batch["masked_positions"]
    for row in range(5):
        for place in masked[row].nonzero().flatten().tolist():
            left, right = place, place
            while masked[row, left]:
                left -= 1
            while masked[row, right]:
                right += 1
            number = torch.tensor([place - left - 1])
            features = head(states[row, left][None], states[row, right][None], number)
            logits = features @ backbone.word_embeddings.t() + head.bias
            losses.append(F.cross_entropy(logits, batch["input_ids"][row, place][None]))
    score = output.scores["span_boundary"]
    assert score.targets == len(losses) == masked.sum()
    torch.testing.assert_close(score.loss, torch.stack(losses).sum())
    assert set(output.losses) == {"masked_language_model", "sentence_order", "span_boundary"}


def test_masked_tokens_become_mask_random_or_stay_by_the_shares():
    torch.manual_seed(0)
    ids, masked = torch.full((200, 500), 7), torch.zeros(200, 500, dtype=torch.bool)
    masked[:, :400] = True
    settings = {"mask_token_id": 4, "vocab_size": 50, "mask_replace_prob": 0.8}
    read = scramble_tokens(ids, masked, **settings, random_replace_prob=0.1, by_span=False)
    assert (read[~masked] == 7).all()
    count = int(masked.sum())
    shares = {"mask": read[masked] == 4, "random": (read[masked] != 4) & (read[masked] != 7)}
    for name, share in (("mask", 0.8 + 0.1 / 50), ("random", 0.1 * 48 / 50)):
        sigma = (count * share * (1 - share)) ** 0.5
        assert abs(shares[name].sum() - count * share) < 3 * sigma, name
    seen = read[masked].unique()
    assert torch.equal(seen, torch.arange(50))


def test_a_span_is_hidden_as_a_whole():
    torch.manual_seed(0)
    ids, masked = torch.full((50, 40), 7), (torch.arange(40) % 5 > 1).expand(50, -1)
    settings = {"mask_token_id": 4, "vocab_size": 50, "mask_replace_prob": 0.5}
    read = scramble_tokens(ids, masked, **settings, random_replace_prob=0.0, by_span=True)
    spans = (read == 4)[:, torch.arange(40) % 5 > 1].view(50, 8, 3)
    assert torch.equal(spans.any(2), spans.all(2))
    assert 120 < spans.all(2).sum() < 280


@pytest.mark.parametrize(
    ("weights", "objectives"),
    [
        ({}, {"masked_language_model", "sentence_order"}),
        ({"sentence_order_weight": 0.0}, {"masked_language_model"}),
        (
            {"sentence_order_weight": 0.0, "span_boundary_weight": 1.0},
            {"masked_language_model", "span_boundary"},
        ),
        ({"masked_language_model_weight": 0.0}, {"sentence_order"}),
    ],
)
def test_an_objective_without_weight_has_no_head(micro: ModelConfig, batch, weights, objectives):
    model = LanguageModel(LanguageModelConfig(model=micro, mask_token_id=MASK, **weights))
    output = model(**batch)
    assert set(model.network.objectives) == set(output.losses) == objectives
    model.loss(output).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.count(**batch) == output.counts


def test_micro_batches_add_up_to_the_whole(micro: ModelConfig, batch):
    config = LanguageModelConfig(
        model=micro, mask_token_id=MASK, mask_replace_prob=1.0, random_replace_prob=0.0
    )
    model = LanguageModel(config).double()
    whole = torch.autograd.grad(model.loss(model(**batch)), list(model.parameters()))
    counts, parts = model.count(**batch), [0.0] * len(whole)
    for rows in (slice(0, 2), slice(2, 5)):
        output = model(**{name: tensor[rows] for name, tensor in batch.items()})
        found = torch.autograd.grad(model.loss(output, counts), list(model.parameters()))
        parts = [total + part for total, part in zip(parts, found, strict=True)]
    torch.testing.assert_close(tuple(parts), whole, rtol=1e-10, atol=1e-10)


def test_a_padded_vocabulary_changes_nothing_but_the_table(micro: ModelConfig, batch):
    config = LanguageModelConfig(
        model=micro, mask_token_id=MASK, mask_replace_prob=1.0, random_replace_prob=0.0
    )
    plain = LanguageModel(config)
    padded = LanguageModel(replace(config, model=replace(micro, pad_to_multiple_of=16)))
    for name, parameter in padded.state_dict().items():
        mine = plain.state_dict()[name]
        parameter[: len(mine)].copy_(mine)
    one, other = (model(**batch) for model in (plain, padded))
    torch.testing.assert_close(other.losses, one.losses)
    padded.loss(other).backward()
    assert not padded.network.backbone.word_embeddings.grad[40:].any()
