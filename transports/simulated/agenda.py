"""What a simulated host has to do, and when."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

import trio


class Agenda:
    """Calls functions at their times, those of one time in the order they were added.

    One task does it all: a frame under way costs no task.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._added = 0
        self._sleep = trio.CancelScope()

    def add(self, time: float, action: Callable[[], None]) -> None:
        """Call `action` at this time of trio's clock; it may not raise."""
        self._added += 1
        heappush(self._entries, (time, self._added, action))
        self._sleep.deadline = min(self._sleep.deadline, time)

    async def run(self) -> None:
        """Do it, until cancelled."""
        while True:
            self._sleep = trio.CancelScope(deadline=self._entries[0][0] if self._entries else inf)
            with self._sleep:
                await trio.sleep_forever()
            while self._entries and self._entries[0][0] <= trio.current_time():
                heappop(self._entries)[2]()
