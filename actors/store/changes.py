"""What putting, pausing and resuming do to a schedule. Pure.

The rules that this file keeps:

1. A new schedule's first fire is the first from now on (`triggers.py`, rule 4); one that brings
   its `next_fire_at` along, from another store, goes on there.
2. A schedule that is put again keeps its pause and its creation. While its trigger means the same
   it keeps its place, otherwise it starts anew, out of quarantine.
3. A trigger means the same if it gives the same fires; for declared schedules, if the code's
   definition is the same.
4. Fires up to the moment of resuming stay paused ones.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from schedule_zero.actors.errors import BadTrigger
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.store.triggers import first_fire, own_copy, same_fires


def added(given: Schedule, now: datetime) -> Schedule:
    """A schedule that was not there before (rule 1)."""
    made = attrs.evolve(given, created_at=given.created_at or now, quarantined=None)
    if given.next_fire_at is not None:
        return attrs.evolve(made, trigger=own_copy(given.trigger))
    return _restarted(made, now)


def put_over(stored: Schedule, given: Schedule, now: datetime) -> Schedule:
    """The stored schedule with what is given now (rule 2)."""
    kept = attrs.evolve(
        given,
        last_fire_at=stored.last_fire_at,
        created_at=stored.created_at,
        paused=stored.paused,
        note=stored.note,
        resumed_at=stored.resumed_at,
    )
    if is_same(stored, given, now):
        return attrs.evolve(
            kept,
            trigger=stored.trigger,
            next_fire_at=stored.next_fire_at,
            quarantined=stored.quarantined,
        )
    return _restarted(attrs.evolve(kept, quarantined=None), now)


def is_same(stored: Schedule, given: Schedule, now: datetime) -> bool:
    """Whether the trigger means the same (rule 3)."""
    if stored.definition and given.definition:
        return stored.definition == given.definition
    return same_fires(stored.trigger, given.trigger, now)


def paused(stored: Schedule, note: str | None) -> Schedule:
    """The schedule, paused."""
    return attrs.evolve(stored, paused=True, note=note)


def resumed(stored: Schedule, now: datetime) -> Schedule:
    """The schedule, neither paused nor quarantined (rule 4)."""
    made = attrs.evolve(stored, paused=False, note=None, quarantined=None)
    if stored.paused:
        made = attrs.evolve(made, resumed_at=now)
    return made if stored.quarantined is None else _restarted(made, now)


def _restarted(schedule: Schedule, now: datetime) -> Schedule:
    try:
        trigger, fire = first_fire(schedule.trigger, now)
    except Exception as error:
        raise BadTrigger(
            f"schedule {schedule.id!r}: its trigger {schedule.trigger!r} gives no first fire "
            f"({error})"
        ) from error
    return attrs.evolve(schedule, trigger=trigger, next_fire_at=fire)
