"""Bytes between nodes. This floor knows no actor."""

from __future__ import annotations

from schedule_zero.transports.errors import ScheduleZeroError, TransportError

__all__ = ["ScheduleZeroError", "TransportError"]
