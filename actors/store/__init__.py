"""The store: schedules and the launch ledger, in memory or in a database."""

from __future__ import annotations

from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.actors.store.base import PlanResult, Store, SweepResult
from schedule_zero.actors.store.opening import open_store
from schedule_zero.actors.store.planned import new_run, triggered_run
from schedule_zero.actors.store.run import (
    OPEN,
    TERMINAL,
    Finish,
    Outcome,
    Reason,
    Run,
    Start,
    State,
    backoff_delay,
    run_id,
)
from schedule_zero.actors.store.schedule import Coalesce, OnLost, Overlap, Policies, Schedule
from schedule_zero.actors.store.serializer import PlainSerializer

__all__ = [
    "OPEN",
    "TERMINAL",
    "Coalesce",
    "Finish",
    "OnLost",
    "Outcome",
    "Overlap",
    "PlainSerializer",
    "PlanResult",
    "Policies",
    "Reason",
    "Run",
    "Schedule",
    "Start",
    "State",
    "Store",
    "StoreAccess",
    "SweepResult",
    "backoff_delay",
    "new_run",
    "open_store",
    "run_id",
    "triggered_run",
]
