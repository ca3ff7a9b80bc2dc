"""A schedule: which method of which handler is called, when, and by which policies."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

import attrs
from apscheduler.abc import Trigger
from attrs import field, frozen

from schedule_zero.actors.errors import BadTrigger, ScheduleError
from schedule_zero.actors.store.instants import as_utc

Overlap = Literal["skip", "buffer_all", "allow_all"]
Coalesce = Literal["latest", "all"]
OnLost = Literal["retry", "fail"]

FOREVER = 10 * 365 * 86_400.0
MAX_RETRIES = 1_000
MAX_PRIORITY = 2**31 - 1
MAX_ID = 400
_Attribute: TypeAlias = "attrs.Attribute[Any]"
_Validator: TypeAlias = Callable[[object, "attrs.Attribute[Any]", Any], None]


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _window(value: Any) -> Any:
    seconds = _seconds(value)
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return min(float(seconds), FOREVER) if is_number else seconds


def _one_of(*choices: str) -> _Validator:
    def check(_: object, attribute: _Attribute, value: Any) -> None:
        if value not in choices:
            raise ScheduleError(
                f"{attribute.name}={value!r} is not known: expected one of {', '.join(choices)}"
            )

    return check


def _number(low: float, high: float, unit: str) -> _Validator:
    def check(_: object, attribute: _Attribute, value: Any) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            raise ScheduleError(
                f"{attribute.name}={value!r}: expected {unit} from {low:g} to {high:g}"
            )

    return check


def _whole(low: int, high: int) -> _Validator:
    def check(_: object, attribute: _Attribute, value: Any) -> None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not low <= value <= high:
            raise ScheduleError(
                f"{attribute.name}={value!r}: expected a whole number from {low} to {high}"
            )

    return check


def _timeout(_: object, attribute: _Attribute, value: Any) -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ScheduleError(f"{attribute.name}={value!r}: expected None or seconds above 0")


@frozen
class Policies:
    """What happens when things are late, overlap, fail or get lost. Durations are seconds.

    `overlap`: what a fire does that is due while another run of its schedule is in progress
    (running, or waiting for a retry): `skip` it, wait for its turn (`buffer_all`), or run beside
    it (`allow_all`). `misfire`: how late a fire may still start; later it is `missed`.
    `coalesce`: of several fires that came due together run the `latest`, or `all`.
    `on_lost`: when a run's node dies, `retry` it (at least once) or `fail` it (at most once).
    `retries`: further attempts after a failure, the first `backoff` seconds later, then twice as
    long each time up to 300, each spread by half either way. `timeout`: how long a run may take.
    `priority`: higher goes first.

    Raises `ScheduleError` for a value that is none of these.

    Example::

        Policies(overlap="buffer_all", retries=5, timeout=60.0)
    """

    overlap: Overlap = field(default="skip", validator=_one_of(*get_args(Overlap)))
    misfire: float = field(
        default=3600.0, converter=_window, validator=_number(0, FOREVER, "seconds")
    )
    coalesce: Coalesce = field(default="latest", validator=_one_of(*get_args(Coalesce)))
    on_lost: OnLost = field(default="retry", validator=_one_of(*get_args(OnLost)))
    retries: int = field(default=3, validator=_whole(0, MAX_RETRIES))
    backoff: float = field(
        default=1.0, converter=_seconds, validator=_number(0, FOREVER, "seconds")
    )
    timeout: float | None = field(default=None, converter=_seconds, validator=_timeout)
    priority: int = field(default=0, validator=_whole(-MAX_PRIORITY, MAX_PRIORITY))


DEFAULT_POLICIES = Policies()


def _schedule_id(_: object, __: _Attribute, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        raise ScheduleError(f"schedule id {value!r}: expected a text of 1 to {MAX_ID} characters")


def _handler(_: object, __: _Attribute, value: Any) -> None:
    if not isinstance(value, str) or not value or len(value) > MAX_ID or ":" in value:
        raise ScheduleError(f"handler {value!r}: expected a handler's id, such as 'backup'")


def _method(_: object, __: _Attribute, value: Any) -> None:
    if not isinstance(value, str) or not value.isidentifier() or len(value) > 100:
        raise ScheduleError(f"method {value!r}: expected the name of a method, such as 'run'")


def _trigger(_: object, __: _Attribute, value: Any) -> None:
    if not isinstance(value, Trigger):
        raise BadTrigger(
            f"trigger {value!r}: expected one of APScheduler's triggers, "
            "such as IntervalTrigger(hours=1)"
        )


def _params(_: object, __: _Attribute, value: Any) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ScheduleError(f"params {value!r}: expected parameters by name")


@frozen(kw_only=True)
class Schedule:
    """When to call `method` of `handler` with `params`.

    A trigger has state: it has already given `next_fire_at` (that is APScheduler's convention),
    so its `next()` is the fire after that one. The fields from `next_fire_at` down are the
    store's; leave them out of a new schedule. `definition` may say in words what the code
    declares: while it stays the same, a declared schedule goes on where it was.

    Raises `ScheduleError` or `BadTrigger` for values that cannot be used.

    Example::

        Schedule(id="nightly", handler="backup", method="snapshot",
                 trigger=CronTrigger(hour=3, timezone="Europe/Rome"), params={"path": "/data"})
    """

    id: str = field(validator=_schedule_id)
    handler: str = field(validator=_handler)
    method: str = field(validator=_method)
    trigger: Trigger = field(validator=_trigger, eq=repr)  # a loaded trigger lacks what `==` needs
    params: Mapping[str, object] = field(factory=dict, validator=_params)
    policies: Policies = DEFAULT_POLICIES
    declared: bool = False
    definition: str = ""
    next_fire_at: datetime | None = field(default=None, converter=as_utc)
    last_fire_at: datetime | None = field(default=None, converter=as_utc)
    created_at: datetime | None = field(default=None, converter=as_utc)
    paused: bool = False
    note: str | None = None
    resumed_at: datetime | None = field(default=None, converter=as_utc)
    quarantined: str | None = None
