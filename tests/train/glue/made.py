"""Results made by hand, of a judged model, its twin and the majority class."""

from pipeline.tasks import TASKS
from train.glue.results import GlueResults, SeedResult, SplitCounts, TaskResults

CONFIG = {"seeds": 3, "recipe": "electra", "max_length": 128, "write_submission": False}


def counts(rows, in_file=None, official=None, **more):
    left = {"skipped": 0, "truncated": 0} | more
    return SplitCounts(rows=rows, in_file=in_file or rows, official=official, **left)


def task_results(name, pretrained, random=(), **changes):
    """Make results whose every metric has these values, seed by seed."""
    task = TASKS[name]

    def scores(value):
        return {split: dict.fromkeys(task.metrics, value) for split in task.dev_splits}

    def seeds(values):
        return tuple(
            SeedResult(
                seed=seed, scores=scores(value), device="cpu", precision="float32", seconds=1.0
            )
            for seed, value in enumerate(values)
        )

    fields = {
        "task": name,
        "data": {f"{task.folder}/dev.tsv": "ab"},
        "settings": {"learning_rate": 1e-4, "epochs": 3},
        "counts": {
            split: counts(task.rows[split], official=task.rows[split])
            for split in ("train", *task.dev_splits)
        },
        "majority": scores(0.5),
        "pretrained": seeds(pretrained),
        "random": seeds(random),
    }
    return TaskResults(**(fields | changes))


def glue_results(*tasks, **changes):
    fields = {"model": "runs/a", "digest": "12", "parameters": 1234, "config": CONFIG}
    results = GlueResults(**({**fields, "versions": {"torch": "2.13"}} | changes))
    for task in tasks:
        results = results.with_task(task)
    return results
