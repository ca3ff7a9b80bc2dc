"""Claims that come late, and claims that are handed back: the same for every store."""

from __future__ import annotations

from uuid import UUID

import attrs
import pytest

from schedule_zero.actors.errors import StoreError
from schedule_zero.actors.store import Finish, Start, Store, triggered_run
from schedule_zero.actors.store.ledger import Ledger
from schedule_zero.actors.store.run import not_run
from tests.actors.store.given import T0, at, call, claim, every, finish, plan, states


def test_a_fire_that_came_during_a_run_overlaps_even_if_it_is_claimed_later(store: Store) -> None:
    store.put_schedules([every(10, "s")], T0)
    store.plan(T0, T0, 100)
    (run,) = store.claim("n@1", T0, T0, {"work": 1}, 60.0)
    store.record([Start(run, T0)], [], T0)
    store.plan(at(10), at(10), 100)
    store.record([], [Finish(run, at(12), "succeeded")], at(12))
    assert store.claim("n@1", at(13), at(13), {"work": 1}, 60.0) == []
    assert states(store, "s") == ["succeeded", "skipped(overlap)"]
    store.plan(at(20), at(20), 100)
    assert len(store.claim("n@1", at(25), at(25), {"work": 1}, 60.0)) == 1


def test_a_fire_is_not_skipped_for_a_run_that_began_after_it_was_due(store: Store) -> None:
    store.put_schedules([every(10, "s", start=10)], T0)
    plan(store, 10)
    by_hand = attrs.evolve(triggered_run(store.get_schedule("s"), UUID(int=7), T0), priority=9)
    store.submit([by_hand], T0)
    [run] = claim(store, 12, slots=1)
    finish(store, run, 13)
    assert [run.fire_time for run in claim(store, 14)] == [at(10)]


def test_a_claimed_run_whose_schedule_is_removed_is_not_done_when_it_is_handed_back(
    store: Store,
) -> None:
    store.put_schedules([every(10, "s", start=5)], T0)
    store.plan(at(4), at(5), 100)
    claimed = store.claim("n@1", at(4), at(5), {"work": 1}, 60.0)
    store.remove_schedule("s", at(4))
    assert store.release("n@1", claimed, at(4)) == frozenset()
    assert store.claim("n@1", at(6), at(6), {"work": 1}, 60.0) == []
    assert states(store, "s") == ["cancelled"]


def test_a_row_that_is_not_as_it_was_loaded_is_never_written_over(store: Store) -> None:
    """The last guard below the locks: `swap` writes on condition, or not at all."""
    assert isinstance(store, Ledger)
    store.submit([call(1), call(2)], T0)
    with store._reading() as tx:
        stale = tx.runs([UUID(int=1), UUID(int=2)])
    [taken] = claim(store, 0, slots=1)
    changes = [(run, not_run(run, "skipped", "overlap", T0)) for run in stale.values()]
    with pytest.raises(StoreError, match="while"), store._writing() as tx:
        tx.swap(changes)
    assert store.get_run(taken.run_id) == taken
    assert store.count_by_state() == {"claimed": 1, "planned": 1}
