"""The scheduler: plans fires into the ledger."""

from __future__ import annotations

from schedule_zero.actors.scheduler.actor import Scheduler

__all__ = ["Scheduler"]
