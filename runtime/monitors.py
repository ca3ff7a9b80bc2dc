"""Monitors: one actor is told when another has ended for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedule_zero.runtime.message import message
from schedule_zero.runtime.reason import NOPROC, Reason
from schedule_zero.runtime.ref import ActorRef

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell


@message
class Down:
    """A monitored actor has ended, for `reason` (`"failed: ValueError: ..."` and the like)."""

    ref: ActorRef
    reason: Reason


def monitor(watcher: Cell, watched: Cell) -> None:
    """Tell `watcher` with `Down` when `watched` ends for good; at once when it has."""
    if watched.is_stopped:
        watcher.post(Down(watched.ref, NOPROC))
        return
    watcher.watching = watcher.watching or {}
    watcher.watching[watched] = None
    watched.watchers = watched.watchers or {}
    watched.watchers[watcher] = None


def demonitor(watcher: Cell, watched: Cell) -> None:
    """Stop monitoring; harmless when it was not."""
    if watcher.watching is not None:
        watcher.watching.pop(watched, None)
    if watched.watchers is not None:
        watched.watchers.pop(watcher, None)


def tell_watchers(ended: Cell, reason: Reason) -> None:
    """Tell everyone who monitors a cell that has ended, once."""
    watchers, ended.watchers = ended.watchers, None
    for watcher in watchers or ():
        if watcher.watching is not None:
            watcher.watching.pop(ended, None)
        watcher.post(Down(ended.ref, reason))
