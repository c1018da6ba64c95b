"""Published dev scores of models of known cost, to stand beside one's own, and the usual average.

The average over eight tasks leaves WNLI out and takes one metric of each task, as ELECTRA's
README and most reports do: CoLA Matthews, STS-B Spearman, accuracy elsewhere, MNLI matched.
"""

from typing import NamedTuple

EIGHT = (
    ("cola", "dev", "matthews", "CoLA"),
    ("sst2", "dev", "accuracy", "SST-2"),
    ("mrpc", "dev", "accuracy", "MRPC"),
    ("stsb", "dev", "spearman", "STS-B"),
    ("qqp", "dev", "accuracy", "QQP"),
    ("mnli", "dev_matched", "accuracy", "MNLI-m"),
    ("qnli", "dev", "accuracy", "QNLI"),
    ("rte", "dev", "accuracy", "RTE"),
)
"""Task, split, metric and heading of each of the eight."""
MAIN_METRICS = {task: (split, metric) for task, split, metric, _ in EIGHT} | {
    "wnli": ("dev", "accuracy")
}
"""The one score by which the seeds of a task are told apart, by task."""


class Published(NamedTuple):
    """A row of somebody else's table.

    Attributes:
        model: Its name there.
        parameters: As published.
        scores: In the order of `EIGHT`, times 100.
        protocol: How they were got.
        source: Where they stand.
    """

    model: str
    parameters: str
    scores: tuple[float, ...]
    protocol: str
    source: str

    @property
    def average(self) -> float:
        """The mean of the eight."""
        return sum(self.scores) / len(self.scores)


PUBLISHED = (
    Published(
        "ELECTRA-Small-OWT",
        "14M",
        (56.8, 88.3, 87.4, 86.8, 88.3, 78.9, 87.9, 68.5),
        "median of at least 10 fine-tunings of one checkpoint",
        "https://github.com/google-research/electra",
    ),
    Published(
        "ALECTRA-small-OWT",
        "4M",
        (50.6, 89.1, 86.3, 87.2, 89.1, 78.2, 85.9, 69.6),
        "median of 5, settings searched for each task, RTE and STS-B begun from MNLI",
        "https://github.com/shoarora/lmtuners",
    ),
    Published(
        "BERT-base uncased",
        "110M",
        (56.3, 92.7, 88.6, 89.0, 89.6, 84.7, 91.8, 69.3),
        "median of 5 (arXiv 1910.01108); one number for MRPC, QQP and STS-B, their metric not said",
        "https://github.com/huggingface/transformers-research-projects/tree/main/distillation",
    ),
)
