"""Training of a classifier: it learns, repeats itself, and says when it diverges."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.tasks import TASKS, Examples, Task
from shards.errors import DataError
from tests.train.glue.toy import LONGEST, WORDS, sentence_examples
from train.glue import finetune as module
from train.glue.classifier import find_model, make_classifier
from train.glue.finetune import CPU, finetune, predict
from train.glue.recipes import Settings

COLA = TASKS["cola"]
QUICK = Settings(learning_rate=5e-3, batch_size=8, epochs=12, dropout=0.0)
KINDS = ("good", "bad", "runs")
TOPICS = Task(name="topics", folder="", kind="multi-label", rows={}, second=None, labels=KINDS)
TAGS = Task(name="tags", folder="", kind="tagging", rows={}, second=None, labels=("O", "THING"))
THINGS = ("film", "book", "cat", "dog", "tree")


def topics(count=60, seed=1):
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(WORDS, generator.integers(1, 6))) for _ in range(count)]
    labels = [[kind in text.split() for kind in KINDS] for text in texts]
    return Examples(texts, None, np.array(labels), 0)


def tags(count=60, seed=1):
    generator = np.random.default_rng(seed)
    words = [list(generator.choice(WORDS, generator.integers(1, 9))) for _ in range(count)]
    labels = [int(word in THINGS) for row in words for word in row]
    return Examples([" ".join(row) for row in words], None, np.array(labels), 0, words)


def pairs():
    """Return sentences with a score between 1 and 4, and themselves as second text."""
    examples = sentence_examples()
    scores = (1 + 3 * examples.labels).astype(np.float32)
    return Examples(examples.first, examples.first, scores, 0)


EXAMPLES = {"classification": (COLA, sentence_examples), "multi-label": (TOPICS, topics)} | {
    "tagging": (TAGS, tags),
    "regression": (TASKS["stsb"], pairs),
}


@pytest.fixture(params=EXAMPLES)
def kind(request, tokenizer):
    task, examples = EXAMPLES[request.param]
    return task, tokenizer.encode(examples())


@pytest.fixture
def pretrained(run):
    return find_model(run)


def weights(classifier):
    return torch.cat([one.detach().flatten() for one in classifier.parameters()])


def trained(pretrained, task, rows, settings, seed=0, **options):
    classifier = make_classifier(pretrained, task, 0, True, settings)
    finetune(classifier, task, rows, settings, seed, lambda: None, **options)
    return classifier


def test_a_small_task_is_learnt_without_a_mistake(pretrained, kind, tokenizer):
    task, rows = kind
    classifier = trained(pretrained, task, rows, replace(QUICK, epochs=30))
    found = predict(classifier, task, rows, 8)
    assert (found.shape, found.dtype) == (rows.labels.shape, rows.labels.dtype)
    if task.is_regression:
        assert np.corrcoef(found, rows.labels)[0, 1] > 0.99
        assert abs(found.mean() - rows.labels.mean()) < 0.2
    else:
        assert (found == rows.labels).all()
        other = tokenizer.encode(EXAMPLES[task.kind][1](40, seed=9))
        assert (predict(classifier, task, other) == other.labels).mean() > 0.9


def test_the_same_seed_repeats_the_same_bits_and_another_does_not(pretrained, kind):
    settings = replace(QUICK, epochs=2, dropout=0.1)
    first = weights(trained(pretrained, *kind, settings))
    assert torch.equal(first, weights(trained(pretrained, *kind, settings)))
    assert not torch.equal(first, weights(trained(pretrained, *kind, settings, seed=1)))


def test_predicting_between_epochs_changes_nothing(pretrained, kind):
    task, rows = kind
    settings, seen = replace(QUICK, epochs=2, dropout=0.1), []
    classifier = make_classifier(pretrained, task, 0, True, settings)

    def look(epochs):
        seen.append((epochs, len(predict(classifier, task, rows))))

    finetune(classifier, task, rows, settings, 0, lambda: None, on_epoch=look)
    assert seen == [(1, len(rows.labels)), (2, len(rows.labels))]
    assert torch.equal(weights(classifier), weights(trained(pretrained, task, rows, settings)))


@pytest.mark.parametrize("size", [1, 3, 8])
def test_micro_batches_make_the_update_of_the_whole_batch(pretrained, kind, size):
    settings = replace(QUICK, batch_size=32, epochs=1)
    whole = weights(trained(pretrained, *kind, settings))
    parts = weights(trained(pretrained, *kind, settings, place=replace(CPU, micro_batch=size)))
    assert not torch.equal(whole, parts)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=2e-5)


def memory_of_ten_rows(monkeypatch):
    """Let batches of more than ten rows not fit; return a list to which each attempt's is added."""
    real, sizes = module.to_batch, []

    def narrow(rows, indices, pad_token_id):
        sizes.append(len(indices))
        if len(indices) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(rows, indices, pad_token_id)

    monkeypatch.setattr(module, "to_batch", narrow)
    return sizes


