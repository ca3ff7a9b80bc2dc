"""What the page and the API are made of: where the ledger is read, and whom to ask."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen


class StoreCall(Protocol):
    """Calls a reading method of the store by name, off the loop."""

    def __call__(self, method: str, /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """The result of `store.method(*args, **kwargs)`."""


@frozen
class Reads:
    """The other components, as far as Web uses them.

    `store` calls `list_schedules`, `list_runs`, `get_run` and `count_by_state`. `owner` is the
    node's `name@incarnation`, `started_at` when this life of it began. `registry` and `executor`
    are paths of actors.

    Example::

        async def read(method: str, /, *args: Any, **kwargs: Any) -> Any:
            call = partial(getattr(store, method), *args, **kwargs)
            return await trio.to_thread.run_sync(call, abandon_on_cancel=True)

        reads = Reads(read, owner="a@1", started_at=clock.now())
    """

    store: StoreCall
    owner: str
    started_at: datetime
    registry: str = "registry"
    executor: str = "executor"

    @property
    def incarnation(self) -> str:
        """The part of `owner` that differs from life to life."""
        return self.owner.rpartition("@")[2]
