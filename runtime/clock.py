"""Time: the only file that reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import trio


class Clock(Protocol):
    """Monotonic seconds, and the wall's instant."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def now(self) -> datetime:
        """The wall's instant, aware, in UTC. It may jump."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Trio's time, so that deadlines and timers agree."""
        return trio.current_time()

    def now(self) -> datetime:
        """The machine's wall clock."""
        return datetime.now(UTC)


class VirtualClock:
    """A wall clock that follows trio's own: with `trio.testing.MockClock` a week takes no time.

    `start` is the wall's instant when the clock is made; `jump` moves the wall and leaves
    monotonic time alone, as an operator or NTP would.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._origin: float | None = None

    def monotonic(self) -> float:
        """Trio's time."""
        return trio.current_time()

    def now(self) -> datetime:
        """`start`, plus the monotonic time that has passed since the first call, plus jumps."""
        time = self.monotonic()
        if self._origin is None:
            self._origin = time
        return self._start + timedelta(seconds=time - self._origin)

    def jump(self, seconds: float) -> None:
        """Move the wall clock forward, or back with a negative number."""
        self._start += timedelta(seconds=seconds)
