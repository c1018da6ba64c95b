"""How many bytes of tensors are alive, told by watching every operator of torch.

A storage counts from the operator that made it until Python and autograd have both let go of it.
`torch.distributed._tools.mem_tracker.MemTracker` does the same for modules and in more detail, but
is private, and wants hooks on modules and optimizers that a step of ours has no use for.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class LiveMemory(TorchDispatchMode):
    """Counts, while it is entered, the storages that operators make; real tensors and fake alike.

    What an operator takes for itself and gives back before it returns is not seen.

    Attributes:
        bytes: Alive now.
        peak: The most that was alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Do what was asked for, and count what came of it."""
        result = func(*args, **(kwargs or {}))
        self.add(result)
        return result

    def add(self, made: Any) -> None:  # noqa: ANN401
        """Count the storage of a tensor, or of each tensor of a list, unless it is known."""
        if isinstance(made, list | tuple):
            for one in made:
                self.add(one)
        elif isinstance(made, Tensor):
            storage = made.untyped_storage()
            if id(storage) not in self._known:
                self._watch(storage)

    def _watch(self, storage: Any) -> None:  # noqa: ANN401
        key, size = id(storage), storage.nbytes()

        def forget(_: object) -> None:
            del self._known[key]
            self.bytes -= size

        self._known[key] = weakref.ref(storage, forget)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
