"""Rows of APScheduler's `schedules` table as `Schedule`s and back.

A row may have been written by a stock APScheduler client, so columns stand in for what it does not
know, and a row that cannot be used is a quarantined schedule, never an exception.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
from apscheduler import CoalescePolicy

from schedule_zero.actors.errors import BadData, ScheduleError
from schedule_zero.actors.store.instants import (
    optional_instant,
    optional_micros,
)
from schedule_zero.actors.store.schedule import DEFAULT_POLICIES, FOREVER, Policies, Schedule
from schedule_zero.actors.store.serializer import dumps, loads
from schedule_zero.actors.store.triggers import UnreadableTrigger

KEY = "schedule_zero"
COLUMNS = (
    "id",
    "task_id",
    "trigger",
    "kwargs",
    "paused",
    "coalesce",
    "misfire_grace_time",
    "metadata",
    "last_fire_time",
    "next_fire_time",
)
_NO_PARAMS = dumps({})
_NO_ARGS = dumps([])
_MICROSECOND = timedelta(microseconds=1)
_INSTANTS = ("created_at", "resumed_at")


def as_schedule(row: Any) -> Schedule:
    """A row of `COLUMNS`, fire times and interval in microseconds, JSON as text."""
    try:
        return _readable(row)
    except (BadData, ScheduleError, ValueError, TypeError, KeyError, AttributeError) as error:
        return _unreadable(row, str(error))


def _readable(row: Any) -> Schedule:
    schedule_id, task_id, trigger, kwargs, paused, coalesce, misfire, metadata, last, upcoming = row
    handler, _, method = task_id.rpartition(".")
    ours = json.loads(metadata).get(KEY)
    policies = ours.get("policies") if ours is not None else _stock_policies(coalesce, misfire)
    known = ours or {}
    return Schedule(
        id=schedule_id,
        handler=handler,
        method=method,
        trigger=loads(trigger),
        params={} if kwargs == _NO_PARAMS else loads(kwargs),
        policies=Policies(**policies) if policies else DEFAULT_POLICIES,
        declared=known.get("declared", False),
        definition=known.get("definition", ""),
        next_fire_at=optional_instant(upcoming),
        last_fire_at=optional_instant(last),
        created_at=optional_instant(known.get("created_at")),
        paused=bool(paused),
        note=known.get("note"),
        resumed_at=optional_instant(known.get("resumed_at")),
        quarantined=known.get("quarantined"),
    )


def _stock_policies(coalesce: str, misfire: int | None) -> dict[str, object]:
    """What a stock client's schedule says in its own columns; no misfire time means for ever."""
    window = FOREVER if misfire is None else misfire / 1_000_000
    return {"coalesce": "all" if coalesce == "all" else "latest", "misfire": window}


def _unreadable(row: Any, problem: str) -> Schedule:
    schedule_id, task_id, trigger, *_ = row
    raw = trigger if isinstance(trigger, bytes) else b""
    handler, _, method = str(task_id).rpartition(".")
    last, upcoming = row[-2:]
    return Schedule(
        id=schedule_id,
        handler=handler.replace(":", "_") or "unknown",
        method=method if method.isidentifier() else "unknown",
        trigger=UnreadableTrigger(raw, problem),
        next_fire_at=optional_instant(upcoming),
        last_fire_at=optional_instant(last),
        paused=bool(row[4]),
        quarantined=f"its row cannot be used: {problem}",
    )


def ours_of(schedule: Schedule) -> dict[str, Any]:
    """What goes under `schedule_zero` in the metadata. No nulls: stock clients refuse them."""
    values: dict[str, Any] = {
        "policies": {
            name: value
            for name, value in attrs.asdict(schedule.policies).items()
            if value != getattr(DEFAULT_POLICIES, name)
        },
        "declared": schedule.declared,
        "definition": schedule.definition,
        "note": schedule.note,
        "quarantined": schedule.quarantined,
    }
    for name in _INSTANTS:
        values[name] = optional_micros(getattr(schedule, name))
    return {name: value for name, value in values.items() if value not in (None, "", False, {})}


def trigger_bytes(schedule: Schedule) -> bytes:
    """The trigger's bytes; an unreadable one keeps those it has."""
    trigger = schedule.trigger
    return trigger.raw if isinstance(trigger, UnreadableTrigger) else dumps(trigger)


def common_values(schedule: Schedule, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that both an insert and an update write, beside the fire times."""
    policies = schedule.policies
    return {
        "task_id": f"{schedule.handler}.{schedule.method}",
        "trigger": trigger_bytes(schedule),
        "kwargs": dumps(dict(schedule.params)),
        "paused": schedule.paused,
        "coalesce": CoalescePolicy[policies.coalesce],
        "misfire_grace_time": timedelta(seconds=policies.misfire),
        "metadata": {**metadata, KEY: ours_of(schedule)},
    }


NEW_VALUES: Mapping[str, Any] = {
    "args": _NO_ARGS,
    "job_executor": KEY,
    "job_result_expiration_time": timedelta(0),
}
"""The columns that only an insert writes; a stock client may have its own values there."""
