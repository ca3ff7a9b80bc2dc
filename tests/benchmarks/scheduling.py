"""Scheduling on SQLite: runs a second, and how late a thousand one-second schedules fire."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

import trio
from apscheduler.triggers.interval import IntervalTrigger
from attrs import evolve

from schedule_zero.actors import Handler
from schedule_zero.actors.app.components import components
from schedule_zero.actors.store import Run, Schedule, Store, new_run, open_store
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.runtime import Chance, Node, SystemClock
from tests.benchmarks.figures import Figure, measure

RUNS = 10_000
SCHEDULES = 1_000
SECONDS = 8


class Work(Handler):
    """Does nothing, and notes when."""

    concurrency = 8
    begun: ClassVar[list[tuple[datetime, datetime]]] = []

    async def nothing(self) -> None:
        """The job."""
        fire_time = self.invocation.fire_time
        assert fire_time is not None
        Work.begun.append((fire_time, self.context.node.clock.now()))


def run() -> Iterator[Figure]:
    """All figures of this file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        yield trio.run(_runs_a_second, path / "runs.db")
        yield from trio.run(_lateness, path / "lateness.db")
        yield _commits_a_second(path / "commits.db")


def _node(store: Store, now: datetime) -> Node:
    owner = f"bench@{store.begin_life('bench')}"
    return Node("bench", components([Work], StoreAccess(store), owner, now))


async def _runs_a_second(path: Path) -> Figure:
    """Added and run to their end in the ledger, batches of 500 added at a time."""
    ids, now = Chance(), SystemClock().now()
    with closing(open_store(str(path))) as store:
        async with _node(store, now) as node:
            with measure() as taken:
                for _ in range(RUNS // 500):
                    batch = [_a_run(ids, now) for _ in range(500)]
                    await node.run_blocking(partial(store.submit, batch, now))
                while True:
                    counts = await node.run_blocking(store.count_by_state)
                    if counts.get("succeeded", 0) == RUNS:
                        break
                    await trio.sleep(0.02)
    return Figure("runs on SQLite, added and run", RUNS / taken.seconds, "runs/s")


def _a_run(ids: Chance, now: datetime) -> Run:
    return evolve(new_run(ids.new_id(), "work", "nothing", {}, now), on_lost="retry", retries=3)


async def _lateness(path: Path) -> list[Figure]:
    Work.begun.clear()
    now = SystemClock().now()
    first = now + timedelta(seconds=2)
    schedules = [
        Schedule(
            id=f"s{number}",
            handler="work",
            method="nothing",
            trigger=IntervalTrigger(seconds=1, start_time=first + timedelta(milliseconds=number)),
        )
        for number in range(SCHEDULES)
    ]
    with closing(open_store(str(path))) as store:
        store.put_schedules(schedules, now)
        async with _node(store, now):
            await trio.sleep(2 + SECONDS)
    since = first + timedelta(seconds=2)
    late = sorted((at - fire).total_seconds() for fire, at in Work.begun if fire >= since)
    assert len(late) > SCHEDULES * (SECONDS - 4), len(late)
    name = "lateness of 1,000 one-second schedules"
    return [
        Figure(f"{name}, p50", 1000 * late[len(late) // 2], "ms"),
        Figure(f"{name}, p99", 1000 * late[len(late) * 99 // 100], "ms"),
        Figure("fires of 1,000 one-second schedules", len(late) / (SECONDS - 2), "runs/s"),
    ]


def _commits_a_second(path: Path) -> Figure:
    """The disk's own speed, beside which store figures are read."""
    import sqlite3

    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE probe (n INTEGER)")
        with measure() as taken:
            for number in range(300):
                database.execute("INSERT INTO probe VALUES (?)", (number,))
    return Figure("commit probe: SQLite, WAL, synchronous=FULL", 300 / taken.seconds, "commits/s")
