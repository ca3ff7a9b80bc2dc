"""The store as the components use it: off the loop, and patient while it is out of reach."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import trio

from schedule_zero.actors.errors import StoreUnavailable
from schedule_zero.actors.store.base import Store
from schedule_zero.runtime import Node

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 8
_FIRST_DELAY, _LAST_DELAY = 0.05, 5.0
_logger = logging.getLogger("schedule_zero.store")


class StoreAccess:
    """Calls a store's methods in the node's threads.

    While the store is unavailable (locked, full disk, server gone) a call is repeated with
    growing delays until it succeeds or is cancelled; `is_ready` is false meanwhile. Every write
    of the store is safe to repeat: it is one transaction, conditional on what it found.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._failing = 0
        self._threads = trio.CapacityLimiter(_THREADS)  # never behind jobs that block

    @property
    def is_ready(self) -> bool:
        """Whether no call is waiting for the store to come back."""
        return not self._failing

    async def read(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """The result of a reading method, by name; raises `StoreUnavailable` at once."""
        function = partial(getattr(self.store, method), *args, **kwargs)
        return await trio.to_thread.run_sync(function, abandon_on_cancel=True)

    async def call(
        self,
        node: Node,
        method: Callable[Concatenate[Store, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The result of `method(store, *args, **kwargs)`.

        Example::

            runs = await access.call(node, Store.list_runs, limit=10)
        """
        function: Callable[[], T] = partial(getattr(self.store, method.__name__), *args, **kwargs)
        try:
            return await node.run_blocking(function, self._threads)
        except StoreUnavailable as error:
            if not self._failing:
                _logger.warning("%s; trying again until it is back", error)
        self._failing += 1
        try:
            result = await self._call_patiently(node, function)
        finally:
            self._failing -= 1
        if not self._failing:
            _logger.warning("the store is back")
        return result

    async def _call_patiently(self, node: Node, function: Callable[[], T]) -> T:
        delay = _FIRST_DELAY
        while True:
            await trio.sleep(delay * node.random.uniform(0.5, 1.5))
            try:
                return await node.run_blocking(function, self._threads)
            except StoreUnavailable:
                delay = min(delay * 2, _LAST_DELAY)
