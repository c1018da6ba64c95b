import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from model.config import ElectraConfig, ModelConfig
from model.electra import Electra
from model.huggingface import load_encoder, save
from pipeline.tasks import TASKS, Examples
from shards.errors import DataError
from train.finetune import (
    finetune,
    make_classifier,
    predict,
    steps_of,
)
from train.glue import find_model, row_length, run_glue
from train.glue_config import GlueConfig
from train.glue_results import GlueResults, Measured, SplitCounts, TaskResults, read_results
from train.glue_rows import encode_examples, load_row_tokenizer

WORDS = ["good", "bad", "film", "book", "cat", "dog", "tree", "runs", "sings", "a", "the", "very"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONGEST = 20
QUICK = GlueConfig(seeds=1, epochs=12, batch_size=8, learning_rate=5e-3)
SHORT = GlueConfig(seeds=1, epochs=1)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Keep a busy machine from making threads of so small a model wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_tokenizer():
    vocabulary = {token: index for index, token in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Make a run folder with a random micro ALBERT as its export."""
    config = ModelConfig(
        vocab_size=len(SPECIAL + WORDS),
        embedding_size=16,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LONGEST,
        initializer_range=0.2,  # 0.02 is for wide networks; this one would hardly move
    )
    pair = ElectraConfig(generator=config, discriminator=config, mask_token_id=4)
    folder = tmp_path_factory.mktemp("run") / "hf"
    torch.manual_seed(0)
    save(folder, Electra(pair), pair)
    make_tokenizer().save(str(folder / "tokenizer.json"))
    return folder.parent


@pytest.fixture
def tokenizer(run):
    return load_row_tokenizer(run / "hf", LONGEST, len(SPECIAL + WORDS))


def sentences(count, seed):
    """Return sentences whose label is which one of two words they hold, anywhere."""
    generator = np.random.default_rng(seed)
    for index in range(count):
        words = list(generator.choice(WORDS[2:], generator.integers(2, 8)))
        words.insert(generator.integers(len(words) + 1), "good" if index % 3 else "bad")
        yield " ".join(words), int(index % 3 > 0)


def sentence_examples(count=60, seed=1):
    texts, labels = zip(*sentences(count, seed), strict=True)
    return Examples(list(texts), None, np.array(labels), 0)


@pytest.fixture
def source(tmp_path):
    """Make a folder with a separable CoLA and a separable SST-2, 60 rows each."""
    for split, seed in (("train", 1), ("dev", 2)):
        rows = list(sentences(60, seed))
        cola = "\n".join(f"gj04\t{label}\t\t{text}" for text, label in rows)
        sst2 = "sentence\tlabel\n" + "\n".join(f"{text} \t{label}" for text, label in rows)
        for name, content in (("CoLA", cola), ("SST-2", sst2)):
            path = tmp_path / "source" / name / f"{split}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return tmp_path / "source"


def written(tmp_path):
    return json.loads((tmp_path / "out" / "results.json").read_text())


def test_a_separable_task_is_learnt_and_the_results_are_written(run, source, tmp_path):
    config = GlueConfig(seeds=2, epochs=12, batch_size=8, learning_rate=5e-3)
    results = run_glue(
        run,
        tasks=["cola", "sst2"],
        source_path=source,
        data=tmp_path / "data",
        out=tmp_path / "out",
        config=config,
        device="cpu",
    )
    cola, sst2 = results.tasks
    assert sst2.scores[0].metric == "accuracy"
    assert min(sst2.scores[0].pretrained) > 0.9
    assert min(sst2.scores[0].random) > 0.9
    assert sst2.scores[0].majority == pytest.approx(2 / 3)
    assert cola.scores[0].metric == "matthews"
    assert min(cola.scores[0].pretrained) > 0.8
    assert cola.scores[0].majority == 0.0
    assert cola.counts["train"] == SplitCounts(60, 8551, True, 0, 0)

    document = written(tmp_path)
    assert [task["task"] for task in document["tasks"]] == ["cola", "sst2"]
    pretrained = document["tasks"][1]["scores"][0]["pretrained"]
    assert pretrained["seeds"] == list(sst2.scores[0].pretrained)
    assert pretrained["lowest"] <= pretrained["median"] <= pretrained["highest"]
    page = (tmp_path / "out" / "results.md").read_text()
    assert str(results) in page
    assert "60 of 8,551 (partial)" in page


def test_the_same_seed_repeats_the_same_bits_and_another_does_not(run, tokenizer):
    task = TASKS["cola"]
    rows = encode_examples(tokenizer, sentence_examples(), LONGEST)
    config = GlueConfig(epochs=1, batch_size=8)

    def trained(seed):
        model = load_encoder(run / "hf")[0].config
        classifier = make_classifier(model, task, seed, lambda: load_encoder(run / "hf")[0])
        finetune(classifier, task, rows, config, seed, lambda: None)
        return torch.cat([one.flatten() for one in classifier.parameters()]).detach()

    first = trained(0)
    assert torch.equal(first, trained(0))
    assert not torch.equal(first, trained(1))


def test_a_regression_is_learnt_and_predicted_in_its_own_range(run, tokenizer):
    examples = sentence_examples()
    scores = (1 + 3 * examples.labels).astype(np.float32)
    rows = encode_examples(tokenizer, Examples(examples.first, examples.first, scores, 0), LONGEST)
    task = TASKS["stsb"]
    classifier = make_classifier(load_encoder(run / "hf")[0].config, task, 0, None)
    finetune(classifier, task, rows, QUICK, 0, lambda: None)
    predictions = predict(classifier, task, rows, 8)
    assert np.corrcoef(predictions, scores)[0, 1] > 0.9
    assert abs(predictions.mean() - scores.mean()) < 0.5


def test_predictions_come_in_the_order_of_the_rows(run, tokenizer):
    task = TASKS["cola"]
    rows = encode_examples(tokenizer, sentence_examples(), LONGEST)
    classifier = make_classifier(load_encoder(run / "hf")[0].config, task, 0, None)
    one_by_one = classifier.eval()
    with torch.no_grad():
        expected = [
            int(one_by_one(rows.gather(np.array([row]), 0)).argmax()) for row in range(len(rows))
        ]
    assert predict(classifier, task, rows, 7).tolist() == expected


def test_the_pretrained_weights_are_the_ones_trained_on(run):
    encoder = load_encoder(run / "hf")[0]
    load = lambda: load_encoder(run / "hf")[0]  # noqa: E731
    pretrained = make_classifier(encoder.config, TASKS["cola"], 3, load)
    twin = make_classifier(encoder.config, TASKS["cola"], 3, None)
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, pretrained.encoder.state_dict()[name])
    words = "embeddings.word_embeddings.weight"
    assert not torch.equal(encoder.state_dict()[words], twin.encoder.state_dict()[words])
    assert torch.equal(pretrained.head.dense.weight, twin.head.dense.weight)


def test_pairs_are_joined_as_the_tokenizer_does(tokenizer):
    examples = Examples(["good film", "a"], ["the cat runs", ""], np.array([0, 1]), 0)
    rows = encode_examples(tokenizer, examples, LONGEST)
    batch = rows.gather(np.array([0, 1]), 0)
    ids = [tokenizer.token_to_id(word) for word in ("good", "film", "the", "cat", "runs", "a")]
    first = [2, *ids[:2], 3, *ids[2:5], 3]
    assert batch.input_ids.tolist() == [first, [2, ids[5], 3, 3, 0, 0, 0, 0]]
    assert batch.attention_mask.tolist() == [[1] * 8, [1] * 4 + [0] * 4]
    assert batch.token_type_ids.tolist() == [[0] * 4 + [1] * 4, [0] * 3 + [1] + [0] * 4]


def test_the_longer_text_is_truncated_first(tokenizer):
    examples = Examples(["good " * 40, "bad"], ["the cat", "cat"], np.array([0, 1]), 0)
    rows = encode_examples(tokenizer, examples, LONGEST)
    assert rows.lengths().tolist() == [LONGEST, 5]
    assert rows.truncated == 1
    batch = rows.gather(np.array([0, 1]), 0)
    assert batch.input_ids.shape == (2, LONGEST)  # not the next multiple of 8: no positions there
    assert batch.token_type_ids[0].sum() == 3  # the cat [SEP]


def test_a_special_token_typed_in_a_text_is_text(tokenizer):
    examples = Examples(["[MASK] [SEP] [CLS]"], None, np.array([0]), 0)
    tokens = encode_examples(tokenizer, examples, LONGEST).tokens.tolist()
    assert tokens[0] == 2
    assert tokens[-1] == 3
    assert not {2, 3, 4} & set(tokens[1:-1])


@given(
    texts=st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), max_size=15),
            st.lists(st.sampled_from(WORDS), max_size=15),
        ),
        min_size=1,
    )
)
def test_gathered_rows_equal_what_the_tokenizer_says(run, texts):
    tokenizer = load_row_tokenizer(run / "hf", LONGEST, len(SPECIAL + WORDS))
    pairs = [(" ".join(a), " ".join(b)) for a, b in texts]
    labels = np.zeros(len(pairs), dtype=np.int64)
    first, second = (list(column) for column in zip(*pairs, strict=True))
    rows = encode_examples(tokenizer, Examples(first, second, labels, 0), LONGEST)
    batch = rows.gather(np.arange(len(rows)), 0)
    for row, encoding in enumerate(tokenizer.encode_batch(pairs)):
        length = len(encoding.ids)
        assert batch.input_ids[row, :length].tolist() == encoding.ids
        assert batch.token_type_ids[row, :length].tolist() == encoding.type_ids
        assert batch.attention_mask[row].sum() == length


def test_the_last_batch_of_an_epoch_may_be_short():
    assert steps_of(10, 3, 4) == 9


def glue(run, tmp_path, **changes):
    options = {
        "tasks": ["cola"],
        "source_path": None,
        "data": tmp_path / "data",
        "out": tmp_path / "out",
        "config": QUICK,
        "device": "cpu",
    }
    return run_glue(run, **(options | changes))


def test_missing_data_names_the_command(run, tmp_path):
    with pytest.raises(DataError, match=r"run `python cli.py fetch glue` first"):
        glue(run, tmp_path)


def test_a_task_that_was_not_unpacked_is_named(run, source, tmp_path):
    with pytest.raises(DataError, match=r"lacks the tasks mrpc: .* `--tasks cola`"):
        glue(run, tmp_path, source_path=source, tasks=["cola", "mrpc"])


def test_an_edited_file_is_refused(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    (tmp_path / "data" / "glue" / "CoLA" / "dev.tsv").write_text("gj04\t1\t\tgood\n")
    with pytest.raises(DataError, match=r"dev\.tsv is not as it was unpacked"):
        glue(run, tmp_path, config=SHORT)


def test_tasks_done_before_are_kept_and_new_ones_added(run, source, tmp_path, capsys):
    options = {"source_path": source, "config": SHORT}
    glue(run, tmp_path, tasks=["sst2"], **options)
    first = written(tmp_path)["tasks"]
    assert capsys.readouterr().out == ""
    results = glue(run, tmp_path, tasks=["cola", "sst2"], **options)
    assert [task.task for task in results.tasks] == ["cola", "sst2"]  # GLUE's order
    assert written(tmp_path)["tasks"][1:] == first  # to the same second: not trained again
    path = tmp_path / "out" / "results.json"
    assert capsys.readouterr().out == f"kept 1 from {path}, not trained again: sst2\n"
    page = (tmp_path / "out" / "results.md").read_text()
    again = glue(run, tmp_path, tasks=["sst2"], **options)
    assert again == results
    assert (tmp_path / "out" / "results.md").read_text() == page
    assert "CoLA" in str(again)


def test_an_interrupted_run_goes_on_after_the_tasks_done(run, source, tmp_path, monkeypatch):
    options = {"source_path": source, "tasks": ["cola", "sst2"], "config": SHORT}
    calls = iter(range(100))

    def clip_or_stop(*arguments):
        if next(calls) == 5:  # CoLA and its twin take two steps each
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("torch.nn.utils.clip_grad_norm_", clip_or_stop)
        with pytest.raises(KeyboardInterrupt):
            glue(run, tmp_path, **options)
    (done,) = written(tmp_path)["tasks"]
    assert done["task"] == "cola"
    assert len(glue(run, tmp_path, **options).tasks) == 2
    assert written(tmp_path)["tasks"][0] == done


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.001}, r"learning_rate 0\.0001, not 0\.001"),
        ({"seeds": 2}, "seeds 1, not 2"),
        ({"max_length": 8}, "max_length 20, not 8"),
    ],
)
def test_results_of_other_settings_are_not_overwritten(run, source, tmp_path, change, named):
    glue(run, tmp_path, source_path=source, config=SHORT)
    before = written(tmp_path)
    with pytest.raises(DataError, match=f"{named}: choose another --out, or delete .*out$"):
        glue(run, tmp_path, tasks=["sst2"], config=replace(SHORT, **change))
    assert written(tmp_path) == before


def test_results_of_another_model_are_not_overwritten(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    other = tmp_path / "other"
    shutil.copytree(run / "hf", other)
    tensors = load_file(other / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    (name,) = (key for key in tensors if key.endswith(name))
    save_file({**tensors, name: tensors[name] + 1}, other / "model.safetensors")
    with pytest.raises(DataError, match=r"made with the model .*, not .*other .*: choose another"):
        glue(other, tmp_path, config=SHORT)
    shutil.copytree(run / "hf", tmp_path / "moved")
    assert len(glue(tmp_path / "moved", tmp_path, config=SHORT).tasks) == 1  # the same weights


def test_results_of_other_data_are_not_mixed(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    shutil.rmtree(tmp_path / "data")
    with (source / "CoLA" / "dev.tsv").open("a") as file:
        file.write("\ngj04\t1\t\tgood cat\n")
    with pytest.raises(DataError, match=r"made with CoLA/dev\.tsv .*: choose another --out"):
        glue(run, tmp_path, source_path=source, tasks=["sst2"], config=SHORT)


def small_results():
    score = Measured("dev", "matthews", (0.5, 0.7), (0.1, 0.2), 0.0)
    counts = {"train": SplitCounts(3, 3, False, 0, 0), "dev": SplitCounts(2, 4, True, 0, 0)}
    cola = TaskResults(
        task="cola",
        data={"CoLA/dev.tsv": "ab"},
        device="cpu",
        epochs=3,
        counts=counts,
        scores=(score,),
        seconds=1.0,
    )
    config = {"seeds": 2, "epochs": None}
    return GlueResults(model="run", model_blake3="cd", parameters=10, config=config, tasks=(cola,))


def test_results_are_read_as_they_were_written(tmp_path):
    small_results().write(tmp_path)
    assert read_results(tmp_path / "results.json") == small_results()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("}", ""),
        ('"cola"', '"colla"'),
        ('"rows": 3', '"rows": "many"'),
        ('"model_blake3"', '"model_hash"'),
        ('"seeds": [', '"seed": ['),
        ('"parameters": 10', '"parameters": "ten"'),
        ('"tasks": [', '"tasks": [3,'),
    ],
)
def test_damaged_results_are_named(run, tmp_path, old, new):
    small_results().write(tmp_path / "out")
    path = tmp_path / "out" / "results.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=r"results\.json cannot be read .*: choose another --out"):
        glue(run, tmp_path)


@given(st.binary(max_size=60))
def test_any_bytes_as_results_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any-results.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as results"):
        read_results(path)


def test_rows_are_as_long_as_the_model_takes_unless_chosen(run, source, tmp_path):
    glue(run, tmp_path, source_path=source, config=SHORT)
    assert written(tmp_path)["config"]["max_length"] == LONGEST
    pretrained = find_model(run)
    assert row_length(GlueConfig(max_length=8), pretrained) == 8
    longer = replace(pretrained, config=replace(pretrained.config, max_position_embeddings=512))
    assert row_length(GlueConfig(), longer) == 128
    assert row_length(GlueConfig(max_length=512), longer) == 512


def test_rows_longer_than_the_model_takes_are_refused(run, tmp_path):
    config = GlueConfig(max_length=21)
    with pytest.raises(DataError, match=r"--max-length 21 is more than the 20 .* --max-length 20"):
        glue(run, tmp_path, config=config)


def test_a_run_without_an_export_is_named(tmp_path):
    with pytest.raises(DataError, match="no exported model at "):
        glue(tmp_path / "runs", tmp_path)


def test_an_export_without_its_tokenizer_is_named(run, source, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((run / "hf" / name).read_bytes())
    with pytest.raises(DataError, match=r"no tokenizer at .*tokenizer\.json: export the model"):
        glue(copy, tmp_path, source_path=source)


def test_a_broken_export_is_named(run, source, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes((run / "hf" / "config.json").read_bytes())
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be loaded"):
        glue(copy, tmp_path, source_path=source)


def test_a_tokenizer_that_is_larger_than_its_model_is_refused(run):
    with pytest.raises(DataError, match="has 17 tokens, its model only 16"):
        load_row_tokenizer(run / "hf", LONGEST, 16)


def test_a_tokenizer_without_a_template_is_refused(run, tmp_path):
    tokenizer = make_tokenizer()
    tokenizer.post_processor = processors.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match=r"does not join two texts"):
        load_row_tokenizer(tmp_path, LONGEST, 17)


def test_a_diverged_training_stops_and_names_the_knob(run, source, tmp_path):
    classifier = make_classifier(load_encoder(run / "hf")[0].config, TASKS["cola"], 0, None)
    with torch.no_grad():
        classifier.head.out_proj.bias.fill_(float("nan"))
    tokenizer = load_row_tokenizer(run / "hf", LONGEST, 17)
    rows = encode_examples(tokenizer, sentence_examples(8), LONGEST)
    with pytest.raises(DataError, match="step 0: the loss is nan: lower --learning-rate"):
        finetune(classifier, TASKS["cola"], rows, QUICK, 0, lambda: None)
    with pytest.raises(DataError, match="not finite"):
        predict(classifier, TASKS["cola"], rows, 8)


def test_missing_packages_are_told_before_training(run, source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(DataError, match=r'run `pip install -e "\.\[glue\]"`'):
        glue(run, tmp_path, source_path=source)


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 0},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"warmup_fraction": 1.5},
        {"max_length": 4},
    ],
)
def test_a_bad_option_is_named(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} "):
        GlueConfig(**change)


def test_epochs_follow_the_task_unless_chosen():
    assert [GlueConfig().epochs_of(task) for task in ("cola", "rte", "stsb")] == [3, 10, 10]
    assert GlueConfig(epochs=2).epochs_of("rte") == 2


def test_the_table_shows_median_and_spread():
    counts = {"train": SplitCounts(3, 3, False, 0, 0)}
    counts["dev_matched"] = SplitCounts(2, 4, True, 0, 0)
    score = Measured("dev_matched", "accuracy", (0.5, 0.75, 0.7), (0.25,), 0.35)
    (cola,) = small_results().tasks
    mnli = replace(cola, task="mnli", counts=counts, scores=(score,))
    results = replace(small_results(), tasks=(mnli,))
    assert str(results) == (
        "| task         | metric   | pretrained        | random twin | majority "
        "| train rows | dev rows         |\n"
        "|--------------|----------|-------------------|-------------|----------"
        "|------------|------------------|\n"
        "| MNLI matched | accuracy | 70.0 (50.0..75.0) | 25.0        | 35.0     "
        "| 3          | 2 of 4 (partial) |"
    )
