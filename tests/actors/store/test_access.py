"""The store as the components use it: off the loop, and never behind jobs."""

from __future__ import annotations

import threading

import trio

from schedule_zero.actors.errors import StoreUnavailable
from schedule_zero.actors.store import Store, StoreAccess, open_store
from schedule_zero.actors.store.memory import MemoryStore
from schedule_zero.runtime import Node


async def test_the_store_does_not_wait_behind_jobs_that_block() -> None:
    released = threading.Event()
    access = StoreAccess(open_store("memory"))
    async with Node("n", threads=1) as node, trio.open_nursery() as nursery:
        nursery.start_soon(node.run_blocking, released.wait)
        await trio.testing.wait_all_tasks_blocked(0.01)
        try:
            with trio.fail_after(5):
                assert await access.call(node, Store.count_by_state) == {}
        finally:
            released.set()


class Away(MemoryStore):
    """A store whose database comes back after some tries."""

    tries = 0

    def count_by_state(self) -> dict:  # type: ignore[override, type-arg]
        self.tries += 1
        if self.tries < 5:
            raise StoreUnavailable("it is away")
        return super().count_by_state()


async def test_a_store_that_is_away_is_asked_again_and_told_of_once(
    autojump_clock: trio.abc.Clock, caplog: object
) -> None:
    store = Away()
    store.open()
    access = StoreAccess(store)
    async with Node("n", threads=0) as node:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(access.call, node, Store.count_by_state)
            await trio.sleep(0.06)
            assert not access.is_ready
        assert access.is_ready
    assert store.tries == 5
    assert [record.message for record in caplog.records] == [  # type: ignore[attr-defined]
        "it is away; trying again until it is back",
        "the store is back",
    ]
