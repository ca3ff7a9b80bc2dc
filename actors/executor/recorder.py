"""Writes starts and ends of runs to the ledger, all that has gathered in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from uuid import UUID

import trio
from attrs import evolve

from schedule_zero.actors.errors import BadData
from schedule_zero.actors.store import Finish, Start, Store
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.runtime import Node

ERROR_MAX = 10_000
_logger = logging.getLogger("schedule_zero.executor")


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
            batch.fenced = await self._write(batch)
            batch.written.set()
            self._current = _Batch()
            if batch.fenced:
                self._on_fenced(batch.fenced)

    async def _write(self, batch: _Batch) -> frozenset[UUID]:
        try:
            return await self._record(batch.starts, batch.finishes)
        except BadData:
            _logger.exception("a run's end cannot be kept; the others of its batch are written")
        fenced = await self._record(batch.starts, [])
        for finish in batch.finishes:
            try:
                fenced |= await self._record([], [finish])
            except BadData as error:
                text = plain_text(f"its end cannot be kept: {error}")
                failed = evolve(finish, outcome="failed", result=None, error=text, is_final=True)
                fenced |= await self._record([], [failed])
        return fenced

    async def _record(self, starts: Sequence[Start], finishes: Sequence[Finish]) -> frozenset[UUID]:
        return await self._store.call(
            self._node, Store.record, starts, finishes, self._node.clock.now()
        )


def plain_text(text: str) -> str:
    """Text that every database takes, and not too much of it."""
    clean = text.encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= ERROR_MAX else f"{clean[:ERROR_MAX]} ... (cut)"
