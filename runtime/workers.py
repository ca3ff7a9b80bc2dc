"""Worker processes: where the CPU-bound work of a node's actors runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, TypeVar

import trio

T = TypeVar("T")

_IDLE_SECONDS = 600.0
_GRACE_SECONDS = 5.0


class Workers:
    """The worker processes of one node, as many as the machine has cores; an async context manager.

    None is made before the first call; all are gone when the context is left.
    """

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._context: Any = None  # of a library without types

    async def __aenter__(self) -> Workers:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function in a worker process; what it raises is raised here.

        The function, what it holds and what it returns are pickled, between this node and its own
        children. Cancelled, the process is killed.
        """
        if self._context is None:
            import trio_parallel  # multiprocessing behind it: most nodes never need it

            self._context = await self._stack.enter_async_context(
                trio_parallel.open_worker_context(_IDLE_SECONDS, grace_period=_GRACE_SECONDS)
            )
        await trio.lowlevel.checkpoint_if_cancelled()
        result: T = await self._context.run_sync(function, kill_on_cancel=True)
        return result
