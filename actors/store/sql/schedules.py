"""The schedules' half of a transaction, on APScheduler's table."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam

from schedule_zero.actors.store.instants import from_micros, optional_micros, to_micros
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.store.schema import build_tables
from schedule_zero.actors.store.sql import schedule_rows
from schedule_zero.actors.store.sql.schedule_rows import as_schedule, trigger_bytes

_TABLE = build_tables("sqlite").tables["schedules"]
_INSERT = _TABLE.insert()
_SELECT = f"SELECT {', '.join(schedule_rows.COLUMNS)} FROM schedules"
_DUE = (
    f"{_SELECT} WHERE next_fire_time <= ? AND (NOT paused OR next_fire_time <= ?) "
    "ORDER BY next_fire_time {order}, id {order} LIMIT ?"
)
_OLDEST_FIRST, _NEWEST_FIRST = _DUE.format(order="ASC"), _DUE.format(order="DESC")
_ADVANCE = (
    "UPDATE schedules SET trigger = ?, last_fire_time = ?, last_fire_time_utcoffset = ?, "
    "next_fire_time = ?, next_fire_time_utcoffset = ? WHERE id = ?"
)


class ScheduleTable:
    """What a `Transaction` does with schedules."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def schedules(self, ids: Collection[str] | None = None) -> dict[str, Schedule]:
        """Schedules by id."""
        if ids is None:
            return self._by_id(f"{_SELECT} ORDER BY id", ())
        found: dict[str, Schedule] = {}
        wanted = sorted(set(ids))
        for start in range(0, len(wanted), 1000):
            some = wanted[start : start + 1000]
            marks = ", ".join("?" * len(some))
            found |= self._by_id(f"{_SELECT} WHERE id IN ({marks}) ORDER BY id", tuple(some))
        return found

    def due_schedules(self, now: datetime, until: datetime, limit: int) -> list[Schedule]:
        """Due ones, old and new."""
        bounds = (to_micros(until), to_micros(now))
        oldest = self._by_id(_OLDEST_FIRST, (*bounds, limit))
        if len(oldest) < limit:
            return list(oldest.values())
        half = limit // 2
        newest = self._by_id(_NEWEST_FIRST, (*bounds, half))
        late = list(oldest.values())[: limit - half]
        seen = {each.id for each in late}
        return late + [each for each in reversed(newest.values()) if each.id not in seen]

    def save_schedules(self, schedules: Iterable[Schedule]) -> None:
        """Insert or replace; what a stock client keeps in the row stays."""
        given = {each.id: each for each in schedules}
        stored = self._metadata(given)
        new = [
            {**_new(each), **schedule_rows.common_values(each, {}), **_fires(each)}
            for key, each in given.items()
            if key not in stored
        ]
        old = [
            {"p_id": key, **schedule_rows.common_values(given[key], kept), **_fires(given[key])}
            for key, kept in stored.items()
        ]
        if new:
            self._connection.execute(_INSERT, new)
        if old:
            columns: dict[str, Any] = {name: bindparam(name) for name in old[0] if name != "p_id"}
            update = _TABLE.update().where(_TABLE.c.id == bindparam("p_id")).values(columns)
            self._connection.execute(update, old)

    def advance_schedules(self, schedules: Iterable[Schedule]) -> None:
        """Trigger and fire times; the whole row for those that go into quarantine."""
        given = list(schedules)
        sound = [each for each in given if each.quarantined is None]
        if sound:
            self._connection.exec_driver_sql(_ADVANCE, [_advanced(each) for each in sound])
        broken = [each for each in given if each.quarantined is not None]
        if broken:
            self.quarantine(broken)

    def quarantine(self, schedules: Iterable[Schedule]) -> None:
        """Set schedules aside, their rows otherwise left as they are."""
        given = {each.id: each for each in schedules}
        for key, kept in self._metadata(given).items():
            each = given[key]
            ours = {**kept.get(schedule_rows.KEY, {}), "quarantined": each.quarantined}
            metadata = {**kept, schedule_rows.KEY: ours}
            update = _TABLE.update().where(_TABLE.c.id == key)
            self._connection.execute(update.values(metadata=metadata, **_fires(each)))

    def delete_schedules(self, ids: Collection[str]) -> None:
        """Delete."""
        if ids:
            sql = "DELETE FROM schedules WHERE id = ?"
            self._connection.exec_driver_sql(sql, [(each,) for each in ids])

    def next_fire_at(self) -> datetime | None:
        """The earliest fire."""
        found = self._connection.exec_driver_sql(
            "SELECT MIN(next_fire_time) FROM schedules"
        ).scalar()
        return None if found is None else from_micros(found)

    def paused(self) -> set[str]:
        """Ids of paused ones."""
        found = self._connection.exec_driver_sql("SELECT id FROM schedules WHERE paused")
        return {row[0] for row in found}

    def _by_id(self, sql: str, values: tuple[object, ...]) -> dict[str, Schedule]:
        found = self._connection.exec_driver_sql(sql, values).cursor
        return {row[0]: as_schedule(row) for row in found.fetchall()}

    def _metadata(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """The whole metadata of the schedules that exist; nothing where it is no JSON object."""
        sql = "SELECT metadata FROM schedules WHERE id = ?"
        found: dict[str, dict[str, Any]] = {}
        for key in ids:
            row = self._connection.exec_driver_sql(sql, (key,)).first()
            if row is not None:
                found[key] = _object(row[0])
        return found


def _object(raw: object) -> dict[str, Any]:
    try:
        value = json.loads(raw)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}


def _new(schedule: Schedule) -> dict[str, Any]:
    return {"id": schedule.id, **schedule_rows.NEW_VALUES}


def _fires(schedule: Schedule) -> dict[str, int | None]:
    return {
        "last_fire_time": optional_micros(schedule.last_fire_at),
        "last_fire_time_utcoffset": None if schedule.last_fire_at is None else 0,
        "next_fire_time": optional_micros(schedule.next_fire_at),
        "next_fire_time_utcoffset": None if schedule.next_fire_at is None else 0,
    }


def _advanced(schedule: Schedule) -> tuple[object, ...]:
    return (trigger_bytes(schedule), *_fires(schedule).values(), schedule.id)
