"""Reads and runs the scripts in `tests/scripts/sessions`.

A script is a node and its links, then events, each followed by the effects that it must have,
indented::

    node a:1 cluster=home patience=2
    links out->e1 in=b

    at 0: out up
        send out hello #1
    at 0.5: out hears hello b:7 #1 has a:1
        open out b:7

`a:1` is incarnation 1 of node a. `out->e1` is a link to the endpoint e1, `in` one that the peer
has made, `in=b` one whose key is that of b. `#1` is a hello's count; `has` are the sessions that it
tells of, and `calls` the counts of the calls that have no answer yet; `cluster away` and
`protocol 2` stand where they differ from the node's.

Events: `X up`, `X down`, `X hears FRAME`, `say on X`, `tick`, `hang up on NAME`, `leave`. Frames:
`hello`, `burst 1`, `alive 1`, `goodbye CODE by NAME`. No effect at all is written `nothing`. `#`
and a space begin a comment.
"""

from __future__ import annotations

from pathlib import Path

from attrs import define, field

from schedule_zero.runtime import session
from schedule_zero.runtime.session import Effect, Identity, Sessions
from schedule_zero.runtime.wire import PROTOCOL, Alive, Burst, Frame, Goodbye, Hello, Stop
from schedule_zero.transports import Link

SCRIPTS = Path(__file__).parents[1] / "scripts" / "sessions"


def run_script(text: str) -> tuple[list[str], list[str]]:
    """What the script expects and what the core does, both as lines of a script."""
    lines = [f"{line} ".split("# ")[0].rstrip() for line in text.splitlines()]
    expected = [line for line in lines if line]
    play = Play.of(expected[0], expected[1])
    actual = expected[:2]
    for event in (line for line in expected[2:] if not line.startswith(" ")):
        instant, _, what = event.removeprefix("at ").partition(": ")
        actual.append(event)
        actual += [f"    {line}" for line in play.happen(what, float(instant))] or ["    nothing"]
    return expected, actual


@define
class Play:
    """A core and its links, by name."""

    core: Sessions
    links: dict[str, Link]
    names: dict[Link, str] = field(init=False)

    @classmethod
    def of(cls, node: str, links: str) -> Play:
        """By the first two lines of a script."""
        _, me, *options = node.split()
        settings = dict(option.split("=") for option in options)
        core = Sessions(_identity(me), settings.pop("cluster", ""))
        for name, seconds in settings.items():
            setattr(core, name, float(seconds))
        return cls(core, dict(_link(word) for word in links.split()[1:]))

    def __attrs_post_init__(self) -> None:
        self.names = {link: name for name, link in self.links.items()}

    def happen(self, what: str, now: float) -> list[str]:
        """Feed the core with an event; what it says, as lines."""
        core, links = self.core, self.links
        match what.split():
            case [link, "up"]:
                effects = core.link_up(links[link], now)
            case [link, "down"]:
                effects = core.link_down(links[link], "lost", now)
            case [link, "hears", *frame]:
                effects = core.heard(links[link], self.frame(frame), now)
            case ["say", "on", link]:
                return [f"number {core.number(links[link], now)}"]
            case ["hang", "up", "on", name]:
                effects = core.hang_up(name, "told so")
            case ["tick"]:
                effects = core.tick(now)
            case ["leave"]:
                effects = core.leave()
            case _:
                raise ValueError(f"no such event: {what!r}")
        return [self.line(effect) for effect in effects]

    def frame(self, words: list[str]) -> Frame:
        """The frame of these words."""
        match words:
            case ["hello", who, count, *rest]:
                return self._hello(_identity(who), int(count.removeprefix("#")), rest)
            case ["burst", number]:
                return Burst(int(number), [Stop(int(number))])
            case ["alive", number]:
                return Alive(int(number))
            case ["goodbye", code, "by", name]:
                return Goodbye(code, name, "for a reason")
        raise ValueError(f"no such frame: {words}")

    def _hello(self, who: Identity, count: int, rest: list[str]) -> Hello:
        given = dict(zip(rest[::2], rest[1::2], strict=True))
        has = [_identity(one) for one in given.get("has", "").split(",") if one]
        return Hello(
            int(given.get("protocol", PROTOCOL)),
            given.get("cluster", self.core.cluster),
            who.name,
            who.incarnation,
            count,
            {one.name: one.incarnation for one in has},
            [int(one) for one in given.get("calls", "").split(",") if one],
        )

    def line(self, effect: Effect) -> str:
        """An effect, as in a script."""
        match effect:
            case session.Rested(endpoint):
                return f"rest {endpoint}"
            case session.Resumed(endpoint):
                return f"resume {endpoint}"
        name = self.names[effect.link]
        match effect:
            case session.Send(_, frame):
                return f"send {name} {self.frame_line(frame)}"
            case session.Opened(_, peer):
                return f"open {name} {_text(peer.name, peer.incarnation)}"
            case session.Closed(_, peer):
                return f"close {name} {_text(peer.name, peer.incarnation)}"
            case session.Delivered(_, items):
                return " ".join(["deliver", name, *[str(item.actor) for item in items]])  # type: ignore[union-attr]
            case session.Dropped():
                return f"drop {name}"
            case session.Refused(_, code):
                return f"refuse {name} {code}"
        raise ValueError(f"no such effect: {effect}")

    def frame_line(self, frame: Frame) -> str:
        """A frame, as in a script; our own hellos are from us."""
        match frame:
            case Hello(count=count, sessions=sessions, calls=calls):
                assert (frame.protocol, frame.cluster) == (PROTOCOL, self.core.cluster)
                assert Identity(frame.name, frame.incarnation) == self.core.me
                has = ",".join(_text(*item) for item in sessions.items())
                called = ",".join(map(str, calls))
                parts = [
                    f"hello #{count}",
                    f"has {has}" * bool(has),
                    f"calls {called}" * bool(called),
                ]
                return " ".join(part for part in parts if part)
            case Goodbye(code, name):
                assert name == self.core.me.name
                return f"goodbye {code}"
            case Alive(number):
                return f"alive {number}"
        raise ValueError(f"no session sends {frame}")


def _link(word: str) -> tuple[str, Link]:
    rest, _, user = word.partition("=")
    name, _, endpoint = rest.partition("->")
    return name, Link(name, user, endpoint)


def _identity(text: str) -> Identity:
    name, _, incarnation = text.partition(":")
    return Identity(name, int(incarnation))


def _text(name: str, incarnation: int) -> str:
    return f"{name}:{incarnation}"
