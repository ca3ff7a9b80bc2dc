"""What every store does, one behaviour a test."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import attrs
import pytest
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.errors import (
    BadData,
    BadTrigger,
    ScheduleError,
    StoreUnavailable,
    UnknownSchedule,
)
from schedule_zero.actors.store import Finish, PlanResult, Run, Start, Store, run_id, triggered_run
from schedule_zero.actors.store.instants import EPOCH
from tests.actors.store.given import (
    T0,
    at,
    call,
    claim,
    every,
    failing_trigger,
    finish,
    once,
    plan,
    schedule,
    states,
)

# Schedules


def test_a_schedule_comes_back_as_it_was_put(store: Store) -> None:
    params = {"path": "/data", "depth": 3, "window": timedelta(hours=1), "pair": (1, 2), "x": [T0]}
    given = every(60, "nightly", params=params, overlap="buffer_all", timeout=5.0, priority=2)
    store.put_schedules([given], T0)

    found = store.get_schedule("nightly")

    assert found.params == params
    assert found.policies == given.policies
    assert (found.handler, found.method) == ("work", "run")
    assert (found.next_fire_at, found.last_fire_at, found.created_at) == (T0, None, T0)


def test_an_unknown_schedule_is_an_error_that_names_it(store: Store) -> None:
    with pytest.raises(UnknownSchedule, match="nobody"):
        store.get_schedule("nobody")
    with pytest.raises(UnknownSchedule):
        store.pause_schedule("nobody")
    with pytest.raises(UnknownSchedule):
        store.resume_schedule("nobody", T0)
    with pytest.raises(UnknownSchedule):
        store.remove_schedule("nobody", T0)


def test_schedules_are_listed_by_id_and_by_handler(store: Store) -> None:
    store.put_schedules([every(1, "b"), every(1, "a"), every(1, "c", handler="other")], T0)
    assert [each.id for each in store.list_schedules()] == ["a", "b", "c"]
    assert [each.id for each in store.list_schedules("other")] == ["c"]


def test_what_a_caller_does_with_a_schedule_it_got_changes_nothing(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    store.get_schedule("s").trigger.next()
    store.list_schedules()[0].trigger.next()
    plan(store, 10)
    assert [run.fire_time for run in reversed(store.list_runs())] == [at(0), at(10)]


def test_putting_the_same_schedule_again_keeps_its_place(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 25)
    store.put_schedules([every(10, params={"new": True})], at(25))
    found = store.get_schedule("s")
    assert found.next_fire_at == at(30)
    assert found.params == {"new": True}
    assert found.created_at == T0


def test_an_interval_on_the_same_grid_is_the_same_trigger(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 25)
    store.put_schedules([every(10, start=50)], at(60))
    assert store.get_schedule("s").next_fire_at == at(30), "fires of the time between are not lost"


def test_a_changed_trigger_starts_anew_and_withdraws_what_was_planned_ahead(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 0, ahead=20)
    store.put_schedules([every(7, start=1)], at(1))
    assert store.get_schedule("s").next_fire_at == at(1)
    assert [run.fire_time for run in store.list_runs()] == [T0]


def test_a_definition_decides_for_declared_schedules(store: Store) -> None:
    store.declare("work", [every(10, definition="every 10 s")], T0)
    plan(store, 25)
    store.declare("work", [every(10, start=27, definition="every 10 s")], at(27))
    assert store.get_schedule("s").next_fire_at == at(30)
    store.declare("work", [every(20, start=28, definition="every 20 s")], at(28))
    assert store.get_schedule("s").next_fire_at == at(28)


def test_declared_schedules_that_are_gone_from_the_code_are_removed(store: Store) -> None:
    store.put_schedules([every(1, "person")], T0)
    store.declare("other", [every(1, "theirs", handler="other")], T0)
    store.declare("work", [every(1, "one"), every(1, "two")], T0)
    store.pause_schedule("two", "later")

    store.declare("work", [every(1, "two")], at(1))

    assert [each.id for each in store.list_schedules()] == ["person", "theirs", "two"]
    assert store.get_schedule("two").paused
    assert store.get_schedule("two").note == "later"
    assert store.get_schedule("two").declared


def test_a_declaration_leaves_a_persons_schedule_of_the_same_id_alone(store: Store) -> None:
    store.put_schedules([every(5, "mine")], T0)
    store.declare("work", [every(1, "mine")], T0)
    assert not store.get_schedule("mine").declared
    assert store.get_schedule("mine").trigger.__getstate__()["interval"][4] == 5


def test_a_handler_cannot_declare_for_another(store: Store) -> None:
    with pytest.raises(ScheduleError, match="another handler"):
        store.declare("other", [every(1)], T0)


def test_removing_a_schedule_withdraws_the_future_and_keeps_the_past(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 10, ahead=20)
    store.remove_schedule("s", at(10))
    assert [run.fire_time for run in reversed(store.list_runs())] == [at(0), at(10)]
    assert store.list_schedules() == []


def test_a_new_schedule_owes_no_fire_from_before_it_was_made(store: Store) -> None:
    old = IntervalTrigger(seconds=10, start_time=EPOCH)
    cron = CronTrigger(second="*/10", start_time=EPOCH, timezone="Europe/Rome")
    store.put_schedules([schedule(old, "interval"), schedule(cron, "cron")], at(12))
    assert store.get_schedule("interval").next_fire_at == at(10), "within the slack of 5 s"
    assert store.get_schedule("cron").next_fire_at == at(10)


def test_a_date_in_the_past_is_still_owed(store: Store) -> None:
    store.put_schedules([once(-60)], T0)
    plan(store, 0)
    assert states(store) == ["planned"]


def test_a_trigger_without_first_fire_is_refused_and_nothing_is_put(store: Store) -> None:
    bad = failing_trigger(apart=3.5)
    with pytest.raises(BadTrigger, match="'bad'"):
        store.put_schedules([every(1, "good"), schedule(bad, "bad")], T0)
    assert store.list_schedules() == []


class _Strange(IntervalTrigger):
    """A trigger of somebody's own."""


