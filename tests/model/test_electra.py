import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from transformers import AlbertForMaskedLM, AlbertModel, ElectraForPreTraining
from transformers import ElectraConfig as ElectraShape

from model.config import ElectraConfig
from model.corruption import hide_tokens
from model.electra import Electra, make_electra, replaced_logits
from model.huggingface_tensors import albert_tensors, head_tensors

OBJECTIVES = ("masked_language_model", "replaced_token", "sentence_order")


def embedding_parameters(model: Electra) -> set[int]:
    return {id(parameter) for parameter in model.generator.backbone.embeddings.parameters()}


def mlm_head(model: Electra):
    return model.generator.objectives["masked_language_model"].head


def is_tied(model: Electra) -> bool:
    pairs = zip(
        model.generator.backbone.embeddings.parameters(),
        model.discriminator.backbone.embeddings.parameters(),
        strict=True,
    )
    return all(mine.data_ptr() == other.data_ptr() for mine, other in pairs)


def test_losses_equal_those_computed_with_transformers(
    pair: ElectraConfig, batch, rows, albert_config, copy_weights, scramble
):
    """Rebuild every loss from transformers' models, given the ids that were sampled."""
    pair = replace(pair, mask_replace_prob=1.0)
    model = make_electra(pair).eval()
    generator = AlbertForMaskedLM(albert_config(pair.generator)).eval()
    discriminator = AlbertModel(albert_config(pair.discriminator)).eval()
    verdict = ElectraForPreTraining(
        ElectraShape(hidden_size=pair.discriminator.hidden_size, num_attention_heads=3)
    ).discriminator_predictions
    for theirs in (generator, discriminator, verdict):
        scramble(theirs)
    discriminator.embeddings.load_state_dict(generator.albert.embeddings.state_dict())
    copy_weights(generator.albert, albert_tensors(model.generator.backbone, ""))
    copy_weights(discriminator, albert_tensors(model.discriminator.backbone, ""))
    copy_weights(generator, head_tensors(mlm_head(model), "predictions."))
    judges = model.discriminator.objectives
    judges["replaced_token"].head.load_state_dict(verdict.state_dict())
    order = judges["sentence_order"].head
    order.pooler.load_state_dict(discriminator.pooler.state_dict())

    with torch.no_grad():
        output = model(**batch)
        masked, real = batch["masked_positions"], rows["attention_mask"].bool()
        hidden = rows | {"input_ids": rows["input_ids"].masked_fill(masked, pair.mask_token_id)}
        labels = rows["input_ids"].masked_fill(~masked, -100)
        expected_mlm = generator(**hidden, labels=labels).loss
        read = discriminator(**rows | {"input_ids": output.read_ids})
        is_replaced = output.read_ids != rows["input_ids"]
        expected_rtd = F.binary_cross_entropy_with_logits(
            verdict(read.last_hidden_state)[real], is_replaced[real].float()
        )
        expected_order = F.cross_entropy(
            order.classifier(read.pooler_output), batch["sentence_order_label"]
        )

    assert is_replaced.any()
    expected = dict(zip(OBJECTIVES, (expected_mlm, expected_rtd, expected_order), strict=True))
    for name, mean in expected.items():
        torch.testing.assert_close(output.losses[name] / output.counts[name], mean)
    counts = {name: count.item() for name, count in output.counts.items()}
    assert counts == {
        "masked_language_model": masked.sum(),
        "replaced_token": real.sum(),
        "sentence_order": 4,
    }
    total = expected_mlm + 50 * expected_rtd + expected_order
    torch.testing.assert_close(model.loss(output), total)


def test_each_loss_is_weighed_by_its_own_weight(pair: ElectraConfig, batch):
    weights = {"generator_weight": 3.0, "discriminator_weight": 7.0, "sentence_order_weight": 0.5}
    model = make_electra(replace(pair, sentence_order="both", **weights))
    output = model(**batch)
    means = output.means()
    expected = (
        3 * means["masked_language_model_loss"]
        + 7 * means["replaced_token_loss"]
        + 0.5 * (means["sentence_order_loss"] + means["generator_sentence_order_loss"])
    )
    torch.testing.assert_close(model.loss(output).detach(), expected)


