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
        self._listeners: list[tuple[Callable[[T], object]]] = []

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def subscribe(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Call `listener` with each event; returns the function that ends it, harmless twice."""
        entry = (listener,)  # of its own, as one listener may listen twice
        self._listeners.append(entry)
        return lambda: self._forget(entry)

    def publish(self, event: T) -> None:
        """Tell every listener; one that raises is logged and harms nobody."""
        for (listener,) in list(self._listeners):
            try:
                listener(event)
            except Exception:
                _logger.exception("a listener failed on %r", event)

    def _forget(self, entry: tuple[Callable[[T], object]]) -> None:
        self._listeners = [known for known in self._listeners if known is not entry]
