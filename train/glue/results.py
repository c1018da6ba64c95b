"""What fine-tuning found: JSON that is written after every seed and that a later run goes on with.

Everything but seconds, device, precision and versions depends on the model, the data and the
configuration alone, so that a run in pieces and one without a break agree. The page for people is
`train.glue.table`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

from blake3 import blake3

from pipeline.tasks import SCORED_TASKS
from shards.errors import DataError
from shards.files import write_text
from shards.manifest import difference

RESULTS_FILE = "results.json"
RESULTS_VERSION = 2
Model = Literal["pretrained", "random"]
MODELS: tuple[Model, ...] = ("pretrained", "random")
"""What is trained: the model that is judged, and its random twin."""
Scores = Mapping[str, Mapping[str, float]]
"""Each metric of each dev split, as a fraction, higher is better."""


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """How much of a split was used.

    Attributes:
        rows: Rows trained on or scored (each once, whatever the order of its texts).
        in_file: Usable rows of the file; more than `rows` where training rows are capped.
        official: Rows of the official file, None where unknown.
        skipped: Rows left out for a missing or left-over field.
        truncated: Rows that were too long and lost tokens.
    """

    rows: int
    in_file: int
    official: int | None
    skipped: int
    truncated: int

    @property
    def is_partial(self) -> bool:
        """Whether the file has fewer rows than the official one (unusable ones count)."""
        return self.official is not None and self.in_file + self.skipped < self.official

    @property
    def is_whole(self) -> bool:
        """Whether the file is as long as the official one, and used whole."""
        is_official = self.official in (None, self.in_file + self.skipped)
        return is_official and self.rows == self.in_file

    def __str__(self) -> str:
        """Return the count, never passing a part off as the whole."""
        words = []
        if self.is_partial:
            words.append("partial")
        elif self.official is not None and self.in_file + self.skipped > self.official:
            words.append(f"not the official file of {self.official:,}")
        if self.rows < self.in_file:
            words.append(f"capped, {self.in_file:,} there" if self.is_partial else "capped")
        if not words:
            return f"{self.rows:,}"
        whole = self.official if self.is_partial else self.in_file
        return f"{self.rows:,} of {whole:,} ({'; '.join(words)})"


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One training: the scores of its last step, where they were got, and in what time."""

    seed: int
    scores: Scores
    device: str
    precision: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TaskResults:
    """All that was measured on one task so far.

    Attributes:
        task: Name of the task.
        data: The BLAKE3 hash of each file used, by its name under data/glue.
        settings: How it is trained, resolved from the recipe.
        counts: How much of each split was used.
        majority: Scores of always answering the majority class, or the mean score.
        pretrained: Of the pretrained model, by seed from 0 on.
        random: Of its randomly initialised twin, trained in the same way; empty without twin.
    """

    task: str
    data: Mapping[str, str]
    settings: Mapping[str, Any]
    counts: Mapping[str, SplitCounts]
    majority: Scores
    pretrained: tuple[SeedResult, ...] = ()
    random: tuple[SeedResult, ...] = ()

    def of(self, model: Model) -> tuple[SeedResult, ...]:
        """Return the seeds of one of `MODELS`."""
        return self.pretrained if model == "pretrained" else self.random

    def values(self, model: Model, split: str, metric: str) -> list[float]:
        """Return one score per seed."""
        return [one.scores[split][metric] for one in self.of(model)]

    def measured(self) -> Iterator[tuple[str, str]]:
        """Yield each dev split with each of its metrics."""
        for split, metrics in self.majority.items():
            for metric in metrics:
                yield split, metric

    def with_seed(self, model: Model, result: SeedResult) -> "TaskResults":
        """Return these results and those of one more seed."""
        seeds = (*self.of(model), result)
        return (
            replace(self, pretrained=seeds)
            if model == "pretrained"
            else replace(self, random=seeds)
        )

    def as_json(self) -> dict[str, Any]:
        """Return the values, and for readers (it is not read back) each median and spread."""
        summary = {
            model: {
                f"{split} {metric}": _summary(self.values(model, split, metric))
                for split, metric in self.measured()
            }
            for model in MODELS
            if self.of(model)
        }
        return asdict(self) | {"summary": summary}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "TaskResults":
        """Return what `as_json` was made from."""
        content = {name: value for name, value in document.items() if name != "summary"}
        counts = {split: SplitCounts(**one) for split, one in document["counts"].items()}
        seeds: dict[str, tuple[SeedResult, ...]] = {
            name: tuple(SeedResult(**one) for one in document[name]) for name in MODELS
        }
        for name, found in seeds.items():
            if [one.seed for one in found] != list(range(len(found))):
                raise ValueError(f"{document['task']}: the seeds of {name} are not 0, 1, 2 ...")
        if set(counts) != {"train", *document["majority"]}:
            raise ValueError(f"{document['task']}: rows of {', '.join(counts)} are counted")
        return TaskResults(**{**content, "counts": counts, **seeds})


