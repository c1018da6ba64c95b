"""Short runs of `glue` on tasks of a few words, with test files and MNLI."""

import json

import numpy as np

from pipeline.tasks import TASKS
from tests.train.glue.toy import sentences
from train.glue.config import GlueConfig, GlueExecution
from train.glue.run import Output, run_glue
from train.glue.training import SILENT

CPU = GlueExecution(device="cpu")
SHORT = GlueConfig(seeds=1, epochs=1, batch_size=16)


def glue(run, tmp_path, *, out="out", resume=False, with_submission=False, **changes):
    options = {
        "tasks": ["cola"],
        "source_path": None,
        "data": tmp_path / "data",
        "config": SHORT,
        "execution": CPU,
        "console": SILENT,
    }
    output = Output(folder=tmp_path / out, resume=resume, with_submission=with_submission)
    return run_glue(run, output=output, **(options | changes))


def written(tmp_path, out="out"):
    return json.loads((tmp_path / out / "results.json").read_text())


def write_tasks(folder, names, rows=24):
    """Write files of GLUE's form whose label is told by one word, at the end of the first text."""
    for index, name in enumerate(names):
        task = TASKS[name]
        for split in task.rows:
            path = task.path(folder, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(_lines(task, split, rows, seed=index)), encoding="utf-8")
    return folder


def _lines(task, split, rows, seed):
    is_test = split.startswith("test")
    columns = list(task.columns or ())
    if task.columns is None or is_test:
        texts = [task.first, *([] if task.second is None else [task.second])]
        columns = [*texts] if is_test else [*texts, task.label]
        yield "\t".join(columns)
    seeds = np.random.SeedSequence([seed, *split.encode()])
    for number, (text, label) in enumerate(sentences(rows, seeds)):
        words = {task.first: text, task.second: "the film", task.label: _label(task, label, number)}
        yield "\t".join(words.get(column, "x") for column in columns)


def _label(task, label, number):
    if task.kind == "regression":
        return str(label * 4 + number % 2)
    return task.labels[label]


def files_of(folder):
    """Return every file by name with its bytes; of results.json what repeats itself."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.lock"
    }
    document = json.loads(found.pop("results.json"))
    for task in document["tasks"]:
        for seed in (*task["pretrained"], *task["random"]):
            del seed["seconds"]
    return found | {"results.json": document}
