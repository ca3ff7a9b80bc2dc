"""Schedules declared on a handler's methods: `@every`, `@cron`, `@once`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar, Unpack
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.abc import Trigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from attrs import frozen

from schedule_zero.actors.errors import BadTrigger
from schedule_zero.actors.store.schedule import Coalesce, OnLost, Overlap, Policies

F = TypeVar("F", bound=Callable[..., Any])
_DECLARED = "__schedule_zero_declared__"


class PolicyOptions(TypedDict, total=False):
    """Keyword arguments of the decorators beside the trigger's own; see `Policies`."""

    overlap: Overlap
    misfire: float
    coalesce: Coalesce
    on_lost: OnLost
    retries: int
    backoff: float
    timeout: float | None
    priority: int


@frozen
class Declared:
    """One schedule of a method: its trigger as of `now`, its parameters and policies.

    `definition` is what the code says, in words: as long as it stays, a known schedule goes on
    where it was. `name` tells several schedules of one method apart; empty for the first.
    """

    definition: str
    trigger: Callable[[datetime], Trigger]
    params: Mapping[str, Any]
    policies: Policies
    name: str = ""


def every(
    *,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    params: Mapping[str, Any] | None = None,
    name: str = "",
    **policies: Unpack[PolicyOptions],
) -> Callable[[F], F]:
    """Run the method at a fixed interval, first when it is first declared.

    `params` are the method's keyword arguments; the rest are policies, such as `overlap="skip"`,
    `retries=3`, `timeout=60.0`, `on_lost="fail"`. Raises `BadTrigger` for an interval of nothing.

    Example::

        @every(minutes=5, timeout=60.0)
        async def poll(self) -> None: ...
    """
    interval = timedelta(
        weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
    ).total_seconds()
    if not interval > 0:
        raise BadTrigger(f"every(): the interval is {interval:g} s: give more than 0 seconds")

    def trigger(now: datetime) -> Trigger:
        return IntervalTrigger(seconds=interval, start_time=now)

    return _declare(f"every {interval:g} s", trigger, params, name, policies)


def cron(
    expression: str,
    *,
    timezone: str = "UTC",
    params: Mapping[str, Any] | None = None,
    name: str = "",
    **policies: Unpack[PolicyOptions],
) -> Callable[[F], F]:
    """Run the method at the times of a five-field crontab expression, in a time zone.

    Raises `BadTrigger` for an expression or a zone that is none.

    Example::

        @cron("0 3 * * *", timezone="Europe/Rome")
        def nightly(self) -> None: ...
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadTrigger(
            f"time zone {timezone!r} is not known: give a name such as 'Europe/Rome'"
        ) from error
    try:
        CronTrigger.from_crontab(expression, timezone=zone)
    except (ValueError, TypeError) as error:
        raise BadTrigger(
            f"cron expression {expression!r}: {error}; expected five fields: minute hour day month "
            "day-of-week"
        ) from error

    def trigger(now: datetime) -> Trigger:
        return CronTrigger.from_crontab(expression, start_time=now, timezone=zone)

    return _declare(f"cron {expression} {timezone}", trigger, params, name, policies)


def once(
    at: datetime | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    name: str = "",
    **policies: Unpack[PolicyOptions],
) -> Callable[[F], F]:
    """Run the method once, at an aware instant, or when it is first declared.

    Raises `BadTrigger` for an instant without a time zone.
    """
    if at is not None and at.tzinfo is None:
        raise BadTrigger(f"once({at!r}): the instant has no time zone: add tzinfo=UTC or another")

    def trigger(now: datetime) -> Trigger:
        return DateTrigger(at or now)

    definition = f"once {at.isoformat() if at else ''}".rstrip()
    return _declare(definition, trigger, params, name, policies)


def declared_on(method: Callable[..., Any]) -> list[Declared]:
    """The schedules declared on a method, the uppermost decorator first."""
    if not callable(method):
        return []
    return list(getattr(inspect.unwrap(method), _DECLARED, ()))


def _declare(
    definition: str,
    trigger: Callable[[datetime], Trigger],
    params: Mapping[str, Any] | None,
    name: str,
    policies: PolicyOptions,
) -> Callable[[F], F]:
    declared = Declared(definition, trigger, dict(params or {}), Policies(**policies), name)

    def mark(method: F) -> F:
        plain = inspect.unwrap(method)
        setattr(plain, _DECLARED, [declared, *getattr(plain, _DECLARED, ())])
        return method

    return mark