@dataclass(frozen=True, kw_only=True)
class GlueResults:
    """The seeds and tasks done so far, and how.

    Attributes:
        model: Folder of the pretrained model.
        digest: Hashes of its configuration, weights and tokenizer.
        parameters: Weights of its encoder.
        config: The resolved `GlueConfig`, and whether a submission is prepared.
        versions: Versions of the libraries; where commands used several, all of them.
        tasks: In GLUE's order.
    """

    model: str
    digest: str
    parameters: int
    config: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[TaskResults, ...] = ()

    def task(self, name: str) -> TaskResults | None:
        """Return what was measured on a task, if anything."""
        return next((one for one in self.tasks if one.task == name), None)

    def with_task(self, task: TaskResults) -> "GlueResults":
        """Return these results with those of one task, in place of older ones of it."""
        others = [one for one in self.tasks if one.task != task.task]
        tasks = sorted([*others, task], key=lambda one: SCORED_TASKS.index(one.task))
        return replace(self, tasks=tuple(tasks))

    def write(self, out: Path) -> None:
        """Write results.json into `out`, whole or not at all."""
        document: dict[str, Any] = {"results_version": RESULTS_VERSION, **asdict(self)}
        document["tasks"] = [task.as_json() for task in self.tasks]
        write_text(out / RESULTS_FILE, json.dumps(document, indent=1) + "\n")


def begin_results(fresh: GlueResults, out: Path, *, resume: bool) -> GlueResults:
    """Return `fresh` with the tasks that an earlier run has left in `out`, if it is to go on.

    The number of seeds may grow; all else must be as it was.

    Raises:
        DataError: There are results already and this is no resume; or they are damaged, or of
            another model or configuration.
    """
    path = out / RESULTS_FILE
    if not path.is_file():
        return fresh
    if not resume:
        remedy = f"go on with it by --resume, or choose another --out than {out}"
        raise DataError(f"{path} is there already", remedy)
    kept = read_results(path)
    changed = _difference(kept, fresh)
    if changed:
        raise DataError(f"{path} was made with {changed}", other_out(out))
    versions = {
        name: " and ".join(dict.fromkeys([*kept.versions.get(name, now).split(" and "), now]))
        for name, now in fresh.versions.items()
    }
    return replace(fresh, tasks=kept.tasks, versions=versions)


def _difference(kept: GlueResults, fresh: GlueResults) -> str | None:
    if kept.digest != fresh.digest:
        return f"the model {_named(kept)}, not {_named(fresh)}"
    old, new = dict(kept.config), dict(fresh.config)
    if old.get("seeds", 0) < new["seeds"]:
        del old["seeds"], new["seeds"]
    return difference(old, new)


def read_results(path: Path) -> GlueResults:
    """Read a results.json.

    Raises:
        DataError: It is damaged, or another version of Hearth wrote it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document.pop("results_version", 1)
        if version != RESULTS_VERSION:
            problem = f"{path} is of version {version}, this Hearth reads {RESULTS_VERSION}"
            raise DataError(problem, other_out(path.parent))
        tasks = [TaskResults.from_json(task) for task in document.pop("tasks")]
        results = GlueResults(**document)
        for task in tasks:
            results = results.with_task(task)
            task.as_json()  # fails on any value that cannot be summed up
        return results
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{path} cannot be read as results ({type(error).__name__}: {error})"
        raise DataError(problem, other_out(path.parent)) from error


def other_out(out: Path) -> str:
    """Return the remedy for results that cannot be gone on with."""
    return f"choose another --out, or delete {out}"


def middle_seed(values: Sequence[float]) -> int:
    """Return the seed of the median, the lower of two middle ones; of equals the first."""
    return sorted(range(len(values)), key=lambda seed: (values[seed], seed))[(len(values) - 1) // 2]


def _named(results: GlueResults) -> str:
    """Tell models apart, also where they lie in one folder at different times."""
    return f"{results.model} ({blake3(results.digest.encode()).hexdigest()[:12]})"


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "lowest": min(values), "highest": max(values)}