def test_a21_h19_a_trigger_that_is_not_on_the_list_is_refused(store: Store) -> None:
    strange = _Strange(seconds=1, start_time=T0)
    with pytest.raises(BadData, match="_Strange"):
        store.put_schedules([every(1, "good"), schedule(strange, "strange")], T0)
    assert store.list_schedules() == []


def test_params_that_are_not_plain_are_refused_and_nothing_is_put(store: Store) -> None:
    with pytest.raises(BadData, match="object"):
        store.put_schedules([every(1, "good"), every(1, "bad", params={"x": object()})], T0)
    assert store.list_schedules() == []


# Planning


def test_fires_become_runs_and_the_schedule_advances(store: Store) -> None:
    store.put_schedules([every(10, coalesce="all")], T0)
    result = store.plan(at(15), at(35), 100)
    assert (result.planned, result.skipped, result.quarantined) == (4, 0, ())
    assert (result.backlog, result.next_at) == (False, at(40))
    assert store.get_schedule("s").last_fire_at == at(30)
    assert [run.run_id for run in reversed(store.list_runs())] == [
        run_id("s", at(seconds)) for seconds in (0, 10, 20, 30)
    ]


def test_a_schedule_whose_fires_are_over_stays_and_is_planned_no_more(store: Store) -> None:
    store.put_schedules([once(5)], T0)
    assert store.plan(at(5), at(5), 100).planned == 1
    assert store.plan(at(6), at(6), 100) == PlanResult(0, 0, (), backlog=False, next_at=None)
    assert store.get_schedule("s").next_fire_at is None
    assert store.get_schedule("s").last_fire_at == at(5)


