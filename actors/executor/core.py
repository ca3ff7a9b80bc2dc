"""Which claimed run goes to which instance, and when: pure.

The rules that this file keeps:

1. An instance takes one run at a time.
2. A run starts no earlier than it is due. Of the runs that are due, a handler's instances take
   those of the highest priority first, then the earliest due.
   A claim whose lease has ended is not started: it may be another's by now.
3. A handler without a free instance delays no other handler.
4. Ahead of need no more runs are claimed than the instances will take within `AHEAD` seconds,
   judged by how long their runs took of late, and at most `CLAIM_MAX` a handler; where runs take
   longer than that, only what free instances can start.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from schedule_zero.actors.store import Run

Instance = TypeVar("Instance", bound=Hashable)

AHEAD = 1.0
CLAIM_MAX = 1000
_FIRST_GUESS = 0.01
_SMOOTHING = 0.1


class _Lane(Generic[Instance]):
    """One handler: its instances, and its claimed runs that have not started."""

    def __init__(self) -> None:
        self.instances: dict[Instance, None] = {}
        self.free: dict[Instance, None] = {}
        self.later: list[tuple[datetime, int, Run]] = []
        self.due: list[tuple[int, datetime, int, Run]] = []
        self.seconds = _FIRST_GUESS

    @property
    def waiting(self) -> int:
        return len(self.later) + len(self.due)

    def slots(self) -> int:
        each = int(AHEAD / max(self.seconds, 1e-6))
        room = len(self.instances) * each if each else len(self.free)
        return min(CLAIM_MAX, room) - self.waiting

    def ripen(self, now: datetime) -> None:
        while self.later and self.later[0][0] <= now:
            due_at, number, run = heapq.heappop(self.later)
            heapq.heappush(self.due, (-run.priority, due_at, number, run))


class Executions(Generic[Instance]):
    """The claimed runs of one executor."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane[Instance]] = {}
        self._running: dict[UUID, tuple[Run, Instance]] = {}
        self._number = 0
        self._renewed_until: datetime | None = None

    @property
    def waiting(self) -> int:
        """Runs that are claimed and have not started."""
        return sum(lane.waiting for lane in self._lanes.values())

    @property
    def running(self) -> list[Run]:
        """Runs that an instance has."""
        return [run for run, _ in self._running.values()]

    @property
    def held(self) -> list[Run]:
        """Every claimed run, started or not."""
        return [*self.running, *self._waiting_runs()]

    def set_instances(self, instances: Mapping[str, Sequence[Instance]]) -> list[Run]:
        """These are the handlers now. Returns the waiting runs of handlers that are gone."""
        orphans: list[Run] = []
        for handler in [name for name in self._lanes if name not in instances]:
            orphans += self._runs_of(self._lanes.pop(handler))
        busy = {instance for _, instance in self._running.values()}
        for handler, refs in instances.items():
            lane = self._lanes.setdefault(handler, _Lane())
            lane.instances = dict.fromkeys(refs)
            lane.free = {ref: None for ref in refs if ref not in busy}
        return orphans

    def slots(self) -> dict[str, int]:
        """How many more runs to claim for each handler (rule 4); handlers with none left out."""
        wanted = {handler: lane.slots() for handler, lane in self._lanes.items()}
        return {handler: count for handler, count in wanted.items() if count > 0}

    def wants_more(self, handler: str) -> bool:
        """Whether a handler has run half empty."""
        lane = self._lanes.get(handler)
        return lane is not None and lane.slots() > lane.waiting

    def hold(self, runs: Iterable[Run]) -> list[Run]:
        """Runs have been claimed. Returns those whose handler has left meanwhile."""
        orphans: list[Run] = []
        for run in runs:
            lane = self._lanes.get(run.handler)
            if lane is None:
                orphans.append(run)
                continue
            self._number += 1
            heapq.heappush(lane.later, (run.due_at, self._number, run))
        return orphans

    def take(self, now: datetime) -> list[tuple[Run, Instance]]:
        """What starts now, each with its instance, which is taken by it."""
        taken: list[tuple[Run, Instance]] = []
        for lane in self._lanes.values():
            lane.ripen(now)
            while lane.due and lane.free:
                run = heapq.heappop(lane.due)[-1]
                if self._has_expired(run, now):
                    continue
                instance = next(iter(lane.free))
                del lane.free[instance]
                self._running[run.run_id] = (run, instance)
                taken.append((run, instance))
        return taken

    def renewed(self, until: datetime) -> None:
        """All claims that are held now are leased until then."""
        self._renewed_until = until

    def _has_expired(self, run: Run, now: datetime) -> bool:
        until = [at for at in (run.lease_until, self._renewed_until) if at is not None]
        return bool(until) and max(until) <= now

    def ended(self, run_id: UUID, seconds: float) -> None:
        """A run has ended after so many seconds, however it went; its instance is free."""
        run, instance = self._running.pop(run_id)
        lane = self._lanes.get(run.handler)
        if lane is not None:
            lane.seconds += _SMOOTHING * (seconds - lane.seconds)
            if instance in lane.instances:
                lane.free[instance] = None

    def withdraw(self, schedule_id: str) -> list[Run]:
        """Give up the waiting runs of a schedule."""
        return self._drop(lambda run: run.schedule_id == schedule_id)

    def fenced(self, run_ids: frozenset[UUID]) -> list[Run]:
        """Give up the waiting runs whose claim is lost."""
        return self._drop(lambda run: run.run_id in run_ids)

    def withdraw_all(self) -> list[Run]:
        """Give up every waiting run."""
        return self._drop(lambda run: True)

    def next_due(self) -> datetime | None:
        """When the next waiting run becomes due that a free instance could take."""
        dues = [lane.later[0][0] for lane in self._lanes.values() if lane.later and lane.free]
        return min(dues, default=None)

    def check(self) -> None:
        """Assert the rules that can be seen in the state."""
        taken = [instance for _, instance in self._running.values()]
        assert len(taken) == len(set(taken)), "rule 1"
        for lane in self._lanes.values():
            assert not set(taken) & set(lane.free), "rule 1"

    def _waiting_runs(self) -> list[Run]:
        return [run for lane in self._lanes.values() for run in self._runs_of(lane)]

    def _runs_of(self, lane: _Lane[Instance]) -> list[Run]:
        return [entry[-1] for entry in lane.due] + [entry[-1] for entry in lane.later]

    def _drop(self, is_gone: Callable[[Run], bool]) -> list[Run]:
        gone: list[Run] = []
        for lane in self._lanes.values():
            dropped = [run for run in self._runs_of(lane) if is_gone(run)]
            if dropped:
                gone += dropped
                lane.later = [entry for entry in lane.later if not is_gone(entry[-1])]
                lane.due = [entry for entry in lane.due if not is_gone(entry[-1])]
                heapq.heapify(lane.later)
                heapq.heapify(lane.due)
        return gone
