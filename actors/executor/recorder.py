"""Writes starts and ends of runs to the ledger, all that has gathered in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import trio

from schedule_zero.actors.store import Finish, Start, Store
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.runtime import Node


class _Batch:
    """What one transaction writes, and whether it has been written."""

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.finishes: list[Finish] = []
        self.written = trio.Event()
        self.fenced: frozenset[UUID] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.starts or self.finishes)


class Recorder:
    """Group commit: while one transaction is written, the next one gathers.

    `on_fenced` is told the runs whose claim was lost when a write found out.
    """

    def __init__(
        self, store: StoreAccess, node: Node, on_fenced: Callable[[frozenset[UUID]], None]
    ) -> None:
        self._store = store
        self._node = node
        self._on_fenced = on_fenced
        self._next = _Batch()
        self._current = _Batch()
        self._gathered = trio.Event()

    def start(self, start: Start) -> None:
        """Write a start, soon."""
        self._next.starts.append(start)
        self._gathered.set()

    def finish(self, finish: Finish) -> None:
        """Write an end, soon; after the start of the same run."""
        self._next.finishes.append(finish)
        self._gathered.set()

    async def start_durably(self, start: Start) -> bool:
        """Write a start and wait for it. False if the claim was lost: then do not run it."""
        self.start(start)
        batch = self._next
        await batch.written.wait()
        return start.run.run_id not in batch.fenced

    async def flush(self) -> None:
        """Wait until all that has been given so far is written."""
        for batch in (self._current, self._next):
            if batch:
                await batch.written.wait()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._gathered.wait()
            self._gathered = trio.Event()
            batch = self._current = self._next
            self._next = _Batch()
            batch.fenced = await self._store.call(
                self._node, Store.record, batch.starts, batch.finishes, self._node.clock.now()
            )
            batch.written.set()
            self._current = _Batch()
            if batch.fenced:
                self._on_fenced(batch.fenced)