def test_of_several_due_fires_the_latest_runs(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 25)
    assert states(store) == ["skipped(catch_up)", "skipped(catch_up)", "planned"]


def test_a12_h17_a_day_of_missed_seconds_is_caught_up_in_bounded_steps(store: Store) -> None:
    store.put_schedules([every(1, misfire=10), every(60, "other")], T0)
    first = store.plan(at(3000), at(3001), 100)
    assert first.planned + first.skipped <= 2 * 500
    assert first.backlog
    assert store.get_schedule("other").next_fire_at == at(3060), "the other did not wait"
    plan(store, 3000)
    found = states(store, "s")
    assert len(found) == 3001
    assert found[-1] == "planned"
    assert found[-11:-1] == ["skipped(catch_up)"] * 10
    assert set(found[:-11]) == {"missed(misfire)"}


def test_a_long_backlog_does_not_starve_the_schedules_that_are_on_time(store: Store) -> None:
    late = [every(1, f"late{n}") for n in range(6)]
    store.put_schedules(late, T0)
    store.put_schedules([every(60, "on-time", start=5000)], T0)
    assert store.plan(at(5000), at(5000), 4).backlog
    assert store.get_schedule("on-time").last_fire_at == at(5000)


def test_a10_h11_a_raising_trigger_hurts_only_its_own_schedule(store: Store) -> None:
    store.put_schedules([every(1, "a"), schedule(failing_trigger(), "bad"), every(1, "z")], T0)
    result = store.plan(T0, T0, 100)
    assert result.quarantined == ("bad",)
    assert result.planned == 3, "the fire that it had given before counts"
    bad = store.get_schedule("bad")
    assert bad.next_fire_at is None
    assert "MaxIterationsReached" in (bad.quarantined or "")
    assert store.plan(at(1), at(1), 100).planned == 2
    assert store.plan(at(1), at(1), 100).quarantined == ()


def test_a_quarantined_schedule_is_let_out_by_a_new_trigger(store: Store) -> None:
    store.put_schedules([schedule(failing_trigger())], T0)
    plan(store, 0)
    with pytest.raises(BadTrigger):
        store.resume_schedule("s", at(1))
    assert store.get_schedule("s").quarantined
    store.put_schedules([every(10, start=2)], at(2))
    assert store.get_schedule("s").quarantined is None
    assert store.get_schedule("s").next_fire_at == at(2)


def test_planning_twice_inserts_nothing_twice(store: Store) -> None:
    store.put_schedules([every(10, coalesce="all")], T0)
    plan(store, 25)
    before = store.list_runs()
    store.remove_schedule("s", at(25))
    store.put_schedules([every(10, coalesce="all")], T0)
    plan(store, 25)
    assert store.list_runs() == before


def test_a_clock_that_jumps_back_fires_nothing_twice(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 20)
    before = store.list_runs()
    plan(store, 0)
    plan(store, 20)
    assert store.list_runs() == before


# Pausing


def test_fires_of_a_paused_schedule_are_skipped_with_that_reason(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 0)
    store.pause_schedule("s", "disk is full")
    plan(store, 20, ahead=15)
    assert states(store) == ["planned", "skipped(paused)", "skipped(paused)"]
    assert store.get_schedule("s").note == "disk is full"


def test_fires_after_resuming_run_and_those_before_do_not(store: Store) -> None:
    store.put_schedules([every(10, coalesce="all")], T0)
    store.pause_schedule("s")
    store.resume_schedule("s", at(25))
    plan(store, 35)
    assert states(store) == [*["skipped(paused)"] * 3, "planned"]
    assert not store.get_schedule("s").paused


def test_a_fire_planned_ahead_is_skipped_if_the_schedule_is_paused_when_it_is_due(
    store: Store,
) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 5, ahead=5)
    store.pause_schedule("s")
    assert store.claim("a@1", at(9), at(10), {"work": 9}, 30) == []
    assert states(store)[-1] == "planned", "it may be resumed before it is due"
    assert claim(store, 10) == []
    assert states(store)[-1] == "skipped(paused)"


