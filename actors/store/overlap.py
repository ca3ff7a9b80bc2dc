"""Whether a planned run may be claimed now. Pure.

The rules that this file keeps:

1. A run that was in progress before (a retry) goes on: it was admitted once.
2. A run that is too late to start is `missed(misfire)`.
3. A fire of a paused schedule waits, and once it is due it is `skipped(paused)`. Runs that a
   person asked for are not held up by a pause.
4. While another run of its schedule is in progress, `allow_all` runs beside it, `buffer_all`
   waits, and `skip` waits until it is due and is then `skipped(overlap)`.
   A fire of `skip` that finds nobody running any more, but came while a run was running (it was
   claimed late, for lack of a free handler), is `skipped(overlap)` all the same.
5. A planned run that has a reason already is one whose row cannot be used: it is skipped for it.
6. What is claimed counts at once: of two runs that are due together the second overlaps.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from schedule_zero.actors.store.instants import to_micros
from schedule_zero.actors.store.run import Run, claimed, not_run

Verdict: TypeAlias = Literal["claim", "wait", "overlap", "paused", "misfire", "quarantined"]


class Gate:
    """Admits the candidates of one claim, one after the other.

    `paused` are the ids of paused schedules. Tell `add_busy` the schedules that have a run in
    progress before asking about their runs.
    """

    def __init__(self, now: datetime, paused: Container[str]) -> None:
        self._now = now
        self._micros = to_micros(now)
        self._paused = paused
        self._busy: set[str] = set()
        self._overlapped: set[UUID] = set()

    def add_busy(self, schedule_ids: set[str]) -> None:
        """These schedules have a run in progress."""
        self._busy |= schedule_ids

    def add_overlapped(self, run_ids: set[UUID]) -> None:
        """When these fires were due, another run of their schedule was running."""
        self._overlapped |= run_ids

    def may_have_overlapped(self, run: Run) -> bool:
        """Whether `add_overlapped` has to be decided for this run: rule 4 might skip it."""
        is_first = run.overlap == "skip" and run.attempt == 0 and run.schedule_id is not None
        return is_first and run.due_at <= self._now and run.schedule_id not in self._busy

    def judge(self, run: Run) -> Verdict:
        """What is to be done with a planned run."""
        if run.reason is not None:
            return "quarantined"
        if self._micros > run.late_after:
            return "misfire"
        if run.attempt > 0 or run.schedule_id is None:
            return "claim"
        if run.schedule_id in self._paused and run.is_scheduled:
            return "paused" if run.due_at <= self._now else "wait"
        if run.run_id in self._overlapped:
            return "overlap"
        if run.overlap == "allow_all" or run.schedule_id not in self._busy:
            return "claim"
        return "overlap" if run.overlap == "skip" and run.due_at <= self._now else "wait"

    def passed(self, run: Run, owner: str, lease: float) -> Run:
        """The run as it becomes after its verdict; the same object if it waits."""
        verdict = self.judge(run)
        if verdict == "wait":
            return run
        if verdict == "misfire":
            return not_run(run, "missed", "misfire", self._now)
        if verdict != "claim":
            return not_run(run, "skipped", verdict, self._now)
        if run.schedule_id is not None:
            self._busy.add(run.schedule_id)
        return claimed(run, owner, self._now, lease)
