"""The launch ledger's rules: the states of one run and every change between them. Pure.

The rules that this file keeps:

1. A run is one execution of one fire. Its id is made of the schedule's id and the nominal
   instant, so a fire that is planned twice is one row.
2. `planned -> claimed -> running -> succeeded | failed | cancelled | lost`; a run that does not
   run goes from `planned` to `missed | skipped | cancelled`; one that was claimed or running goes
   back to `planned` to be done again. Nothing leaves a terminal state. `finished_at` is set when
   and only when the state is terminal.
3. Each claim raises `epoch`, and nothing ever lowers it. What the owner of a claim writes counts
   only while the row still has that claim's epoch and owner; otherwise the owner is fenced.
4. `attempt` is 0 before the first claim and counts claims from 1; a claim that never started is
   not an attempt and is given back. So an open run with `attempt > 0` is in progress: claimed,
   running, or waiting for its next attempt.
5. A failed or lost attempt is followed by another while `attempt <= retries`: after a failure
   with backoff, after a loss at once. `on_lost="fail"`: a run that had started is never started
   again by a loss; it ends as `lost`.
6. A run that did not run has a reason.
7. A planned run later than `due_at + misfire` does not start any more.
8. Writing the same start or end twice with the same claim is one write.

With `on_lost="fail"` the handler is started only after the start is in the ledger, so a claim whose
lease ends before that has not run. With `on_lost="retry"` the start is written while the handler
begins, so it may have run: after five claims given back in this way, the next lost one counts as an
attempt, and a run that kills its node at once comes to an end.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID, uuid5

import attrs
from attrs import frozen

from schedule_zero.actors.errors import IllegalTransition
from schedule_zero.actors.store.instants import to_micros
from schedule_zero.actors.store.schedule import OnLost, Overlap

Open: TypeAlias = Literal["planned", "claimed", "running"]
Ended: TypeAlias = Literal["succeeded", "failed", "cancelled", "missed", "skipped", "lost"]
State: TypeAlias = Open | Ended
Outcome: TypeAlias = Literal["succeeded", "failed", "cancelled"]
Reason: TypeAlias = Literal[
    "overlap",
    "catch_up",
    "misfire",
    "paused",
    "no_handler",
    "quarantined",
    "fenced",
    "rate_limited",
    "dst_gap",
]

OPEN: frozenset[str] = frozenset(get_args(Open))
TERMINAL: frozenset[str] = frozenset(get_args(Ended))
TRANSITIONS: Mapping[str, frozenset[str]] = {
    "planned": frozenset({"claimed", "missed", "skipped", "cancelled"}),
    "claimed": frozenset({"running", "planned", "lost"}),
    "running": frozenset({"succeeded", "failed", "cancelled", "lost", "planned"}),
    **{state: frozenset() for state in get_args(Ended)},
}

NAMESPACE = UUID("5c4ed01e-0000-5000-8000-0000f19e0001")
MAX_BACKOFF = 300.0
MAX_GIVEN_BACK = 5


@frozen
class Run:
    """One row of the ledger: one execution of one fire, or of one call.

    `fire_time` is the nominal instant, `due_at` when it may start (later than nominal for a
    retry). `owner` is `node@incarnation`; with `epoch` it is the claim that its writes carry. All
    instants are UTC. The last eight fields are the schedule's policies as they were when the run
    was planned.
    """

    run_id: UUID
    handler: str
    method: str
    fire_time: datetime
    due_at: datetime
    schedule_id: str | None = None
    params: Mapping[str, object] = attrs.field(factory=dict)
    state: State = "planned"
    attempt: int = 0
    epoch: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: Reason | None = None
    result: object = None
    error: str | None = None
    overlap: Overlap = "skip"
    on_lost: OnLost = "retry"
    retries: int = 3
    backoff: float = 1.0
    timeout: float | None = None
    priority: int = 0
    misfire: float = 3600.0

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN

    @property
    def is_in_progress(self) -> bool:
        """Whether an attempt at it was made or is being made, and it has not ended (rule 4)."""
        return self.attempt > 0 and self.state in OPEN

    @property
    def is_scheduled(self) -> bool:
        """Whether a trigger asked for it, rather than a person or a program."""
        return self.schedule_id is not None and self.run_id == run_id(
            self.schedule_id, self.fire_time
        )

    @property
    def late_after(self) -> int:
        """The last instant at which it may start (rule 7), in microseconds since 1970."""
        return to_micros(self.due_at) + round(self.misfire * 1_000_000)


_NAMES = tuple(each.name for each in attrs.fields(Run))
_PLACES = {name: place for place, name in enumerate(_NAMES)}
_VALUES = attrgetter(*_NAMES)


@frozen
class Start:
    """A worker's report that it is about to run a claimed run. `run` is the run as claimed."""

    run: Run
    at: datetime


