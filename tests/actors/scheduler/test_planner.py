"""The planner: which runs a schedule's fires become."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import attrs
import pytest
from apscheduler.abc import Trigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given
from hypothesis import strategies as st

from schedule_zero.actors.store import Run, Schedule, run_id
from schedule_zero.actors.store.changes import added, paused, resumed
from schedule_zero.actors.store.planner import CAP, plan_fires
from schedule_zero.actors.store.serializer import dumps
from schedule_zero.actors.store.triggers import own_copy, same_fires
from tests.actors.store.given import T0, at, every, failing_trigger, once, schedule


def begun(given_schedule: Schedule, now: datetime = T0) -> Schedule:
    """The schedule as a store holds it once it was put."""
    return added(given_schedule, now)


def words(runs: Iterable[Run]) -> list[str]:
    """Each run as `seconds:state` or `seconds:reason`."""
    return [f"{(run.fire_time - T0).total_seconds():g}:{run.reason or run.state}" for run in runs]


TABLE = """
every  coalesce  misfire  now  until  gives                                          next
10     latest    3600     0    0      0:planned                                      10
10     latest    3600     0    25     0:planned 10:planned 20:planned                30
10     latest    3600     9    9      0:planned                                      10
10     latest    3600     25   25     0:catch_up 10:catch_up 20:planned              30
10     latest    3600     25   35     0:catch_up 10:catch_up 20:planned 30:planned   40
10     all       3600     25   35     0:planned 10:planned 20:planned 30:planned     40
10     all       10       25   25     0:misfire 10:misfire 20:planned                30
10     all       15       25   25     0:misfire 10:planned 20:planned                30
10     latest    4        25   25     0:misfire 10:misfire 20:misfire                30
10     latest    15       25   25     0:misfire 10:catch_up 20:planned               30
10     latest    0        20   20     0:misfire 10:misfire 20:planned                30
10     latest    3600     25   0      0:catch_up 10:catch_up 20:planned              30
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines()[1:])
def test_table(line: str) -> None:
    interval, coalesce, misfire, now, until, *gives, upcoming = line.split()
    given_schedule = begun(every(float(interval), coalesce=coalesce, misfire=float(misfire)))
    plan = plan_fires(given_schedule, at(float(now)), at(float(until)))
    assert words(plan.runs) == gives
    assert plan.next_fire_at == at(float(upcoming))
    assert (plan.more, plan.quarantined) == (False, None)


def test_a_paused_schedule_writes_fires_that_have_come_and_leaves_the_future_open() -> None:
    plan = plan_fires(paused(begun(every(10)), None), at(15), at(35))
    assert words(plan.runs) == ["0:paused", "10:paused"]
    assert (plan.next_fire_at, plan.more) == (at(20), False)


def test_fires_up_to_the_moment_of_resuming_stay_paused_ones() -> None:
    schedule_then = resumed(paused(begun(every(10, coalesce="all")), None), at(20))
    assert words(plan_fires(schedule_then, at(35), at(35)).runs) == [
        "0:paused", "10:paused", "20:paused", "30:planned",
    ]  # fmt: skip


def test_the_last_fire_is_planned_and_then_there_is_none() -> None:
    plan = plan_fires(begun(once(5)), at(5), at(5))
    assert words(plan.runs) == ["5:planned"]
    assert (plan.next_fire_at, plan.last_fire_at, plan.more) == (None, at(5), False)
    assert plan_fires(plan.applied_to(begun(once(5))), at(99), at(99)).runs == ()


def test_a12_h17_a_week_of_seconds_is_planned_in_bounded_steps() -> None:
    plan = plan_fires(begun(every(1)), at(7 * 86_400), at(7 * 86_400))
    assert (len(plan.runs), plan.more) == (CAP, True)
    assert plan.next_fire_at == at(CAP)


