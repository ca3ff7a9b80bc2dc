"""The main job on one node, in virtual time: schedules fire, run and end in the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import trio
from apscheduler.abc import Trigger
from apscheduler.triggers.interval import IntervalTrigger
from trio.testing import MockClock

from schedule_zero.actors import Handler, ScheduleError, every, once
from schedule_zero.actors.app.components import components
from schedule_zero.actors.errors import BadCall, NoHandler, UnknownSchedule
from schedule_zero.actors.executor.messages import Call
from schedule_zero.actors.registry.messages import GetListing
from schedule_zero.actors.scheduler.messages import (
    PauseSchedule,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    TriggerNow,
)
from schedule_zero.actors.store import Policies, Run, Schedule, Store, open_store
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.runtime import Chance, Node, VirtualClock

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Jobs(Handler):
    """What a person would write."""

    lives = 0

    def __init__(self) -> None:
        Jobs.lives += 1
        self.count = 0

    @every(minutes=1)
    def tick(self, name: str = "world") -> str:
        self.count += 1
        return f"{name} {self.count}"

    async def slow(self, seconds: float = 10.0) -> str:
        await trio.sleep(seconds)
        return "done"

    def stumble(self, until: int = 2) -> int:
        if self.invocation.attempt < until:
            raise ValueError(f"attempt {self.invocation.attempt}")
        return self.invocation.attempt

    def not_plain(self) -> object:
        return object()


class Other(Handler):
    """Another handler, which must not wait for the first."""

    @every(seconds=10)
    def quick(self) -> None:
        pass

    @once()
    def first(self) -> None:
        pass


@asynccontextmanager
async def a_node(
    *handlers: type[Handler], store: Store | None = None
) -> AsyncIterator[tuple[Node, Store]]:
    clock = VirtualClock(START)
    kept = store or open_store("memory")
    owner = f"n@{kept.begin_life('n')}"
    spec = components(handlers or (Jobs, Other), StoreAccess(kept), owner, clock.now())
    async with Node("n", spec, clock=clock, random=Chance(1), threads=0) as node:
        yield node, kept


def virtually(test: Callable[[], object]) -> Callable[[], None]:
    """Run an async test in virtual time, from the beginning of time to its end."""

    def run() -> None:
        trio.run(test, clock=MockClock(autojump_threshold=0))  # type: ignore[arg-type]

    run.__name__ = test.__name__
    return run


def ended(store: Store, schedule_id: str) -> list[Run]:
    return [run for run in store.list_runs(schedule_id, limit=10_000) if not run.is_open]


def lateness(store: Store, schedule_id: str) -> list[timedelta]:
    """How late each run started; the first fire is due before the node has started."""
    runs = ended(store, schedule_id)[:-1]
    return [run.started_at - run.fire_time for run in runs if run.started_at]


def put(
    method: str, seconds: float = 60, trigger: Trigger | None = None, **policies: object
) -> PutSchedule:
    made = trigger or IntervalTrigger(seconds=seconds, start_time=START + timedelta(seconds=5))
    params: Mapping[str, object] = policies.pop("params", {})  # type: ignore[assignment]
    return PutSchedule(
        Schedule(
            id="mine",
            handler="jobs",
            method=method,
            trigger=made,
            params=params,
            policies=Policies(**policies),  # type: ignore[arg-type]
        )
    )


@virtually
async def test_a_virtual_hour_of_declared_schedules_ends_in_the_ledger() -> None:
    async with a_node() as (node, store):
        await trio.sleep(3600)
        assert node.clock.now() == START + timedelta(hours=1)
    ticks = ended(store, "jobs.tick")
    assert [run.fire_time for run in reversed(ticks)] == [
        START + timedelta(minutes=minute) for minute in range(60)
    ] + ([START + timedelta(hours=1)] if len(ticks) == 61 else [])
    assert {run.state for run in ticks} == {"succeeded"}
    assert ticks[0].result == f"world {len(ticks)}"
    assert len(ended(store, "other.first")) == 1
    assert len(ended(store, "other.quick")) >= 360


@virtually
async def test_a_fire_starts_when_it_is_due_and_not_before() -> None:
    async with a_node() as (_, store):
        await trio.sleep(600)
    for run in ended(store, "jobs.tick"):
        assert run.started_at is not None
        assert timedelta(0) <= run.started_at - run.fire_time < timedelta(seconds=1.1)
    assert max(lateness(store, "other.quick")) < timedelta(milliseconds=10)


@virtually
async def test_a_handler_that_raises_is_restarted_and_its_run_tried_again() -> None:
    lives = Jobs.lives
    async with a_node() as (node, store):
        await node.ref("scheduler").ask(put("stumble", params={"until": 3}, backoff=1.0))
        await trio.sleep(30)
    (run,) = ended(store, "mine")
    assert (run.state, run.attempt, run.result) == ("succeeded", 3, 3)
    assert Jobs.lives == lives + 3


@virtually
async def test_a_run_that_fails_for_good_says_what_was_raised() -> None:
    async with a_node() as (node, store):
        await node.ref("scheduler").ask(
            put("stumble", params={"until": 99}, retries=1, backoff=0.1)
        )
        await trio.sleep(30)
    (run,) = ended(store, "mine")
    assert (run.state, run.attempt, run.error) == ("failed", 2, "ValueError: attempt 2")


@virtually
async def test_a_run_that_takes_too_long_is_cancelled_and_fails() -> None:
    async with a_node() as (node, store):
        await node.ref("scheduler").ask(
            put("slow", params={"seconds": 50.0}, timeout=2.0, retries=0)
        )
        await trio.sleep(20)
    (run,) = ended(store, "mine")
    assert run.state == "failed"
    assert "timeout of 2 s" in (run.error or "")
    assert run.finished_at is not None
    assert run.finished_at - run.fire_time < timedelta(seconds=4)


@virtually
async def test_a_fire_that_overlaps_is_skipped_with_a_reason() -> None:
    async with a_node() as (node, store):
        await node.ref("scheduler").ask(put("slow", seconds=10, params={"seconds": 25.0}))
        await trio.sleep(100)
    found = Counter((run.state, run.reason) for run in ended(store, "mine"))
    assert found["succeeded", None] >= 3
    assert found["skipped", "overlap"] >= 5
    assert len(found) == 2


@virtually
async def test_a_busy_handler_delays_no_other() -> None:
    async with a_node() as (node, store):
        await node.ref("scheduler").ask(put("slow", seconds=30, params={"seconds": 29.0}))
        await trio.sleep(300)
    assert max(lateness(store, "other.quick")) < timedelta(milliseconds=10)


@virtually
async def test_pause_resume_remove_and_trigger_now() -> None:
    async with a_node() as (node, store):
        scheduler = node.ref("scheduler")
        await scheduler.ask(put("slow", params={"seconds": 0.1}, seconds=10))
        await trio.sleep(30)
        await scheduler.ask(PauseSchedule("mine", "lunch"))
        assert store.get_schedule("mine").note == "lunch"
        await trio.sleep(60)
        while_paused = Counter((run.state, run.reason) for run in ended(store, "mine"))
        assert while_paused["skipped", "paused"] >= 5
        triggered = await scheduler.ask(TriggerNow("mine"))
        await trio.sleep(5)
        found = store.get_run(triggered)
        assert found is not None
        assert found.state == "succeeded"
        await scheduler.ask(ResumeSchedule("mine"))
        await trio.sleep(30)
        succeeded = sum(run.state == "succeeded" for run in ended(store, "mine"))
        assert succeeded > while_paused["succeeded", None] + 2
        await scheduler.ask(RemoveSchedule("mine"))
        await trio.sleep(1)  # what was running has ended
        count = len(ended(store, "mine"))
        await trio.sleep(60)
        assert len(ended(store, "mine")) == count


@virtually
async def test_a_request_that_is_wrong_is_answered_and_nothing_restarts() -> None:
    async with a_node() as (node, _):
        scheduler, executor = node.ref("scheduler"), node.ref("executor")
        await trio.sleep(1)
        for request in (PauseSchedule("no"), ResumeSchedule("no"), RemoveSchedule("no")):
            with pytest.raises(UnknownSchedule, match="no schedule 'no'"):
                await scheduler.ask(request)
        with pytest.raises(UnknownSchedule):
            await scheduler.ask(TriggerNow("no"))
        with pytest.raises(NoHandler, match="known are: jobs, other"):
            await executor.ask(Call("nobody", "tick"))
        assert node.root.children["scheduler"].life == 1
        assert node.root.children["executor"].life == 1


@virtually
async def test_a_call_runs_through_the_ledger_and_returns_the_run() -> None:
    async with a_node() as (node, store):
        await trio.sleep(1)
        run = await node.ref("executor").ask(Call("jobs", "slow", {"seconds": 3.0}), timeout=60)
        assert (run.state, run.result) == ("succeeded", "done")
        assert store.get_run(run.run_id) == run


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("no_such", {}, "it has: not_plain, slow, stumble, tick"),
        ("tick", {"nam": "x"}, "it takes: name"),
        ("tick", {"name": 5}, "'name': expected str, got int 5"),
        ("not_plain", {}, "not plain data"),
    ],
)
def test_a_call_that_cannot_be_made_fails_at_once_and_says_why(
    method: str, params: dict[str, object], expected: str
) -> None:
    async def call() -> None:
        async with a_node() as (node, _):
            await trio.sleep(1)
            run = await node.ref("executor").ask(Call("jobs", method, params), timeout=60)
            assert run.state == "failed"
            assert expected in (run.error or "")

    trio.run(call, clock=MockClock(autojump_threshold=0))


@virtually
async def test_stopping_waits_for_what_runs_and_hands_back_what_waits() -> None:
    store = open_store("memory")
    async with a_node(store=store) as (node, _):
        await node.ref("scheduler").ask(
            put("slow", seconds=2, params={"seconds": 3.0}, overlap="allow_all")
        )
        await trio.sleep(8.5)
    states = Counter(run.state for run in store.list_runs("mine", limit=100))
    assert states["running"] == 0
    assert states["claimed"] == 0
    assert states["succeeded"] >= 1


@virtually
async def test_the_next_life_goes_on_where_the_last_stopped() -> None:
    store = open_store("memory")
    async with a_node(store=store):
        await trio.sleep(95)
    before = len(ended(store, "other.quick"))
    clock = VirtualClock(START + timedelta(seconds=95))
    spec = components((Jobs, Other), StoreAccess(store), f"n@{store.begin_life('n')}", clock.now())
    async with Node("n", spec, clock=clock, random=Chance(2), threads=0):
        await trio.sleep(60)
    fires = sorted(run.fire_time for run in ended(store, "other.quick"))
    assert len(fires) > before
    steps = {late - early for early, late in pairwise(fires)}
    assert steps == {timedelta(seconds=10)}
    assert len(ended(store, "other.first")) == 1


@virtually
async def test_the_wall_clock_may_jump() -> None:
    """L9: forward, the misfire rule decides; back, nothing fires twice."""
    clock = VirtualClock(START)
    store = open_store("memory")
    spec = components((Other,), StoreAccess(store), f"n@{store.begin_life('n')}", clock.now())
    async with Node("n", spec, clock=clock, random=Chance(1), threads=0):
        await trio.sleep(60)
        clock.jump(600)
        await trio.sleep(60)
        clock.jump(-300)
        await trio.sleep(600)
    runs = store.list_runs("other.quick", limit=1000)
    fires = sorted(run.fire_time for run in runs)
    assert len(fires) == len(set(fires))
    assert {late - early for early, late in pairwise(fires)} == {timedelta(seconds=10)}
    reasons = Counter(run.reason for run in runs if run.state == "skipped")
    assert reasons["catch_up"] > 50


@virtually
async def test_the_registry_lists_the_handlers_with_their_methods() -> None:
    async with a_node() as (node, _):
        listing = await node.ref("registry").ask(GetListing())
    entries = {entry.handler: entry for entry in listing.entries}
    assert list(entries) == ["jobs", "other"]
    tick = next(method for method in entries["jobs"].methods if method.name == "tick")
    assert tick.parameters == "(name: 'str' = 'world')"


def test_schedule_errors_have_one_base() -> None:
    assert issubclass(BadCall, ScheduleError)
    assert issubclass(UnknownSchedule, ScheduleError)