@frozen
class Finish:
    """A worker's report of how a run ended. `run` is the run as claimed.

    A failure is tried again while attempts are left, unless `is_final`.
    """

    run: Run
    at: datetime
    outcome: Outcome
    result: object = None
    error: str | None = None
    is_final: bool = False


def run_id(schedule_id: str, fire_time: datetime) -> UUID:
    """The id of the run of one fire: the same wherever and however often it is computed."""
    return uuid5(NAMESPACE, f"{schedule_id}@{to_micros(fire_time)}")


def backoff_delay(run: Run) -> float:
    """Seconds to wait after the failed attempt `run.attempt`.

    Twice as long after each attempt, at most 300, then spread by half either way; the spread is
    drawn from the run's id and attempt, so it is the same wherever it is computed.
    """
    doublings = min(max(run.attempt - 1, 0), 1000)
    delay = min(run.backoff * 2.0**doublings, MAX_BACKOFF)
    seed = blake2b(run.run_id.bytes + run.attempt.to_bytes(8, "big"), digest_size=8).digest()
    return delay * (0.5 + int.from_bytes(seed, "big") / 2**64)


def holds(current: Run, claim: Run) -> bool:
    """Whether a claim is still the row's current one (rule 3)."""
    return current.epoch == claim.epoch and current.owner == claim.owner


def not_run(run: Run, state: Literal["missed", "skipped"], reason: Reason, now: datetime) -> Run:
    """The planned run ends without having run (rule 6)."""
    return _move(run, state, reason=reason, finished_at=now)


def claimed(run: Run, owner: str, now: datetime, lease: float) -> Run:
    """The planned run belongs to `owner` for `lease` seconds, under a new epoch."""
    return _move(
        run,
        "claimed",
        owner=owner,
        epoch=run.epoch + 1,
        attempt=run.attempt + 1,
        lease_until=now + timedelta(seconds=lease),
    )


def renewed(current: Run, now: datetime, lease: float) -> Run:
    """The same claim, for `lease` seconds from now."""
    return _with(current, lease_until=now + timedelta(seconds=lease))


def released(run: Run) -> Run:
    """The claimed run is handed back before it started (rule 4)."""
    return _move(run, "planned", owner=None, lease_until=None, attempt=run.attempt - 1)


def handed_back(run: Run, now: datetime, schedules: Container[str]) -> Run:
    """The claimed run, handed back; it ends if its schedule was removed meanwhile."""
    free = released(run)
    if free.attempt > 0 or run.schedule_id is None or run.schedule_id in schedules:
        return free
    return _move(free, "cancelled", finished_at=now, error="its schedule was removed")


def started(current: Run, start: Start) -> Run | None:
    """The row once its owner has started it, or None: fenced."""
    if not holds(current, start.run):
        return None
    if current.state == "claimed":
        return _move(current, "running", started_at=start.at)
    return current if current.state == "running" else None


def finished(current: Run, finish: Finish, now: datetime) -> Run | None:
    """The row once its owner has reported the end, or None: fenced (rules 3, 5 and 8)."""
    if not holds(current, finish.run):
        return None
    if current.state != "running":
        return current if current.state == finish.outcome else None
    if finish.outcome == "failed" and not finish.is_final and current.attempt <= current.retries:
        due_at = now + timedelta(seconds=backoff_delay(current))
        return _again(current, due_at, finish.error)
    return _move(
        current,
        finish.outcome,
        finished_at=finish.at,
        lease_until=None,
        result=finish.result if finish.outcome == "succeeded" else None,
        error=finish.error,
    )


def recovered(run: Run, now: datetime) -> Run:
    """What becomes of a claimed or running row whose lease has ended (rules 4 and 5)."""
    if run.state == "claimed" and (
        run.on_lost == "fail" or run.epoch - run.attempt < MAX_GIVEN_BACK
    ):
        return released(run)
    error = f"{run.owner} was lost while it ran attempt {run.attempt}"
    if run.on_lost == "retry" and run.attempt <= run.retries:
        return _again(run, now, error)
    return _move(run, "lost", finished_at=now, lease_until=None, error=error)


def given_up(run: Run, now: datetime, handlers: Container[str]) -> Run:
    """What becomes of a planned row that is too late to start (rules 6 and 7)."""
    if run.handler in handlers:
        return not_run(run, "missed", "misfire", now)
    return not_run(run, "skipped", "no_handler", now)


def _again(run: Run, due_at: datetime, error: str | None) -> Run:
    return _move(
        run, "planned", due_at=due_at, owner=None, lease_until=None, started_at=None, error=error
    )


def _move(run: Run, state: State, **changes: Any) -> Run:
    if state not in TRANSITIONS[run.state]:
        raise IllegalTransition(run.run_id, run.state, state)
    return _with(run, state=state, **changes)


def _with(run: Run, **changes: Any) -> Run:
    """`attrs.evolve` at a third of its price: transitions are the ledger's hot path."""
    values = list(_VALUES(run))
    for name, value in changes.items():
        values[_PLACES[name]] = value
    return Run(*values)
