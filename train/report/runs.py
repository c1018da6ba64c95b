"""The runs of a report, what was read of each, and what differs between their configurations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.config import ElectraConfig
from shards.errors import DataError
from shards.manifest import Manifest, read_manifest
from train.guessing import Guessing, guess_in
from train.report.curves import Curves, read_curves
from train.runs import Run, load_run, manifest_of
from train.schedule import progress

NONE = "-"
NO_STAGES = "none"
FINGERPRINT_LENGTH = 12
"""Of its 64 digits, enough to tell shards apart."""


@dataclass(frozen=True)
class ReportedRun:
    """A run and what is known of it.

    Attributes:
        run: As it was started.
        name: Tells it from the others.
        curves: Its metrics.
        manifest: Of its shards; None: neither the copy nor they themselves are there.
        guessing: What guessing tokens by frequency gives, by the tokens of a row; empty where the
            shards are no longer there.
    """

    run: Run
    name: str
    curves: Curves
    manifest: Manifest | None
    guessing: Mapping[int, Guessing]

    @property
    def is_done(self) -> bool:
        """Return whether the run is at its end."""
        seconds = self.curves.recent[-1].get("seconds", 0.0)
        return progress(self.run.config, self.curves.last_step, seconds) >= 1


def read_runs(folders: Sequence[Path]) -> list[ReportedRun]:
    """Read the runs in some folders.

    Raises:
        DataError: One is no run, has no step yet, or is given twice.
    """
    if not folders:
        raise DataError("no run to report on", "name the folder of one")
    whole = [folder.resolve() for folder in folders]
    for number, folder in enumerate(whole):
        if folder in whole[:number]:
            raise DataError(f"{folders[number]} is given twice", "name each run once")
    names = _names(whole)
    return [_read_run(folder, name) for folder, name in zip(folders, names, strict=True)]


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the last words of each path, as many as it takes to tell all apart."""
    for words in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-words:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return names


def _read_run(folder: Path, name: str) -> ReportedRun:
    run = load_run(folder)
    curves = read_curves(run.metrics)
    if not curves.recent:
        remedy = f"train it with `python cli.py pretrain --resume --out {folder}`"
        raise DataError(f"{run.metrics} has no step yet", remedy)
    return ReportedRun(run, name, curves, manifest_of(run), _guess(run, curves))


def _guess(run: Run, curves: Curves) -> dict[int, Guessing]:
    """Return what guessing gives, if the run's shards are still there and whole."""
    found = {}
    try:
        manifest = read_manifest(Path(run.shards))
        if manifest is None or manifest.fingerprint() != run.fingerprint:
            return {}
        for length in sorted({length for _, length in curves.lengths}):
            guessing = guess_in(Path(run.shards), length)
            if guessing is not None:
                found[length] = guessing
    except (DataError, OSError):  # the page says that they are not known
        return {}
    return found


def settings(run: Run) -> dict[str, str]:
    """Return all that was chosen for a run, by a name with dots.

    The network that a model is for has one name, so that those of different kinds can be compared:
    of a pair it is the discriminator.
    """
    chosen = asdict(run.config) | {"stages": ",".join(map(str, run.config.stages)) or NO_STAGES}
    config: dict[str, Any] = {"config": chosen}
    if run.model is not None:
        main = "discriminator" if isinstance(run.model, ElectraConfig) else "model"
        model = asdict(run.model)
        config["model"] = {"network" if name == main else name: one for name, one in model.items()}
    config |= {"versions": run.versions, "shards": run.shards}
    config["fingerprint"] = run.fingerprint[:FINGERPRINT_LENGTH]
    return dict(_flatten(config | {"init_from": run.init_from}))


def _flatten(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            lines += _flatten(value, f"{prefix}{name}.")
        else:
            lines.append((prefix + name, _text(value)))
    return lines


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str, ensure_ascii=False)


def all_settings(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return each setting with its value in every run; a dash where a run has none."""
    every = [settings(run) for run in runs]
    names = dict.fromkeys(name for one in every for name in one)
    return {name: [one.get(name, NONE) for one in every] for name in names}


def differing(every: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the settings that are not the same in all runs."""
    return {name: values for name, values in every.items() if len(set(values)) > 1}
