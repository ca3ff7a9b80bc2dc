"""The states of APScheduler's triggers, taken apart and put together again. Pure.

A trigger goes to the database as one of six numbers and its state as plain data. What comes back
is checked before it is believed: a trigger that would choke when it is asked for its next fire,
or search for ever, is refused here. `trigger_of` may raise anything; `serializer.py` makes one
error of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from apscheduler.abc import Trigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.store.triggers import combined, made_of

CODES: dict[type, int] = {
    DateTrigger: 16,
    IntervalTrigger: 17,
    CronTrigger: 18,
    CalendarIntervalTrigger: 19,
    AndTrigger: 20,
    OrTrigger: 21,
}
_INTERVAL = ("weeks", "days", "hours", "minutes", "seconds", "microseconds")
_CRON = tuple(name for name, _ in CronTrigger.FIELDS_MAP)
_MAX_ITERATIONS = 100_000
_MAX_CALENDAR_STEP = 1_000
_LAST_YEAR = 8_000


def state_of(trigger: Any) -> object:
    """The state of a trigger whose class is in `CODES`, in plain data and other triggers."""
    if isinstance(trigger, AndTrigger):
        limits = (trigger.threshold, trigger.max_iterations)
        return [trigger.triggers, trigger._next_fire_times, *limits]
    if isinstance(trigger, OrTrigger):
        return [trigger.triggers, trigger._next_fire_times]
    return trigger.__getstate__()


def trigger_of(code: int, state: Any) -> Trigger:
    """The trigger that this state was taken from."""
    maker = _MAKERS.get(code)
    if maker is None:
        raise ValueError(f"unknown type {code}")
    return maker(state)


def _make_date(state: Any) -> Trigger:
    values = {"run_time": _instant(state["run_time"]), "_completed": state["completed"] is True}
    return made_of(DateTrigger, values)


def _make_interval(state: Any) -> Trigger:
    parts = dict(zip(_INTERVAL, state["interval"], strict=True))
    step = timedelta(**parts)
    if step <= timedelta(0):
        raise ValueError("an interval that is not positive")
    return made_of(IntervalTrigger, {**parts, "_interval": step, **_bounds(state)})


def _make_cron(state: Any) -> Trigger:
    if not isinstance(state["timezone"], tzinfo):
        raise TypeError("a cron trigger without time zone")
    values: dict[str, object] = {"timezone": state["timezone"], **_bounds(state)}
    values["_fields"] = _parsed_fields(*_list(state["fields"]))
    return made_of(CronTrigger, dict.fromkeys(_CRON) | values)


@lru_cache(maxsize=1024)
def _parsed_fields(*texts: str) -> list[Any]:
    """The fields of a cron trigger; parsing is slow, and they never change."""
    if not all(isinstance(each, str) for each in texts):
        raise TypeError("a cron field that is no text")
    fields: dict[str, Any] = dict(zip(_CRON, texts, strict=True))
    parsed = CronTrigger(**fields, start_time=datetime(1970, 1, 1, tzinfo=UTC), timezone=UTC)
    return parsed._fields


def _make_calendar(state: Any) -> Trigger:
    step = [_int(part) for part in _list(state["interval"])]
    if len(step) != 4 or min(step) < 0 or not 0 < sum(step) < _MAX_CALENDAR_STEP:
        raise ValueError("a calendar interval that is not positive")
    # Near the year 9999 APScheduler's search for a date that exists does not end.
    if not _is_near(state["start_date"]):
        raise ValueError("a calendar interval with an impossible start")
    for key in ("end_date", "last_fire_date"):
        if state[key] is not None and not _is_near(state[key]):
            raise ValueError(f"a calendar interval with an impossible {key}")
    if not isinstance(state["timezone"], tzinfo):
        raise TypeError("a calendar interval without time zone")
    made = object.__new__(CalendarIntervalTrigger)
    made.__setstate__(state)
    return made


def _make_and(state: Any) -> Trigger:
    triggers, fires, threshold, iterations = _list(state)
    if not isinstance(threshold, timedelta) or not 0 < _int(iterations) <= _MAX_ITERATIONS:
        raise ValueError("a combined trigger with impossible limits")
    return combined(*_parts(triggers, fires), threshold, iterations)


def _make_or(state: Any) -> Trigger:
    triggers, fires = _list(state)
    return combined(*_parts(triggers, fires))


_MAKERS: dict[int, Callable[[Any], Trigger]] = {
    16: _make_date,
    17: _make_interval,
    18: _make_cron,
    19: _make_calendar,
    20: _make_and,
    21: _make_or,
}


def _parts(triggers: Any, fires: Any) -> tuple[list[Trigger], list[datetime | None]]:
    if not _list(triggers) or not all(isinstance(each, Trigger) for each in triggers):
        raise TypeError("a combined trigger of what are no triggers")
    if len(_list(fires)) not in (0, len(triggers)):
        raise ValueError("a combined trigger that has lost its place")
    return triggers, [None if fire is None else _instant(fire) for fire in fires]


def _bounds(state: Any) -> dict[str, datetime | None]:
    end, last = state["end_time"], state["last_fire_time"]
    return {
        "start_time": _instant(state["start_time"]),
        "end_time": None if end is None else _instant(end),
        "_last_fire_time": None if last is None else _instant(last),
    }


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError("no instant where one belongs")
    return value


def _is_near(day: object) -> bool:
    return type(day) is date and day.year < _LAST_YEAR


def _int(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{type(value).__name__} where a number belongs")
    return value


def _list(value: object) -> list[Any]:
    if type(value) is not list:
        raise TypeError(f"{type(value).__name__} where a list belongs")
    return value
