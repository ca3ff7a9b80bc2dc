"""Timers: one heap for the whole node, and one task that sleeps until its first entry."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import trio

from schedule_zero.runtime.clock import Clock


class Timer:
    """One entry of the heap; `cancel` makes it do nothing."""

    __slots__ = ("_callback", "_owner")

    def __init__(self, owner: Timers, callback: Callable[[], object]) -> None:
        self._owner = owner
        self._callback: Callable[[], object] | None = callback

    @property
    def is_due(self) -> bool:
        """Whether it has neither fired nor been cancelled."""
        return self._callback is not None

    def cancel(self) -> None:
        """Do nothing when the time comes. Harmless when it has come."""
        if self._callback is not None:
            self._callback = None
            self._owner.cancelled()

    def set(self, callback: Callable[[], object]) -> None:
        """Be due again; for `Timers.again` only."""
        self._callback = callback

    def fire(self) -> None:
        """Call back, once."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Timers:
    """Calls back at instants of the monotonic clock, in order of their instants.

    Cancelled entries stay in the heap until their time or until they are half of it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def after(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` in `delay` seconds (at the next turn for zero and less)."""
        return self.at(self._clock.monotonic() + delay, callback)

    def at(self, deadline: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` when the monotonic clock reads `deadline`."""
        timer = Timer(self, callback)
        self._push(deadline, timer)
        return timer

    def again(self, timer: Timer, deadline: float, callback: Callable[[], object]) -> None:
        """Set a timer that has just fired once more."""
        timer.set(callback)
        self._push(deadline, timer)

    def _push(self, deadline: float, timer: Timer) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (deadline, self._sequence, timer))
        if self._sleep is not None and deadline < self._sleep.deadline:
            self._sleep.deadline = deadline

    def cancelled(self) -> None:
        """Count a cancelled entry; half of the heap cancelled rebuilds it."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].is_due]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Fire what is due, sleep until the next; until cancelled."""
        while True:
            deadline = self._heap[0][0] if self._heap else float("inf")
            with trio.CancelScope(deadline=deadline) as self._sleep:
                await trio.sleep_forever()
            self._fire_due()

    def _fire_due(self) -> None:
        now, newest = self._clock.monotonic(), self._sequence
        # Entries that a callback adds wait for the next round, or a zero delay would spin here.
        while self._heap and self._heap[0][0] <= now and self._heap[0][1] <= newest:
            timer = heapq.heappop(self._heap)[2]
            if timer.is_due:
                timer.fire()
            else:
                self._cancelled -= 1
