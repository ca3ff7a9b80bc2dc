"""Handlers: actor classes whose methods are jobs."""

from __future__ import annotations

from schedule_zero.actors.handler.declare import cron, every, once
from schedule_zero.actors.handler.handler import Handler
from schedule_zero.actors.handler.host import Handlers

__all__ = ["Handler", "Handlers", "cron", "every", "once"]
