"""A store in memory: for tests, simulations and programs that may forget."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import attrs

from schedule_zero.actors.errors import StoreError, StoreUnavailable
from schedule_zero.actors.store.instants import to_micros
from schedule_zero.actors.store.ledger import Ledger
from schedule_zero.actors.store.run import Run, State
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.store.serializer import dumps, loads
from schedule_zero.actors.store.transaction import Change, Transaction
from schedule_zero.actors.store.triggers import own_copy

_ABSENT = object()


class MemoryStore(Ledger):
    """The contract without a database.

    What it holds stays when it is closed and is there when it is opened again, as on a disk; a
    simulated node that crashes and restarts is given the same `MemoryStore`. It does not refuse
    two lives of one name, because a simulated crash closes nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._tables = _Tables()
        self._is_open = False

    def open(self) -> None:
        """See `Store.open`."""
        self._is_open = True

    def close(self) -> None:
        """See `Store.close`."""
        self._is_open = False

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with self._lock:
            if not self._is_open:
                raise StoreUnavailable("the store is closed: open it before use")
            tx = _MemoryTransaction(self._tables)
            try:
                yield tx
            except BaseException:
                tx.undo()
                raise

    _reading = _writing


@attrs.define
class _Tables:
    """`open` holds the runs that have not ended, `ran` by schedule those that ran and ended."""

    incarnations: dict[str, int] = attrs.field(factory=dict)
    schedules: dict[str, Schedule] = attrs.field(factory=dict)
    runs: dict[UUID, Run] = attrs.field(factory=dict)
    open: dict[UUID, Run] = attrs.field(factory=dict)
    ran: dict[str, dict[UUID, Run]] = attrs.field(factory=dict)


