"""The registry: who handles what, on which actor."""

from __future__ import annotations

from schedule_zero.actors.registry.actor import Registry

__all__ = ["Registry"]
