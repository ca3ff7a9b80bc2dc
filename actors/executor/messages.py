"""What others send to the executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from schedule_zero.actors.store import Run
from schedule_zero.runtime import Request, message


@message
class WorkPlanned:
    """A hint: the ledger holds runs that may be due soon."""


@message
class Withdraw:
    """Do not start the claimed runs of this schedule that have not started yet."""

    schedule_id: str


@message
class Call(Request[Run]):
    """Run a handler's method now, through the ledger; the reply is the run once it has ended."""

    handler: str
    method: str
    params: Mapping[str, Any] = attrs.field(factory=dict)
    timeout: float | None = None


@message
class Statistics:
    """What the executor is doing: runs claimed and waiting, running, and ended so far."""

    waiting: int
    running: int
    ended: int
    fenced: int
    is_ready: bool


@message
class GetStatistics(Request[Statistics]):
    """Ask for `Statistics`."""
