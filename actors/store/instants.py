"""Instants as whole microseconds since 1970 in UTC: exact, ordered, the same in every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schedule_zero.actors.errors import ScheduleError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND


def to_micros(instant: datetime) -> int:
    """Whole microseconds from 1970 to an aware instant (no float on the way)."""
    since = instant - EPOCH
    return since.days * _DAY + since.seconds * _SECOND + since.microseconds


def from_micros(micros: int) -> datetime:
    """The aware UTC instant so many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=micros)


def optional_micros(instant: datetime | None) -> int | None:
    """`to_micros`, where there may be no instant."""
    return None if instant is None else to_micros(instant)


def optional_instant(micros: int | None) -> datetime | None:
    """`from_micros`, where there may be no instant."""
    return None if micros is None else from_micros(micros)


def as_utc(instant: datetime | None) -> datetime | None:
    """The same instant in UTC. Raises `ScheduleError` for one without a time zone."""
    if instant is None or instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        raise ScheduleError(
            f"the instant {instant.isoformat()} has no time zone: add tzinfo=UTC or another"
        )
    return instant.astimezone(UTC)