def test_the_run_of_a_fire_carries_the_schedules_policies() -> None:
    given_schedule = begun(every(1, params={"x": 1}, retries=7, timeout=3.0, priority=4))
    [run] = plan_fires(given_schedule, T0, T0).runs
    assert run.run_id == run_id("s", T0)
    assert (run.params, run.retries, run.timeout, run.priority) == ({"x": 1}, 7, 3.0, 4)
    assert (run.handler, run.method, run.fire_time, run.due_at) == ("work", "run", T0, T0)


# Faulty triggers


class Faulty(Trigger):
    """Gives what it is told, and raises what is an exception."""

    def __init__(self, *gives: object) -> None:
        self.gives = list(gives)

    def next(self) -> datetime | None:
        """The next of them; the last one for ever."""
        give = self.gives.pop(0) if len(self.gives) > 1 else self.gives[0]
        if isinstance(give, BaseException):
            raise give
        return give  # type: ignore[return-value]

    def __getstate__(self) -> object:
        return {"gives": self.gives}

    def __setstate__(self, state: dict[str, list[object]]) -> None:
        self.gives = list(state["gives"])


@pytest.mark.parametrize(
    ("then", "problem"),
    [
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (T0, "no fire later than"),
        (T0 - timedelta(days=1), "no fire later than"),
        (datetime(2030, 1, 1), "without a time zone"),
        ("tomorrow", "AttributeError"),
        (datetime.max.replace(tzinfo=ZoneInfo("America/New_York")), "OverflowError"),
    ],
)
def test_a10_h11_a_faulty_trigger_quarantines_after_the_fire_that_it_had_given(
    then: object, problem: str
) -> None:
    given_schedule = attrs.evolve(every(1), trigger=Faulty(then), next_fire_at=T0)
    plan = plan_fires(given_schedule, T0, T0)
    assert words(plan.runs) == ["0:planned"]
    assert plan.next_fire_at is None
    assert problem in (plan.quarantined or "")


def test_a_trigger_that_fails_only_later_keeps_its_good_fires() -> None:
    gives = Faulty(at(10), at(20), ValueError("worn out"))
    given_schedule = attrs.evolve(every(1, coalesce="all"), trigger=gives, next_fire_at=T0)
    plan = plan_fires(given_schedule, at(99), at(99))
    assert words(plan.runs) == ["0:planned", "10:planned", "20:planned"]
    assert plan.quarantined == "ValueError: worn out"


def test_a_schedule_that_is_set_aside_gives_no_run() -> None:
    given_schedule = attrs.evolve(begun(every(1)), quarantined="bad row")
    plan = plan_fires(given_schedule, T0, T0)
    assert words(plan.runs) == ["0:quarantined"]


def test_an_and_trigger_that_finds_no_more_agreement_is_quarantined() -> None:
    plan = plan_fires(begun(schedule(failing_trigger())), T0, T0)
    assert words(plan.runs) == ["0:planned"]
    assert "MaxIterationsReached" in (plan.quarantined or "")


# The nights when clocks change

NEW_YORK = ZoneInfo("America/New_York")


def _fires(trigger: Trigger, days: int, start: datetime) -> list[datetime]:
    given_schedule = begun(schedule(trigger, coalesce="all", misfire=1e9), start)
    until = start + timedelta(days=days)
    return [run.fire_time for run in plan_fires(given_schedule, until, until).runs]


def test_a15_h18_no_instant_fires_twice_and_time_never_goes_back() -> None:
    for month, day in ((3, 8), (11, 1)):
        start = datetime(2025, month, day, tzinfo=NEW_YORK)
        for trigger in (
            CronTrigger(hour=2, minute=30, start_time=start, timezone=NEW_YORK),
            CronTrigger(hour=1, minute=30, start_time=start, timezone=NEW_YORK),
            CronTrigger(minute="*/20", start_time=start, timezone=NEW_YORK),
            IntervalTrigger(minutes=20, start_time=start),
            CalendarIntervalTrigger(
                days=1, hour=1, minute=30, start_date=start.date(), timezone=NEW_YORK
            ),
        ):
            fires = _fires(trigger, 3, start.astimezone(UTC))
            assert len(fires) >= 3
            assert fires == sorted(set(fires))
            assert {fire.tzinfo for fire in fires} == {UTC}


