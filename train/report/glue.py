"""The page's part on fine-tuning: the scores of each run, beside published models."""

from collections.abc import Sequence

from shards.errors import DataError
from train.glue.published import PUBLISHED
from train.glue.results import GlueResults
from train.glue.table import about_average, own_lines, published_head, published_line, score_lines
from train.report.markup import escape, paragraph, section, table, tag
from train.report.overview import read_glue
from train.report.runs import ReportedRun

HOW = (
    "Scores times 100 on the dev rows: the median over seeds, and (lowest..highest). The random "
    "twin has the same shape and training, but no pretraining."
)


def glue(runs: Sequence[ReportedRun]) -> str:
    """Return the section; nothing where no run was fine-tuned."""
    parts, beside, remarks = [], [], []
    for run in runs:
        try:
            results = read_glue(run.run.folder)
        except DataError as error:
            parts.append(paragraph(f"{run.name}: {error.problem}", "note"))
            continue
        if results is not None and results.tasks:
            parts.append(_scores(run.name, results))
            beside += own_lines(results, run.name, f"random twin of {run.name}")
            remarks.append(paragraph(f"{run.name}: {about_average(results)}", "note"))
    if beside:
        lines = [*beside, *map(published_line, PUBLISHED)]
        columns = len(published_head())
        shown = table(published_head(), lines, text=(0, columns - 2, columns - 1))
        parts += [tag("h3", "Beside published models"), shown, *remarks]
    return section("glue", "GLUE", paragraph(HOW, "note") + "".join(parts) if parts else "")


def _scores(name: str, results: GlueResults) -> str:
    head, *lines = score_lines(results)
    return tag("h3", escape(name)) + table(head, lines, text=(0, 1))
