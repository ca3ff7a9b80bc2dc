"""What a store's backend can do inside one transaction: load and write rows, decide nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

from schedule_zero.actors.store.run import Run, State
from schedule_zero.actors.store.schedule import Schedule

Change: TypeAlias = tuple[Run, Run]
"""A run as it was loaded and as it is to be."""


class Transaction(Protocol):
    """One transaction's view of the tables. The rules are in `ledger.py` and the pure files."""

    def new_life(self, node: str) -> int:
        """Count one more incarnation of a node."""

    # Schedules

    def schedules(self, ids: Collection[str] | None = None) -> dict[str, Schedule]:
        """Schedules by id, in the order of ids; all of them without `ids`."""

    def due_schedules(self, now: datetime, until: datetime, limit: int) -> list[Schedule]:
        """Schedules with a fire up to `until` (paused ones: up to `now`).

        If there are more than `limit`, the longest overdue are one half and the least overdue the
        other, so that a backlog does not starve the rest.
        """

    def save_schedules(self, schedules: Iterable[Schedule]) -> None:
        """Insert or replace whole schedules."""

    def advance_schedules(self, schedules: Iterable[Schedule]) -> None:
        """Write what a plan changes: trigger, fire times, quarantine."""

    def delete_schedules(self, ids: Collection[str]) -> None:
        """Delete schedules."""

    def next_fire_at(self) -> datetime | None:
        """The earliest fire of all schedules."""

    def paused(self) -> set[str]:
        """The ids of paused schedules."""

    # Runs

    def insert_runs(self, runs: Sequence[Run]) -> int:
        """Insert those whose ids are new; returns how many."""

    def runs(self, ids: Collection[UUID]) -> dict[UUID, Run]:
        """The runs of these ids that exist, locked for this transaction."""

    def swap(self, changes: Sequence[Change]) -> None:
        """Write each changed run, on condition that it is as it was loaded."""

    def drop_future(self, schedule_ids: Collection[str], now: datetime) -> None:
        """Delete planned runs of these schedules, never claimed, of fires after `now`."""

    def candidates(self, handler: str, until: datetime, limit: int, offset: int) -> list[Run]:
        """Planned runs of a handler due up to `until`, by priority, then due, then age.

        Of first attempts with `overlap="buffer_all"` only the earliest of each schedule is one, and
        none while the schedule has a run in progress; so a long queue hides nobody else's runs.
        """

    def in_progress(self, schedule_ids: Collection[str]) -> set[str]:
        """Which of these schedules have a run in progress (`Run.is_in_progress`)."""

    def was_running(self, schedule_id: str, instant: datetime) -> bool:
        """Whether a run of this schedule that has ended was running at this instant."""

    def leased(self) -> list[Run]:
        """Claimed and running runs."""

    def expired(self, now: datetime, limit: int) -> list[Run]:
        """Claimed and running runs whose lease ended at `now` or before."""

    def too_late(self, now: datetime, limit: int) -> list[Run]:
        """Planned runs that may not start any more at `now`."""

    def list_runs(self, filters: Mapping[str, str], limit: int, before: UUID | None) -> list[Run]:
        """Runs with these values of `schedule_id`, `handler`, `state`, newest fire first."""

    def count_by_state(self) -> dict[State, int]:
        """How many runs there are in each state."""

    def next_due(self, handlers: Collection[str]) -> datetime | None:
        """The earliest `due_at` of planned runs of these handlers."""
