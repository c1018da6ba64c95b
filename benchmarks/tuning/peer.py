"""Their side as people write it: `Trainer`, and rows that `Dataset.map` tokenized before.

`DataCollatorWithPadding` pads a batch to its longest row, as the guides of `transformers` do
(https://huggingface.co/docs/transformers/tasks/sequence_classification); its script `run_glue.py`
pads all rows to 128 unless told otherwise, and Trainer groups rows by length if asked to.
"""

from importlib import import_module
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)
from transformers import PreTrainedTokenizerFast as Tokenizer
from transformers.trainer_callback import PrinterCallback
from transformers.utils.logging import disable_progress_bar

from benchmarks.tuning.job import PREDICTED, SEED, Job, Tuned, timed
from pipeline.tasks import Examples
from pipeline.vocabulary.special import STANDARD
from train.config import ADAM
from train.optimizer import MAX_GRAD_NORM

try:
    datasets = import_module("datasets")
    import_module("accelerate")
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[bench]"') from error
datasets.disable_progress_bars()
disable_progress_bar()  # type: ignore[no-untyped-call]

DROPOUTS = {"hidden_dropout_prob", "attention_probs_dropout_prob"} | {
    "classifier_dropout",
    "classifier_dropout_prob",
}
Padding = Literal["longest", "max_length"]
Sampling = Literal["random", "group_by_length"]


def tune(job: Job, padding: Padding = "longest", sampling: Sampling = "random") -> Tuned:
    """Train once and predict; reading, tokens, weights and Trainer's making are not timed."""
    torch.set_num_threads(job.threads)
    trainer = make_trainer(job, padding, sampling)
    dev = _encode(job, job.dev, padding)

    def predict() -> NDArray[np.int64]:
        classes: NDArray[np.int64] = trainer.predict(dev).predictions.argmax(1)
        return classes

    return timed(trainer.train, predict)


def logits_after(job: Job) -> tuple[Tensor, Tensor]:
    """Return the logits (N, C) of the training rows, in their order, before and after training."""
    trainer = make_trainer(job)
    rows = _encode(job, job.train, "longest")
    before = trainer.predict(rows).predictions
    trainer.train()
    return torch.tensor(before), torch.tensor(trainer.predict(rows).predictions)


def make_trainer(job: Job, padding: Padding = "longest", sampling: Sampling = "random") -> Any:  # noqa: ANN401
    """Return a Trainer with the model as both sides begin with it."""
    settings = job.settings
    arguments = TrainingArguments(
        output_dir=str(job.folder / "trainer"),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=PREDICTED,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_fraction,
        weight_decay=settings.weight_decay,
        adam_beta2=ADAM["adam_beta2"],
        adam_epsilon=ADAM["adam_epsilon"],
        max_grad_norm=MAX_GRAD_NORM,
        train_sampling_strategy=sampling,
        seed=SEED,
        use_cpu=True,
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=make(job),
        args=arguments,
        train_dataset=_encode(job, job.train, padding),
        data_collator=DataCollatorWithPadding(_tokenizer(job)),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def make(job: Job) -> Any:  # noqa: ANN401
    """Return the model; as much is dropped out everywhere as in ours."""
    config = AutoConfig.from_pretrained(job.with_head)
    for name in DROPOUTS & vars(config).keys():
        setattr(config, name, job.dropout)
    return AutoModelForSequenceClassification.from_pretrained(job.with_head, config=config)


def _encode(job: Job, examples: Examples, padding: Padding) -> Any:  # noqa: ANN401
    """Return the rows as a `Dataset` of lists of ids."""
    columns: dict[str, Any] = {"first": examples.first, "labels": examples.labels.tolist()}
    names = ["first"]
    if examples.second is not None:
        columns["second"] = examples.second
        names.append("second")
    tokenizer = _tokenizer(job)

    def tokenize(batch: dict[str, Any]) -> Any:  # noqa: ANN401
        texts = [batch[name] for name in names]
        pads = "max_length" if padding == "max_length" else False
        return tokenizer(*texts, truncation=True, max_length=job.max_length, padding=pads)

    whole = datasets.Dataset.from_dict(columns)
    return whole.map(tokenize, batched=True, remove_columns=names)


def _tokenizer(job: Job) -> Tokenizer:
    named: dict[str, Any] = {f"{role}_token": name for role, name in STANDARD.items()}
    named["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    return Tokenizer(tokenizer_file=str(job.folder / "tokenizer.json"), **named)  # type: ignore[no-untyped-call]