def test_correct_counts_are_those_of_the_likeliest_answers(pair: ElectraConfig, batch, scramble):
    model = make_electra(replace(pair, sentence_order="both")).eval()
    scramble(model)
    with torch.no_grad():
        output = model(**batch)
        states = model.discriminator.backbone(
            output.read_ids, batch["attention_mask"], batch["token_type_ids"]
        )
    real = batch["attention_mask"].bool()
    right = (replaced_logits(output) > 0) == (output.read_ids != batch["input_ids"])
    assert output.correct["replaced_token"] == right[real].sum()
    order = model.discriminator.objectives["sentence_order"].head(states[:, 0]).argmax(-1)
    assert output.correct["sentence_order"] == (order == batch["sentence_order_label"]).sum()
    assert set(output.correct) == {*OBJECTIVES, "generator_sentence_order"}
    for name, correct in output.correct.items():
        assert 0 <= correct <= output.counts[name]


def test_only_masked_positions_are_ever_altered(pair: ElectraConfig, batch):
    model = make_electra(pair)
    for seed in range(20):
        torch.manual_seed(seed)
        output = model(**batch)
        is_replaced = output.read_ids != batch["input_ids"]
        assert not is_replaced[~batch["masked_positions"]].any()


def test_a_right_guess_counts_as_original(pair: ElectraConfig, batch):
    """A generator certain of one token hits where that token stood, and only there."""
    model = make_electra(pair).eval()
    token = batch["input_ids"][batch["masked_positions"]][0]
    with torch.no_grad():
        mlm_head(model).bias[token] = 1e4
        output = model(**batch)
    masked = batch["masked_positions"]
    assert (output.read_ids[masked] == token).all()
    hits = masked & (batch["input_ids"] == token)
    assert output.correct["masked_language_model"] == hits.sum() > 0
    with torch.no_grad():  # a discriminator that says "replaced" of all is wrong about the hits
        verdict = model.discriminator.objectives["replaced_token"].head.dense_prediction
        verdict.weight.zero_()
        verdict.bias.fill_(9.0)
        output = model(**batch)
    assert output.correct["replaced_token"] == masked.sum() - hits.sum()


def test_masked_positions_become_mask_with_the_given_probability():
    torch.manual_seed(0)
    input_ids, masked = torch.full((100, 400), 9), torch.arange(400).expand(100, -1) < 200
    hidden = hide_tokens(input_ids, masked, mask_token_id=4, mask_replace_prob=0.85)
    assert (hidden[:, 200:] == 9).all()
    share = (hidden[:, :200] == 4).float().mean().item()
    assert share == pytest.approx(0.85, abs=4 * math.sqrt(0.85 * 0.15 / 20_000))
    assert torch.equal(hide_tokens(input_ids, masked, 4, 0.0), input_ids)
    assert (hide_tokens(input_ids, masked, 4, 1.0)[:, :200] == 4).all()


