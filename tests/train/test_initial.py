"""A new run with old weights: of a run, an export or an import; refused where they do not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file
from tokenizers.pre_tokenizers import ByteLevel

from model.electra import make_electra
from model.huggingface import GENERATOR, save
from pipeline.config import ImportConfig
from pipeline.encode import load_tokenizer
from pipeline.tokenizer import import_tokenizer
from pipeline.vocabulary.special import pad_vocabulary
from shards.errors import DataError
from shards.reader import ShardFolder
from train.checkpoint import load_weights, newest_checkpoint
from train.config import pretrain_config
from train.imports import import_folder
from train.initial import Source, initialize, make_model, open_source
from train.pretrain import start_run
from train.runs import load_run, model_config


def say_nothing(line):
    """Be silent."""


def test_a_new_run_begins_with_the_weights_of_another(run_folder, shards_folder, on_cpu, tmp_path):
    config = pretrain_config("tiny", steps=1, batch_size=2, precision="float32")
    config = replace(config, sentence_order="both", learning_rate=1e-9)
    lines = []
    for source in (run_folder, run_folder / "hf"):
        out = tmp_path / source.name
        start_run(shards_folder, out, config, on_cpu, lines.append, init_from=source)
        old = load_file(run_folder / "hf" / "model.safetensors")
        new = load_file(out / "hf" / "model.safetensors")
        for name, tensor in old.items():
            torch.testing.assert_close(new[name], tensor, rtol=0, atol=1e-6)
        assert load_run(out).init_from == str(source.resolve())
    drawn = [line for line in lines if "drawn anew" in line]
    assert len(drawn) == 2
    assert all(line.startswith("note: generator: ") for line in drawn)


def start_from(source, shards, on_cpu, tmp_path, preset="tiny"):
    config = pretrain_config(preset, steps=1, batch_size=2, precision="float32")
    start_run(shards, tmp_path / "new", config, on_cpu, say_nothing, init_from=source)


def test_weights_that_do_not_fit_are_refused_by_what_differs(
    run_folder, shards_folder, on_cpu, tmp_path
):
    with pytest.raises(DataError, match="has hidden_size 128, not 256 as the preset's"):
        start_from(run_folder, shards_folder, on_cpu, tmp_path, "alectra-small")
    with pytest.raises(DataError, match="not a model: its shape is that of --preset tiny"):
        start_from(run_folder, shards_folder, on_cpu, tmp_path, "bert-tiny")
    (tmp_path / "README.md").write_text("read me")
    with pytest.raises(DataError, match=r"README\.md is a file: .*: give a run's folder"):
        start_from(tmp_path / "README.md", shards_folder, on_cpu, tmp_path)
    with pytest.raises(DataError, match=r"is not there: .*: give a run's folder"):
        start_from(tmp_path / "nothing", shards_folder, on_cpu, tmp_path)
    with pytest.raises(DataError, match="no exported model at"):
        start_from(tmp_path, shards_folder, on_cpu, tmp_path)
    shutil.copytree(run_folder / "hf", tmp_path / "hf")
    path = tmp_path / "hf" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    first, second = list(vocabulary)[100:102]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"token .* is 101 in it and 100 in theirs: pack with its"):
        start_from(tmp_path / "hf", shards_folder, on_cpu, tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"has no tokenizer\.json .*`python cli.py import"):
        start_from(tmp_path / "hf", shards_folder, on_cpu, tmp_path)
    assert not (tmp_path / "new").exists()


def test_an_imported_model_can_be_trained_on(run_folder, shards_folder, tmp_path):
    import_folder(run_folder / "hf", tmp_path / "imported")
    run = load_run(run_folder)
    trained = make_electra(run.model)
    load_weights(newest_checkpoint(run.checkpoints), trained)
    torch.manual_seed(5)
    model = make_model(run.model)
    source = open_source(tmp_path / "imported")
    assert source.max_position_embeddings == 64
    tokenizer = tmp_path / "imported" / "tokenizer" / "tokenizer.json"
    assert initialize(model, run.model, source, tokenizer) == []
    for name, tensor in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_generator_alone_leaves_the_rest_to_chance_or_is_of_another_kind(run_folder, tmp_path):
    folder = tmp_path / "generator"
    shutil.copytree(run_folder / "hf" / GENERATOR, folder)
    source = open_source(folder)
    assert list(source.networks) == ["model"]
    run = load_run(run_folder)
    with pytest.raises(DataError, match="has a model, not a discriminator or generator"):
        initialize(make_model(run.model), run.model, source, run.tokenizer / "tokenizer.json")


def test_the_presets_of_a_shape_are_named(run_folder):
    run = load_run(run_folder)
    source = open_source(run_folder)
    home = replace(
        run,
        model=model_config(pretrain_config("home"), ShardFolder(Path(run.shards), "train").header),
    )
    model = make_model(home.model)
    tokenizer = run.tokenizer / "tokenizer.json"
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DataError, match="its shape is that of --preset tiny: choose that"):
        initialize(model, home.model, source, tokenizer)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    narrow = source.shapes | {
        "discriminator": replace(source.shapes["discriminator"], num_hidden_layers=9)
    }
    with pytest.raises(DataError, match=r"no preset has its shape \(9 layers of 128\)"):
        initialize(model, home.model, source._replace(shapes=narrow), tokenizer)


@pytest.fixture
def publish(shards_folder, tokenizer_folder, tmp_path):
    """Return a function that writes a BERT whose table has so many entries, and returns it."""
    config = model_config(pretrain_config("bert-tiny"), ShardFolder(shards_folder, "train").header)

    def write(size):
        torch.manual_seed(5)
        published = make_model(replace(config, model=replace(config.model, vocab_size=size)))
        save(tmp_path / "published", published)
        shutil.copyfile(
            tokenizer_folder / "tokenizer.json", tmp_path / "published" / "tokenizer.json"
        )
        return config, published

    return write


def test_entries_of_a_table_that_belong_to_no_token_are_left_out(
    publish, tokenizer_folder, tmp_path
):
    config, published = publish(608)
    model, tokenizer = make_model(config), tokenizer_folder / "tokenizer.json"
    source = open_source(tmp_path / "published")
    assert initialize(model, config, source, tokenizer) == []
    expected = published.network.backbone.word_embeddings[:600]
    assert torch.equal(model.network.backbone.word_embeddings, expected)
    deep = replace(config, model=replace(config.model, num_hidden_layers=3, num_hidden_groups=3))
    with pytest.raises(DataError, match=r"has num_hidden_groups 2, .* --preset bert-tiny: choose"):
        initialize(make_model(deep), deep, source, tokenizer)


def test_tokens_that_a_vocabulary_has_beyond_the_sources_are_drawn_anew(
    publish, tokenizer_folder, tmp_path
):
    config, published = publish(600)
    longer = pad_vocabulary(load_tokenizer(tokenizer_folder / "tokenizer.json"), 64)
    longer.save(str(tmp_path / "longer.json"))
    config = replace(config, model=replace(config.model, vocab_size=640))
    model = make_model(config)
    remarks = initialize(
        model, config, open_source(tmp_path / "published"), tmp_path / "longer.json"
    )
    assert remarks == ["model: the last 40 entries of the vocabulary drawn anew"]
    expected = published.network.backbone.word_embeddings
    assert torch.equal(model.network.backbone.word_embeddings[:600], expected)


def test_entries_that_no_token_of_the_source_has_are_drawn_anew(
    publish, tokenizer_folder, tmp_path
):
    config, published = publish(640)
    longer = pad_vocabulary(load_tokenizer(tokenizer_folder / "tokenizer.json"), 604)
    longer.save(str(tmp_path / "longer.json"))
    size = longer.get_vocab_size()
    assert 600 < size <= 640
    config = replace(config, model=replace(config.model, vocab_size=size))
    model = make_model(config)
    before = model.network.backbone.word_embeddings.clone()
    source = open_source(tmp_path / "published")
    remarks = initialize(model, config, source, tmp_path / "longer.json")
    assert remarks == [f"model: the last {size - 600} entries of the vocabulary drawn anew"]
    table = model.network.backbone.word_embeddings
    assert torch.equal(table[600:], before[600:])
    assert torch.equal(table[:600], published.network.backbone.word_embeddings[:600])


def test_padded_tables_of_one_length_have_their_common_tokens_in_common(
    publish, tokenizer_folder, tmp_path
):
    """Positions are as many as there are entries, and copied all the same."""
    config, _ = publish(600)
    sizes = {"max_position_embeddings": 640, "pad_to_multiple_of": 64}
    old, new = (
        replace(config, model=replace(config.model, **sizes, vocab_size=size))
        for size in (600, 640)
    )
    longer = pad_vocabulary(load_tokenizer(tokenizer_folder / "tokenizer.json"), 64)
    longer.save(str(tmp_path / "longer.json"))
    first, model = make_model(old), make_model(new)
    tokenizer = tokenizer_folder / "tokenizer.json"
    source = Source(tmp_path, {"model": first.network}, {"model": old.model}, tokenizer)
    tables = {name for name, one in model.network.state_dict().items() if len(one) == 640}
    before = {name: model.network.state_dict()[name].clone() for name in tables}
    remarks = initialize(model, new, source, tmp_path / "longer.json")
    assert remarks == ["model: the last 40 entries of the vocabulary drawn anew"]
    copied = {
        n for n in tables if torch.equal(model.network.state_dict()[n][600:], before[n][600:])
    }
    assert len(copied) == 2
    assert len(tables) == 3
    for name, one in model.network.state_dict().items():
        assert torch.equal(one[:600], first.network.state_dict()[name][:600])


def test_a_table_that_is_shorter_than_its_tokenizer_is_refused(publish, tokenizer_folder, tmp_path):
    config, _ = publish(500)
    source = open_source(tmp_path / "published")
    with pytest.raises(DataError, match=r"has 600 tokens, its model only 500: give the tokenizer"):
        initialize(make_model(config), config, source, tokenizer_folder / "tokenizer.json")


def test_a_gpt2_is_trained_on_with_the_tokens_that_pack_needs(stream_folder, tmp_path):
    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    theirs = hf.GPT2Config(
        vocab_size=257, n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=256
    )
    theirs.eos_token_id = 256
    hf.GPT2LMHeadModel(theirs).save_pretrained(tmp_path / "gpt2")
    (tmp_path / "gpt2" / "vocab.json").write_text(json.dumps(letters | {"<|endoftext|>": 256}))
    (tmp_path / "gpt2" / "merges.txt").write_text("#version: 0.2\n")
    import_folder(tmp_path / "gpt2", tmp_path / "run")
    import_tokenizer(tmp_path / "gpt2", None, tmp_path / "tokenizer", ImportConfig())
    tokenizer = tmp_path / "tokenizer" / "tokenizer.json"
    size = load_tokenizer(tokenizer).get_vocab_size()
    assert size > 257
    config = model_config(pretrain_config("gpt2-small"), ShardFolder(stream_folder, "train").header)
    sizes = {"hidden_size": 32, "embedding_size": 32, "num_attention_heads": 2, "vocab_size": size}
    sizes |= {"num_hidden_layers": 2, "num_hidden_groups": 2, "intermediate_size": 128}
    config = replace(config, model=replace(config.model, **sizes))
    remarks = initialize(make_model(config), config, open_source(tmp_path / "run"), tokenizer)
    assert remarks == [f"model: the last {size - 257} entries of the vocabulary drawn anew"]


def test_a_table_that_is_padded_takes_one_that_is_not(stream_folder, on_cpu, tmp_path):
    header = ShardFolder(stream_folder, "train").header
    config = model_config(pretrain_config("gpt2-small"), header)
    sizes = {"hidden_size": 32, "embedding_size": 32, "num_attention_heads": 2}
    sizes |= {"num_hidden_layers": 2, "num_hidden_groups": 2, "intermediate_size": 64}
    own, padded = (
        replace(config, model=replace(config.model, **sizes, pad_to_multiple_of=multiple))
        for multiple in (1, 256)
    )
    old, model = make_model(own), make_model(padded)
    save(tmp_path / "old", old)
    tokenizer = stream_folder / "tokenizer" / "tokenizer.json"
    shutil.copyfile(tokenizer, tmp_path / "old" / "tokenizer.json")
    assert initialize(model, padded, open_source(tmp_path / "old"), tokenizer) == []
    table = model.network.backbone.word_embeddings
    assert len(table) == 768
    assert torch.equal(table[:600], old.network.backbone.word_embeddings[:600])
