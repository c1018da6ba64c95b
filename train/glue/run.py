"""Did the pretraining help: fine-tune on GLUE's tasks and compare with having learnt nothing.

Each task is trained from the pretrained encoder and, in the same way, from a randomly initialised
twin of the same shape, once per seed; beside them stands the majority class. Scores are those of
the last step on the dev files; nothing is chosen by them (no early stop, no best epoch). Results
are written after each training, and a later run goes on with the next one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.tasks import TASKS, Task
from shards.errors import DataError
from shards.manifest import Manifest, difference, library_versions
from train.glue.classifier import Pretrained, find_model, row_length
from train.glue.config import GlueConfig, GlueExecution
from train.glue.data import encode_task, find_data, hashes
from train.glue.picture import draw
from train.glue.place import find_place
from train.glue.recipes import settings_of
from train.glue.results import (
    MODELS,
    RESULTS_FILE,
    GlueResults,
    Model,
    TaskResults,
    begin_results,
    other_out,
)
from train.glue.scores import check_packages
from train.glue.submission import write_submission
from train.glue.table import write_table
from train.glue.training import BEGUN_FROM, SILENT, Console, Training, score_majority, train_seed
from train.lock import lock_run

PACKAGES = ("torch", "tokenizers", "scikit-learn", "scipy")


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is written where.

    Attributes:
        folder: Receives results.json, results.md, results.png, predictions and models.
        resume: Whether to go on with the results in it, if there are any.
        with_submission: Whether to answer the test files, as the leaderboard wants it.
    """

    folder: Path
    resume: bool = False
    with_submission: bool = False


@dataclass(frozen=True, kw_only=True)
class _Glue:
    """What all tasks of one command have in common."""

    pretrained: Pretrained
    folder: Path
    manifest: Manifest
    out: Path
    config: GlueConfig
    execution: GlueExecution
    with_test: bool
    console: Console

    @property
    def models(self) -> tuple[Model, ...]:
        """What is trained."""
        return MODELS if self.config.baseline == "random" else MODELS[:1]

    def hashes(self, task: Task) -> dict[str, str]:
        """Return the content hash of each file of a task that is used."""
        return hashes(self.manifest, task, with_test=self.with_test)


def run_glue(
    model: Path,
    *,
    tasks: Sequence[str],
    source_path: Path | None,
    data: Path,
    output: Output,
    config: GlueConfig,
    execution: GlueExecution,
    console: Console = SILENT,
) -> GlueResults:
    """Fine-tune on `tasks` with every seed; what is there of them is not done again.

    Args:
        model: A run's folder, or an encoder's as `transformers` writes it.
        tasks: As `pipeline.tasks.choose_tasks` returns them.
        source_path: GLUE's zips or TSV folders, unpacked first; None if `data/glue` is there.
        data: The folder that holds glue/.
        output: Where to write, and what.
        config: How to train.
        execution: Where, and in how much memory.
        console: Shows the progress.

    Raises:
        DataError: Model, data, device or a package is missing or broken, there are results
            that this is not to go on with, or the training diverged.
    """
    check_packages()
    pretrained = find_model(model)
    config = replace(config, max_length=row_length(config, pretrained))
    fresh = GlueResults(
        model=str(model),
        digest=pretrained.digest,
        parameters=pretrained.parameters,
        config=asdict(config) | {"write_submission": output.with_submission},
        versions=library_versions(*PACKAGES),
    )
    begin_results(fresh, output.folder, resume=output.resume)  # tells before data are unpacked
    names = _ordered(tasks, config)
    glue = _Glue(
        pretrained=pretrained,
        folder=data / "glue",
        manifest=find_data(data / "glue", names, source_path),
        out=output.folder,
        config=config,
        execution=execution,
        with_test=output.with_submission,
        console=console,
    )
    with lock_run(output.folder):
        results = begin_results(fresh, output.folder, resume=output.resume)
        _check_kept(glue, results)
        return _run_tasks(glue, results, names)


def _ordered(tasks: Sequence[str], config: GlueConfig) -> tuple[str, ...]:
    """Return the tasks, before all others the one that others begin with."""
    source = config.from_task
    if source is None or not set(tasks) & {source, *BEGUN_FROM[source]}:
        return tuple(tasks)
    return (source, *(name for name in tasks if name != source))


def _check_kept(glue: _Glue, results: GlueResults) -> None:
    """Check that what was done before was done with this data, where it is there, and as now.

    Raises:
        DataError: It was not.
    """
    for kept in results.tasks:
        task = TASKS[kept.task]
        settings = asdict(settings_of(glue.config, task))
        changed = difference(kept.settings, settings)
        if changed is None and (present := glue.hashes(task)):
            changed = difference(kept.data, present)
        if changed is not None:
            problem = f"{kept.task} in {glue.out / RESULTS_FILE} was done with {changed}"
            raise DataError(problem, other_out(glue.out))


def _run_tasks(glue: _Glue, results: GlueResults, names: Sequence[str]) -> GlueResults:
    picture_problem = None
    for name in names:
        kept = results.task(name)
        left = len(glue.models) * glue.config.seeds if kept is None else len(_left(glue, kept))
        if kept is not None:
            glue.console.say(f"{name}: kept, {left} trainings left")
        if left:
            results = _run_task(glue, results, TASKS[name])
        picture_problem = draw(results, glue.out)
    write_table(results, glue.out)
    if picture_problem is not None:
        glue.console.say(picture_problem)
    for line in write_submission(results, glue.out) if glue.with_test else ():
        glue.console.say(line)
    return results


def _left(glue: _Glue, task: TaskResults) -> list[tuple[int, Model]]:
    """Return the trainings that are not done, in their order."""
    return [
        (seed, model)
        for seed in range(glue.config.seeds)
        for model in glue.models
        if seed >= len(task.of(model))
    ]


def _run_task(glue: _Glue, results: GlueResults, task: Task) -> GlueResults:
    """Do the trainings of one task that are not done; results are written after each."""
    settings = settings_of(glue.config, task)
    rows = encode_task(
        glue.pretrained, task, glue.folder, glue.config, settings, with_test=glue.with_test
    )
    length = row_length(glue.config, glue.pretrained)
    training = Training(
        pretrained=glue.pretrained,
        task=task,
        rows=rows,
        config=glue.config,
        settings=settings,
        place=find_place(
            glue.execution, glue.pretrained, task, settings, length, say=glue.console.say
        ),
        out=glue.out,
        console=glue.console,
    )
    found = results.task(task.name) or TaskResults(
        task=task.name,
        data=glue.hashes(task),
        settings=asdict(settings),
        counts=rows.counts,
        majority=score_majority(task, rows),
    )
    for seed, model in _left(glue, found):
        found = found.with_seed(model, train_seed(training, model, seed))
        results = results.with_task(found)
        results.write(glue.out)
        write_table(results, glue.out)
    return results
