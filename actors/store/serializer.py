"""Plain data and triggers as bytes and back: msgpack with an allow-list, nothing else.

The rules that this file keeps:

1. No pickle, no name of a class or module in the bytes, nothing is imported or called by name:
   a trigger is a small number that stands for one of the six classes below.
2. What comes out equals what went in, types included: tuples, UUIDs, dates, datetimes with their
   time zone and fold, durations, and a trigger in the midst of its work.
3. What is not plain is refused when it is written; bytes that are not ours are refused when they
   are read, whatever they are, with one error: `BadData`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
from apscheduler import DeserializationError, SerializationError
from apscheduler.abc import Serializer, Trigger

from schedule_zero.actors.errors import BadData
from schedule_zero.actors.store.instants import from_micros, to_micros
from schedule_zero.actors.store.trigger_states import CODES, state_of, trigger_of

_TUPLE, _UUID, _DATETIME, _DATE, _DURATION, _ZONE, _INSTANT = 1, 2, 3, 4, 5, 6, 7
_MAX_DEPTH = 20
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose
_MICROSECOND = timedelta(microseconds=1)


class NotPlain(BadData, SerializationError):
    """A value that is not plain data cannot be written."""


class NotReadable(BadData, DeserializationError):
    """These bytes were not written by this program, or are damaged."""


class PlainSerializer(Serializer):
    """The ledger's serializer; APScheduler's own stores and clients can use it too.

    Example::

        SQLAlchemyDataStore(engine, serializer=PlainSerializer())
    """

    __slots__ = ()

    def serialize(self, obj: object) -> bytes:
        """The bytes of a plain value or a trigger. Raises `BadData` for anything else."""
        return dumps(obj)

    def deserialize(self, serialized: bytes) -> Any:
        """The value again. Raises `BadData` for bytes that `serialize` did not make."""
        return loads(serialized)


def dumps(value: object) -> bytes:
    """The bytes of a plain value or a trigger.

    Plain are None, booleans, numbers, text, bytes, lists, tuples, dicts, dates, datetimes,
    durations, time zones and UUIDs, nested as you like. Raises `BadData` for anything else.
    """
    try:
        return _pack(value, 0)
    except NotPlain:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotPlain(f"this value cannot be stored ({error}): expected plain data") from error


def loads(raw: bytes) -> Any:
    """The value that `dumps` made these bytes from. Raises `BadData` for any other bytes."""
    try:
        return _unpack(raw, 0)
    except NotReadable:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise NotReadable(f"stored bytes cannot be read ({kind}: {error})") from error


def _pack(value: object, depth: int) -> bytes:
    if depth > _MAX_DEPTH:
        raise NotPlain(f"this value cannot be stored: it nests deeper than {_MAX_DEPTH}")
    packed: bytes = msgpack.packb(value, default=_ENCODE[depth], strict_types=True)
    return packed


def _unpack(raw: bytes, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise NotReadable(f"stored bytes nest deeper than {_MAX_DEPTH}")
    return msgpack.unpackb(raw, ext_hook=_DECODE[depth], strict_map_key=False, timestamp=3)


def _encode(value: object, depth: int) -> msgpack.ExtType:
    if type(value) is datetime and value.tzinfo is UTC and not value.fold:
        return msgpack.ExtType(_INSTANT, to_micros(value).to_bytes(8, "big", signed=True))
    found = _KINDS.get(type(value))
    if found is not None:
        code, content_of = found
        content = content_of(value)
        is_raw = type(content) is bytes
        return msgpack.ExtType(code, content if is_raw else _pack(content, depth))
    if isinstance(value, Trigger):
        raise NotPlain(
            f"trigger {value!r} cannot be stored: expected one of APScheduler's date, interval, "
            "cron, calendar-interval, and, or"
        )
    raise NotPlain(
        f"a value of type {type(value).__qualname__} cannot be stored: expected plain data such as "
        "numbers, text, lists, dicts, dates"
    )


def _reading(value: datetime) -> object:
    """The clock's reading in microseconds since 1970, whichever of two it is, and the zone."""
    reading = (value.replace(tzinfo=None, fold=0) - _NAIVE_EPOCH) // _MICROSECOND
    return [reading, value.fold, _zone(value.tzinfo)]


_KINDS: dict[type, tuple[int, Callable[[Any], object]]] = {
    tuple: (_TUPLE, list),
    UUID: (_UUID, lambda value: value.bytes),
    datetime: (_DATETIME, _reading),
    date: (_DATE, lambda value: value.toordinal().to_bytes(3, "big")),
    timedelta: (_DURATION, lambda value: [value.days, value.seconds, value.microseconds]),
    timezone: (_ZONE, lambda value: [_zone(value)]),
    ZoneInfo: (_ZONE, lambda value: [_zone(value)]),
    **{kind: (code, state_of) for kind, code in CODES.items()},
}


def _zone(zone: tzinfo | None) -> str | int | None:
    """A zone's name, or a fixed offset in microseconds, or None."""
    if zone is None:
        return None
    if type(zone) is timezone:
        return zone.utcoffset(None) // _MICROSECOND
    if type(zone) is ZoneInfo and zone.key:
        return zone.key
    raise NotPlain(f"time zone {zone!r} cannot be stored: expected ZoneInfo('Area/City') or UTC")


def _decode(code: int, payload: bytes, depth: int) -> object:
    if code == _INSTANT:
        return from_micros(int.from_bytes(payload, "big", signed=True))
    if code == _UUID:
        return UUID(bytes=payload)
    if code == _DATE:
        return date.fromordinal(int.from_bytes(payload, "big"))
    inner = _unpack(payload, depth)
    if code == _DATETIME:
        reading, fold, zone = inner
        naive = _NAIVE_EPOCH + timedelta(microseconds=reading)
        return naive.replace(fold=fold, tzinfo=_as_zone(zone))
    if code == _TUPLE:
        return tuple(inner)
    if code == _DURATION:
        return timedelta(*inner)
    if code == _ZONE:
        return _as_zone(*inner)
    return trigger_of(code, inner)


# How deep we are goes along, because each level takes its share of the C stack.
_ENCODE = tuple(partial(_encode, depth=depth + 1) for depth in range(_MAX_DEPTH + 1))
_DECODE = tuple(partial(_decode, depth=depth + 1) for depth in range(_MAX_DEPTH + 1))


def _as_zone(zone: Any) -> tzinfo | None:
    if zone is None:
        return None
    if isinstance(zone, str):
        return ZoneInfo(zone)
    offset = timedelta(microseconds=zone)
    return timezone(offset) if offset else UTC
