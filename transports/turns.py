"""Fairness between sources of events, and a `receive` that loses nothing when it is cancelled.

The rules that it keeps:

1. A source that has something stands in a row and gets turns of a bounded size, also from one call
   to the next: one that floods delays the others by its turn, no more.
2. A batch is bounded by events, by bytes and by turns: what is refused gives no event.
3. Nothing is taken before a checkpoint: what was taken is returned, so no cancellation loses it.
"""

from __future__ import annotations

from typing import Protocol

import trio

from schedule_zero.transports.base import BATCH_BYTES, BATCH_EVENTS, Event, Link, Received

TURN = 32
"""How many frames a source may give in one turn."""

_TURNS = 32


class Batch:
    """What one call of `receive` returns."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._bytes = 0

    def add(self, event: Event) -> None:
        """Add what happened to a link."""
        self.events.append(event)

    def add_frame(self, link: Link, frame: bytes) -> None:
        """Add one frame of a link."""
        self.events.append(Received(link, frame))
        self._bytes += len(frame)

    @property
    def is_full(self) -> bool:
        """Whether it may take no more. Otherwise it may take two: a link's first frame is two."""
        return len(self.events) >= BATCH_EVENTS - 1 or self._bytes >= BATCH_BYTES


class Source(Protocol):
    """Has events to give."""

    def take(self, batch: Batch) -> bool:
        """Add at most a turn of events, none when the batch is full; whether there may be more."""


class Turns:
    """The row of sources that have something, and the one task that waits for them."""

    def __init__(self) -> None:
        self._row: dict[Source, None] = {}
        self._waiting: trio.lowlevel.Task | None = None

    def note(self, source: Source) -> None:
        """A source has something."""
        self._row[source] = None
        if self._waiting is not None:
            trio.lowlevel.reschedule(self._waiting)
            self._waiting = None

    def forget(self, source: Source) -> None:
        """A source has nothing any more."""
        self._row.pop(source, None)

    def has(self, source: Source) -> bool:
        """Whether it is known that a source has something."""
        return source in self._row

    async def receive(self) -> list[Event]:
        """At least one event. A checkpoint, always."""
        while True:
            if self._row:
                await trio.lowlevel.checkpoint()
            else:
                await self._wait()
            events = self._take()
            if events:
                return events

    def _take(self) -> list[Event]:
        batch = Batch()
        for _ in range(_TURNS):
            if not self._row or batch.is_full:
                break
            source = next(iter(self._row))
            del self._row[source]
            if source.take(batch):
                self._row[source] = None
        return batch.events

    async def _wait(self) -> None:
        if self._waiting is not None:
            raise trio.BusyResourceError("another task is in `receive` already")
        self._waiting = trio.lowlevel.current_task()

        def give_up(_: object) -> trio.lowlevel.Abort:
            self._waiting = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(give_up)
