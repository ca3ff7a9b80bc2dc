"""Which run starts when and where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from schedule_zero.actors.executor.core import CLAIM_MAX, Executions
from schedule_zero.actors.store import Run

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_run(number: int, handler: str = "a", due: float = 0.0, priority: int = 0) -> Run:
    return Run(
        UUID(int=number),
        handler,
        "method",
        at(due),
        at(due),
        schedule_id=f"schedule-{number % 3}",
        state="claimed",
        attempt=1,
        epoch=1,
        priority=priority,
    )


def one_handler(instances: int = 1) -> Executions[str]:
    runs: Executions[str] = Executions()
    runs.set_instances({"a": [f"a-{number}" for number in range(instances)]})
    return runs


def taken_ids(runs: Executions[str], now: float) -> list[int]:
    return [run.run_id.int for run, _ in runs.take(at(now))]


def test_a_run_does_not_start_before_it_is_due() -> None:
    runs = one_handler()
    runs.hold([a_run(1, due=5.0)])

    assert taken_ids(runs, 4.999) == []
    assert runs.next_due() == at(5.0)
    assert taken_ids(runs, 5.0) == [1]


def test_an_instance_takes_one_run_at_a_time() -> None:
    runs = one_handler()
    runs.hold([a_run(1), a_run(2)])

    assert taken_ids(runs, 1.0) == [1]
    assert taken_ids(runs, 1.0) == []
    runs.ended(UUID(int=1), 0.5)
    assert taken_ids(runs, 1.0) == [2]


def test_of_the_due_runs_the_highest_priority_goes_first_then_the_earliest() -> None:
    runs = one_handler(instances=3)
    runs.hold([a_run(1, due=2.0), a_run(2, due=1.0), a_run(3, due=3.0, priority=9)])

    assert taken_ids(runs, 3.0) == [3, 2, 1]


def test_a_high_priority_that_is_not_due_delays_nobody() -> None:
    runs = one_handler()
    runs.hold([a_run(1, due=9.0, priority=9), a_run(2, due=1.0)])

    assert taken_ids(runs, 1.0) == [2]


def test_a_busy_handler_delays_no_other() -> None:
    runs: Executions[str] = Executions()
    runs.set_instances({"a": ["a-1"], "b": ["b-1"]})
    runs.hold([a_run(number) for number in range(1, 50)] + [a_run(99, handler="b")])

    assert taken_ids(runs, 1.0) == [1, 99]


def test_slow_runs_are_claimed_only_for_free_instances() -> None:
    runs = one_handler(instances=2)
    for number in range(100):
        runs.hold([a_run(number)])
        runs.take(at(0.0))
        runs.ended(UUID(int=number), 60.0)
    assert runs.slots() == {"a": 2}

    runs.hold([a_run(200), a_run(201)])
    runs.take(at(0.0))
    assert runs.slots() == {}


def test_quick_runs_are_claimed_ahead_up_to_a_bound() -> None:
    runs = one_handler()
    for number in range(100):
        runs.hold([a_run(number)])
        runs.take(at(0.0))
        runs.ended(UUID(int=number), 0.0)

    assert runs.slots() == {"a": CLAIM_MAX}


def test_withdrawn_runs_do_not_start() -> None:
    runs = one_handler()
    runs.hold([a_run(1), a_run(2), a_run(4)])

    assert {run.run_id.int for run in runs.withdraw("schedule-1")} == {1, 4}
    assert taken_ids(runs, 1.0) == [2]


def test_the_waiting_runs_of_a_handler_that_left_are_given_up() -> None:
    runs = one_handler()
    runs.hold([a_run(1), a_run(2)])
    runs.take(at(1.0))

    assert [run.run_id.int for run in runs.set_instances({})] == [2]
    runs.ended(UUID(int=1), 0.1)
    assert runs.held == []


def test_a_claim_whose_lease_has_ended_is_not_started() -> None:
    runs = one_handler()
    lease_until = at(30.0)
    runs.hold([evolve(a_run(1, due=1.0), lease_until=lease_until)])
    runs.hold([evolve(a_run(2, due=1.0), lease_until=at(90.0))])
    assert taken_ids(runs, 30.0) == [2]


def test_a_claim_that_was_renewed_is_started() -> None:
    runs = one_handler()
    runs.hold([evolve(a_run(1, due=1.0), lease_until=at(30.0))])
    runs.renewed(at(60.0))
    assert taken_ids(runs, 45.0) == [1]


@given(st.data())
def test_whatever_comes_no_instance_is_taken_twice_and_each_run_starts_once(
    data: st.DataObject,
) -> None:
    """Rules 1 and 2 after any sequence of claims, ends, leaving and joining instances."""
    runs: Executions[str] = Executions()
    started: list[int] = []
    running: list[int] = []
    held = 0
    for step in range(data.draw(st.integers(1, 40))):
        count = data.draw(st.integers(0, 3))
        event = data.draw(st.sampled_from(["hold", "take", "end", "instances"]))
        if event == "instances":
            gone = runs.set_instances({"a": [f"a-{number}" for number in range(count)]})
            assert not gone
        elif event == "hold" and "a" in runs.slots() | {"a": 0} and runs.slots() is not None:
            if not runs.slots():
                continue
            held += 1
            runs.hold([a_run(held, due=data.draw(st.floats(0, 40)))])
        elif event == "take":
            for run, _ in runs.take(at(step)):
                assert run.due_at <= at(step)
                started.append(run.run_id.int)
                running.append(run.run_id.int)
        elif running:
            runs.ended(UUID(int=running.pop(data.draw(st.integers(0, len(running) - 1)))), 0.01)
        runs.check()
    assert len(started) == len(set(started))
