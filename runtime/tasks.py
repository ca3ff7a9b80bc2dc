"""The trio tasks that one actor owns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from schedule_zero.runtime.pending import Pending


class Tasks:
    """Each task has a cancel scope in here from the moment it is asked for until it has ended.

    `on_failure` is told what a task raises; `path` names the actor in the tasks' names.
    """

    __slots__ = ("_ended", "_on_failure", "_path", "_scopes")

    def __init__(self, on_failure: Callable[[Exception], None], path: str) -> None:
        self._on_failure = on_failure
        self._path = path
        self._scopes: dict[trio.CancelScope, None] = {}
        self._ended: Pending | None = None

    def __bool__(self) -> bool:
        return bool(self._scopes)

    def start(
        self,
        start_soon: Callable[..., None],
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        """Start a task with the node's `start_soon`."""
        scope = trio.CancelScope()
        self._scopes[scope] = None
        start_soon(self._run, scope, function, args, name=f"{self._path} task")

    async def end(self) -> None:
        """Cancel all and wait until they have ended."""
        for scope in list(self._scopes):
            scope.cancel()
        if self._scopes:
            self._ended = Pending()
            await self._ended.wait()

    async def _run(
        self,
        scope: trio.CancelScope,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        failure: Exception | None = None
        try:
            with scope:
                await function(*args)
        except Exception as error:
            failure = error
        finally:
            del self._scopes[scope]
            if not self._scopes and self._ended is not None:
                self._ended.resolve(None)
        if failure is not None:
            self._on_failure(failure)
