"""One claim: which candidates of which handlers are taken, by the gate's verdicts."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from schedule_zero.actors.store.overlap import Gate
from schedule_zero.actors.store.run import Run
from schedule_zero.actors.store.transaction import Change, Transaction

_MAX_PAGES = 5


@frozen
class Claiming:
    """Collects the changes of one claim over several handlers."""

    tx: Transaction
    gate: Gate
    owner: str
    lease: float
    until: datetime
    changes: list[Change] = field(factory=list)
    taken: list[Run] = field(factory=list)

    def take(self, handler: str, room: int) -> None:
        """Claim up to `room` runs of a handler.

        Candidates that are skipped or wait their turn take no room; a bounded number of pages is
        looked through, so that a queue of them delays nobody.
        """
        goal = len(self.taken) + room
        for page in range(_MAX_PAGES if room > 0 else 0):
            found = self.tx.candidates(handler, self.until, room, page * room)
            self._note_busy(found)
            for run in found:
                if len(self.taken) == goal:
                    return
                self._pass(run)
            if len(found) < room:
                return

    def _pass(self, run: Run) -> None:
        after = self.gate.passed(run, self.owner, self.lease)
        if after is not run:
            self.changes.append((run, after))
        if after.state == "claimed":
            self.taken.append(after)

    def _note_busy(self, found: list[Run]) -> None:
        ids = {run.schedule_id for run in found if run.schedule_id and run.overlap != "allow_all"}
        self.gate.add_busy(self.tx.in_progress(ids))
        self.gate.add_overlapped(
            {
                run.run_id
                for run in found
                if self.gate.may_have_overlapped(run)
                and self.tx.was_running(run.schedule_id or "", run.due_at)
            }
        )
