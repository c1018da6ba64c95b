"""The page's part on what was chosen: what differs between the runs, then everything."""

from collections.abc import Sequence

from train.report.markup import Markup, details, escape, paragraph, section, table, tag
from train.report.runs import NONE, ReportedRun, all_settings, differing


def configuration(runs: Sequence[ReportedRun]) -> str:
    """Return the section."""
    every = all_settings([run.run for run in runs])
    head = ("", *(run.name for run in runs))
    columns = range(len(head))
    whole = table(
        head, [(_breakable(name), *values) for name, values in every.items()], text=columns
    )
    parts = []
    if len(runs) > 1:
        others = [(_breakable(name), *values) for name, values in differing(every).items()]
        known = [line for line in others if NONE not in line]
        parts.append(tag("h3", "What differs"))
        parts.append(
            table(head, known, text=columns)
            if known
            else paragraph("Nothing of what all runs have.")
        )
        if len(known) < len(others):
            rest = [line for line in others if NONE in line]
            parts.append(details("What only some have", table(head, rest, text=columns)))
    return section("configuration", "Configuration", "".join([*parts, details("All", whole)]))


def _breakable(name: str) -> Markup:
    """Return a setting's name that a narrow screen breaks between its words."""
    return Markup(escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>"))
