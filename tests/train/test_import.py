"""A published model on disk becomes a run that fill, glue and export take."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers as hf
from click.testing import CliRunner

from cli import main
from model.huggingface_read import read_parts
from shards.errors import DataError
from tests.model.test_huggingface_published import change_config, change_weights
from train.glue.classifier import find_model
from train.imports import import_folder
from train.inference.fill import fill
from train.inference.generate import generate
from train.inference.loaded import Loaded
from train.inference.settings import GenerateSettings
from train.runs import load_run

VOCAB = 600
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
NARROW = SIZES | {"embedding_size": 8}
TEXT = "Conder el [MASK] fi."
SHORT = GenerateSettings(max_new_tokens=5)
CLASSES = {
    "AlbertForPreTraining": (hf.AlbertConfig, NARROW),
    "AlbertModel": (hf.AlbertConfig, NARROW),
    "BertForPreTraining": (hf.BertConfig, SIZES),
    "BertForMaskedLM": (hf.BertConfig, SIZES),
    "ElectraForPreTraining": (hf.ElectraConfig, NARROW),
    "ElectraForMaskedLM": (hf.ElectraConfig, NARROW),
    "NystromformerForMaskedLM": (hf.NystromformerConfig, SIZES | {"pad_token_id": 0}),
}


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def publish(tokenizer_folder: Path, tmp_path: Path):
    """Return a function that writes a random model of a class, with a tokenizer, to a folder."""

    def write(name: str, folder: str = "published", **changes):
        make, sizes = CLASSES[name]
        torch.manual_seed(0)
        theirs = getattr(hf, name)(make(**sizes | changes)).eval()
        theirs.save_pretrained(tmp_path / folder)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer_folder / file, tmp_path / folder / file)
        return tmp_path / folder

    return write


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_becomes_a_run_that_exports_as_the_same_class(publish, tmp_path, name):
    source, out = publish(name), tmp_path / "run"
    result = run("import", source, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].endswith(f": {name}")
    assert result.output.splitlines()[-1].startswith("next: python cli.py ")
    assert run("export", out, "--out", tmp_path / "out").exit_code == 0
    theirs, info = getattr(hf, name).from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info.values())
    original = getattr(hf, name).from_pretrained(source).state_dict()
    for key, tensor in theirs.state_dict().items():
        # Nystromformer's two rows before the first position are never read.
        first = 2 if "Nystrom" in name and "position_embeddings" in key else 0
        assert torch.equal(tensor[first:], original[key][first:]), key
    tokenizers = [hf.AutoTokenizer.from_pretrained(one) for one in (source, tmp_path / "out")]
    ids = [tokenizer("Conder, el fi?", "Grahu!")["input_ids"] for tokenizer in tokenizers]
    assert ids[0] == ids[1]
    assert tokenizers[1].model_max_length == 64
    assert find_model(out).shape.hidden_size == 16
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"`{name}`" in card
    assert "Licence of this model, its publisher's: TO FILL IN" in card


def test_fillings_of_an_import_are_those_of_transformers(publish, tmp_path):
    source = publish("BertForMaskedLM")
    import_folder(source, tmp_path / "run")
    theirs = hf.pipeline(
        "fill-mask", model=str(source), tokenizer=str(source), device="cpu", top_k=4
    )
    (ours,) = fill(Loaded(tmp_path / "run"), TEXT, 4)
    expected = theirs(TEXT)
    assert ours.tokens == [one["token_str"] for one in expected]
    torch.testing.assert_close(ours.probabilities, [one["score"] for one in expected])


def test_a_discriminator_with_its_generator_inside_is_a_pair(publish, tmp_path):
    source = publish("ElectraForPreTraining")
    publish("ElectraForMaskedLM", "published/generator")
    imported = import_folder(source, tmp_path / "run")
    assert imported["classes"] == {
        "discriminator": "ElectraForPreTraining",
        "generator": "ElectraForMaskedLM",
    }
    assert sorted(imported["files"]) == [
        *("config.json", "generator/config.json"),
        *("generator/model.safetensors", "model.safetensors"),
    ]
    (filling,) = fill(Loaded(tmp_path / "run"), TEXT, 3)
    assert len(filling.tokens) == 3
    for part, name in imported["classes"].items():
        assert (
            run("export", tmp_path / "run", "--out", tmp_path / part, "--part", part).exit_code == 0
        )
        _, info = getattr(hf, name).from_pretrained(tmp_path / part, output_loading_info=True)
        assert not any(info.values())
        assert not (tmp_path / part / "generator").exists()


def test_our_own_export_comes_back_as_it_was(run_folder, tmp_path):
    import_folder(run_folder / "hf", tmp_path / "run")
    for folder in ("", "generator"):
        for name in ("model.safetensors", "config.json", "tokenizer.json"):
            paths = [one / "hf" / folder / name for one in (run_folder, tmp_path / "run")]
            assert paths[0].read_bytes() == paths[1].read_bytes(), paths[0]
    heads = [one / "hf" / "heads.safetensors" for one in (run_folder, tmp_path / "run")]
    assert heads[0].read_bytes() == heads[1].read_bytes()


def test_a_gpt2_is_imported_with_its_own_tokenizer(tmp_path):
    source = tmp_path / "published"
    config = hf.GPT2Config(
        vocab_size=260, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=256
    )
    config.eos_token_id = 256
    theirs = hf.GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(source)
    from tokenizers.pre_tokenizers import ByteLevel

    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    (source / "vocab.json").write_text(json.dumps(letters | {"<|endoftext|>": 256}))
    (source / "merges.txt").write_text("#version: 0.2\n")
    imported = import_folder(source, tmp_path / "run")
    assert imported["classes"] == {"model": "GPT2LMHeadModel"}
    assert "3 of the 260 embeddings belong to no token" in imported["remarks"]
    back = hf.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "hf").eval()
    assert back.config.eos_token_id == 256
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path / "run" / "hf")
    assert tokenizer.eos_token == "<|endoftext|>"
    inputs = tokenizer("Grahu, fi!", return_tensors="pt")
    assert tokenizer.decode(inputs["input_ids"][0]) == "Grahu, fi!"
    with torch.no_grad():
        assert torch.equal(back(**inputs).logits, theirs(**inputs).logits)
    made = generate(Loaded(tmp_path / "run", "cpu"), "Grahu, fi!", SHORT)
    assert made == generate(Loaded(source, "cpu"), "Grahu, fi!", SHORT)
    with torch.no_grad():
        found = theirs.generate(**inputs, max_new_tokens=5, do_sample=False, pad_token_id=256)
    assert made.text == tokenizer.decode(found[0])
    with pytest.raises(DataError, match="does not fill in masked tokens: give a masked language"):
        fill(Loaded(tmp_path / "run"), TEXT, 3)
    with pytest.raises(DataError, match="holds a decoder, whose first token sees nothing"):
        find_model(tmp_path / "run")


def no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def cut_tokenizer(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text()[:-20])


def small_table(folder):
    change_config(folder, lambda content: content | {"vocab_size": 500})
    narrow = ("word_embeddings.weight", "predictions.bias")
    change_weights(
        folder,
        lambda t: {k: one[:500].clone() if k.endswith(narrow) else one for k, one in t.items()},
    )


def no_config(folder):
    (folder / "config.json").unlink()


def roberta(folder):
    change_config(folder, lambda content: content | {"model_type": "roberta"})


def pointer(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (no_tokenizer, r"has no tokenizer\.json, .*: download the tokenizer of the model into it"),
        (cut_tokenizer, r"tokenizer\.json"),
        (small_table, r"tokenizer\.json has 600 tokens, its model only 500: give the tokenizer"),
        (no_config, r"has no config\.json: give a folder with the config\.json and all weights"),
        (roberta, r"it has model_type 'roberta'; known are .*: give a folder"),
        (pointer, r"model\.safetensors is not a whole safetensors file .*: give a folder"),
        (shutil.rmtree, r"no folder at .*: give the one that a model was downloaded to"),
    ],
)
def test_an_odd_folder_is_one_line_with_a_remedy(publish, tmp_path, damage, line):
    source = publish("BertForMaskedLM")
    damage(source)
    result = run("import", source, "--out", tmp_path / "run")
    assert result.exit_code == 1, result.output
    (text,) = result.output.splitlines()
    assert text.startswith("Error: ")
    with pytest.raises(DataError, match=line):
        import_folder(source, tmp_path / "run")
    assert not list(tmp_path.glob("run*"))


def test_what_an_import_cannot_do_is_one_line(publish, tmp_path):
    source, out = publish("BertForMaskedLM"), tmp_path / "run"
    import_folder(source, out)
    with pytest.raises(DataError, match="is not empty: choose another --out"):
        import_folder(source, out)
    with pytest.raises(DataError, match="was imported from published, not trained here: use it"):
        load_run(out)
    for arguments, line in (
        (["export", out, "--out", tmp_path / "x", "--part", "generator"], "leave out --part gen"),
        (["report", out], "use it with fill, glue and export"),
        (["pretrain", "--resume", "--out", out], "use it with fill, glue and export"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert line in result.output
    (out / "import.json").write_text("{}")
    with pytest.raises(DataError, match=r"import\.json cannot be read .*: import the model again"):
        load_run(out)


def test_two_vocabularies_are_no_pair(publish, tmp_path):
    source = publish("ElectraForPreTraining")
    publish("ElectraForMaskedLM", "published/generator", vocab_size=610)
    with pytest.raises(DataError, match="has 600 tokens and its generator 610: give two networks"):
        import_folder(source, tmp_path / "run")


def test_glue_and_import_take_weights_in_other_files(publish, tmp_path):
    source = publish("AlbertModel")
    theirs = hf.AlbertModel.from_pretrained(source)
    (source / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), source / "pytorch_model.bin")
    assert find_model(source).family == "albert"
    import_folder(source, tmp_path / "run")
    assert read_parts(tmp_path / "run" / "hf").parts.heads == {"pooler"}