class _MemoryTransaction:
    """See `Transaction`. Every write is noted, to be undone on an exception."""

    def __init__(self, tables: _Tables) -> None:
        self._tables = tables
        self._log: list[tuple[dict[Any, Any], object, object]] = []

    def undo(self) -> None:
        for table, key, old in reversed(self._log):
            if old is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = old

    def new_life(self, node: str) -> int:
        incarnation = self._tables.incarnations.get(node, 0) + 1
        self._put(self._tables.incarnations, node, incarnation)
        return incarnation

    # Schedules

    def schedules(self, ids: Collection[str] | None = None) -> dict[str, Schedule]:
        table = self._tables.schedules
        wanted = sorted(table if ids is None else set(ids) & table.keys())
        return {key: _outside(table[key]) for key in wanted}

    def due_schedules(self, now: datetime, until: datetime, limit: int) -> list[Schedule]:
        due = sorted(
            (each.next_fire_at, key)
            for key, each in self._tables.schedules.items()
            if each.next_fire_at is not None
            and each.next_fire_at <= (now if each.paused else until)
        )
        if len(due) > limit:
            half = limit // 2
            due = due[: limit - half] + due[len(due) - half :]
        return [self._tables.schedules[key] for _, key in due]

    def save_schedules(self, schedules: Iterable[Schedule]) -> None:
        for each in schedules:
            stored = attrs.evolve(
                each, trigger=loads(dumps(each.trigger)), params=_plain(dict(each.params))
            )
            self._put(self._tables.schedules, each.id, stored)

    def advance_schedules(self, schedules: Iterable[Schedule]) -> None:
        for each in schedules:
            self._put(self._tables.schedules, each.id, each)

    def delete_schedules(self, ids: Collection[str]) -> None:
        for key in ids:
            self._drop(self._tables.schedules, key)

    def next_fire_at(self) -> datetime | None:
        fires = [each.next_fire_at for each in self._tables.schedules.values()]
        return min((fire for fire in fires if fire is not None), default=None)

    def paused(self) -> set[str]:
        return {key for key, each in self._tables.schedules.items() if each.paused}

    # Runs

    def insert_runs(self, runs: Sequence[Run]) -> int:
        before = len(self._tables.runs)
        for run in runs:
            if run.run_id not in self._tables.runs:
                self._write(attrs.evolve(run, params=_plain(dict(run.params))))
        return len(self._tables.runs) - before

    def runs(self, ids: Collection[UUID]) -> dict[UUID, Run]:
        table = self._tables.runs
        return {key: table[key] for key in ids if key in table}

    def swap(self, changes: Sequence[Change]) -> None:
        for before, after in changes:
            if self._tables.runs.get(before.run_id) is not before:
                raise StoreError(f"run {before.run_id} changed while it was being changed")
            self._write(attrs.evolve(after, result=_plain(after.result)))

    def drop_future(self, schedule_ids: Collection[str], now: datetime) -> None:
        for run in [*self._planned()]:
            if run.schedule_id in schedule_ids and run.attempt == 0 and run.fire_time > now:
                self._drop(self._tables.runs, run.run_id)
                self._drop(self._tables.open, run.run_id)

    def candidates(self, handler: str, until: datetime, limit: int, offset: int) -> list[Run]:
        found = [run for run in self._planned() if run.handler == handler and run.due_at <= until]
        queued = _queued(found, self._busy())
        found = [run for run in found if run.run_id not in queued]
        found.sort(key=lambda run: (-run.priority, run.due_at))
        return found[offset : offset + limit]

    def in_progress(self, schedule_ids: Collection[str]) -> set[str]:
        return self._busy() & set(schedule_ids) if schedule_ids else set()

    def was_running(self, schedule_id: str, instant: datetime) -> bool:
        for run in reversed(self._tables.ran.get(schedule_id, {}).values()):
            if cast("datetime", run.finished_at) <= instant:
                return False  # the ones before ended earlier still
            if cast("datetime", run.started_at) <= instant:
                return True
        return False

    def leased(self) -> list[Run]:
        return [run for run in self._tables.open.values() if run.lease_until is not None]

    def expired(self, now: datetime, limit: int) -> list[Run]:
        ended = [run for run in self.leased() if cast("datetime", run.lease_until) <= now]
        return sorted(ended, key=lambda run: cast("datetime", run.lease_until))[:limit]

    def too_late(self, now: datetime, limit: int) -> list[Run]:
        late = [run for run in self._planned() if run.late_after < to_micros(now)]
        return sorted(late, key=lambda run: run.late_after)[:limit]

    def list_runs(self, filters: Mapping[str, str], limit: int, before: UUID | None) -> list[Run]:
        found = [
            run
            for run in reversed(self._tables.runs.values())
            if all(getattr(run, name) == value for name, value in filters.items())
        ]
        found.sort(key=lambda run: run.fire_time, reverse=True)
        if before is None:
            return found[:limit]
        places = [place for place, run in enumerate(found) if run.run_id == before]
        return found[places[0] + 1 :][:limit] if places else []

    def count_by_state(self) -> dict[State, int]:
        return dict(Counter(run.state for run in self._tables.runs.values()))

    def next_due(self, handlers: Collection[str]) -> datetime | None:
        return min((run.due_at for run in self._planned() if run.handler in handlers), default=None)

    def _planned(self) -> Iterator[Run]:
        # A key that is written again keeps its place, so these come by age.
        return (run for run in self._tables.open.values() if run.state == "planned")

    def _busy(self) -> set[str]:
        runs = self._tables.open.values()
        return {run.schedule_id for run in runs if run.attempt > 0 and run.schedule_id is not None}

    def _write(self, run: Run) -> None:
        self._put(self._tables.runs, run.run_id, run)
        if run.is_open:
            self._put(self._tables.open, run.run_id, run)
        else:
            self._drop(self._tables.open, run.run_id)
            if run.schedule_id is not None and run.started_at is not None:
                self._put(self._tables.ran.setdefault(run.schedule_id, {}), run.run_id, run)

    def _put(self, table: dict[Any, Any], key: object, value: object) -> None:
        self._log.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def _drop(self, table: dict[Any, Any], key: object) -> None:
        if key in table:
            self._log.append((table, key, table.pop(key)))


def _queued(planned: Sequence[Run], busy: set[str]) -> set[UUID]:
    """Those with `buffer_all` that have to wait for a run before them."""
    waiting, taken = set(), set(busy)
    for run in sorted(planned, key=lambda run: run.due_at):
        if run.overlap == "buffer_all" and run.attempt == 0 and run.schedule_id is not None:
            if run.schedule_id in taken:
                waiting.add(run.run_id)
            taken.add(run.schedule_id)
    return waiting


def _outside(stored: Schedule) -> Schedule:
    """The stored schedule with a trigger that whoever gets it may advance."""
    return attrs.evolve(stored, trigger=own_copy(stored.trigger))


def _plain(value: object) -> Any:
    """A copy that shares nothing with the caller. Raises `BadData` for what is not plain."""
    return value if value is None or value == {} else loads(dumps(value))
