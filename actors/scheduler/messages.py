"""What others send to the scheduler."""

from __future__ import annotations

from uuid import UUID

from schedule_zero.actors.store import Schedule
from schedule_zero.runtime import Request, message


@message
class PutSchedule(Request[None]):
    """Add a schedule, or replace the one of the same id."""

    schedule: Schedule


@message
class RemoveSchedule(Request[None]):
    """Remove a schedule and its fires that have not started. Raises `UnknownSchedule`."""

    schedule_id: str


@message
class PauseSchedule(Request[None]):
    """Fire no more until resumed; `note` says why. Raises `UnknownSchedule`."""

    schedule_id: str
    note: str = ""


@message
class ResumeSchedule(Request[None]):
    """Fire again. Raises `UnknownSchedule`."""

    schedule_id: str


@message
class TriggerNow(Request[UUID]):
    """Run a schedule's method once, now; the reply is the run's id. Raises `UnknownSchedule`."""

    schedule_id: str
