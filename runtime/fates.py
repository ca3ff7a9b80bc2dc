"""Fates: monitors and links between actors of two nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from schedule_zero.runtime import refusals
from schedule_zero.runtime.errors import LinkedActorEnded
from schedule_zero.runtime.exports import Exports
from schedule_zero.runtime.links import join, part
from schedule_zero.runtime.monitors import Down, add_watcher, tell_watchers
from schedule_zero.runtime.reason import NOCONNECTION, NOPROC, Reason
from schedule_zero.runtime.wire import Ended, Exit, Link, Unlink, Unwatch, Watch

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell
    from schedule_zero.runtime.peer import Peer
    from schedule_zero.runtime.remote import RemoteActor

_MOST_LINKS = 100_000
"""With one peer: more of them are refused, as a peer could make them up without end."""


class RemoteWatcher:
    """Stands among the watchers of a local actor for all those of one peer."""

    watching = None

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer = peer
        self._number = number

    def post(self, down: Down) -> None:
        """The actor has ended."""
        self._peer.fates.ended(self._number, down.reason)


class Fates:
    """Whose end is told to whom, between this node and one peer."""

    def __init__(self, peer: Peer, exports: Exports) -> None:
        self._peer = peer
        self._exports = exports
        self._watched: dict[int, tuple[Cell, RemoteWatcher]] = {}
        self._linked: dict[tuple[int, int], tuple[Cell, RemoteActor]] = {}

    # From here to there

    def watch(self, actor: RemoteActor) -> None:
        """The first actor here monitors that one."""
        self._peer.say(Watch(actor.number))

    def unwatch(self, actor: RemoteActor) -> None:
        """The last one does no more."""
        self._peer.say(Unwatch(actor.number))

    def ended(self, number: int, reason: Reason) -> None:
        """An actor of ours that the peer watches has ended."""
        if self._watched.pop(number, None) is not None:
            self._peer.say(Ended(number, *refusals.to_text(reason)))

    def link(self, mine: Cell, theirs: RemoteActor) -> None:
        """Our actor has linked itself to theirs."""
        number = self._exports.number(mine)
        self._linked[number, theirs.number] = (mine, theirs)
        self._peer.say(Link(number, theirs.number))

    def unlink(self, mine: Cell, theirs: RemoteActor) -> None:
        """Our actor has parted from theirs, or ended well."""
        number = self._exports.number(mine)
        if self._linked.pop((number, theirs.number), None) is not None:
            self._peer.say(Unlink(number, theirs.number))

    def exit(self, mine: Cell, theirs: RemoteActor, reason: Reason) -> None:
        """Our actor has ended abnormally, and theirs shares its fate."""
        number = self._exports.number(mine)
        if self._linked.pop((number, theirs.number), None) is not None:
            self._peer.say(Exit(number, theirs.number, *refusals.to_text(reason)))

    # From there to here

    def heard(self, item: Watch | Unwatch | Ended | Link | Unlink | Exit) -> None:
        """One item of a burst."""
        match item:
            case Watch():
                self._watch_ours(item.actor)
            case Unwatch():
                self._unwatch_ours(item.actor)
            case Ended():
                self._theirs_ended(item)
            case Link():
                self._link_ours(item)
            case Unlink():
                self._part(item.yours, item.mine)
            case Exit():
                self._share(item)

    def lost(self, actors: Sequence[RemoteActor]) -> None:
        """The session has ended: so has all that depended on it."""
        for number in list(self._watched):
            self._unwatch_ours(number)
        linked, self._linked = self._linked, {}
        for mine, theirs in linked.values():
            part(mine, theirs)
            mine.fail_beside(LinkedActorEnded(theirs.path, NOCONNECTION))
        for actor in actors:
            tell_watchers(actor, NOCONNECTION)

    def _watch_ours(self, number: int) -> None:
        if number in self._watched:
            return
        cell = self._exports.cell(number)
        if cell is None:
            self._peer.say(Ended(number, NOPROC.kind))
            return
        watcher = RemoteWatcher(self._peer, number)
        self._watched[number] = (cell, watcher)
        add_watcher(cell, watcher)

    def _unwatch_ours(self, number: int) -> None:
        cell, watcher = self._watched.pop(number, (None, None))
        if cell is not None and cell.watchers is not None and watcher is not None:
            cell.watchers.pop(watcher, None)

    def _theirs_ended(self, item: Ended) -> None:
        reason = refusals.to_reason(item.reason, item.text)
        actor = self._peer.actor(item.actor)
        actor.ended = reason
        tell_watchers(actor, reason)

    def _link_ours(self, item: Link) -> None:
        cell = self._exports.cell(item.yours)
        if cell is None or cell.is_halted or len(self._linked) >= _MOST_LINKS:
            self._peer.say(Exit(item.yours, item.mine, NOPROC.kind))
            return
        theirs = self._peer.actor(item.mine)
        self._linked[item.yours, item.mine] = (cell, theirs)
        join(cell, theirs)

    def _part(self, ours: int, theirs: int) -> tuple[Cell, RemoteActor] | None:
        linked = self._linked.pop((ours, theirs), None)
        if linked is not None:
            part(*linked)
        return linked

    def _share(self, item: Exit) -> None:
        linked = self._part(item.yours, item.mine)
        if linked is not None:
            reason = refusals.to_reason(item.reason, item.text)
            linked[0].fail_beside(LinkedActorEnded(linked[1].path, reason))
