"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable

FIRST = 0.1
LONGEST = 5.0
"""Seconds; a link that lived this long makes its endpoint a good one again."""


class Backoff:
    """Waits of 0.1 s that double up to 5 s, each shortened by up to a half by chance.

    `random` draws from 0 to 1: many who lost the same peer do not all come back at once.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._wait = FIRST

    def next(self) -> float:
        """How many seconds to wait now."""
        wait = self._wait
        self._wait = min(2 * wait, LONGEST)
        return wait * (1 - self._random() / 2)

    def lived(self, seconds: float) -> None:
        """A link lasted so long: after a long one the waits start small again."""
        if seconds >= LONGEST:
            self._wait = FIRST
