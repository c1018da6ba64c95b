"""`metrics.jsonl`: one line for every step, once; and TensorBoard events where it is installed."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from shards.files import write_text


class MetricsWriter:
    """Append a line a step, after dropping the steps that a resumed run will do again."""

    def __init__(self, path: Path, first_step: int) -> None:
        kept = [json.dumps(line) for line in read_metrics(path) if line["step"] <= first_step]
        write_text(path, "".join(line + "\n" for line in kept))
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._events = _event_writer(path.parent, first_step)

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()

    def write(self, line: dict[str, Any]) -> None:
        """Write one step's numbers; `line["step"]` counts updates done, from 1."""
        self._file.write(json.dumps(line) + "\n")
        if self._events is not None:
            for name, value in flatten(line):
                self._events.add_scalar(name, value, line["step"])


def _event_writer(folder: Path, first_step: int) -> Any:  # noqa: ANN401
    """Return TensorBoard's writer, which hides the events of steps to be done again, or None."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_step + 1)


def flatten(line: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield ("outer/inner", number) for the numbers of a nested dictionary."""
    for name, value in line.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a metrics file; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
