"""Any sequence of calls: memory and SQLite stay alike, and the ledger keeps its laws."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from schedule_zero.actors.errors import StoreError, UnknownSchedule
from schedule_zero.actors.store import TERMINAL, Finish, Run, Start, Store, open_store, run_id
from schedule_zero.actors.store import triggered_run as triggered
from schedule_zero.actors.store.run import TRANSITIONS
from tests.actors.store.given import at, call, schedule

NAMES = ("a", "b", "c")
names = st.sampled_from(NAMES)
handlers = st.sampled_from(["work", "other"])
nodes = st.sampled_from(["n1", "n2"])
LEASE = 20.0


class Stores(RuleBasedStateMachine):
    """Every call goes to both; `claims` are all that was ever claimed, stale ones included."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.memory = open_store("memory")
        self.sqlite = open_store(self.folder / "x.db")
        self.seconds = 0.0
        self.number = 0
        self.lives = {"n1": 0, "n2": 0}
        self.seen: dict[UUID, Run] = {}
        self.epochs: set[tuple[UUID, int]] = set()
        for node in self.lives:
            self.begin_life(node)

    def teardown(self) -> None:
        self.memory.close()
        self.sqlite.close()
        shutil.rmtree(self.folder)

    def both(self, use: Callable[[Store], Any]) -> Any:
        """The answer of both stores, which is the same."""
        answers = []
        for store in (self.memory, self.sqlite):
            try:
                answers.append(use(store))
            except (UnknownSchedule, StoreError) as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1]
        return answers[0]

    @property
    def now(self) -> Any:
        return at(self.seconds)

    @initialize(coalesce=st.sampled_from(["latest", "all"]))
    def begin(self, coalesce: str) -> None:
        """A ledger in which something happens from the first step on."""
        self.put("a", "work", 1, overlap="skip", coalesce=coalesce, on_lost="retry")
        self.put("b", "work", 1, overlap="buffer_all", coalesce=coalesce, on_lost="fail")
        self.put("c", "other", 7, overlap="allow_all", coalesce=coalesce, on_lost="retry")

    # Time and people

    @rule(seconds=st.sampled_from([0.5, 1, 3, 21]))
    def time_passes(self, seconds: float) -> None:
        self.seconds += seconds

    @rule(
        name=names,
        handler=handlers,
        step=st.sampled_from([1, 7, 10]),
        overlap=st.sampled_from(["skip", "buffer_all", "allow_all"]),
        coalesce=st.sampled_from(["latest", "all"]),
        on_lost=st.sampled_from(["retry", "fail"]),
        priority=st.integers(0, 2),
        misfire=st.sampled_from([0, 15, 3600]),
    )
    def put(self, name: str, handler: str, step: int, **policies: Any) -> None:
        trigger = IntervalTrigger(seconds=step, start_time=self.now)
        given = schedule(trigger, name, handler=handler, retries=1, **policies)
        self.both(lambda store: store.put_schedules([given], self.now))

    @rule(handler=handlers, declared=st.sets(names))
    def declare(self, handler: str, declared: set[str]) -> None:
        given = [
            schedule(
                IntervalTrigger(seconds=5, start_time=self.now),
                name,
                handler=handler,
                definition="every 5 s",
            )
            for name in sorted(declared)
        ]
        self.both(lambda store: store.declare(handler, given, self.now))

    @rule(name=names, wish=st.sampled_from(["pause", "resume", "trigger", "remove"]))
    def a_person_acts(self, name: str, wish: str) -> None:
        if wish == "pause":
            self.both(lambda store: store.pause_schedule(name, "note"))
        elif wish == "resume":
            self.both(lambda store: store.resume_schedule(name, self.now))
        elif wish == "trigger":
            self._trigger_now(name)
        else:
            gone = {key for key, run in self.seen.items() if run.schedule_id == name}
            self.both(lambda store: store.remove_schedule(name, self.now))
            self._forget(gone)

    def _trigger_now(self, name: str) -> None:
        self.number += 1
        new = UUID(int=self.number)

        def submit(store: Store) -> int:
            return store.submit([triggered(store.get_schedule(name), new, self.now)], self.now)

        self.both(submit)

    @rule(handler=handlers, ahead=st.integers(0, 5))
    def submit(self, handler: str, ahead: int) -> None:
        self.number += 1
        run = attrs.evolve(call(self.number, self.now, handler), due_at=at(self.seconds + ahead))
        assert self.both(lambda store: store.submit([run, run], self.now)) == 1

    # The scheduler and the workers

    @rule(seconds=st.integers(0, 4), ahead=st.integers(0, 8), limit=st.integers(1, 4))
    def plan(self, seconds: int, ahead: int, limit: int) -> None:
        self.seconds += seconds
        until = at(self.seconds + ahead)
        self.both(lambda store: store.plan(self.now, until, limit))

    @rule(
        target=claims,
        node=nodes,
        ahead=st.integers(0, 5),
        slots=st.fixed_dictionaries({"work": st.integers(1, 5), "other": st.integers(0, 5)}),
    )
    def claim(self, node: str, ahead: int, slots: dict[str, int]) -> Any:
        owner, until = f"{node}@{self.lives[node]}", at(self.seconds + ahead)
        taken = self.both(lambda store: store.claim(owner, self.now, until, slots, LEASE))
        assert len({run.run_id for run in taken}) == len(taken)
        for handler in {run.handler for run in taken}:
            assert sum(run.handler == handler for run in taken) <= slots[handler]
        for run in taken:
            assert run.due_at <= until
            assert (run.run_id, run.epoch) not in self.epochs, "L3: an epoch is given out once"
            self.epochs.add((run.run_id, run.epoch))
        return multiple(*taken)

    def _is_current(self, claim: Run) -> bool:
        found = self.memory.get_run(claim.run_id)
        return found is not None and (found.epoch, found.owner) == (claim.epoch, claim.owner)

    @rule(runs=st.lists(claims, max_size=3))
    def start(self, runs: list[Run]) -> None:
        current = {run.run_id for run in runs if self._is_current(run)}
        starts = [Start(run, self.now) for run in runs]
        fenced = self.both(lambda store: store.record(starts, [], self.now))
        assert fenced >= {run.run_id for run in runs} - current, "L4"

    @rule(
        run=claims,
        outcome=st.sampled_from(["succeeded", "failed", "cancelled"]),
        is_final=st.booleans(),
        with_start=st.booleans(),
    )
    def finish(self, run: Run, outcome: Any, *, is_final: bool, with_start: bool) -> None:
        is_stale = not self._is_current(run)
        end = Finish(run, self.now, outcome, result=(1, "x"), error="why", is_final=is_final)
        starts = [Start(run, self.now)] if with_start else []
        fenced = self.both(lambda store: store.record(starts, [end], self.now))
        assert not is_stale or fenced == {run.run_id}, "L4: an old epoch writes nothing"

    @rule(run=claims, node=nodes)
    def renew(self, run: Run, node: str) -> None:
        owner = f"{node}@{self.lives[node]}"
        is_theirs = self._is_current(run) and run.owner == owner
        fenced = self.both(lambda store: store.renew(owner, [run], self.now, LEASE))
        assert is_theirs or fenced == {run.run_id}, "L4"

    @rule(run=consumes(claims))
    def release(self, run: Run) -> None:
        is_stale = not self._is_current(run)
        fenced = self.both(lambda store: store.release(run.owner or "", [run], self.now))
        assert not is_stale or fenced == {run.run_id}, "L4"

    @rule(handlers=st.sets(handlers))
    def sweep(self, handlers: set[str]) -> None:
        before = {run.run_id: run for run in self.memory.list_runs(state="running", limit=10_000)}
        self.both(lambda store: store.sweep(self.now, handlers))
        for key, run in before.items():
            after = self.memory.get_run(key)
            assert after is not None
            assert run.on_lost == "retry" or after.state in ("running", "lost"), "L3: at most once"

    @rule(node=nodes)
    def begin_life(self, node: str) -> None:
        self.lives[node] += 1
        assert self.both(lambda store: store.begin_life(node)) == self.lives[node]

    # What holds after every step

    def _forget(self, ids: set[UUID]) -> None:
        for key in ids:
            if self.memory.get_run(key) is None:
                assert self.seen.pop(key).attempt == 0, "only what nobody claimed is withdrawn"

    @invariant()
    def both_hold_the_same(self) -> None:
        self.both(lambda store: store.list_runs(limit=10_000))
        self.both(lambda store: store.count_by_state())
        self.both(lambda store: store.next_due(["work", "other"]))
        self.both(
            lambda store: [(each, each.trigger.__getstate__()) for each in store.list_schedules()]
        )

    @invariant()
    def runs_move_by_the_table_alone(self) -> None:
        """L2 and L4: epochs never fall, terminal rows never change, states follow the table."""
        runs = {run.run_id: run for run in self.memory.list_runs(limit=10_000)}
        gone = self.seen.keys() - runs.keys()
        assert all(self.seen[key].attempt == 0 and self.seen[key].is_open for key in gone)
        for key in gone:
            del self.seen[key]
        for key, run in runs.items():
            before = self.seen.get(key, run)
            assert run.epoch >= before.epoch
            if before.state in TERMINAL:
                assert run == before, "a terminal row never changes"
            assert run.state == before.state or _reachable(before.state, run.state)
            assert (run.finished_at is not None) == (run.state in TERMINAL)
            assert (run.lease_until is not None) == (run.state in ("claimed", "running"))
            assert run.state not in ("missed", "skipped") or run.reason is not None
        self.seen = runs

    @invariant()
    @precondition(lambda self: self.seen)
    def overlapping_runs_are_allowed_ones(self) -> None:
        """At most one run in progress of a schedule, unless `allow_all` let another in."""
        for name in NAMES:
            busy = [run for run in self.seen.values() if run.schedule_id == name]
            strict = [run for run in busy if run.is_in_progress and run.overlap != "allow_all"]
            assert len(strict) <= 1

    @invariant()
    def every_fire_up_to_the_last_has_one_row(self) -> None:
        """L1, and the row of a fire is the one that the fire's id names."""
        for run in self.seen.values():
            if run.is_scheduled:
                assert run.run_id == run_id(run.schedule_id or "", run.fire_time)


def _reachable(before: str, after: str) -> bool:
    """One call may take a run several steps: start and end together, or lost and claimed again."""
    reached, grown = {before}, True
    while grown:
        new = {state for each in reached for state in TRANSITIONS[each]} - reached
        reached |= new
        grown = bool(new)
    return after in reached


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
