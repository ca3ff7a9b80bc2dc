"""Sessions: who speaks with whom over which link, and whether all that was said has arrived. Pure.

The rules that this file keeps:

1. A session is one conversation over one link, between two lives (incarnations) of two nodes. Two
   lives have one session at most; both sides agree on its link.
2. Bursts are numbered from 1 in each direction. A repeated one is dropped, a missing one ends the
   session: what was said is heard in order, up to some point, and nothing after it.
3. Whoever hears nothing for `timeout` seconds ends the session; whoever has said nothing for
   `interval` sends a sign of life, with the number of the last burst, so that the loss of the last
   one is found out as well.
4. A greater incarnation ends the session with the smaller one, which is refused from then on.
5. The side that was called decides. A hello tells which sessions its speaker has and which of its
   calls nobody has answered yet. Whoever names our session, or still waits for our answer to the
   call that began it, or spoke before it began, is redundant. Whoever does not has lost it, and
   the new session replaces it.
6. When two nodes call each other at once, the one with the smaller name waits for the answers to
   the calls that it has made so far before it answers the other's, and the other answers at once.
   In calls that it makes meanwhile it names the other as if there were a session: there will be.
7. Effects come in the order in which they have to be done.

Events carry the time as `now`, monotonic seconds.
"""

from __future__ import annotations

import math
from typing import Literal

from attrs import define, field, frozen

from schedule_zero.runtime.wire import (
    PROTOCOL,
    Alive,
    Burst,
    Frame,
    Goodbye,
    Hello,
    Item,
)
from schedule_zero.transports import Link

LEAVING = "the node stops"
"""Why a session ends in good order."""


@frozen
class Identity:
    """One life of a node."""

    name: str
    incarnation: int


@frozen
class Send:
    """Put this frame on the link."""

    link: Link
    frame: Frame


@frozen
class Opened:
    """A session with this peer has begun."""

    link: Link
    peer: Identity


@frozen
class Delivered:
    """The peer of this link said this."""

    link: Link
    items: list[Item]


@frozen
class Closed:
    """The session over this link has ended."""

    link: Link
    peer: Identity
    reason: str


@frozen
class Dropped:
    """The link is of no use: end it. An outbound one is made anew."""

    link: Link
    reason: str


@frozen
class Rested:
    """The peer has called already: keep no link to this endpoint until told otherwise."""

    endpoint: str


@frozen
class Resumed:
    """Keep a link to this endpoint again."""

    endpoint: str


@frozen
class Refused:
    """Something came that cannot be: for the log and the counters."""

    link: Link
    code: str
    text: str


Effect = Send | Opened | Delivered | Closed | Dropped | Rested | Resumed | Refused
State = Literal["calling", "called", "waiting", "open"]

_LONGEST_NAME = 255
_LONGEST_TEXT = 200
_MOST_NAMES = 10_000
_CODES = frozenset(
    {
        *("bad-frame", "bad-name", "changed", "cluster", "gap", "hung-up", "leaving", "no-answer"),
        *("no-hello", "own-name", "protocol", "redundant", "replaced", "silent", "stale"),
        "wrong-name",
    }
)
"""Of goodbyes. What a stranger makes up counts as "other": it would be a counter and a log line."""


@define(eq=False)
class _Talk:
    """What is known of one link.

    `calling`: our hello is out. `called`: no hello of theirs yet. `waiting`: theirs is in and is
    answered when our own calls up to `after` are (rule 6). `open`: a session.

    `said` and `count` are the numbers of our hello on it and of theirs.
    """

    link: Link
    state: State
    since: float
    heard_at: float
    sent_at: float
    said: int = 0
    count: int = 0
    sent: int = 0
    received: int = 0
    hello: Hello | None = None
    after: int = 0
    peer: Identity | None = None

    def may_reach(self, name: str) -> bool:
        """Whether the other end can be this node, as far as its key says."""
        return self.link.user in ("", name)


