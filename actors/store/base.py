"""The contract of a store: schedules and the launch ledger, in memory or in a database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from attrs import frozen

from schedule_zero.actors.store.run import Finish, Run, Start, State
from schedule_zero.actors.store.schedule import Schedule


@frozen
class PlanResult:
    """What one call of `plan` did.

    `planned` runs were planned and `skipped` recorded as not to run (with their reason);
    `quarantined` schedules were set aside because of their trigger. `backlog`: more is due, call
    again. `next_at`: when the next fire of any schedule is, or None.
    """

    planned: int
    skipped: int
    quarantined: tuple[str, ...]
    backlog: bool
    next_at: datetime | None


@frozen
class SweepResult:
    """What one call of `sweep` did.

    `requeued` runs of lost owners were planned again, `lost` ended as lost; `missed` and `skipped`
    were planned but too late to start. `backlog`: more is to be swept, call again.
    """

    requeued: int
    lost: int
    missed: int
    skipped: int
    backlog: bool


class Store(ABC):
    """Schedules and the launch ledger. Every method is one transaction: all of it or nothing.

    Methods block: call them in a thread; any thread will do, several at once too. There is no
    clock in here: `now` is the caller's wall clock, aware. What a method wrote is durable when it
    returns, and every write may be repeated: it is conditional on what it finds.

    All methods raise `StoreUnavailable` while the database cannot be reached, read or written;
    nothing was changed then, or, if the connection broke at the very end, all of it was.

    Example::

        with open_store("schedules.db") as store:
            store.put_schedules([schedule], now)
            store.plan(now, now + timedelta(seconds=2), limit=1000)
            for run in store.claim("a@1", now, now, {"backup": 10}, lease=30.0):
                ...
    """

    @abstractmethod
    def open(self) -> None:
        """Open it, making or migrating the tables. Opening an open store does nothing.

        Raises `StoreUnavailable` with one sentence on what was found and what to do, and
        `SchemaTooNew` for the database of a newer version.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of files, locks and connections. It may be opened again."""

    def __enter__(self) -> Self:
        """Open the store for a `with` block."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    @abstractmethod
    def begin_life(self, node: str) -> int:
        """Begin a new life of a node; returns its incarnation, 1 for the first.

        What earlier lives of this name had claimed is free at once: the next `sweep` recovers it.
        Raises `NodeNameInUse` while another process (or another open store) lives under this
        name; the name is free again when that store is closed or its process has ended.
        """

    # Schedules

    @abstractmethod
    def put_schedules(self, schedules: Iterable[Schedule], now: datetime) -> None:
        """Add schedules, or change those whose ids are there.

        A changed schedule keeps its pause; while its trigger is the same it also keeps its place
        (`next_fire_at`), otherwise it starts anew and its fires that are planned for the future
        are withdrawn. Runs that are planned already keep their parameters. Raises `BadTrigger`
        for a trigger that cannot give its first fire or cannot be stored; then none is put.
        """

    @abstractmethod
    def declare(self, handler: str, schedules: Iterable[Schedule], now: datetime) -> None:
        """These are all the schedules that a handler's code declares.

        They are put as `declared`; those that it declared before and are gone from the code are
        removed. A schedule of the same id that a person put stays as the person wants it.
        """

    @abstractmethod
    def get_schedule(self, schedule_id: str) -> Schedule:
        """One schedule. Raises `UnknownSchedule`."""

    @abstractmethod
    def list_schedules(self, handler: str | None = None) -> list[Schedule]:
        """All schedules, or those of a handler, in the order of their ids."""

    @abstractmethod
    def remove_schedule(self, schedule_id: str, now: datetime) -> None:
        """Remove a schedule and its planned runs of the future that nobody has claimed.

        Its history stays. Raises `UnknownSchedule`.
        """

    @abstractmethod
    def pause_schedule(self, schedule_id: str, note: str | None = None) -> None:
        """From now on its fires are recorded as `skipped(paused)`. Raises `UnknownSchedule`.

        Runs that are claimed already go on; `note` says why it was paused.
        """

    @abstractmethod
    def resume_schedule(self, schedule_id: str, now: datetime) -> None:
        """Fires after `now` run again; a quarantined schedule is tried again, too.

        Raises `UnknownSchedule`, and `BadTrigger` when its trigger still cannot give a fire.
        """

    # The ledger

    @abstractmethod
    def plan(self, now: datetime, until: datetime, limit: int) -> PlanResult:
        """Turn the fires up to `until` into runs, and advance their schedules.

        `until` is a little in the future, so that runs are in the ledger before they are due.
        Bounded: at most `limit` schedules and a fixed number of fires each; `backlog` tells to
        call again. Schedules with a long backlog do not hold up the others.
        """

    @abstractmethod
    def submit(self, runs: Iterable[Run], now: datetime) -> int:
        """Insert planned runs that no trigger asked for; returns how many were new.

        Runs whose id is in the ledger are left as they are there.
        """

    @abstractmethod
    def claim(
        self, owner: str, now: datetime, until: datetime, slots: Mapping[str, int], lease: float
    ) -> list[Run]:
        """Claim planned runs that are due up to `until`, for `lease` seconds.

        `slots` says how many of which handler. Highest priority first, then the earliest due; a
        handler's full queue delays no other handler, and a schedule that waits its turn no other
        schedule. The runs' `epoch` and `owner` are the claim; it is shown with every write.
        """

    @abstractmethod
    def record(
        self, starts: Sequence[Start], finishes: Sequence[Finish], now: datetime
    ) -> frozenset[UUID]:
        """Write starts and ends; a start and the end of one run may come together.

        Returns the ids of fenced runs: their claim is no longer current and nothing was written
        of them, the others are written. A failure with attempts left is planned again.
        """

    @abstractmethod
    def renew(
        self, owner: str, runs: Iterable[Run], now: datetime, lease: float
    ) -> frozenset[UUID]:
        """Hold these claims for `lease` seconds from now; returns the fenced ones' ids."""

    @abstractmethod
    def release(self, owner: str, runs: Iterable[Run], now: datetime) -> frozenset[UUID]:
        """Hand claimed runs back that have not started; returns the ids of the others."""

    @abstractmethod
    def sweep(self, now: datetime, handlers: Collection[str]) -> SweepResult:
        """Decide what lost owners left, and what is too late to start.

        `handlers` are the known handlers: a run that is too late because its handler is not among
        them is `skipped(no_handler)`, otherwise `missed(misfire)`.
        """

    # Reading

    @abstractmethod
    def get_run(self, run_id: UUID) -> Run | None:
        """One run, or None."""

    @abstractmethod
    def list_runs(
        self,
        schedule_id: str | None = None,
        handler: str | None = None,
        state: State | None = None,
        limit: int = 100,
        before: UUID | None = None,
    ) -> list[Run]:
        """Runs, the newest fire first. `before` is the last run of the page before this one."""

    @abstractmethod
    def count_by_state(self) -> dict[State, int]:
        """How many runs are in each state; states without runs are left out."""

    @abstractmethod
    def next_due(self, handlers: Iterable[str]) -> datetime | None:
        """When the first planned run of these handlers is due, which may be in the past."""
