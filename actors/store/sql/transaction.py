"""One transaction on the tables: see `store.transaction.Transaction` for what each method does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import Connection

from schedule_zero.actors.errors import StoreError
from schedule_zero.actors.store.instants import from_micros, to_micros
from schedule_zero.actors.store.run import Run, State
from schedule_zero.actors.store.schema import HAS_ENDED
from schedule_zero.actors.store.sql import rows
from schedule_zero.actors.store.sql import statements as sql
from schedule_zero.actors.store.sql.schedules import ScheduleTable
from schedule_zero.actors.store.transaction import Change

T = TypeVar("T")
_CHUNK = 1000


class SqlTransaction(ScheduleTable):
    """The `Transaction` of an SQL connection that has begun."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._run = connection.exec_driver_sql

    def new_life(self, node: str) -> int:
        """One more incarnation."""
        return int(self._run(sql.NEW_LIFE, (node,)).scalar_one())

    def insert_runs(self, runs: Sequence[Run]) -> int:
        """Insert the new ones."""
        if not runs:
            return 0
        return self._run(sql.INSERT, [rows.inserted(run) for run in runs]).rowcount

    def runs(self, ids: Collection[UUID]) -> dict[UUID, Run]:
        """Runs by id."""
        found: dict[UUID, Run] = {}
        for some in _chunks(list(ids)):
            where = f"WHERE run_id IN {sql.among(len(some))}"
            for run in self._runs(f"{sql.SELECT} {where}", [each.bytes for each in some]):
                found[run.run_id] = run
        return found

    def swap(self, changes: Sequence[Change]) -> None:
        """Write what changed, if it is as it was loaded."""
        if not changes:
            return
        written = self._run(sql.SWAP, [rows.swapped(*change) for change in changes]).rowcount
        if written != len(changes):
            raise StoreError(
                f"{len(changes) - written} runs changed while they were being changed: "
                "another program writes to the ledger without a transaction"
            )

    def drop_future(self, schedule_ids: Collection[str], now: datetime) -> None:
        """Withdraw planned runs of the future."""
        if schedule_ids:
            self._run(sql.DROP_FUTURE, [(each, to_micros(now)) for each in schedule_ids])

    def candidates(self, handler: str, until: datetime, limit: int, offset: int) -> list[Run]:
        """What may be claimed."""
        return self._runs(sql.CANDIDATES, (handler, to_micros(until), limit, offset))

    def in_progress(self, schedule_ids: Collection[str]) -> set[str]:
        """Which schedules are busy."""
        busy: set[str] = set()
        for some in _chunks(list(schedule_ids)):
            found = self._run(sql.BUSY_AMONG + sql.among(len(some)), tuple(some))
            busy |= {row[0] for row in found}
        return busy

    def was_running(self, schedule_id: str, instant: datetime) -> bool:
        """Whether one that has ended ran then."""
        at = to_micros(instant)
        return self._run(sql.WAS_RUNNING, (schedule_id, at, at)).first() is not None

    def leased(self) -> list[Run]:
        """All that is claimed or runs."""
        return self._runs(sql.LEASED, ())

    def expired(self, now: datetime, limit: int) -> list[Run]:
        """Leases that have ended."""
        return self._runs(sql.EXPIRED, (to_micros(now), limit))

    def too_late(self, now: datetime, limit: int) -> list[Run]:
        """Planned, and too late."""
        return self._runs(sql.TOO_LATE, (to_micros(now), limit))

    def list_runs(self, filters: Mapping[str, str], limit: int, before: UUID | None) -> list[Run]:
        """The history, newest first."""
        terms = [f"{name} = ?" for name in filters]
        if "state" in filters:  # the term by which the database knows which index will do
            terms.append(sql.BY_STATE.get(filters["state"], HAS_ENDED))
        values: list[Any] = list(filters.values())
        if before is not None:
            terms.append(sql.IS_BEFORE)
            values.append(before.bytes)
        where = f"WHERE {' AND '.join(terms)} " if terms else ""
        return self._runs(f"{sql.SELECT} {where}{sql.NEWEST_FIRST}", [*values, limit])

    def count_by_state(self) -> dict[State, int]:
        """Rows a state."""
        return {cast("State", state): count for state, count in self._run(sql.COUNT) if count}

    def next_due(self, handlers: Collection[str]) -> datetime | None:
        """The first planned."""
        dues: list[int] = []
        for some in _chunks(list(handlers)):
            due = self._run(sql.NEXT_DUE_AMONG + sql.among(len(some)), tuple(some)).scalar()
            dues += [] if due is None else [due]
        return from_micros(min(dues)) if dues else None

    def _runs(self, statement: str, values: Iterable[object]) -> list[Run]:
        found = self._run(statement, tuple(values)).cursor
        return [rows.as_run(row) for row in found.fetchall()]


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
