"""The executor: has planned runs done, and records how they ended."""

from __future__ import annotations

from schedule_zero.actors.executor.actor import Executor

__all__ = ["Executor"]
