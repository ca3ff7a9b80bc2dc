"""APScheduler's triggers, handled with care. Pure.

The rules that this file keeps:

1. A trigger is never advanced in its owner's hands: work is done on a copy.
2. Fires are instants in UTC and strictly increase. A fire that is not later than the one before
   is passed over; a trigger that stands still is faulty.
3. Intervals count real seconds (UTC), not the wall clock's; cron and calendar triggers start on
   whole seconds.
4. A new schedule owes no fire from before it was made, except a trigger's only or last one.
5. Two triggers are the same if they give the same fires from now on.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NoReturn, cast

import attrs
from apscheduler.abc import Trigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.errors import BadTrigger
from schedule_zero.actors.store.instants import EPOCH

SLACK = timedelta(seconds=5)
_STANDSTILL = 10_000
_FIRST_SEARCH = 20_000
_SECOND = timedelta(seconds=1)
_SLOTS = {
    kind: tuple(each.name for each in attrs.fields(kind))
    for kind in (DateTrigger, IntervalTrigger, CronTrigger, CalendarIntervalTrigger)
}


class UnreadableTrigger(Trigger):
    """Stands for a stored trigger that cannot be read; it keeps the bytes and gives no fire."""

    def __init__(self, raw: bytes, problem: str) -> None:
        self.raw = raw
        self.problem = problem

    def next(self) -> datetime | None:
        """Raise `BadTrigger`."""
        raise BadTrigger(f"the stored trigger cannot be read: {self.problem}")

    def __getstate__(self) -> NoReturn:
        raise BadTrigger(f"the stored trigger cannot be read: {self.problem}")

    def __setstate__(self, state: object) -> NoReturn:
        raise BadTrigger("an unreadable trigger has no state")

    def __deepcopy__(self, memo: object) -> UnreadableTrigger:
        return self

    def __repr__(self) -> str:
        return f"UnreadableTrigger({self.problem!r})"


def own_copy(trigger: Trigger) -> Trigger:
    """A copy that goes on where the trigger is, with rule 3 applied."""
    kind = type(trigger)
    if kind in _SLOTS:
        made = made_of(kind, {name: getattr(trigger, name, None) for name in _SLOTS[kind]})
        _tidy(made)
        return made
    if kind is AndTrigger or kind is OrTrigger:
        return _copy_of_several(cast("AndTrigger | OrTrigger", trigger))
    return copy.deepcopy(trigger)


def made_of(kind: type[Trigger], values: Mapping[str, object]) -> Trigger:
    """A trigger with these attributes, past its converters: they were applied already."""
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def next_after(trigger: Trigger, last: datetime | None) -> datetime | None:
    """Advance the trigger to its next fire after `last`, in UTC; None when it has no more.

    Raises `BadTrigger` for a trigger that stands still or gives no aware datetime, and whatever
    the trigger raises.
    """
    for _ in range(_STANDSTILL):
        fire = trigger.next()
        if fire is None:
            return None
        if fire.tzinfo is None:
            raise BadTrigger(f"it gave the time {fire.isoformat()} without a time zone")
        instant = fire.astimezone(UTC)
        if last is None or instant > last:
            return instant
    raise BadTrigger(f"it gives no fire later than {last}")


def first_fire(trigger: Trigger, now: datetime) -> tuple[Trigger, datetime | None]:
    """A copy that has just given the first fire that a schedule made `now` owes, and that fire.

    That is the first fire from now on (or from a moment before: making a schedule takes time), or
    the last one of a trigger whose fires are all over.
    """
    own = own_copy(trigger)
    threshold = now - SLACK
    _forward(own, threshold)
    fire: datetime | None = None
    for _ in range(_FIRST_SEARCH):
        following = next_after(own, fire)
        if following is None:
            break
        fire = following
        if fire >= threshold:
            break
    return own, fire


def same_fires(one: Trigger, other: Trigger, now: datetime) -> bool:
    """Whether two triggers, whatever their progress, mean the same fires from now on (rule 5)."""
    meaning = _meaning(one, now)
    return meaning is not None and meaning == _meaning(other, now)


def _tidy(own: Trigger) -> None:
    """Rule 3, on a copy of ours."""
    if isinstance(own, IntervalTrigger) and own.start_time.tzinfo is not UTC:
        object.__setattr__(own, "start_time", own.start_time.astimezone(UTC))
        if own._last_fire_time is not None:
            object.__setattr__(own, "_last_fire_time", own._last_fire_time.astimezone(UTC))
    elif isinstance(own, CronTrigger) and own.start_time.microsecond:
        whole = own.start_time.astimezone(UTC).replace(microsecond=0) + _SECOND
        object.__setattr__(own, "start_time", whole.astimezone(own.start_time.tzinfo))


def _copy_of_several(trigger: AndTrigger | OrTrigger) -> Trigger:
    made = copy.copy(trigger.triggers)
    made[:] = [own_copy(each) for each in trigger.triggers]
    fires = list(trigger._next_fire_times)
    if isinstance(trigger, AndTrigger):
        return combined(made, fires, trigger.threshold, trigger.max_iterations)
    return combined(made, fires)


def combined(
    triggers: list[Trigger],
    fires: list[datetime | None],
    threshold: timedelta | None = None,
    max_iterations: int | None = None,
) -> AndTrigger | OrTrigger:
    """An `AndTrigger` (when a threshold is given) or `OrTrigger` in the midst of its work."""
    made: AndTrigger | OrTrigger
    if threshold is None:
        made = OrTrigger(triggers)
    else:
        made = AndTrigger(triggers, threshold=threshold, max_iterations=max_iterations)
    made._next_fire_times = fires
    return made


def _forward(trigger: Trigger, threshold: datetime) -> None:
    """Skip most of the fires before the threshold without walking through them."""
    if isinstance(trigger, IntervalTrigger):
        _forward_interval(trigger, threshold)
    elif isinstance(trigger, CronTrigger):
        state = trigger.__getstate__()
        last = state["last_fire_time"] or state["start_time"] - _SECOND
        if last < threshold - _SECOND:
            before = (threshold - _SECOND).astimezone(UTC).replace(microsecond=0)
            state["last_fire_time"] = before.astimezone(state["timezone"])
            trigger.__setstate__(state)
    elif isinstance(trigger, OrTrigger) and not trigger._next_fire_times:
        for each in trigger.triggers:
            _forward(each, threshold)


def _forward_interval(trigger: IntervalTrigger, threshold: datetime) -> None:
    state = trigger.__getstate__()
    bound = threshold if trigger.end_time is None else min(threshold, trigger.end_time)
    last = state["last_fire_time"] or trigger.start_time
    steps = (bound - last) // trigger._interval
    if steps > 1:
        state["last_fire_time"] = last + (steps - 1) * trigger._interval
        trigger.__setstate__(state)


def _limits(trigger: AndTrigger | OrTrigger) -> tuple[object, ...]:
    if isinstance(trigger, OrTrigger):
        return ()
    return (trigger.threshold, trigger.max_iterations)


def _meaning(trigger: Trigger, now: datetime) -> tuple[object, ...] | None:
    """What fires the trigger means from now on, as a value; None when it cannot be told."""
    if isinstance(trigger, DateTrigger):
        return ("date", trigger.run_time)
    if isinstance(trigger, IntervalTrigger):
        step = trigger._interval
        phase = (trigger.start_time - EPOCH) % step
        return ("interval", step, phase, max(trigger.start_time, now), trigger.end_time)
    if isinstance(trigger, CronTrigger):
        fields = tuple(str(each) for each in trigger._fields)
        start = max(trigger.start_time, now)
        return ("cron", fields, str(trigger.timezone), start, trigger.end_time)
    if isinstance(trigger, CalendarIntervalTrigger):
        state = trigger.__getstate__()
        return ("calendar", *(str(state[key]) for key in sorted(state) if key != "last_fire_date"))
    if isinstance(trigger, AndTrigger | OrTrigger):
        parts = tuple(_meaning(each, now) for each in trigger.triggers)
        if None in parts:
            return None
        return (type(trigger).__name__, parts, *_limits(trigger))
    return None
