"""The ledger's rules, without a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedule_zero.actors.errors import IllegalTransition, ScheduleError
from schedule_zero.actors.store import OPEN, TERMINAL, Finish, Policies, Run, Start, State, run_id
from schedule_zero.actors.store.run import (
    MAX_BACKOFF,
    MAX_GIVEN_BACK,
    TRANSITIONS,
    backoff_delay,
    claimed,
    finished,
    given_up,
    not_run,
    recovered,
    released,
    started,
)
from tests.actors.store.given import T0, at, call, every


def in_state(state: str, attempt: int = 1, **more: object) -> Run:
    """A run that was claimed by `a@1` under epoch 1."""
    owner = None if state == "planned" else "a@1"
    return attrs.evolve(call(1), state=state, attempt=attempt, epoch=1, owner=owner, **more)  # type: ignore[arg-type]


def test_the_table_knows_every_state_and_leads_nowhere_from_a_terminal_one() -> None:
    every_state = {state for group in get_args(State) for state in get_args(group) or [group]}
    assert set(TRANSITIONS) == every_state == OPEN | TERMINAL
    assert all(not TRANSITIONS[state] for state in TERMINAL)
    assert all(TRANSITIONS[state] for state in OPEN)


@pytest.mark.parametrize("state", sorted(TERMINAL | {"claimed", "running"}))
def test_only_a_planned_run_can_be_claimed(state: str) -> None:
    with pytest.raises(IllegalTransition, match=f"is {state} and cannot become claimed"):
        claimed(in_state(state), "b@1", T0, 30)


@pytest.mark.parametrize("state", sorted(TERMINAL | {"claimed", "running"}))
def test_only_a_planned_run_can_be_given_up(state: str) -> None:
    with pytest.raises(IllegalTransition):
        given_up(in_state(state), T0, [])
    with pytest.raises(IllegalTransition):
        not_run(in_state(state), "skipped", "overlap", T0)


SCRIPT = """
state      attempt  on_lost  event      becomes    attempt  epoch
planned    0        retry    claim      claimed    1        2
claimed    1        retry    start      running    1        1
claimed    1        retry    release    planned    0        1
claimed    2        retry    release    planned    1        1
claimed    1        retry    lost       planned    0        1
claimed    1        fail     lost       planned    0        1
running    1        retry    succeed    succeeded  1        1
running    1        retry    cancel     cancelled  1        1
running    1        retry    fail       planned    1        1
running    2        retry    fail       planned    2        1
running    3        retry    fail       failed     3        1
running    1        retry    fail!      failed     1        1
running    1        retry    lost       planned    1        1
running    2        retry    lost       planned    2        1
running    3        retry    lost       lost       3        1
running    1        fail     lost       lost       1        1
running    1        fail     fail       planned    1        1
"""


@pytest.mark.parametrize("line", SCRIPT.strip().splitlines()[1:])
def test_script(line: str) -> None:
    """Two retries, so three attempts."""
    state, attempt, on_lost, event, becomes, attempts, epoch = line.split()
    run = in_state(state, int(attempt), on_lost=on_lost, retries=2)
    after = _after(run, event)
    assert after is not None
    assert (after.state, after.attempt, after.epoch) == (becomes, int(attempts), int(epoch))
    assert (after.finished_at is not None) == (after.state in TERMINAL)
    assert (after.owner is None) == (after.state == "planned")
    assert (after.lease_until is None) == (after.state not in ("claimed", "running"))


def _after(run: Run, event: str) -> Run | None:
    run = attrs.evolve(run, lease_until=None if run.state == "planned" else at(30))
    match event:
        case "claim":
            return claimed(run, "a@1", T0, 30)
        case "start":
            return started(run, Start(run, T0))
        case "release":
            return released(run)
        case "lost":
            return recovered(run, T0)
        case "succeed":
            return finished(run, Finish(run, T0, "succeeded"), T0)
        case "cancel":
            return finished(run, Finish(run, T0, "cancelled"), T0)
    return finished(run, Finish(run, T0, "failed", is_final=event == "fail!"), T0)


@pytest.mark.parametrize("change", [{"epoch": 2}, {"owner": "b@1"}, {"owner": "a@2"}])
def test_whoever_does_not_hold_the_claim_is_fenced(change: dict[str, object]) -> None:
    claim = in_state("claimed")
    assert started(attrs.evolve(claim, **change), Start(claim, T0)) is None  # type: ignore[arg-type]
    running = attrs.evolve(claim, state="running", **change)  # type: ignore[arg-type]
    assert finished(running, Finish(claim, T0, "succeeded"), T0) is None


def test_a_fire_has_one_id_however_its_instant_is_written() -> None:
    rome = T0.astimezone(timezone(timedelta(hours=1)))
    assert run_id("s", T0) == run_id("s", rome)
    assert run_id("s", T0) != run_id("t", T0)
    assert run_id("s", T0) != run_id("s", T0 + timedelta(microseconds=1))


def test_the_id_of_a_fire_never_changes_between_versions() -> None:
    assert run_id("nightly", datetime(2025, 1, 1, tzinfo=UTC)) == UUID(
        "11aa96fd-1b9b-5d07-bdc9-9791e237d52e"
    )


@given(
    number=st.integers(0, 2**128 - 1),
    attempt=st.integers(1, 10_000),
    backoff=st.floats(0, 1e6),
)
def test_backoff_doubles_up_to_its_cap_and_spreads_by_half(
    number: int, attempt: int, backoff: float
) -> None:
    """0.5 to 1.5 times min(backoff * 2^(attempt-1), 300), and always the same for one attempt."""
    run = attrs.evolve(call(1), run_id=UUID(int=number), attempt=attempt, backoff=backoff)
    whole = min(backoff * 2.0 ** min(attempt - 1, 1000), MAX_BACKOFF)
    delay = backoff_delay(run)
    assert whole * 0.5 <= delay <= whole * 1.5
    assert delay == backoff_delay(run)


def test_backoff_differs_from_run_to_run() -> None:
    runs = [attrs.evolve(call(n), attempt=1, backoff=10.0) for n in range(100)]
    delays = {backoff_delay(run) for run in runs}
    assert len(delays) == 100
    assert max(delays) - min(delays) > 8


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        ("overlap", "sometimes"),
        ("coalesce", "earliest"),
        ("on_lost", None),
        ("misfire", -1),
        ("misfire", float("nan")),
        ("misfire", True),
        ("retries", 1.5),
        ("retries", -1),
        ("backoff", float("inf")),
        ("timeout", 0),
        ("timeout", "60"),
        ("priority", 2**40),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(policy: str, value: object) -> None:
    with pytest.raises(ScheduleError, match=policy):
        Policies(**{policy: value})  # type: ignore[arg-type]


def test_durations_may_be_given_as_timedelta_and_windows_as_endless() -> None:
    policies = Policies(
        misfire=timedelta(minutes=1),
        timeout=timedelta(seconds=5),
    )
    assert (policies.misfire, policies.timeout) == (60.0, 5.0)
    assert Policies(misfire=float("inf")).misfire == 10 * 365 * 86_400


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * 401},
        {"handler": ""},
        {"handler": "os:system"},
        {"method": "no method"},
        {"method": "a.b"},
        {"params": [1]},
        {"params": {1: 2}},
        {"trigger": "0 3 * * *"},
    ],
)
def test_a_schedule_that_cannot_work_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ScheduleError, match=next(iter(change))):
        attrs.evolve(every(1), **change)  # type: ignore[arg-type]


def test_a_claim_that_is_lost_again_and_again_counts_as_attempts_in_the_end() -> None:
    """A run that kills its node before its start is written must not be tried for ever."""
    run = attrs.evolve(call(1), on_lost="retry", retries=1)
    claims = 0
    while run.is_open:
        run = recovered(claimed(run, "n@1", T0, 30.0), T0)
        claims += 1
        assert claims < 20
    assert run.state == "lost"
    assert claims == MAX_GIVEN_BACK + 2


def test_a_claim_at_most_once_that_is_lost_before_its_start_is_always_given_back() -> None:
    run = attrs.evolve(call(1), on_lost="fail", retries=0)
    for _ in range(20):
        run = recovered(claimed(run, "n@1", T0, 30.0), T0)
    assert (run.state, run.attempt) == ("planned", 0)
