"""A stream of events inside a node: whoever listens is called with each, at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

_logger = logging.getLogger("schedule_zero.events")
T = TypeVar("T")


class Stream(Generic[T]):
    """Listeners of one kind of event, called in the order in which they subscribed."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], object]] = []

    def subscribe(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Call `listener` with each event; returns the function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, event: T) -> None:
        """Tell every listener; one that raises is logged and harms nobody."""
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:
                _logger.exception("a listener failed on %r", event)
