"""What the store's tests begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from apscheduler.abc import Trigger
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.store import Finish, Policies, Run, Schedule, Start, Store, new_run

T0 = datetime(2025, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """The instant so many seconds after the test's beginning."""
    return T0 + timedelta(seconds=seconds)


def every(seconds: float, name: str = "s", start: float = 0, **more: Any) -> Schedule:
    """A schedule of `work.run` every so many seconds; policies by name."""
    return schedule(IntervalTrigger(seconds=seconds, start_time=at(start)), name, **more)


def once(seconds: float, name: str = "s", **more: Any) -> Schedule:
    """A schedule of `work.run` that fires once."""
    return schedule(DateTrigger(at(seconds)), name, **more)


def schedule(trigger: Trigger, name: str = "s", **more: Any) -> Schedule:
    """A schedule of `work.run`; fields and policies by name."""
    names = Policies.__attrs_attrs__
    policies = {each.name: more.pop(each.name) for each in names if each.name in more}
    values: dict[str, Any] = {"handler": "work", "method": "run", **more}
    return Schedule(id=name, trigger=trigger, policies=Policies(**policies), **values)


def failing_trigger(apart: float = 0.0) -> Trigger:
    """A trigger that gives one fire, at `T0`, and then raises; at once, if its parts are apart."""
    one = IntervalTrigger(seconds=7, start_time=T0)
    other = IntervalTrigger(seconds=7.00001, start_time=at(apart))
    return AndTrigger([one, other], threshold=timedelta(microseconds=1), max_iterations=50)


def call(number: int, now: datetime = T0, handler: str = "work") -> Run:
    """A run of no schedule."""
    return new_run(UUID(int=number), handler, "run", {"n": number}, now)


def plan(store: Store, seconds: float, ahead: float = 0) -> None:
    """Plan all that is due, however many calls it takes."""
    while store.plan(at(seconds), at(seconds + ahead), 100).backlog:
        pass


def claim(store: Store, seconds: float, slots: int = 100, owner: str = "a@1") -> list[Run]:
    """Claim runs of `work` that are due, for 30 seconds."""
    return store.claim(owner, at(seconds), at(seconds), {"work": slots}, 30.0)


def states(store: Store, schedule_id: str | None = None) -> list[str]:
    """The states, with reasons, of a schedule's runs in the order of their fires."""
    runs = store.list_runs(schedule_id=schedule_id, limit=10_000)
    return [run.state + (f"({run.reason})" if run.reason else "") for run in reversed(runs)]


def finish(store: Store, run: Run, seconds: float, outcome: str = "succeeded") -> frozenset[UUID]:
    """Start and end a claimed run in one write."""
    end = Finish(run, at(seconds), outcome, error=None if outcome == "succeeded" else "boom")  # type: ignore[arg-type]
    return store.record([Start(run, at(seconds))], [end], at(seconds))