@pytest.mark.parametrize(("month", "day"), [(3, 8), (11, 1)])
def test_h18_an_interval_counts_real_time_in_any_zone(month: int, day: int) -> None:
    start = datetime(2025, month, day, 12, tzinfo=NEW_YORK)
    fires = _fires(IntervalTrigger(hours=1, start_time=start), 2, start.astimezone(UTC))
    steps = {later - earlier for earlier, later in pairwise(fires)}
    assert (len(fires), steps) == (49, {timedelta(hours=1)})


def test_a_cron_trigger_fires_on_whole_seconds() -> None:
    start = T0 + timedelta(seconds=0.4)
    fires = _fires(CronTrigger(second="*/30", start_time=start, timezone=UTC), 1, start)
    assert fires[:2] == [at(30), at(60)]


# Triggers that are the same


def _cron(start: float, **fields: str) -> Trigger:
    return CronTrigger(**(fields or {"minute": "*"}), start_time=at(start), timezone=UTC)


def _interval(start: float, seconds: float = 60) -> Trigger:
    return IntervalTrigger(seconds=seconds, start_time=at(start))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (_interval(0), _interval(0), True),
        (_interval(-120), _interval(-60), True),
        (_interval(0), _interval(30), False),
        (_interval(0), _interval(0, 61), False),
        (_interval(0), _interval(600), False),
        (_cron(-10), _cron(-20), True),
        (_cron(0), _cron(600), False),
        (_cron(0), _cron(0, minute="5"), False),
        (DateTrigger(at(5)), DateTrigger(at(5)), True),
        (DateTrigger(at(5)), DateTrigger(at(6)), False),
        (OrTrigger([_cron(-1), _interval(0)]), OrTrigger([_cron(-2), _interval(-60)]), True),
        (OrTrigger([_cron(0), _interval(0)]), OrTrigger([_cron(0)]), False),
        (AndTrigger([_cron(0)], threshold=1), AndTrigger([_cron(0)], threshold=2), False),
        (AndTrigger([_cron(0)]), OrTrigger([_cron(0)]), False),
        (Faulty(None), Faulty(None), False),
    ],
)
def test_triggers_are_the_same_if_they_mean_the_same_fires_from_now_on(
    one: Trigger, other: Trigger, *, same: bool
) -> None:
    assert same_fires(one, other, T0) is same


# Properties

triggers = st.one_of(
    st.builds(
        lambda step, start: IntervalTrigger(seconds=step, start_time=at(start)),
        st.integers(1, 40) | st.floats(0.5, 40),
        st.integers(-300, 300),
    ),
    st.builds(
        lambda second, start: CronTrigger(second=second, start_time=at(start), timezone=NEW_YORK),
        st.sampled_from(["*/7", "13", "*", "0,30", "*/20"]),
        st.integers(-300, 300),
    ),
    st.builds(lambda seconds: DateTrigger(at(seconds)), st.integers(-300, 300)),
)
any_trigger = triggers | st.lists(triggers, min_size=1, max_size=3).map(
    lambda parts: OrTrigger([*parts])
)
schedules = st.builds(
    lambda trigger, coalesce, misfire: schedule(trigger, coalesce=coalesce, misfire=misfire),
    any_trigger,
    st.sampled_from(["latest", "all"]),
    st.sampled_from([0.0, 5.0, 60.0, 3600.0]),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["plan", "pause", "resume"]),
        st.integers(0, 60),  # seconds that pass before
        st.integers(0, 20),  # how far ahead
        st.integers(1, 9),  # cap
    ),
    max_size=30,
)


