"""Nodes that are session cores alone, on simulated links: what an agenda of events makes of them.

Each `Host` carries out the effects of its core, as `network.py` does, and its `Witness` checks that
they make sense. A `Pipe` is a connection; each direction is in order, with delays of its own, until
faults befall it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define, field, frozen

from schedule_zero.runtime import session
from schedule_zero.runtime.session import Effect, Identity, Sessions
from schedule_zero.runtime.wire import Burst, Frame, Stop
from schedule_zero.transports import Link

T = TypeVar("T")
TICK = 0.25
Edge = tuple[str, str]
"""Who calls whom; the same edge twice is two endpoints to one peer."""


@define(eq=False, on_setattr=[])
class Witness:
    """Sees the effects of one core: nothing on a link that has ended, one session a peer, `Closed`
    between one `Opened` and the next, and no rest without a session.
    """

    core: Sessions
    up: set[Link] = field(factory=set)
    opened: dict[str, tuple[Link, Identity]] = field(factory=dict)
    resting: set[str] = field(factory=set)

    def check(self, effect: Effect) -> None:
        """One effect, when its turn has come."""
        match effect:
            case session.Send(link):
                assert link in self.up
            case session.Opened(link, peer):
                assert link in self.up
                assert peer.name not in self.opened
                self.opened[peer.name] = (link, peer)
            case session.Closed(link, peer):
                assert self.opened.pop(peer.name) == (link, peer)
            case session.Delivered(link):
                assert self.is_open(link)
            case session.Dropped(link):
                assert not self.is_open(link)
                self.up.remove(link)
            case session.Rested(endpoint):
                assert endpoint not in self.resting
                self.resting.add(endpoint)
                assert not any(self.is_open(link) for link in self.up if link.endpoint == endpoint)
            case session.Resumed(endpoint):
                self.resting.remove(endpoint)

    def conclude(self) -> None:
        """All effects of one event have had their turn."""
        assert self.core.peers == {name: peer for name, (_, peer) in self.opened.items()}
        assert self.opened or not self.resting

    def is_open(self, link: Link) -> bool:
        """Whether a session goes over this link."""
        return any(link is one for one, _ in self.opened.values())


@frozen
class Change:
    """A session has begun or ended at a host."""

    at: float
    host: str
    effect: session.Opened | session.Closed


class Turns(Generic[T]):
    """Some values, one after the other, again and again."""

    def __init__(self, values: Sequence[T]) -> None:
        self._values = list(values)
        self._next = 0

    def __next__(self) -> T:
        value = self._values[self._next]
        self._next = (self._next + 1) % len(self._values)
        return value

    def __repr__(self) -> str:
        return f"Turns({self._values})"


@define(eq=False, on_setattr=[])
class Pipe:
    """One connection: side 0 has made it, side 1 was called."""

    number: int
    hosts: tuple[Host, Host]
    links: tuple[Link, Link]
    lives: tuple[int, int]
    is_cut: bool = False
    silent: list[bool] = field(factory=lambda: [False, False])
    """Whether what side 0, or side 1, says gets lost."""
    in_order: list[float] = field(factory=lambda: [0.0, 0.0])
    sent: tuple[list[int], list[int]] = field(factory=lambda: ([], []))
    heard: tuple[list[int], list[int]] = field(factory=lambda: ([], []))


@define(eq=False, on_setattr=[])
class World:
    """Some nodes and the time. `delays` (seconds), `backoffs` and `fates` are taken in turn.

    `fates` are those of frames while `is_stormy`: "ok", "lost", "twice" or "late".
    """

    names: Sequence[str]
    edges: Sequence[Edge]
    delays: Turns[float]
    backoffs: Turns[float]
    fates: Turns[str] = field(factory=lambda: Turns(["ok"]))
    has_keys: bool = False
    mute: Sequence[str] = ()
    """Who can be called and never says a word."""
    now: float = 0.0
    is_stormy: bool = False
    hosts: dict[str, Host] = field(factory=dict)
    pipes: list[Pipe] = field(factory=list)
    changes: list[Change] = field(factory=list)
    calls: list[float] = field(factory=list)
    cuts: set[frozenset[str]] = field(factory=set)
    said: int = 0
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(factory=list)
    _number: int = 0

    def __attrs_post_init__(self) -> None:
        self.hosts = {name: Host(self, name) for name in self.names}
        for host in self.hosts.values():
            host.boot()

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after so many seconds."""
        self._at(self.now + delay, action)

    def _at(self, instant: float, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (instant, self._number, action))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, action = heapq.heappop(self._agenda)
            action()
        self.now = end

    def carry(self, pipe: Pipe, side: int, arrive: Callable[[], None], *, is_frame: bool) -> None:
        """Bring something to the other side of a pipe."""
        fate = next(self.fates) if is_frame and self.is_stormy else "ok"
        if pipe.silent[side] or fate == "lost":
            return
        for _ in range(2 if fate == "twice" else 1):
            due = max(pipe.in_order[side], self.now + next(self.delays))
            if fate == "late":
                due += 0.5
            else:
                pipe.in_order[side] = due
            self._at(due, arrive)

    # Faults

    def cut(self, pipe: Pipe) -> None:
        """End a connection: each side learns of it in its time."""
        pipe.is_cut = True
        for side in (0, 1):
            self.later(next(self.delays), lambda side=side: self._lose(pipe, side))  # type: ignore[misc]

    def part(self, one: str, other: str) -> None:
        """Nothing passes between two hosts, and no connection is made, until `heal`."""
        self.cuts.add(frozenset((one, other)))
        for pipe in self.pipes:
            if frozenset(host.name for host in pipe.hosts) in self.cuts:
                pipe.silent = [True, True]

    def heal(self, *, hear_again: bool) -> None:
        """No faults from now on; silent links may stay so, or carry what is said from now on."""
        self.is_stormy = False
        self.cuts.clear()
        if hear_again:
            for pipe in self.pipes:
                pipe.silent = [False, False]

    def _lose(self, pipe: Pipe, side: int) -> None:
        pipe.hosts[side].lost(pipe, side)

    # How things stand

    def disagreements(self) -> list[str]:
        """Pairs that should have a session over one link, and have not."""
        pairs = {tuple(sorted(edge)) for edge in self.edges}
        return [f"{one} and {other}" for one, other in sorted(pairs) if not self._agree(one, other)]

    def _agree(self, one: str, other: str) -> bool:
        mine = self.hosts[one].session_with(other)
        theirs = self.hosts[other].session_with(one)
        return mine is not None and theirs is not None and mine[0] is theirs[0]


