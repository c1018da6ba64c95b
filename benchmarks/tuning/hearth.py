"""Our own side: what `glue` does for one seed of one task."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.tuning.job import PREDICTED, SEED, Job, Tuned, timed
from train.glue.batch import to_batch
from train.glue.classifier import Classifier, Pretrained, find_model, make_classifier
from train.glue.finetune import finetune, predict
from train.glue.row_tokenizer import RowTokenizer, load_row_tokenizer


def tune(job: Job) -> Tuned:
    """Train once and predict; reading, tokens and weights are not timed."""
    torch.set_num_threads(job.threads)
    rows, dev = (_tokenizer(job).encode(one) for one in (job.train, job.dev))
    classifier = make(job)

    def train() -> None:
        finetune(classifier, job.task, rows, job.settings, SEED, lambda: None)

    def tell() -> NDArray[np.int64]:
        return predict(classifier, job.task, dev, PREDICTED)

    return timed(train, tell)


def make(job: Job) -> Classifier:
    """Return the classifier that both sides begin with."""
    return make_classifier(_pretrained(job), job.task, SEED, True, job.settings)


def logits_after(job: Job) -> tuple[Tensor, Tensor]:
    """Return the logits (N, C) of the training rows, in their order, before and after training."""
    classifier, rows = make(job), _tokenizer(job).encode(job.train)
    pad_token_id = classifier.encoder.config.pad_token_id
    batch = to_batch(rows, np.arange(len(rows)), pad_token_id)
    found = []
    for is_trained in (False, True):
        if is_trained:
            finetune(classifier, job.task, rows, job.settings, SEED, lambda: None)
        with torch.no_grad():
            found.append(classifier.eval()(batch))
    return found[0], found[1]


def _tokenizer(job: Job) -> RowTokenizer:
    return load_row_tokenizer(job.folder, job.max_length, _pretrained(job).shape.vocab_size)


def _pretrained(job: Job) -> Pretrained:
    return _find(job.folder)


_find = cache(find_model)
