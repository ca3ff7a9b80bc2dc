"""The contract's operations, once for all backends: load, decide by the pure rules, write."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from uuid import UUID

import attrs

from schedule_zero.actors.errors import ScheduleError, UnknownSchedule
from schedule_zero.actors.store import changes
from schedule_zero.actors.store.base import PlanResult, Store, SweepResult
from schedule_zero.actors.store.claiming import Claiming
from schedule_zero.actors.store.instants import EPOCH, as_utc
from schedule_zero.actors.store.overlap import Gate
from schedule_zero.actors.store.planner import plan_fires
from schedule_zero.actors.store.run import (
    Finish,
    Run,
    Start,
    State,
    finished,
    given_up,
    handed_back,
    holds,
    recovered,
    renewed,
    started,
)
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.store.transaction import Change, Transaction

SWEEP_LIMIT = 1000


class Ledger(Store):
    """A store over a backend that offers transactions."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Transaction]:
        """A transaction that commits at the end of the block and rolls back on an exception."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Transaction]:
        """A transaction that sees one state of the tables and writes nothing."""

    # Schedules

    def put_schedules(self, schedules: Iterable[Schedule], now: datetime) -> None:
        """See `Store.put_schedules`."""
        with self._writing() as tx:
            _put(tx, list(schedules), now)

    def declare(self, handler: str, schedules: Iterable[Schedule], now: datetime) -> None:
        """See `Store.declare`."""
        declared = {each.id: attrs.evolve(each, declared=True) for each in schedules}
        strangers = [each.id for each in declared.values() if each.handler != handler]
        if strangers:
            raise ScheduleError(
                f"handler {handler!r} declares {strangers} for another handler: expected its own"
            )
        with self._writing() as tx:
            stored = tx.schedules()
            mine = {
                key for key, each in stored.items() if each.declared and each.handler == handler
            }
            gone = mine - declared.keys()
            tx.drop_future(gone, now)
            tx.delete_schedules(gone)
            free = [each for key, each in declared.items() if key not in stored or key in mine]
            _put(tx, free, now)

    def get_schedule(self, schedule_id: str) -> Schedule:
        """See `Store.get_schedule`."""
        with self._reading() as tx:
            return _one(tx, schedule_id)

    def list_schedules(self, handler: str | None = None) -> list[Schedule]:
        """See `Store.list_schedules`."""
        with self._reading() as tx:
            found = tx.schedules().values()
            return [each for each in found if handler is None or each.handler == handler]

    def remove_schedule(self, schedule_id: str, now: datetime) -> None:
        """See `Store.remove_schedule`."""
        with self._writing() as tx:
            _one(tx, schedule_id)
            tx.drop_future([schedule_id], now)
            tx.delete_schedules([schedule_id])

    def pause_schedule(self, schedule_id: str, note: str | None = None) -> None:
        """See `Store.pause_schedule`."""
        with self._writing() as tx:
            tx.save_schedules([changes.paused(_one(tx, schedule_id), note)])

    def resume_schedule(self, schedule_id: str, now: datetime) -> None:
        """See `Store.resume_schedule`."""
        with self._writing() as tx:
            tx.save_schedules([changes.resumed(_one(tx, schedule_id), now)])

    # The ledger

    def begin_life(self, node: str) -> int:
        """See `Store.begin_life`."""
        with self._writing() as tx:
            incarnation = tx.new_life(node)
            orphans = [run for run in tx.leased() if (run.owner or "").rpartition("@")[0] == node]
            tx.swap([(run, attrs.evolve(run, lease_until=EPOCH)) for run in orphans])
            return incarnation

    def plan(self, now: datetime, until: datetime, limit: int) -> PlanResult:
        """See `Store.plan`."""
        with self._writing() as tx:
            due = tx.due_schedules(now, until, limit)
            plans = [(each, plan_fires(each, now, until)) for each in due]
            runs = [run for _, plan in plans for run in plan.runs]
            tx.insert_runs(runs)
            tx.advance_schedules([plan.applied_to(each) for each, plan in plans])
            return PlanResult(
                planned=sum(run.is_open for run in runs),
                skipped=sum(not run.is_open for run in runs),
                quarantined=tuple(each.id for each, plan in plans if plan.quarantined is not None),
                backlog=len(due) >= limit or any(plan.more for _, plan in plans),
                next_at=tx.next_fire_at(),
            )

    def submit(self, runs: Iterable[Run], now: datetime) -> int:
        """See `Store.submit`."""
        given = list(runs)
        begun = [run for run in given if run.state != "planned" or run.attempt or run.epoch]
        if begun:
            raise ScheduleError(f"run {begun[0].run_id} is {begun[0].state}: submit planned runs")
        for run in given:
            as_utc(run.fire_time)
            as_utc(run.due_at)
        with self._writing() as tx:
            return tx.insert_runs(given)

    def claim(
        self, owner: str, now: datetime, until: datetime, slots: Mapping[str, int], lease: float
    ) -> list[Run]:
        """See `Store.claim`."""
        with self._writing() as tx:
            claiming = Claiming(tx, Gate(now, tx.paused()), owner, lease, until)
            for handler, room in slots.items():
                claiming.take(handler, room)
            tx.swap(claiming.changes)
        return claiming.taken

    def record(
        self, starts: Sequence[Start], finishes: Sequence[Finish], now: datetime
    ) -> frozenset[UUID]:
        """See `Store.record`."""
        fenced: set[UUID] = set()
        reports: list[Start | Finish] = [*starts, *finishes]
        with self._writing() as tx:
            before = tx.runs({report.run.run_id for report in reports})
            after = dict(before)
            for report in reports:
                moved = _reported(after.get(report.run.run_id), report, now)
                if moved is None:
                    fenced.add(report.run.run_id)
                else:
                    after[moved.run_id] = moved
            tx.swap(_differences(before, after))
        return frozenset(fenced)

    def renew(
        self, owner: str, runs: Iterable[Run], now: datetime, lease: float
    ) -> frozenset[UUID]:
        """See `Store.renew`."""
        claims = {run.run_id: run for run in runs}
        with self._writing() as tx:
            held = _held(tx, owner, claims)
            tx.swap([(run, renewed(run, now, lease)) for run in held])
        return frozenset(claims.keys() - {run.run_id for run in held})

    def release(self, owner: str, runs: Iterable[Run], now: datetime) -> frozenset[UUID]:
        """See `Store.release`."""
        claims = {run.run_id: run for run in runs}
        with self._writing() as tx:
            held = [run for run in _held(tx, owner, claims) if run.state == "claimed"]
            known = tx.schedules({run.schedule_id for run in held if run.schedule_id})
            tx.swap([(run, handed_back(run, now, known)) for run in held])
        return frozenset(claims.keys() - {run.run_id for run in held})

    def sweep(self, now: datetime, handlers: Collection[str]) -> SweepResult:
        """See `Store.sweep`."""
        with self._writing() as tx:
            expired = tx.expired(now, SWEEP_LIMIT)
            late = tx.too_late(now, SWEEP_LIMIT)
            made = [(run, recovered(run, now)) for run in expired]
            made += [(run, given_up(run, now, handlers)) for run in late]
            tx.swap(made)
        ends = [after.state for _, after in made]
        return SweepResult(
            requeued=ends.count("planned"),
            lost=ends.count("lost"),
            missed=ends.count("missed"),
            skipped=ends.count("skipped"),
            backlog=SWEEP_LIMIT in (len(expired), len(late)),
        )

    # Reading

    def get_run(self, run_id: UUID) -> Run | None:
        """See `Store.get_run`."""
        with self._reading() as tx:
            return tx.runs([run_id]).get(run_id)

    def list_runs(
        self,
        schedule_id: str | None = None,
        handler: str | None = None,
        state: State | None = None,
        limit: int = 100,
        before: UUID | None = None,
    ) -> list[Run]:
        """See `Store.list_runs`."""
        wanted = {"schedule_id": schedule_id, "handler": handler, "state": state}
        filters = {name: value for name, value in wanted.items() if value is not None}
        with self._reading() as tx:
            return tx.list_runs(filters, limit, before)

    def count_by_state(self) -> dict[State, int]:
        """See `Store.count_by_state`."""
        with self._reading() as tx:
            return tx.count_by_state()

    def next_due(self, handlers: Iterable[str]) -> datetime | None:
        """See `Store.next_due`."""
        with self._reading() as tx:
            return tx.next_due(set(handlers))


def _one(tx: Transaction, schedule_id: str) -> Schedule:
    found = tx.schedules([schedule_id]).get(schedule_id)
    if found is None:
        raise UnknownSchedule(schedule_id)
    return found


def _put(tx: Transaction, given: Sequence[Schedule], now: datetime) -> None:
    stored = tx.schedules([each.id for each in given])
    made: dict[str, Schedule] = {}
    for each in given:
        old = made.get(each.id) or stored.get(each.id)
        made[each.id] = changes.put_over(old, each, now) if old else changes.added(each, now)
    restarted = [
        each.id
        for each in given
        if each.id in stored and not changes.is_same(stored[each.id], each, now)
    ]
    tx.drop_future(restarted, now)
    tx.save_schedules(made.values())


def _reported(current: Run | None, report: Start | Finish, now: datetime) -> Run | None:
    if current is None:
        return None
    if isinstance(report, Start):
        return started(current, report)
    return finished(current, report, now)


def _held(tx: Transaction, owner: str, claims: Mapping[UUID, Run]) -> list[Run]:
    current = tx.runs(claims.keys()).values()
    return [
        run
        for run in current
        if run.owner == owner
        and run.state in ("claimed", "running")
        and holds(run, claims[run.run_id])
    ]


def _differences(before: Mapping[UUID, Run], after: Mapping[UUID, Run]) -> list[Change]:
    return [(run, after[key]) for key, run in before.items() if after[key] is not run]
