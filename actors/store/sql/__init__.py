"""A store in an SQL database."""

from __future__ import annotations

from schedule_zero.actors.store.sql.store import SqliteStore

__all__ = ["SqliteStore"]