@define(eq=False, on_setattr=[])
class Host:
    """A node: its core, and what its transport keeps."""

    world: World
    name: str
    incarnation: int = 0
    core: Sessions = field(init=False)
    seen: Witness = field(init=False)
    ends: dict[Link, tuple[Pipe, int]] = field(factory=dict)
    has_left: bool = False

    # Its life

    def boot(self) -> None:
        """Begin a life."""
        self.incarnation += 1
        self.has_left = False
        self.core = Sessions(Identity(self.name, self.incarnation), "test")
        self.seen = Witness(self.core)
        self._tick(self.incarnation)
        for number, (caller, callee) in enumerate(self.world.edges):
            if caller == self.name:
                self._dial_later(f"{callee}#{number}", next(self.world.delays) * 3)

    def crash(self, *, silently: bool) -> None:
        """End a life; others learn of it, or hear nothing more."""
        for pipe, side in list(self.ends.values()):
            if silently:
                pipe.silent = [True, True]
            else:
                self._tell_end(pipe, side)
        self.ends.clear()

    def leave(self) -> None:
        """End a life in good order."""
        self.has_left = True
        self.seen.resting.clear()
        self.perform(self.core.leave())
        assert not self.ends

    def _tick(self, life: int) -> None:
        if life == self.incarnation:
            self.perform(self.core.tick(self.world.now))
            self.world.later(TICK, lambda: self._tick(life))

    # Links

    def call(self, endpoint: str) -> None:
        """Keep a link to one more endpoint: `b#9` is one of b's."""
        self._dial(endpoint, self.incarnation)

    def _dial_later(self, endpoint: str, delay: float) -> None:
        life = self.incarnation
        self.world.later(delay, lambda: self._dial(endpoint, life))

    def _dial(self, endpoint: str, life: int) -> None:
        world = self.world
        if life != self.incarnation or endpoint in self.seen.resting or self._has_link(endpoint):
            return
        callee = world.hosts[endpoint.partition("#")[0]]
        world.calls.append(world.now)
        if callee.has_left or frozenset((self.name, callee.name)) in world.cuts:
            self._dial_later(endpoint, next(world.backoffs))
            return
        users = (callee.name, self.name) if world.has_keys else ("", "")
        links = (
            Link(endpoint, users[0], endpoint),
            Link(f"from {self.name} by {endpoint} at {world.now:g}", users[1]),
        )
        hosts, lives = (self, callee), (self.incarnation, callee.incarnation)
        pipe = Pipe(len(world.pipes), hosts, links, lives)
        pipe.silent[1] = callee.name in world.mute
        world.pipes.append(pipe)
        self._adopt(pipe, 0)
        world.carry(pipe, 0, lambda: callee.called(pipe), is_frame=False)
        self.perform(self.core.link_up(links[0], world.now))

    def called(self, pipe: Pipe) -> None:
        """Another node has made a link to here."""
        if pipe.lives[1] == self.incarnation and not pipe.is_cut and not self.has_left:
            self._adopt(pipe, 1)
            self.perform(self.core.link_up(pipe.links[1], self.world.now))
        else:
            self._tell_end(pipe, 1)

    def heard(self, pipe: Pipe, side: int, frame: Frame) -> None:
        """A frame has arrived."""
        if pipe.links[side] in self.ends and not pipe.is_cut:
            self.perform(self.core.heard(pipe.links[side], frame, self.world.now))

    def lost(self, pipe: Pipe, side: int) -> None:
        """The link has ended, and not by this side's will."""
        link = pipe.links[side]
        if link in self.ends:
            self._forget(pipe, side)
            self.perform(self.core.link_down(link, "lost", self.world.now))

    def _adopt(self, pipe: Pipe, side: int) -> None:
        self.ends[pipe.links[side]] = (pipe, side)
        self.seen.up.add(pipe.links[side])

    def _end(self, link: Link) -> None:
        """End a link by this side's will."""
        pipe, side = self.ends[link]
        self._forget(pipe, side)
        self._tell_end(pipe, side)

    def _forget(self, pipe: Pipe, side: int) -> None:
        link = pipe.links[side]
        del self.ends[link]
        self.seen.up.discard(link)
        if link.is_outbound and link.endpoint not in self.seen.resting and not self.has_left:
            self._dial_later(link.endpoint, next(self.world.backoffs))

    def _tell_end(self, pipe: Pipe, side: int) -> None:
        other = 1 - side
        self.world.carry(pipe, side, lambda: self.world._lose(pipe, other), is_frame=False)

    def _has_link(self, endpoint: str) -> bool:
        return any(link.endpoint == endpoint for link in self.ends)

    # What its core says

    def perform(self, effects: Sequence[Effect]) -> None:
        """Carry out effects, and check that they can be."""
        for effect in effects:
            self.seen.check(effect)
            match effect:
                case session.Send(link, frame):
                    self._send(*self.ends[link], frame)
                case session.Opened() | session.Closed():
                    self.world.changes.append(Change(self.world.now, self.name, effect))
                case session.Delivered(link, items):
                    pipe, side = self.ends[link]
                    pipe.heard[side].extend(item.actor for item in items if isinstance(item, Stop))
                case session.Dropped(link):
                    self._end(link)
                case session.Rested(endpoint):
                    for link in [link for link in self.ends if link.endpoint == endpoint]:
                        self._end(link)
                case session.Resumed(endpoint):
                    self._dial_later(endpoint, next(self.world.delays))
        self.seen.conclude()

    def _send(self, pipe: Pipe, side: int, frame: Frame) -> None:
        other = 1 - side
        receiver = pipe.hosts[other]
        self.world.carry(pipe, side, lambda: receiver.heard(pipe, other, frame), is_frame=True)

    # What its actors do

    def say(self, name: str) -> None:
        """Tell a peer something, if there is a session."""
        if name not in self.seen.opened:
            return
        link = self.seen.opened[name][0]
        pipe, side = self.ends[link]
        self.world.said += 1
        pipe.sent[side].append(self.world.said)
        number = self.core.number(link, self.world.now)
        self._send(pipe, side, Burst(number, [Stop(self.world.said)]))

    def hang_up(self, name: str) -> None:
        """End the session with a peer, if there is one."""
        self.perform(self.core.hang_up(name, "told so"))

    def session_with(self, name: str) -> tuple[Pipe, int] | None:
        """The connection of the session, and the peer's life."""
        if name not in self.seen.opened:
            return None
        link, peer = self.seen.opened[name]
        if peer.incarnation != self.world.hosts[name].incarnation:
            return None
        return self.ends[link][0], peer.incarnation