def _nominal(given_schedule: Schedule, until: datetime) -> list[datetime]:
    """Every instant that the trigger names from its first fire on, by a plain walk."""
    trigger, fire = own_copy(given_schedule.trigger), given_schedule.next_fire_at
    fires: list[datetime] = []
    while fire is not None and fire <= until:
        fires.append(fire)
        following = trigger.next()
        fire = None if following is None else following.astimezone(UTC)
    return sorted(set(fires))


@given(schedules, steps)
def test_l1_every_fire_between_creation_and_now_gets_exactly_one_row(
    given_schedule: Schedule, history: list[tuple[str, int, int, int]]
) -> None:
    """Whatever the sequence of plans, pauses, caps and looks ahead: one row a fire, in order."""
    current = begun(given_schedule)
    first = current
    rows: list[Run] = []
    seconds = horizon = 0.0
    for action, passed, ahead, cap in history:
        seconds += passed
        if action == "pause":
            current = paused(current, None)
        elif action == "resume":
            current = resumed(current, at(seconds))
        else:
            plan = plan_fires(current, at(seconds), at(seconds + ahead), cap)
            assert len(plan.runs) <= cap
            rows += plan.runs
            current = plan.applied_to(current)
            horizon = max(horizon, seconds + ahead)
    while (plan := plan_fires(current, at(seconds), at(seconds), 7)).runs:
        rows += plan.runs
        current = plan.applied_to(current)
    fires = [run.fire_time for run in rows]
    assert fires == sorted(set(fires))
    assert [fire for fire in fires if fire <= at(seconds)] == _nominal(first, at(seconds))
    assert set(fires) <= set(_nominal(first, at(max(seconds, horizon))))
    assert all((run.reason is None) == (run.state == "planned") for run in rows)
    assert {run.run_id for run in rows} == {run_id("s", fire) for fire in fires}


@given(
    schedules,
    st.integers(0, 600),
    st.integers(0, 60),
    st.lists(st.integers(1, 50)),
    st.integers(0, 1),
)
def test_what_fires_become_does_not_depend_on_how_the_calls_are_cut(
    given_schedule: Schedule, seconds: int, ahead: int, caps: list[int], pauses: int
) -> None:
    """One big plan and many small ones at the same moment give the same rows and the same end."""
    start = begun(given_schedule)
    start = paused(start, None) if pauses else start
    whole = plan_fires(start, at(seconds), at(seconds + ahead), 10_000)
    current = start
    rows: list[Run] = []
    for cap in [*caps, 10_000]:
        part = plan_fires(current, at(seconds), at(seconds + ahead), cap)
        assert part.more == (len(rows) + len(part.runs) < len(whole.runs))
        rows += part.runs
        current = part.applied_to(current)
    assert tuple(rows) == whole.runs
    assert current == whole.applied_to(start)
    assert dumps(current.trigger) == dumps(whole.trigger)


@given(schedules, st.integers(0, 600))
def test_planning_changes_neither_schedule_nor_trigger(
    given_schedule: Schedule, seconds: int
) -> None:
    """The same question gets the same answer."""
    start = begun(given_schedule)
    first = plan_fires(start, at(seconds), at(seconds))
    assert plan_fires(start, at(seconds), at(seconds)) == first


@given(schedules, st.integers(0, 600), st.integers(0, 60))
def test_the_latest_due_fire_runs_and_no_other_if_coalesced(
    given_schedule: Schedule, seconds: int, ahead: int
) -> None:
    """With `coalesce="latest"` at most one of the fires that have come is planned: the last."""
    plan = plan_fires(begun(given_schedule), at(seconds), at(seconds + ahead), 10_000)
    due = [run for run in plan.runs if run.fire_time <= at(seconds)]
    runs = [run for run in due if run.state == "planned"]
    if given_schedule.policies.coalesce == "latest":
        assert runs in ([], due[-1:])
    late = at(seconds) - timedelta(seconds=given_schedule.policies.misfire)
    assert all((run.fire_time < late) == (run.state == "missed") for run in due)
    assert all(run.state == "planned" for run in plan.runs[len(due) :])
