"""The main job on one node, in virtual time: schedules fire, run and end in the ledger."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from apscheduler.abc import Trigger
from apscheduler.triggers.interval import IntervalTrigger
from trio.testing import MockClock

from schedule_zero.actors import ConfigError, Handler, ScheduleError, every, once
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
from schedule_zero.actors.store import Finish, Policies, Run, Schedule, Start, Store, open_store
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.runtime import BadHandler, Chance, Node, VirtualClock

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


class Nasty(Handler):
    """What nobody would write on purpose, and everybody does once."""

    @every(seconds=1)
    def counter(self) -> object:
        return Counter("abc")

    @every(seconds=1)
    def surrogate(self) -> None:
        raise ValueError("\ud800")

    @every(seconds=1)
    def wordless(self) -> None:
        raise Wordless

    @every(seconds=1)
    def leaves(self) -> None:
        raise SystemExit(3)

    @every(seconds=1)
    def endless(self) -> str:
        return "x" * 2_000_000


class Grower(Handler):
    """Returns its own state, and goes on changing it."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    @every(seconds=0.01, overlap="buffer_all", coalesce="all")
    def grow(self) -> list[int]:
        self.seen.append(len(self.seen))
        return self.seen


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("place", ["memory", "file"])
def test_a_job_that_does_everything_wrong_harms_no_other(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """L7, on a store that has to write what it is given."""
    caplog.set_level(logging.CRITICAL, logger="schedule_zero")

    async def main() -> None:
        store = open_store("memory" if place == "memory" else tmp_path / "ledger.db")
        async with a_node(Nasty, Other, store=store) as (node, _):
            await trio.sleep(45)
            for name in ("executor", "scheduler", "registry"):
                assert node.root.children[name].life == 1
        assert len([run for run in ended(store, "other.quick") if run.state == "succeeded"]) >= 4
        for method, error in (
            ("counter", "not plain data"),
            ("surrogate", "\\ud800"),
            ("wordless", "cannot be had"),
            ("leaves", "SystemExit(3)"),
            ("endless", "more than the 1000000"),
        ):
            errors = [run.error for run in store.list_runs(f"nasty.{method}") if run.error]
            assert errors, method
            assert all(error in each for each in errors), errors
        store.close()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@virtually
async def test_a_result_is_kept_as_it_was_when_it_was_returned() -> None:
    async with a_node(Grower) as (_, store):
        await trio.sleep(5)
    runs = [run for run in ended(store, "grower.grow") if run.state == "succeeded"]
    lengths = sorted(len(run.result) for run in runs)  # type: ignore[arg-type]
    assert lengths == list(range(1, len(runs) + 1))
    assert len(runs) > 3


@virtually
async def test_a_call_with_what_no_database_takes_is_refused_and_harms_nobody() -> None:
    async with a_node() as (node, _):
        await trio.sleep(1)
        for _ in range(5):
            with pytest.raises(BadCall, match="its parameters"):
                await node.ref("executor").ask(Call("jobs", "tick", {"name": 10**30}))
        assert node.root.children["executor"].life == 1


@virtually
async def test_a_call_that_another_node_takes_is_answered() -> None:
    store = open_store("memory")
    async with a_node(store=store) as (node, _):
        await trio.sleep(1)
        executor = node.root.children["executor"].actor
        assert executor is not None
        async with trio.open_nursery() as nursery:
            answers: list[Run] = []

            async def call() -> None:
                run = await node.ref("executor").ask(Call("jobs", "slow"), timeout=100)
                answers.append(run)

            vars(executor)["_runs"].set_instances({})  # this node takes nothing for a while
            nursery.start_soon(call)
            await trio.sleep(0.5)
            now = node.clock.now()
            (run,) = store.claim("other@1", now, now, {"jobs": 5}, 30.0)
            store.record([Start(run, now)], [Finish(run, now, "succeeded", result="there")], now)
        assert [answer.result for answer in answers] == ["there"]


def test_two_schedules_of_one_name_are_refused() -> None:
    class Twins(Handler):
        @every(hours=1)
        @every(hours=2)
        def both(self) -> None:
            pass

    with pytest.raises(ConfigError, match=r"twins\.both"):
        components((Twins,), StoreAccess(open_store("memory")), "n@1", START)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"declared": lambda self: None}, "would hide Handler's own"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"handler_id": "a/b"}, "handler_id='a/b'"),
        ({"_hidden": every(hours=1)(lambda self: None)}, "no public method"),
    ],
)
def test_a_handler_that_would_go_wrong_later_is_refused_at_once(
    body: dict[str, object], expected: str
) -> None:
    with pytest.raises(BadHandler, match=expected):
        type("Odd", (Handler,), body)