def test_draws_repeat_with_the_seed_of_torch(pair: ElectraConfig, batch):
    model, drawn = make_electra(pair), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(**batch).read_ids)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_losses_and_verdicts_are_float32_under_autocast(pair: ElectraConfig, batch):
    model = make_electra(replace(pair, sentence_order="both"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**batch)
    tensors = [model.loss(output), replaced_logits(output), *output.losses.values()]
    assert all(tensor.dtype == torch.float32 for tensor in tensors)
    model.loss(output).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("objective", ["replaced_token", "sentence_order"])
def test_no_gradient_reaches_the_generator_through_the_sample(
    pair: ElectraConfig, batch, objective
):
    model = make_electra(pair)
    model(**batch).losses[objective].backward()
    shared = embedding_parameters(model)
    own = [p for p in model.generator.parameters() if id(p) not in shared]
    assert all(parameter.grad is None for parameter in own)
    assert model.generator.backbone.embeddings.word_embeddings.weight.grad.any()
    assert model.discriminator.backbone.layers[0].feed_forward.expand.weight.grad.any()


def test_the_generators_loss_leaves_the_discriminator_alone(pair: ElectraConfig, batch):
    model = make_electra(pair)
    model(**batch).losses["masked_language_model"].backward()
    shared = embedding_parameters(model)
    own = [p for p in model.discriminator.parameters() if id(p) not in shared]
    assert all(parameter.grad is None for parameter in own)


@pytest.mark.parametrize("sentence_order", ["neither", "generator", "discriminator", "both"])
def test_every_parameter_learns(pair: ElectraConfig, batch, sentence_order):
    model = make_electra(replace(pair, sentence_order=sentence_order))
    model.loss(model(**batch)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_embeddings_stay_one_after_a_move_a_step_a_copy_and_a_load(pair: ElectraConfig, batch):
    model = make_electra(pair)
    assert is_tied(model.to(torch.float64).to(torch.float32))
    optimizer = torch.optim.AdamW(model.parameters())
    model.loss(model(**batch)).backward()
    optimizer.step()
    assert is_tied(model)
    assert is_tied(deepcopy(model))
    loaded = make_electra(pair)
    loaded.load_state_dict(model.state_dict())
    assert is_tied(loaded)
    trained = model.generator.backbone.embeddings.word_embeddings.weight
    assert torch.equal(loaded.discriminator.backbone.embeddings.word_embeddings.weight, trained)


def test_shared_embeddings_are_counted_once(pair: ElectraConfig):
    model = make_electra(pair)
    parts = sum(parameter.numel() for part in model.children() for parameter in part.parameters())
    embeddings = sum(p.numel() for p in model.generator.backbone.embeddings.parameters())
    assert sum(p.numel() for p in model.parameters()) == parts - embeddings


def test_nothing_to_predict_adds_nothing_and_is_finite(pair: ElectraConfig, batch):
    model = make_electra(pair)
    nothing = {
        "masked_positions": torch.zeros_like(batch["masked_positions"]),
        "sentence_order_label": torch.full((5,), -100),
    }
    output = model(**batch | nothing)
    assert output.counts["masked_language_model"] == output.counts["sentence_order"] == 0
    loss = model.loss(output)
    expected = 50 * output.losses["replaced_token"] / output.counts["replaced_token"]
    torch.testing.assert_close(loss, expected)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_micro_batches_add_up_to_the_whole(pair: ElectraConfig, batch):
    """Given the same draws, losses divided by the whole step's counts sum to the whole loss."""
    pair = replace(pair, mask_replace_prob=1.0)
    model = make_electra(pair).eval()
    with torch.no_grad():  # a certain generator samples the same whatever the noise
        mlm_head(model).bias[11] = 1e4
        whole = model(**batch)
        halves = [
            model(**{name: tensor[rows] for name, tensor in batch.items()})
            for rows in (slice(0, 2), slice(2, 5))
        ]
        total = sum(model.loss(half, whole.counts) for half in halves)
        torch.testing.assert_close(total, model.loss(whole))


def test_padding_carries_no_loss(pair: ElectraConfig, batch):
    """Longer padding changes neither sums nor counts."""
    pair = replace(pair, mask_replace_prob=1.0)
    model = make_electra(pair).eval()
    short = {
        name: tensor[2:3, :5] if tensor.dim() == 2 else tensor[2:3]
        for name, tensor in batch.items()
    }
    padded = {name: tensor[2:3] for name, tensor in batch.items()}
    with torch.no_grad():
        mlm_head(model).bias[11] = 1e4
        ours, theirs = model(**short), model(**padded)
    assert ours.counts == theirs.counts
    for name in OBJECTIVES:
        torch.testing.assert_close(ours.losses[name], theirs.losses[name], rtol=1e-5, atol=1e-5)


def test_one_batch_is_learned_by_heart(pair: ElectraConfig, batch):
    torch.manual_seed(0)
    model = make_electra(pair)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    history = []
    for _ in range(60):
        output = model(**batch)
        optimizer.zero_grad()
        model.loss(output).backward()
        optimizer.step()
        history.append(
            {name: (output.losses[name] / output.counts[name]).item() for name in OBJECTIVES}
        )
    first, last = history[0], history[-1]
    assert first["masked_language_model"] == pytest.approx(math.log(40), abs=0.3)
    assert last["masked_language_model"] < first["masked_language_model"] / 2
    assert last["replaced_token"] < first["replaced_token"] / 2
