"""`results.png`: one row per score; each seed a dot, beside the twin and the majority class."""

from pathlib import Path
from typing import Any

from shards.files import write_atomically
from train.glue.results import GlueResults, TaskResults
from train.glue.table import label

PICTURE_FILE = "results.png"
NO_MATPLOTLIB = "no picture: matplotlib is not installed (pip install -e '.[watch]')"
DOTS = {
    "pretrained": {"color": "tab:blue", "marker": "o", "label": "pretrained"},
    "random": {"facecolors": "none", "edgecolors": "tab:orange", "marker": "o"}
    | {"label": "random twin"},
}
ABOVE = {"pretrained": -0.12, "random": 0.12}
"""How far from the middle of its row each model's dots lie."""


def draw(results: GlueResults, out: Path) -> str | None:
    """Write results.png into `out`; return why not, if it cannot be drawn."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        return NO_MATPLOTLIB
    mpl.use("agg")
    from matplotlib import pyplot

    rows = [(task, split, metric) for task in results.tasks for split, metric in task.measured()]
    figure, axis = pyplot.subplots(figsize=(8, 1.4 + 0.42 * len(rows)), layout="constrained")
    for place, (task, split, metric) in enumerate(rows):
        _draw_row(axis, place, task, split, metric)
    names = [f"{label(task.task, split)}\n{metric}" for task, split, metric in rows]
    axis.set_yticks(range(len(rows)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("dev score times 100; a dot for each seed")
    axis.set_title(f"GLUE: {results.model}", fontsize=10)
    axis.grid(axis="x", alpha=0.3)
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique))
    with write_atomically(out / PICTURE_FILE) as file:
        figure.savefig(file, dpi=110, format="png")
    pyplot.close(figure)
    return None


def _draw_row(axis: Any, place: int, task: TaskResults, split: str, metric: str) -> None:  # noqa: ANN401
    majority = 100 * task.majority[split][metric]
    axis.vlines(majority, place - 0.35, place + 0.35, color="grey", label="majority class")
    for model in ("pretrained", "random"):
        values = [100 * one for one in task.values(model, split, metric)]
        if values:
            heights = [place + ABOVE[model]] * len(values)
            axis.scatter(values, heights, s=28, alpha=0.8, **DOTS[model])
