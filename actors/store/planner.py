"""Which runs a schedule's fires become: the planner. Pure.

The rules that this file keeps:

1. Every fire becomes exactly one run, in the order of time; the plan ends at the first fire that
   it leaves for later, which is the schedule's `next_fire_at` from then on.
2. A fire up to `now` is judged: of a paused schedule it is `skipped(paused)`; later than its
   misfire window it is `missed(misfire)`; with `coalesce="latest"`, if the fire after it has come
   too, it is `skipped(catch_up)`; otherwise it is planned.
3. A fire after `now`, up to `until`, is planned ahead of its time; not for a paused schedule,
   which may be resumed before it is due.
4. At most `cap` fires a call; `more` says that fires are left. What they become does not depend
   on how the calls are cut.
5. A trigger that raises, stands still or gives nonsense quarantines its schedule: the fire that
   it had already given is planned, and there is no next one.
6. Instants are UTC and strictly increase, so no nominal fire comes twice on the nights when
   clocks change.
"""

from __future__ import annotations

from datetime import datetime

import attrs
from apscheduler.abc import Trigger
from attrs import frozen

from schedule_zero.actors.store.planned import scheduled_run
from schedule_zero.actors.store.run import Run, not_run
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.store.triggers import next_after, own_copy

CAP = 500


@frozen
class FirePlan:
    """The runs to insert, in order, and what the schedule becomes in the same transaction."""

    runs: tuple[Run, ...]
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    trigger: Trigger
    quarantined: str | None
    more: bool

    def applied_to(self, schedule: Schedule) -> Schedule:
        """The schedule after this plan."""
        return attrs.evolve(
            schedule,
            trigger=self.trigger,
            next_fire_at=self.next_fire_at,
            last_fire_at=self.last_fire_at,
            quarantined=self.quarantined,
        )


def plan_fires(schedule: Schedule, now: datetime, until: datetime, cap: int = CAP) -> FirePlan:
    """Plan the fires of one schedule up to `until`, at most `cap` of them.

    The schedule and its trigger are left as they are.
    """
    horizon = now if schedule.paused else max(now, until)
    fire, fault = schedule.next_fire_at, schedule.quarantined
    trigger: Trigger | None = None
    runs: list[Run] = []
    while fire is not None and fire <= horizon and len(runs) < cap:
        successor = None
        try:
            trigger = trigger or own_copy(schedule.trigger)
            successor = next_after(trigger, fire)
        except Exception as error:
            fault = fault or f"{type(error).__name__}: {error}"
        runs.append(_judge(schedule, fire, successor, now))
        fire = successor
    last = runs[-1].fire_time if runs else schedule.last_fire_at
    is_more = fire is not None and fire <= horizon
    return FirePlan(tuple(runs), fire, last, trigger or schedule.trigger, fault, is_more)


def _judge(schedule: Schedule, fire: datetime, successor: datetime | None, now: datetime) -> Run:
    run = scheduled_run(schedule, fire)
    if schedule.quarantined is not None:
        return not_run(run, "skipped", "quarantined", now)
    if fire > now:
        return run
    if schedule.paused or (schedule.resumed_at is not None and fire <= schedule.resumed_at):
        return not_run(run, "skipped", "paused", now)
    if (now - fire).total_seconds() > schedule.policies.misfire:
        return not_run(run, "missed", "misfire", now)
    if schedule.policies.coalesce == "latest" and successor is not None and successor <= now:
        return not_run(run, "skipped", "catch_up", now)
    return run
