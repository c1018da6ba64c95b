"""Several processes that train one model, started by torchrun: `torch.distributed` in small.

Each process takes its slice of every global batch. Gradients are added up once, after the last
backward pass, by a plain all-reduce: `DistributedDataParallel` reduces during the backward pass,
for which all processes need as many micro-batches as each other, and weights that are used once;
ours halve their micro-batches on their own, share layers and compute activations again. What is
sent is 20 to 60 MB in an update.

What the host has to know (clock, stop) goes from host to host, by gloo: no device is waited for.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from shards.errors import DataError
from train.crew import TORCHRUN, SharedError

T = TypeVar("T")
TIMEOUT = timedelta(days=1)
"""The others wait while process 0 evaluates, however long that takes. Of a process that has ended
they learn from its closed connection, and from torchrun, which ends them."""
BUCKET_BYTES = 32_000_000
"""What is sent at a time: enough for full speed, little beside the gradients."""
HOST = torch.device("cpu")


class Group:
    """The processes of a torchrun job; a `train.crew.Crew`.

    Args:
        process: This one's number.
        processes: How many there are.
        local: This one's number on its machine.
        beside: How many there are on this machine.
    """

    def __init__(self, process: int, processes: int, local: int, beside: int) -> None:
        self.process, self.processes = process, processes
        self._local, self._beside = local, beside

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes.

        Raises:
            SharedError: Another process has ended.
        """
        _exchange(tensors, dist.all_reduce)

    def agree(self, seconds: float, stops: bool) -> tuple[float, bool]:
        """Return the seconds of process 0's clock, and whether any process was asked to stop.

        Raises:
            SharedError: Another process has ended.
        """
        told = [0.0 if self.process else seconds, float(stops)]
        message = torch.tensor(told, dtype=torch.float64)
        self.add_up([message])
        return message[0].item(), message[1].item() > 0

    def share(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in process 0; where it raises, the others end in silence.

        Raises:
            SharedError: Another process has ended.
        """
        message: list[Any] = [None]
        if self.process == 0:
            try:
                message = [(make(),)]
            except BaseException:
                with suppress(RuntimeError):  # the others may be gone
                    dist.broadcast_object_list([None], device=HOST)
                raise
        with _told_of_the_lost():
            dist.broadcast_object_list(message, device=HOST)
        if message[0] is None:
            raise SystemExit(1)
        made: T = message[0][0]
        return made

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of process 0.

        Raises:
            SharedError: Another process has ended.
        """
        _exchange(tensors, lambda flat: dist.broadcast(flat.view(torch.uint8), 0))

    def place(self, device: torch.device) -> torch.device:
        """Return this process's own GPU, or the CPU.

        Raises:
            DataError: This machine has fewer GPUs than processes, or of a kind that cannot share.
        """
        if device.type == "mps":
            problem = f"{self.processes} processes cannot share an mps device"
            raise DataError(problem, "start one process, without torchrun")
        if device.type != "cuda":
            return device
        if self._beside > (count := torch.cuda.device_count()):
            problem = f"{self._beside} processes on this machine, which has {count} GPUs"
            raise DataError(problem, f"start torchrun with --nproc-per-node {count}")
        torch.cuda.set_device(self._local)
        return torch.device("cuda", self._local)


@contextmanager
def join(device: str) -> Iterator[Group]:
    """Within `with`, be one of the processes of a torchrun job; all leave it together.

    An error in one ends all. Process 0 tells its own as they are, the others theirs with their
    number; what all have at once, they leave to process 0.

    Args:
        device: The name of what will be computed on, as in `train.device`.

    Raises:
        DataError: The processes do not find each other.
    """
    group = _connect(device)
    try:
        yield group
        group.agree(0.0, stops=False)  # process 0 still exports while the others are done
    except BaseException as error:
        _abandon()
        if group.process and isinstance(error, SharedError):
            raise SystemExit(1) from error
        if group.process and isinstance(error, DataError):
            problem = f"process {group.process}: {error.problem}"
            raise DataError(problem, error.remedy) from error
        raise
    dist.destroy_process_group()


def _connect(device: str) -> Group:
    uses_gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    try:
        numbers = [int(os.environ[name]) for name in (*TORCHRUN, "LOCAL_WORLD_SIZE")]
        dist.init_process_group("cpu:gloo,cuda:nccl" if uses_gpu else "gloo", timeout=TIMEOUT)
    except (ValueError, KeyError, RuntimeError) as error:
        problem = f"the processes do not find each other ({_first_line(error)})"
        remedy = "start them with torchrun; --rdzv-endpoint names a free port of the first machine"
        raise DataError(problem, remedy) from error
    process, processes, local, beside = numbers
    _set_threads(beside)
    return Group(process, processes, local, beside)


def _set_threads(beside: int) -> None:
    """Divide the processors among the processes of this machine, unless a person chose.

    A single thread is no choice: torchrun itself sets OMP_NUM_THREADS to 1 where nobody has.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        free = getattr(os, "sched_getaffinity", None)
        processors = len(free(0)) if free else os.cpu_count() or 1
        torch.set_num_threads(max(1, processors // beside))


def _abandon() -> None:
    """Leave without waiting for the others: one that is left in a sum must not hold this one."""
    if "nccl" in dist.get_backend_config():
        with suppress(RuntimeError):
            dist.group.WORLD.abort()  # type: ignore[union-attr]
    else:
        dist.destroy_process_group()


@torch.no_grad()
def _exchange(tensors: Sequence[Tensor], exchange: Callable[[Tensor], object]) -> None:
    """Have the tensors changed in place, many at a time."""
    for bucket in _buckets(tensors):
        flat = torch.cat([one.detach().reshape(-1) for one in bucket])
        with _told_of_the_lost():
            exchange(flat)
        parts = torch.split(flat, [one.numel() for one in bucket])
        for one, part in zip(bucket, parts, strict=True):
            one.copy_(part.view(one.shape))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the tensors by type and device, about BUCKET_BYTES at a time, in an order of theirs."""
    open_buckets: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for one in tensors:
        bucket = open_buckets.setdefault((one.dtype, one.device), [])
        bucket.append(one)
        if sum(each.nbytes for each in bucket) >= BUCKET_BYTES:
            yield open_buckets.pop((one.dtype, one.device))
    yield from open_buckets.values()


@contextmanager
def _told_of_the_lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        problem = f"another process cannot be reached any more ({_first_line(error)})"
        remedy = "see what it said, and go on from the last checkpoint with --resume"
        raise SharedError(problem, remedy) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
