"""Sizes of the presets, beside transformers' own and the published."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertForPreTraining,
    BertConfig,
    BertForPreTraining,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
    NystromformerConfig,
    NystromformerForMaskedLM,
)
from transformers import ElectraConfig as ElectraShape

from model.config import ElectraConfig, LanguageModelConfig, ModelConfig
from model.configure import configure
from model.electra import make_electra
from model.language_model import LanguageModel
from model.presets import LANGUAGE_MODELS, PAIRS, PRESETS

VOCABULARY = {
    "vocab_size": 100,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "mask_token_id": 4,
}
PUBLISHED = {  # millions, by the papers; ALBERT says 235 of xxlarge, whose shape has 223
    "albert-base": 12,
    "albert-large": 18,
    "albert-xlarge": 60,
    "bert-base": 110,
    "bert-large": 336,
    "gpt2-small": 124,
    "algpt2-small": 13.85,
    "algpt2-medium": 19.43,
    "algpt2-large": 26.57,
    "algpt2-xl": 37.72,
}


def size(module: nn.Module) -> int:
    """Return the elements of all distinct storages of a module's parameters."""
    return sum({p.untyped_storage()._cdata: p.numel() for p in module.parameters()}.values())


def build(model: ElectraConfig | LanguageModelConfig) -> nn.Module:
    with torch.device("meta"):
        return make_electra(model) if isinstance(model, ElectraConfig) else LanguageModel(model)


def theirs(config: ModelConfig, shape: dict, family: str) -> nn.Module:
    with torch.device("meta"):
        if family == "albert":
            return AlbertForPreTraining(AlbertConfig(**shape))
        if family == "bert":
            return BertForPreTraining(BertConfig(**shape))
        if family == "nystromformer":
            lengths = {"num_landmarks": 64, "segment_means_seq_len": 64, "conv_kernel_size": 33}
            return NystromformerForMaskedLM(NystromformerConfig(**shape | lengths))
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=config.vocab_size,
                n_embd=config.hidden_size,
                n_layer=config.num_hidden_layers,
                n_head=config.num_attention_heads,
            )
        )


EXACT = [name for name in LANGUAGE_MODELS if not name.startswith(("algpt2", "hour"))]


@pytest.mark.parametrize("name", EXACT)
def test_a_language_model_has_as_many_parameters_as_that_of_transformers(name: str, shape_of):
    model = PRESETS[name].model
    other = size(theirs(model.model, shape_of(model.model), name.partition("-")[0]))
    if name == "nystromformer-base":
        other -= 2 * model.model.hidden_size  # its table of positions begins with two unused rows
    assert size(build(model)) == other


def test_masked_tokens_alone_are_learnt_by_electra_s_class(shape_of):
    model = PRESETS["hour-mlm"].model
    with torch.device("meta"):
        other = ElectraForMaskedLM(ElectraShape(**shape_of(model.model)))
    assert size(build(model)) == size(other)


@pytest.mark.parametrize("name", ["electra-small", "electra-base", "electra-large"])
def test_a_pair_has_as_many_parameters_as_those_of_transformers(name: str, shape_of):
    model = PRESETS[name].model
    with torch.device("meta"):
        generator = ElectraForMaskedLM(ElectraShape(**shape_of(model.generator)))
        discriminator = ElectraForPreTraining(ElectraShape(**shape_of(model.discriminator)))
    shared = size(generator.electra.embeddings)
    assert size(build(model)) == size(generator) + size(discriminator) - shared


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_is_of_the_published_size(name: str):
    assert size(build(PRESETS[name].model)) / 1e6 == pytest.approx(PUBLISHED[name], rel=0.025)


def test_the_shared_pairs_are_of_the_published_size():
    """lmtuners counts ALECTRA's discriminator with 4.75 M, its generator with 4.81 M."""
    model = build(PRESETS["alectra-small"].model)
    head = model.discriminator.objectives
    assert size(model.discriminator.backbone) / 1e6 == pytest.approx(4.8, rel=0.02)
    assert size(model.generator) / 1e6 == pytest.approx(4.9, rel=0.02)
    assert size(head) < 1e5
    # train-from-home-transformer: 2.78 M for one network with this vocabulary.
    seed = build(PRESETS["home-seed"].model).discriminator.backbone
    assert size(seed) / 1e6 == pytest.approx(2.78, rel=0.02)


def test_the_design_s_presets_are_as_it_says():
    home, wide = PAIRS["home"], PAIRS["home-768"]
    assert (home.batch_size, home.learning_rate) == (128, 5e-4)
    assert (home.warmup_fraction * home.steps, home.steps) == (10_000, 1_000_000)
    assert home.model.generator == wide.model.generator
    shapes = home.model.discriminator, wide.model.discriminator
    assert [shape.hidden_size for shape in shapes] == [256, 768]
    assert [shape.num_attention_heads for shape in shapes] == [4, 12]
    assert home.model.sentence_order == "discriminator"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_becomes_a_model_for_any_vocabulary(name: str):
    """All else is as the preset has it."""
    config, published = configure(name, **VOCABULARY), PRESETS[name].model
    fields = {key: VOCABULARY[key] for key in VOCABULARY if key != "mask_token_id"}
    halves = ("generator", "discriminator") if name in PAIRS else ("model",)
    shapes = {half: replace(getattr(published, half), **fields) for half in halves}
    mask = None if shapes[halves[0]].is_decoder else 4
    assert config == replace(published, **shapes, mask_token_id=mask)


SCHEDULES = {  # rows, rate, steps, steps of warm-up: as published, where they are for Adam
    "electra-small": (128, 5e-4, 1_000_000, 10_000),
    "electra-base": (256, 2e-4, 766_000, 10_000),
    "electra-large": (2048, 2e-4, 400_000, 10_000),
    "bert-base": (256, 1e-4, 1_000_000, 10_000),
    "gpt2-small": (480, 6e-4, 600_000, 2_000),
    "nystromformer-base": (256, 1e-4, 500_000, 5_000),
    "alectra-small": (512, 5e-4, 500_000, 40_000),
    "albert-base": (256, 4.4e-4, 125_000, 3_125),
}


@pytest.mark.parametrize(("name", "schedule"), SCHEDULES.items(), ids=SCHEDULES)
def test_a_schedule_is_the_published_or_as_the_preset_says(name: str, schedule):
    preset = PRESETS[name]
    warmup = round(preset.warmup_fraction * preset.steps)
    assert (preset.batch_size, preset.learning_rate, preset.steps, warmup) == schedule


def test_an_unknown_preset_is_answered_with_the_known():
    with pytest.raises(ValueError, match="preset is 'huge'; known are tiny, hour, home, home-768"):
        configure("huge", **VOCABULARY)
