"""What the page shows, gathered once for all who look at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import trio
from attrs import frozen

from schedule_zero.actors.store.run import OPEN, Run
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.web import words
from schedule_zero.actors.web.desk import Desk
from schedule_zero.actors.web.views import seconds_between

RUNS, SCHEDULES = 50, 200
_RECENT = 200
_FRESH = 1.0

STATES = (
    "running",
    "claimed",
    "planned",
    "succeeded",
    "failed",
    "lost",
    "missed",
    "skipped",
    "cancelled",
)


@frozen
class ScheduleRow:
    """One line of the table of schedules. `last` is its newest run that has ended."""

    id: str
    method: str
    trigger: str
    next_at: datetime | None
    state: str
    note: str
    last: Run | None


@frozen
class RunRow:
    """One line of the table of runs."""

    id: UUID
    name: str
    method: str
    state: str
    attempt: int
    fire_time: datetime
    late: str
    took: str
    note: str


@frozen
class Overview:
    """The page's content at one instant."""

    node: str
    owner: str
    now: datetime
    counts: list[tuple[str, int]]
    schedules: list[ScheduleRow]
    schedule_count: int
    runs: list[RunRow]
    run_count: int


class Overviews:
    """The newest overview, at most a second old: gathered at the first request for it."""

    def __init__(self, desk: Desk, owner: str) -> None:
        self._desk = desk
        self._owner = owner
        self._lock = trio.Lock()
        self._outcomes = Outcomes(desk)
        self._newest: Overview | None = None
        self._gathered_at = 0.0

    async def get(self) -> Overview:
        """The overview. Raises `Unavailable`."""
        async with self._lock:
            now = self._desk.node.clock.monotonic()
            if self._newest is None or now - self._gathered_at >= _FRESH:
                self._newest = await self._gather()
                self._gathered_at = now
            return self._newest

    async def _gather(self) -> Overview:
        counts = await self._desk.counts()
        runs = await self._desk.runs(_RECENT)
        schedules = sorted(await self._desk.schedules(), key=_soonest_first)
        shown = schedules[:SCHEDULES]
        outcomes = await self._outcomes.of(shown, runs)
        now = self._desk.node.clock.now()
        return Overview(
            node=self._desk.node.name,
            owner=self._owner,
            now=now,
            counts=[(state, counts.get(state, 0)) for state in STATES],
            schedules=[_schedule_row(each, outcomes.get(each.id)) for each in shown],
            schedule_count=len(schedules),
            runs=[_run_row(run, now) for run in runs[:RUNS]],
            run_count=sum(counts.values()),
        )


class Outcomes:
    """The newest ended run of each schedule.

    Most are among the newest runs. One that is not is looked up, and remembered until its
    schedule fires again.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[str, tuple[datetime | None, Run]] = {}

    async def of(self, schedules: Sequence[Schedule], runs: Sequence[Run]) -> dict[str, Run]:
        """Schedule id -> its newest ended run; `runs` are the newest runs of all, newest first."""
        recent: dict[str, Run] = {}
        for run in runs:
            if run.schedule_id is not None and run.state not in OPEN:
                recent.setdefault(run.schedule_id, run)
        found: dict[str, tuple[datetime | None, Run]] = {}
        for schedule in schedules:
            last_fire = schedule.last_fire_at
            outcome = recent.get(schedule.id)
            if outcome is None and last_fire is not None:
                known = self._known.get(schedule.id)
                is_known = known is not None and known[0] == last_fire
                outcome = known[1] if known and is_known else await self._look_up(schedule.id)
            if outcome is not None:
                is_last = last_fire is not None and outcome.fire_time >= last_fire
                found[schedule.id] = (last_fire if is_last else None, outcome)
        self._known = found
        return {schedule_id: outcome for schedule_id, (_, outcome) in found.items()}

    async def _look_up(self, schedule_id: str) -> Run | None:
        for run in await self._desk.runs(10, schedule_id=schedule_id):
            if run.state not in OPEN:
                return run
        return None


def _soonest_first(schedule: Schedule) -> tuple[bool, float, str]:
    fires = schedule.next_fire_at
    is_idle = fires is None or schedule.paused or schedule.quarantined is not None
    return is_idle, fires.timestamp() if fires is not None else 0.0, schedule.id


def _schedule_row(schedule: Schedule, last: Run | None) -> ScheduleRow:
    return ScheduleRow(
        id=words.text(schedule.id),
        method=words.text(f"{schedule.handler}.{schedule.method}"),
        trigger=words.trigger(schedule),
        next_at=schedule.next_fire_at,
        state=words.schedule_state(schedule),
        note=words.schedule_note(schedule),
        last=last,
    )


def _run_row(run: Run, now: datetime) -> RunRow:
    method = words.text(f"{run.handler}.{run.method}")
    took = seconds_between(run.started_at, run.finished_at or now)
    return RunRow(
        id=run.run_id,
        name=method if run.schedule_id is None else words.text(run.schedule_id),
        method=method,
        state=run.state,
        attempt=run.attempt,
        fire_time=run.fire_time,
        late=words.span(seconds_between(run.fire_time, run.started_at)),
        took=words.span(took),
        note=words.run_note(run, now),
    )
