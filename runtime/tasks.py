"""The trio tasks that one actor owns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from schedule_zero.runtime.pending import Pending


class Tasks:
    """Each task has a cancel scope in here from the moment it is asked for until it has ended."""

    __slots__ = ("_ended", "_scopes")

    def __init__(self) -> None:
        self._scopes: dict[trio.CancelScope, None] = {}
        self._ended: Pending | None = None

    def __bool__(self) -> bool:
        return bool(self._scopes)

    def add(self) -> trio.CancelScope:
        """Count a task that is about to start; give the scope to `run`."""
        scope = trio.CancelScope()
        self._scopes[scope] = None
        return scope

    async def run(
        self,
        scope: trio.CancelScope,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> Exception | None:
        """The task's body; returns what it raised."""
        try:
            with scope:
                await function(*args)
        except Exception as error:
            return error
        finally:
            del self._scopes[scope]
            if not self._scopes and self._ended is not None:
                self._ended.resolve(None)
        return None

    async def end(self) -> None:
        """Cancel all and wait until they have ended."""
        for scope in list(self._scopes):
            scope.cancel()
        if self._scopes:
            self._ended = Pending()
            await self._ended.wait()
