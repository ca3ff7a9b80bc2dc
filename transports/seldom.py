"""Logging of what strangers do: seldom, however often they do it."""

from __future__ import annotations

import logging
from math import inf

import trio

MINUTE = 60.0


class Seldom:
    """Logs each kind of event at most once a minute, with how many there were meanwhile."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._last: dict[str, float] = {}
        self._meanwhile: dict[str, int] = {}

    def warn(self, kind: str, said: str) -> None:
        """Log, unless this kind was logged a moment ago. There has to be a bound on the kinds."""
        now = trio.current_time()
        if now - self._last.get(kind, -inf) < MINUTE:
            self._meanwhile[kind] = self._meanwhile.get(kind, 0) + 1
            return
        self._last[kind] = now
        more = self._meanwhile.pop(kind, 0)
        self._logger.warning("%s%s", said, f" ({more} more since the last time)" if more else "")

    def forget(self, kind: str) -> None:
        """The next of this kind is news again."""
        self._last.pop(kind, None)
        self._meanwhile.pop(kind, None)