@define
class Sessions:
    """All conversations of one node. `interval` and `timeout` are seconds, as is `patience`: how
    long a call may be without answer.
    """

    me: Identity
    cluster: str = ""
    interval: float = 1.0
    timeout: float = 4.0
    patience: float = 2.0
    _talks: dict[Link, _Talk] = field(factory=dict, init=False)
    _open: dict[str, _Talk] = field(factory=dict, init=False)
    _resting: dict[str, str] = field(factory=dict, init=False)
    _newest: dict[str, int] = field(factory=dict, init=False)
    _hellos: int = field(default=0, init=False)
    _has_left: bool = field(default=False, init=False)

    @property
    def peers(self) -> dict[str, Identity]:
        """With whom there is a session, by name."""
        return {name: talk.peer for name, talk in self._open.items() if talk.peer is not None}

    def link_up(self, link: Link, now: float) -> list[Effect]:
        """A link can carry frames: call, or be called."""
        if self._has_left:
            return [Dropped(link, LEAVING)]
        talk = _Talk(link, "called", now, heard_at=now, sent_at=now)
        effects: list[Effect] = []
        if link.is_outbound:
            effects.append(Send(link, self._hello(talk)))
            talk.state = "calling"
        self._talks[link] = talk
        return effects

    def link_down(self, link: Link, reason: str, now: float) -> list[Effect]:
        """A link has ended."""
        talk = self._talks.pop(link, None)
        if talk is None:
            return []
        return [*self._close(talk, reason), *self._answer_waiting(now)]

    def heard(self, link: Link, frame: Frame, now: float) -> list[Effect]:
        """A frame has come in."""
        talk = self._talks.get(link)
        if talk is None:
            return []  # late: the link was dropped
        talk.heard_at = now
        match frame:
            case Burst() if talk.state == "open" and frame.number == talk.received + 1:
                talk.received += 1
                return [Delivered(link, frame.items)]
            case Burst():
                effects = self._told_out_of_turn(talk, frame.number)
            case Hello():
                effects = self._greeted(talk, frame, now)
            case Goodbye():
                effects = self._left(talk, frame)
            case Alive():
                effects = self._is_behind(talk, frame.number)
        return [*effects, *self._answer_waiting(now)]

    def number(self, link: Link, now: float) -> int:
        """The number of the next burst on an open link; it is taken to be sent now."""
        talk = self._talks[link]
        talk.sent += 1
        talk.sent_at = now
        return talk.sent

    def tick(self, now: float) -> list[Effect]:
        """Time has passed: signs of life, and the end of what is silent."""
        effects: list[Effect] = []
        for talk in list(self._talks.values()):
            if talk.state == "open":
                if now - talk.heard_at >= self.timeout:
                    silence = f"silent for {now - talk.heard_at:.3g} s"
                    effects += self._end(talk, "silent", silence)
                elif now - talk.sent_at >= self.interval:
                    talk.sent_at = now
                    effects.append(Send(talk.link, Alive(talk.sent)))
            elif talk.state != "waiting" and now - talk.since >= self.patience:
                effects += self._end(talk, "no-answer", "no answer to a call")
        return [*effects, *self._answer_waiting(now)]

    def leave(self) -> list[Effect]:
        """The node stops: take leave of everyone. No link is of use from now on."""
        self._has_left = True
        self._resting.clear()
        effects: list[Effect] = []
        for talk in list(self._talks.values()):
            effects += self._end(talk, "leaving", LEAVING)
        return effects

    def hang_up(self, name: str, reason: str) -> list[Effect]:
        """End the session with a peer, if there is one."""
        talk = self._open.get(name)
        return [] if talk is None else self._end(talk, "hung-up", reason)

    # What came in

    def _greeted(self, talk: _Talk, hello: Hello, now: float) -> list[Effect]:
        wrong = self._what_is_wrong(talk, hello)
        if wrong is not None:
            return self._refuse(talk, *wrong)
        if talk.state in ("open", "waiting"):
            return []  # a repetition: a new conversation has a new link
        if talk.state == "called":
            return self._decide(talk, hello, now)
        known = self._known(hello)
        if known is not None and hello.count < known.count:  # it has spoken elsewhere since
            return self._end_redundant(talk)
        return self._begin(talk, hello, now)

    def _what_is_wrong(self, talk: _Talk, hello: Hello) -> tuple[str, str] | None:
        name = _shown(hello.name)
        if hello.protocol != PROTOCOL:
            return "protocol", f"it speaks version {hello.protocol}, this node {PROTOCOL}"
        if hello.cluster != self.cluster:
            theirs, ours = _shown(hello.cluster), _shown(self.cluster)
            return "cluster", f"it is of cluster {theirs}, this node of {ours}"
        if hello.name == self.me.name:
            return "own-name", f"both are named {name}"
        if not 0 < len(hello.name) <= _LONGEST_NAME:
            return "bad-name", f"a name has 1 to {_LONGEST_NAME} characters, {name} has not"
        if not talk.may_reach(hello.name):
            return "wrong-name", f"its key is that of {talk.link.user!r}, not of {name}"
        if talk.peer is not None and talk.peer != Identity(hello.name, hello.incarnation):
            return "changed", "another life spoke on the same link"
        if hello.incarnation < self._newest.get(hello.name, hello.incarnation):
            return "stale", f"{name} has a later life"
        return None

    def _decide(self, talk: _Talk, hello: Hello, now: float) -> list[Effect]:
        """Answer a call: with a hello, with a goodbye, or later."""
        names_us = hello.sessions.get(self.me.name) == self.me.incarnation
        known = self._known(hello)
        if known is not None:
            is_old = hello.count <= known.count or known.count in hello.calls
            if names_us or is_old:
                return self._end_redundant(talk)
            return self._accept(talk, hello, now)
        older = self._open.get(hello.name)
        ended = [] if older is None else self._end(older, "replaced", "a later life has begun")
        if names_us and self._is_calling(hello.name):  # the answer to our own is on its way
            return [*ended, *self._end_redundant(talk)]
        if talk.state == "called":
            talk.after = self._hellos
        if self.me.name < hello.name and self._is_calling(hello.name, talk.after):
            talk.state, talk.hello = "waiting", hello
            return ended
        return [*ended, *self._accept(talk, hello, now)]

    def _accept(self, talk: _Talk, hello: Hello, now: float) -> list[Effect]:
        *ended, opened = self._begin(talk, hello, now)
        return [*ended, Send(talk.link, self._hello(talk)), opened]

    def _begin(self, talk: _Talk, hello: Hello, now: float) -> list[Effect]:
        known = self._open.get(hello.name)
        effects = [] if known is None else self._end(known, "replaced", "a new session has begun")
        talk.state, talk.hello, talk.count = "open", None, hello.count
        talk.heard_at = talk.sent_at = now
        talk.peer = Identity(hello.name, hello.incarnation)
        self._open[hello.name] = talk
        self._remember(talk.peer)
        return [*effects, Opened(talk.link, talk.peer)]

    def _answer_waiting(self, now: float) -> list[Effect]:
        """Answer the calls that need not wait any more."""
        effects: list[Effect] = []
        while (talk := self._next_to_answer()) is not None:
            assert talk.hello is not None
            wrong = self._what_is_wrong(talk, talk.hello)
            if wrong is None:
                effects += self._decide(talk, talk.hello, now)
            else:
                effects += self._refuse(talk, *wrong)
        return effects

    def _next_to_answer(self) -> _Talk | None:
        """The one that has spoken last: it may have given up the others."""
        ready = [
            (talk.hello.incarnation, talk.hello.count, talk)
            for talk in self._talks.values()
            if talk.state == "waiting"
            and talk.hello is not None
            and (talk.hello.name in self._open or not self._is_calling(talk.hello.name, talk.after))
        ]
        return max(ready, key=lambda one: one[:2])[2] if ready else None

    def _left(self, talk: _Talk, goodbye: Goodbye) -> list[Effect]:
        del self._talks[talk.link]
        code = goodbye.code if goodbye.code in _CODES else "other"
        text = goodbye.text[:_LONGEST_TEXT] or code
        effects = self._close(talk, text)
        endpoint, name = talk.link.endpoint, goodbye.name
        if code == "redundant" and endpoint and name in self._open and talk.may_reach(name):
            self._resting[endpoint] = name
            return [*effects, Rested(endpoint)]
        if code not in ("leaving", "redundant"):
            effects.append(Refused(talk.link, code, text))
        return [*effects, Dropped(talk.link, text)]

    def _told_out_of_turn(self, talk: _Talk, number: int) -> list[Effect]:
        if talk.state != "open":
            return self._refuse(talk, "no-hello", "it spoke before its hello")
        return self._is_behind(talk, number - 1)

    def _is_behind(self, talk: _Talk, number: int) -> list[Effect]:
        if talk.state != "open" or number <= talk.received:
            return []
        return self._end(talk, "gap", f"bursts {talk.received + 1} to {number} are lost")

    # The ends of talks

    def _refuse(self, talk: _Talk, code: str, text: str) -> list[Effect]:
        return [Refused(talk.link, code, text), *self._end(talk, code, text)]

    def _end_redundant(self, talk: _Talk) -> list[Effect]:
        return self._end(talk, "redundant", "there is a session already")

    def _end(self, talk: _Talk, code: str, text: str) -> list[Effect]:
        """Take leave and drop the link."""
        del self._talks[talk.link]
        goodbye = Send(talk.link, Goodbye(code, self.me.name, text))
        return [goodbye, *self._close(talk, text), Dropped(talk.link, text)]

    def _close(self, talk: _Talk, reason: str) -> list[Effect]:
        if talk.peer is None or self._open.get(talk.peer.name) is not talk:
            return []
        del self._open[talk.peer.name]
        rested = [end for end, name in self._resting.items() if name == talk.peer.name]
        for endpoint in rested:
            del self._resting[endpoint]
        return [Closed(talk.link, talk.peer, reason), *[Resumed(end) for end in rested]]

    # What is known

    def _known(self, hello: Hello) -> _Talk | None:
        """The session with the life that speaks, if there is one."""
        talk = self._open.get(hello.name)
        is_same = talk is not None and talk.peer == Identity(hello.name, hello.incarnation)
        return talk if is_same else None

    def _is_calling(self, name: str, up_to: float = math.inf) -> bool:
        """Whether a call of ours, or one of the first so many, may be on its way to this node."""
        return any(
            talk.state == "calling" and talk.said <= up_to and talk.may_reach(name)
            for talk in self._talks.values()
        )

    def _remember(self, peer: Identity) -> None:
        self._newest.pop(peer.name, None)
        self._newest[peer.name] = peer.incarnation
        if len(self._newest) > _MOST_NAMES:
            oldest = next((name for name in self._newest if name not in self._open), peer.name)
            del self._newest[oldest]

    def _hello(self, talk: _Talk) -> Hello:
        """The next hello, which is said on this link."""
        self._hellos += 1
        talk.said = self._hellos
        sessions = {name: peer.incarnation for name, peer in self.peers.items()}
        for other in self._talks.values():
            if other.state == "waiting" and other.hello is not None:
                sessions.setdefault(other.hello.name, other.hello.incarnation)
        calls = [other.said for other in self._talks.values() if other.state == "calling"]
        me = self.me
        return Hello(PROTOCOL, self.cluster, me.name, me.incarnation, talk.said, sessions, calls)


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...")
