"""Monitors: one actor is told when another has ended for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from schedule_zero.runtime.message import message
from schedule_zero.runtime.reason import NOPROC, Reason
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.remote import RemoteActor, Target

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell


@message
class Down:
    """A monitored actor has ended, for `reason` (`"failed: ValueError: ..."` and the like)."""

    ref: ActorRef
    reason: Reason


class Watcher(Protocol):
    """Who is told: a cell, or what stands for those of another node."""

    @property
    def watching(self) -> dict[Target, None] | None:
        """What it watches, where that matters."""

    def post(self, item: Down, /) -> None:
        """Tell it."""


def monitor(watcher: Cell, watched: Target) -> None:
    """Tell `watcher` with `Down` when `watched` ends for good; at once when it has."""
    gone = why_gone(watched)
    if gone is not None:
        watcher.post(Down(watched.ref, gone))
        return
    watcher.watching = watcher.watching or {}
    watcher.watching[watched] = None
    is_first = not watched.watchers
    add_watcher(watched, watcher)
    if is_first and isinstance(watched, RemoteActor):
        watched.peer.fates.watch(watched)


def demonitor(watcher: Cell, watched: Target) -> None:
    """Stop monitoring; harmless when it was not."""
    if watcher.watching is not None:
        watcher.watching.pop(watched, None)
    if not watched.watchers or watcher not in watched.watchers:
        return
    del watched.watchers[watcher]
    if isinstance(watched, RemoteActor) and not watched.watchers:
        watched.peer.fates.unwatch(watched)


def add_watcher(watched: Target, watcher: Watcher) -> None:
    """Note who is to be told."""
    watched.watchers = watched.watchers or {}
    watched.watchers[watcher] = None


def tell_watchers(ended: Target, reason: Reason) -> None:
    """Tell everyone who monitors an actor that has ended, once."""
    watchers, ended.watchers = ended.watchers, None
    for watcher in watchers or ():
        if watcher.watching is not None:
            watcher.watching.pop(ended, None)
        watcher.post(Down(ended.ref, reason))


def why_gone(target: Target) -> Reason | None:
    """Why there is nothing to watch or to link to; `None` when there is."""
    if isinstance(target, RemoteActor):
        return target.why_gone
    return NOPROC if target.is_stopped else None
