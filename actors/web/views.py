"""The API's values: what goes out as JSON, and how it is made of the components' own values."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from attrs import Factory, frozen

from schedule_zero.actors.registry.messages import Entry
from schedule_zero.actors.store.run import Reason, Run, State
from schedule_zero.actors.store.schedule import Policies, Schedule


@frozen
class Health:
    """The node answers."""

    status: str = "ok"
    service: str = "ScheduleZero"


@frozen
class Problem:
    """What went wrong, in words; `code` is the HTTP status."""

    code: int
    message: str


@frozen
class ErrorBody:
    """The body of every error."""

    error: Problem


@frozen
class ScheduleView:
    """One schedule. `args` is handler, method, parameters and id, as in ScheduleZero 1."""

    id: str
    next_fire_time: datetime | None
    trigger: str
    args: list[Any]
    handler: str
    method: str
    params: dict[str, Any]
    last_fire_time: datetime | None
    declared: bool
    paused: bool
    note: str | None
    quarantined: str | None
    policies: Policies


@frozen
class ScheduleList:
    """All schedules, by id."""

    schedules: list[ScheduleView]
    count: int


@frozen
class RunView:
    """One run. `lateness` and `duration` are seconds; `lateness` counts from the nominal time."""

    run_id: UUID
    schedule_id: str | None
    handler: str
    method: str
    params: dict[str, Any]
    state: State
    attempt: int
    fire_time: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lateness: float | None
    duration: float | None
    owner: str | None
    reason: Reason | None
    result: Any
    error: str | None


@frozen
class RunList:
    """Runs, the newest first. `limit` is how many there can be in one answer."""

    runs: list[RunView]
    count: int
    limit: int


@frozen
class MethodView:
    """One method of a handler; `parameters` is its signature as text."""

    name: str
    parameters: str
    doc: str


@frozen
class HandlerView:
    """One handler. `instances` are the actors that do its runs, `address` the first of them."""

    id: str
    address: str
    methods: list[str]
    status: str
    instances: list[str]
    details: list[MethodView]


@frozen
class HandlerList:
    """All handlers, by id."""

    handlers: list[HandlerView]
    count: int


ActorView = TypedDict(
    "ActorView",
    {
        "path": str,
        "class": str,
        "state": str,
        "mailbox": int,
        "handled": int,
        "restarts": int,
    },
)
"""One actor of the supervision tree, the root first; `mailbox` is how many messages wait."""


@frozen
class Status:
    """What the node is doing. `uptime` is in seconds."""

    node: str
    owner: str
    incarnation: str
    started_at: datetime
    now: datetime
    uptime: float
    runs: dict[str, int]
    dead_letters: dict[str, int]
    tree: list[ActorView]


@frozen
class CallBody:
    """Run this method now. `timeout` is how many seconds the run may take."""

    handler: str
    method: str
    params: dict[str, Any] = Factory(dict)
    timeout: float | None = None


def schedule_view(schedule: Schedule) -> ScheduleView:
    """The view of a schedule."""
    params = plain_params(schedule.params)
    return ScheduleView(
        id=schedule.id,
        next_fire_time=schedule.next_fire_at,
        trigger=trigger_text(schedule),
        args=[schedule.handler, schedule.method, params, schedule.id],
        handler=schedule.handler,
        method=schedule.method,
        params=params,
        last_fire_time=schedule.last_fire_at,
        declared=schedule.declared,
        paused=schedule.paused,
        note=schedule.note,
        quarantined=schedule.quarantined,
        policies=schedule.policies,
    )


def run_view(run: Run) -> RunView:
    """The view of a run."""
    return RunView(
        run_id=run.run_id,
        schedule_id=run.schedule_id,
        handler=run.handler,
        method=run.method,
        params=plain_params(run.params),
        state=run.state,
        attempt=run.attempt,
        fire_time=run.fire_time,
        due_at=run.due_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        lateness=seconds_between(run.fire_time, run.started_at),
        duration=seconds_between(run.started_at, run.finished_at),
        owner=run.owner,
        reason=run.reason,
        result=plain(run.result),
        error=None if run.error is None else plain(run.error),
    )


def handler_view(entry: Entry) -> HandlerView:
    """The view of a registry's entry."""
    instances = [ref.path for ref in entry.instances]
    is_there = any(not ref.is_stopped for ref in entry.instances)
    return HandlerView(
        id=entry.handler,
        address=instances[0] if instances else "",
        methods=[method.name for method in entry.methods],
        status="Connected" if is_there else "Disconnected",
        instances=instances,
        details=[MethodView(each.name, each.parameters, each.doc) for each in entry.methods],
    )


def trigger_text(schedule: Schedule) -> str:
    """The trigger as its code declares it, or as APScheduler shows it."""
    return schedule.definition or str(schedule.trigger)


def seconds_between(begin: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one instant to another, where there are both."""
    return None if begin is None or end is None else (end - begin).total_seconds()


def plain_params(params: Mapping[str, object]) -> dict[str, Any]:
    """Parameters, as JSON can say them."""
    return {str(plain(name)): plain(value) for name, value in params.items()}


def plain(value: object) -> Any:
    """The value as JSON can say it: bytes as base64, numbers that are none as None."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return plain(str(value))
