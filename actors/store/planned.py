"""How runs come to be: from a schedule's fire, by "trigger now", or by a call. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from schedule_zero.actors.store.run import Run, run_id
from schedule_zero.actors.store.schedule import Schedule


def scheduled_run(schedule: Schedule, fire_time: datetime) -> Run:
    """The planned run of one fire of a schedule."""
    return _run_of(schedule, run_id(schedule.id, fire_time), fire_time)


def triggered_run(schedule: Schedule, new_id: UUID, now: datetime) -> Run:
    """A planned run of a schedule outside its trigger's times: "trigger now"."""
    return _run_of(schedule, new_id, now)


def new_run(
    new_id: UUID,
    handler: str,
    method: str,
    params: Mapping[str, object],
    now: datetime,
    timeout: float | None = None,
) -> Run:
    """A planned run of no schedule: somebody calls a method through the ledger.

    It is done at most once: neither a failure nor a lost worker repeats it, the caller decides.
    """
    return Run(
        new_id,
        handler,
        method,
        now,
        now,
        params=params,
        overlap="allow_all",
        on_lost="fail",
        retries=0,
        timeout=timeout,
    )


def _run_of(schedule: Schedule, new_id: UUID, fire_time: datetime) -> Run:
    policies = schedule.policies
    return Run(
        new_id,
        schedule.handler,
        schedule.method,
        fire_time,
        fire_time,
        schedule.id,
        schedule.params,
        overlap=policies.overlap,
        on_lost=policies.on_lost,
        retries=policies.retries,
        backoff=policies.backoff,
        timeout=policies.timeout,
        priority=policies.priority,
        misfire=policies.misfire,
    )