def test_a_person_can_run_a_paused_schedule(store: Store) -> None:
    store.put_schedules([every(10, start=5)], T0)
    store.pause_schedule("s")
    store.submit([triggered_run(store.get_schedule("s"), UUID(int=7), T0)], T0)
    assert [run.run_id for run in claim(store, 0)] == [UUID(int=7)]


# Claims


def test_a_claim_carries_owner_epoch_attempt_and_lease(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    assert (run.state, run.owner, run.epoch, run.attempt) == ("claimed", "a@1", 1, 1)
    assert run.lease_until == at(30)
    assert store.get_run(run.run_id) == run


def test_submitting_again_changes_nothing(store: Store) -> None:
    assert store.submit([call(1), call(2)], T0) == 2
    claim(store, 0)
    assert store.submit([call(1), call(3)], at(5)) == 1
    assert store.count_by_state() == {"claimed": 2, "planned": 1}


def test_only_planned_runs_can_be_submitted(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    with pytest.raises(ScheduleError, match="submit planned runs"):
        store.submit([attrs.evolve(run, run_id=UUID(int=9))], T0)


def test_runs_go_by_priority_then_by_due_time_within_their_slots(store: Store) -> None:
    runs = [
        attrs.evolve(call(1, at(2)), priority=0),
        attrs.evolve(call(2, at(1)), priority=0),
        attrs.evolve(call(3, at(3)), priority=5),
        call(4, at(0), handler="other"),
        call(5, at(99)),
    ]
    store.submit(runs, T0)
    assert [run.run_id.int for run in claim(store, 10, slots=2)] == [3, 2]
    both = store.claim("a@1", at(10), at(10), {"other": 1, "work": 9}, 30)
    assert sorted(run.run_id.int for run in both) == [1, 4]


def test_no_slots_no_claims(store: Store) -> None:
    store.submit([call(1)], T0)
    assert claim(store, 0, slots=0) == []
    assert store.claim("a@1", T0, T0, {}, 30) == []


def test_with_overlap_skip_a_due_fire_is_skipped_while_another_runs(store: Store) -> None:
    store.put_schedules([every(10, coalesce="all")], T0)
    plan(store, 0)
    [first] = claim(store, 0)
    plan(store, 10)
    assert claim(store, 10) == []
    assert states(store) == ["claimed", "skipped(overlap)"]
    finish(store, first, 11)
    plan(store, 20)
    assert len(claim(store, 20)) == 1


def test_with_overlap_skip_one_of_two_fires_that_are_due_together_runs(store: Store) -> None:
    store.put_schedules([every(10, coalesce="all")], T0)
    plan(store, 10)
    assert [run.fire_time for run in claim(store, 10)] == [T0]
    assert states(store) == ["claimed", "skipped(overlap)"]


def test_with_overlap_skip_a_fire_that_is_not_due_yet_waits(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    plan(store, 0, ahead=10)
    [first] = store.claim("a@1", at(0), at(10), {"work": 9}, 30)
    finish(store, first, 5)
    assert [run.fire_time for run in store.claim("a@1", at(6), at(10), {"work": 9}, 30)] == [at(10)]


def test_a_run_that_waits_for_its_retry_is_still_in_progress(store: Store) -> None:
    store.put_schedules([every(10, backoff=100.0)], T0)
    plan(store, 0)
    [first] = claim(store, 0)
    finish(store, first, 1, "failed")
    plan(store, 10)
    assert claim(store, 10) == []
    assert states(store) == ["planned", "skipped(overlap)"]


def test_with_overlap_buffer_all_fires_wait_their_turn_and_delay_no_other(store: Store) -> None:
    store.put_schedules([every(1, overlap="buffer_all", coalesce="all")], T0)
    plan(store, 50)
    store.submit([call(1, at(50))], at(50))
    first = claim(store, 50, slots=2)
    assert [run.schedule_id for run in first] == ["s", None]
    assert claim(store, 50) == []
    finish(store, first[0], 51)
    [second] = claim(store, 51)
    assert (first[0].fire_time, second.fire_time) == (at(0), at(1))
    assert states(store).count("skipped(overlap)") == 0


def test_with_overlap_allow_all_fires_run_side_by_side(store: Store) -> None:
    store.put_schedules([every(1, overlap="allow_all", coalesce="all")], T0)
    plan(store, 4)
    assert len(claim(store, 4)) == 5


def test_a_run_that_is_too_late_is_not_claimed(store: Store) -> None:
    store.put_schedules([once(0, misfire=5)], T0)
    plan(store, 0)
    assert claim(store, 5.000001) == []
    assert states(store) == ["missed(misfire)"]


# Starts and ends


def test_a_run_succeeds_with_its_result(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    assert store.record([Start(run, at(1))], [], at(1)) == frozenset()
    end = Finish(run, at(3), "succeeded", result={"rows": 7, "at": T0})
    assert store.record([], [end], at(3)) == frozenset()
    found = store.get_run(run.run_id)
    assert found is not None
    assert (found.state, found.result, found.owner) == ("succeeded", {"rows": 7, "at": T0}, "a@1")
    assert (found.started_at, found.finished_at, found.lease_until) == (at(1), at(3), None)


def test_a_failed_run_is_tried_again_with_backoff_until_its_attempts_are_used(
    store: Store,
) -> None:
    store.put_schedules([once(0, retries=2, backoff=8.0, misfire=10_000)], T0)
    plan(store, 0)
    now, delays = 0.0, []
    for _ in range(2):
        [run] = claim(store, now)
        finish(store, run, now, "failed")
        found = store.list_runs()[0]
        assert (found.state, found.owner, found.error) == ("planned", None, "boom")
        delays.append((found.due_at - at(now)).total_seconds())
        assert claim(store, now) == []
        now += delays[-1]
    assert 4 <= delays[0] <= 12
    assert 8 <= delays[1] <= 24
    [run] = claim(store, now)
    assert run.attempt == 3
    finish(store, run, now, "failed")
    assert states(store) == ["failed"]
    assert store.list_runs()[0].error == "boom"


def test_a_final_failure_is_not_tried_again(store: Store) -> None:
    store.put_schedules([once(0)], T0)
    plan(store, 0)
    [run] = claim(store, 0)
    end = Finish(run, T0, "failed", error="no such parameter", is_final=True)
    store.record([Start(run, T0)], [end], T0)
    assert states(store) == ["failed"]


def test_a_cancelled_run_is_not_tried_again(store: Store) -> None:
    store.put_schedules([once(0)], T0)
    plan(store, 0)
    [run] = claim(store, 0)
    finish(store, run, 1, "cancelled")
    assert states(store) == ["cancelled"]


def test_an_end_without_a_start_is_fenced(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    assert store.record([], [Finish(run, T0, "succeeded")], T0) == {run.run_id}


def test_an_old_claim_is_fenced_in_every_write(store: Store) -> None:
    store.submit([attrs.evolve(call(1), on_lost="retry", retries=9)], T0)
    [old] = claim(store, 0)
    store.sweep(at(30), ["work"])
    [new] = claim(store, 30, owner="b@1")
    assert (new.epoch, old.epoch) == (2, 1)
    fenced = {old.run_id}
    assert store.record([Start(old, at(31))], [], at(31)) == fenced
    assert store.renew("a@1", [old], at(31), 30) == fenced
    assert store.release("a@1", [old], at(31)) == fenced
    store.record([Start(new, at(31))], [], at(31))
    assert store.record([], [Finish(old, at(32), "succeeded")], at(32)) == fenced
    found = store.get_run(old.run_id)
    assert found is not None
    assert (found.state, found.owner, found.lease_until) == ("running", "b@1", at(60))


def test_one_fenced_report_does_not_hold_up_the_others(store: Store) -> None:
    store.submit([call(1), call(2)], T0)
    one, two = claim(store, 0)
    stranger = attrs.evolve(two, epoch=7)
    assert store.record([Start(one, T0), Start(stranger, T0)], [], T0) == {two.run_id}
    assert store.count_by_state() == {"running": 1, "claimed": 1}


def test_a_report_of_a_run_that_does_not_exist_is_fenced(store: Store) -> None:
    ghost = attrs.evolve(call(9), state="claimed", epoch=1, owner="a@1")
    assert store.record([Start(ghost, T0)], [], T0) == {ghost.run_id}
    assert store.renew("a@1", [ghost], T0, 30) == {ghost.run_id}


def test_repeating_a_write_is_one_write(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    reports = ([Start(run, at(1))], [Finish(run, at(2), "succeeded", result=1)])
    assert store.record(*reports, at(2)) == frozenset()
    assert store.record([], reports[1], at(3)) == frozenset()
    found = store.get_run(run.run_id)
    assert found is not None
    assert (found.started_at, found.finished_at) == (at(1), at(2))


def test_a_terminal_state_never_changes(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    finish(store, run, 1)
    assert store.record([], [Finish(run, at(2), "failed", error="late")], at(2)) == {run.run_id}
    assert store.renew("a@1", [run], at(2), 30) == {run.run_id}
    store.sweep(at(10_000), [])
    found = store.get_run(run.run_id)
    assert found is not None
    assert (found.state, found.error, found.finished_at) == ("succeeded", None, at(1))


# Leases


def test_a_renewed_claim_outlives_its_first_lease(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    assert store.renew("a@1", [run], at(20), 30) == frozenset()
    assert store.sweep(at(49), ["work"]).requeued == 0
    assert store.sweep(at(50), ["work"]).requeued == 1


def test_another_owner_cannot_renew_or_release(store: Store) -> None:
    store.submit([call(1)], T0)
    [run] = claim(store, 0)
    assert store.renew("b@1", [run], at(1), 300) == {run.run_id}
    assert store.release("b@1", [run], at(1)) == {run.run_id}


def test_released_runs_are_planned_again_and_count_no_attempt(store: Store) -> None:
    store.submit([call(1), call(2)], T0)
    one, two = claim(store, 0)
    store.record([Start(one, T0)], [], T0)
    assert store.release("a@1", [one, two], at(1)) == {one.run_id}
    found = store.get_run(two.run_id)
    assert found is not None
    assert (found.state, found.attempt, found.epoch, found.owner) == ("planned", 0, 1, None)


def test_a_claim_that_never_started_is_planned_again(store: Store) -> None:
    store.submit([call(1)], T0)
    claim(store, 0)
    assert store.sweep(at(29), ["work"]).requeued == 0
    assert store.sweep(at(30), ["work"]).requeued == 1
    [run] = claim(store, 30)
    assert (run.attempt, run.epoch) == (1, 2)


def test_a_lost_run_with_on_lost_retry_runs_again_while_attempts_last(store: Store) -> None:
    store.put_schedules([once(0, retries=1, misfire=10_000)], T0)
    plan(store, 0)
    for seconds, expected in ((0, "planned"), (100, "lost")):
        [run] = claim(store, seconds)
        store.record([Start(run, at(seconds))], [], at(seconds))
        store.sweep(at(seconds + 30), ["work"])
        assert states(store) == [expected]
    assert "a@1 was lost" in (store.list_runs()[0].error or "")


def test_a_lost_run_with_on_lost_fail_is_started_at_most_once(store: Store) -> None:
    store.put_schedules([once(0, on_lost="fail")], T0)
    plan(store, 0)
    [run] = claim(store, 0)
    store.record([Start(run, T0)], [], T0)
    swept = store.sweep(at(30), ["work"])
    assert (swept.requeued, swept.lost) == (0, 1)
    assert claim(store, 31) == []
    assert states(store) == ["lost"]


def test_a_new_life_frees_what_earlier_lives_had_claimed(store: Store) -> None:
    assert store.begin_life("a") == 1
    store.submit([call(1), call(2), call(3)], T0)
    store.claim("a@1", T0, T0, {"work": 1}, 1e6)
    store.claim("ab@1", T0, T0, {"work": 1}, 1e6)
    store.claim("a@1x@1", T0, T0, {"work": 1}, 1e6)
    assert store.begin_life("a") == 2
    assert store.sweep(at(1), ["work"]).requeued == 1


def test_a_planned_run_past_its_window_is_missed(store: Store) -> None:
    store.put_schedules([once(0, misfire=60), once(0, "orphan", handler="gone", misfire=60)], T0)
    plan(store, 0)
    assert store.sweep(at(60), ["work"]).missed == 0
    swept = store.sweep(at(60.000001), ["work"])
    assert (swept.missed, swept.skipped, swept.backlog) == (1, 1, False)
    assert states(store, "s") == ["missed(misfire)"]
    assert states(store, "orphan") == ["skipped(no_handler)"]


def test_a_sweep_is_bounded_and_says_so(store: Store) -> None:
    store.submit([call(n) for n in range(1, 1201)], T0)
    assert store.sweep(at(4000), ["work"]).backlog
    assert not store.sweep(at(4000), ["work"]).backlog
    assert store.count_by_state() == {"missed": 1200}


# Reading


def test_history_is_newest_first_and_goes_on_page_by_page(store: Store) -> None:
    store.put_schedules([every(10, coalesce="all"), every(10, "t", coalesce="all")], T0)
    plan(store, 90)
    whole = store.list_runs(limit=1000)
    assert [run.fire_time for run in whole] == sorted(
        (run.fire_time for run in whole), reverse=True
    )
    pages: list[Run] = []
    before = None
    while page := store.list_runs(limit=3, before=before):
        pages += page
        before = page[-1].run_id
    assert pages == whole
    assert len(pages) == 20


def test_history_can_be_filtered(store: Store) -> None:
    store.put_schedules([every(10), every(10, "t", handler="other")], T0)
    plan(store, 20)
    assert {run.schedule_id for run in store.list_runs(schedule_id="t")} == {"t"}
    assert {run.schedule_id for run in store.list_runs(handler="other")} == {"t"}
    assert {run.fire_time for run in store.list_runs(state="planned")} == {at(20)}
    assert len(store.list_runs(schedule_id="t", state="skipped", limit=1)) == 1
    assert store.get_run(UUID(int=1)) is None


def test_next_due_is_of_planned_runs_of_these_handlers(store: Store) -> None:
    store.submit([call(1, at(5)), call(2, at(3)), call(3, at(1), handler="other")], T0)
    assert store.next_due(["work"]) == at(3)
    assert store.next_due(["other", "work"]) == at(1)
    assert store.next_due([]) is None
    claim(store, 3)
    assert store.next_due(["work"]) == at(5)


def test_a_closed_store_says_so_and_keeps_what_it_holds(store: Store) -> None:
    store.put_schedules([every(10)], T0)
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.list_schedules()
    store.open()
    store.open()
    assert [each.id for each in store.list_schedules()] == ["s"]


@pytest.mark.parametrize("instant", [datetime(2025, 1, 1)])
def test_an_instant_without_a_time_zone_is_refused(store: Store, instant: datetime) -> None:
    with pytest.raises(ScheduleError, match="time zone"):
        attrs.evolve(every(1), next_fire_at=instant)
    with pytest.raises(ScheduleError, match="time zone"):
        store.submit([attrs.evolve(call(1), due_at=instant)], T0)