def test_out_of_memory_goes_on_with_half_as_many_rows(pretrained, tokenizer, monkeypatch):
    rows = tokenizer.encode(sentence_examples(32))
    settings, said = replace(QUICK, batch_size=32, epochs=1), []
    sizes = memory_of_ten_rows(monkeypatch)
    narrowed = trained(pretrained, COLA, rows, settings, place=replace(CPU, say=said.append))
    assert [text.partition(":")[0] for text in said] == [
        f"out of memory with {rows} rows in a forward pass" for rows in (32, 16)
    ]
    assert sizes == [32, 16, 8, 8, 8, 8]
    monkeypatch.undo()
    eight = trained(pretrained, COLA, rows, settings, place=replace(CPU, micro_batch=8))
    assert torch.equal(weights(narrowed), weights(eight))


def test_predictions_keep_to_the_memory_that_there_is(pretrained, tokenizer, monkeypatch):
    rows = tokenizer.encode(sentence_examples(32))
    classifier = make_classifier(pretrained, COLA, 0, True, QUICK)
    whole, said = predict(classifier, COLA, rows), []
    sizes = memory_of_ten_rows(monkeypatch)
    place = replace(CPU, micro_batch=16, say=said.append)
    assert predict(classifier, COLA, rows, place=place).tolist() == whole.tolist()
    assert sizes == [16, 8, 8, 8, 8]
    assert len(said) == 1


def test_one_row_that_does_not_fit_is_said(pretrained, tokenizer, monkeypatch):
    def refuse(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module, "to_batch", refuse)
    with pytest.raises(DataError, match=f"one row of {LONGEST} tokens .*--max-length"):
        trained(pretrained, COLA, tokenizer.encode(sentence_examples(4)), QUICK)


def test_every_step_is_told(pretrained, tokenizer):
    steps = []
    settings = replace(QUICK, epochs=2)
    classifier = make_classifier(pretrained, COLA, 0, True, settings)
    rows = tokenizer.encode(sentence_examples(20))
    finetune(classifier, COLA, rows, settings, 0, lambda: steps.append(1))
    assert len(steps) == 6


def test_predictions_come_in_the_order_of_the_rows(pretrained, kind):
    task, rows = kind
    classifier = make_classifier(pretrained, task, 0, True, QUICK)
    one_by_one = [predict(classifier, task, rows.take(np.array([row]))) for row in range(len(rows))]
    found = predict(classifier, task, rows, 7)
    np.testing.assert_allclose(found, np.concatenate(one_by_one), rtol=1e-5, atol=1e-6)


def test_a_diverged_training_stops_and_names_the_knob(pretrained, tokenizer):
    rows = tokenizer.encode(sentence_examples(8))
    classifier = make_classifier(pretrained, COLA, 0, True, QUICK)
    with torch.no_grad():
        classifier.head.classifier.bias.fill_(float("nan"))
    expected = "cola, seed 0, step 0: the loss is nan: lower --learning-rate 0.005"
    with pytest.raises(DataError, match=expected):
        finetune(classifier, COLA, rows, QUICK, 0, lambda: None)
    with pytest.raises(DataError, match="cola: the predictions are not finite"):
        predict(classifier, COLA, rows, 8)


def test_rows_that_have_lost_their_labels_change_nothing(pretrained, tokenizer):
    rows = tokenizer.encode(tags(4))
    rows = replace(rows, token_labels=np.full_like(rows.token_labels, -100))
    settings = replace(QUICK, epochs=1, weight_decay=0.0)
    before = make_classifier(pretrained, TAGS, 0, True, settings)
    after = trained(pretrained, TAGS, rows, settings)
    assert torch.equal(weights(before), weights(after))
    assert len(predict(after, TAGS, rows)) == 0
