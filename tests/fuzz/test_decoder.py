"""What a stranger sends, a million times: it is decoded or refused, and nothing stays (M5, M6)."""

from __future__ import annotations

import datetime as dt
import gc
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest
from attrs import define, field
from msgspec import Raw, msgpack

from schedule_zero.runtime import ActorRef, wire
from schedule_zero.runtime.chance import Chance
from schedule_zero.runtime.codec import MESSAGE, Codec
from schedule_zero.runtime.errors import BadMessage
from schedule_zero.runtime.session import Identity, Sessions
from schedule_zero.runtime.wire import Answer, Ask, BadFrame, Burst, Frame, Item, Tell, Value
from schedule_zero.transports import Link

from ..runtime.codec_messages import (
    UNCODABLE,
    Book,
    Box,
    Chain,
    Closed,
    Color,
    Corner,
    Count,
    Level,
    Picky,
    Point,
    Sack,
    Shelf,
    Square,
    Tree,
    ref_of,
)

FEW, MANY = 20_000, 1_000_000


class Forgetful(Book):
    """Takes any address for that of one actor."""

    def resolve(self, node: str, incarnation: int, number: int, path: str) -> ActorRef:
        return ref_of(1)


CODEC = Codec(Forgetful())
NOON = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
CLOSED = Closed(
    *(1, 2.5, "text", b"raw", True, None, NOON, NOON.date(), NOON.time(), dt.timedelta(1)),
    *(UUID(int=7), Decimal("1.5"), Color.RED, Level.LOW, "a", "either", (1, "b"), (1, 2)),
    *([Point(1)], {"a": 1}, {UUID(int=1): Point(2)}, {1}, frozenset({"a"}), Point(3), None),
    *(ref_of(1), None, [ref_of(2)], Corner(1, "c"), {"depth": 1}),  # type: ignore[arg-type]
)
MESSAGES = [
    CLOSED,
    Point(1, 2),
    Picky(5),
    Chain(1, Chain(2)),
    Box([1, "a", None, {"b": Point(1)}, ref_of(3), NOON]),
    Sack({"x": Box(Box(Box(CLOSED)))}),
    Shelf(Square(1), [Square(2)]),
    Tree(1, [Tree(Point(1))], {"a": Tree("b")}),
    [1, 2.5, "a", b"b", None, [[]], {"c": 300, 5: 2**63}],
]
ITEMS: list[Item] = [
    wire.Watch(1),
    wire.Ended(1, "failed", "ValueError: no"),
    wire.Exit(1, 2, "failed"),
    wire.Refusal(1, "actor-failed", "text", ["a", "b", "c"]),
    wire.Stop(3),
]


def frames() -> list[Frame]:
    """Frames as a peer sends them."""
    sound: list[Frame] = [
        wire.Hello(1, "", "peer", 5, 1, {"a": 1, "b": 2}, [1, 2]),
        wire.Alive(3),
        wire.Goodbye("leaving", "peer", "the node stops"),
        Burst(1, ITEMS),
    ]
    for message in MESSAGES:
        name = CODEC.name_of(message.__class__)
        run, body = Raw(CODEC.encode_run([message] * 2)), CODEC.encode(message)
        sound.append(Burst(1, [Tell(1, 2, name, run)]))
        sound.append(Burst(2, [Ask(1, 2, name, Raw(body), 9), *ITEMS]))
        sound.append(Burst(3, [Answer(9, Value.of(body, name))]))
    for cls in UNCODABLE:
        sound.append(Burst(1, [Tell(1, 0, CODEC.name_of(cls), Raw(b"\x91\x80"))]))
    nested = msgpack.Ext(MESSAGE, msgpack.encode(("no.such.Type", {})))
    sound.append(Burst(1, [Tell(1, 0, "", Raw(msgpack.encode([nested, 1])))]))
    return sound


def with_errors(sound: list[bytes], chance: Chance) -> bytes:
    """Random bytes, or sound ones with errors."""
    data = bytearray(chance.choice(sound))
    place = chance.randrange(len(data))
    match chance.randrange(8):
        case 0:
            return chance.randbytes(chance.randrange(40))
        case 1:
            del data[place:]
        case 2:
            data[place:place] = chance.randbytes(chance.randrange(1, 9))
        case 3:
            other = chance.choice(sound)
            data[place:] = other[chance.randrange(len(other)) :]
        case _:
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.choice(_BYTES)
    return bytes(data)


_TELLING = bytes.fromhex("80 90 91 c0 c1 c4 c7 d4 d6 dc dd df")
_BYTES = bytes(range(256)) + 8 * _TELLING


FRAMES = [wire.encode(frame) for frame in frames()]
BODIES = [CODEC.encode(message) for message in MESSAGES]
TYPES = [*(message.__class__ for message in MESSAGES), *UNCODABLE]
NAMES = [*map(CODEC.name_of, TYPES), "no.such.Type"]


@define
class Stranger:
    """Sends frames, and bodies for all kinds of messages; `results` counts what became of them."""

    chance: Chance
    results: Counter[str] = field(factory=Counter)
    core: Sessions = field(factory=lambda: Sessions(Identity("fuzz", 1)))
    link: Link = field(factory=lambda: Link("in"))

    def send_frame(self) -> None:
        """What a node does with a frame, as far as it is decoded."""
        try:
            frame = wire.decode(with_errors(FRAMES, self.chance))
        except BadFrame:
            self.results["bad frames"] += 1
            return
        self.results["frames"] += 1
        if self.core.heard(self.link, frame, 0.0):
            self.core.link_down(self.link, "", 0.0)
            self.core.link_up(self.link, 0.0)
        for item in frame.items if isinstance(frame, Burst) else ():
            match item:
                case Tell(type=name, bodies=bodies):
                    self.decode(CODEC.decode_run, name, bodies)
                case Ask(type=name, body=body):
                    self.decode(CODEC.decode, name, body)
                case Answer(value=value):
                    self.decode(CODEC.decode_reply, Count, value.type, value.body)

    def send_body(self) -> None:
        """What a node does with a message that was well wrapped."""
        name, body = self.chance.choice(NAMES), Raw(with_errors(BODIES, self.chance))
        self.decode(CODEC.decode, name, body)
        self.decode(CODEC.decode_run, name, body)

    def decode(self, way: Callable[..., object], *what: object) -> None:
        """Count a message, or that it is bad."""
        try:
            self.results[type(way(*what)).__name__] += 1
        except BadMessage:
            self.results["bad"] += 1


def fuzz(count: int, seed: int) -> Counter[str]:
    """So many frames and bodies; after the first tenth memory does not grow any more."""
    stranger = Stranger(Chance(seed))
    before = 0
    for number in range(count):
        if number == count // 10:
            before = blocks()
        if number % 2:
            stranger.send_frame()
        else:
            stranger.send_body()
    assert blocks() - before < 1000
    return stranger.results


def blocks() -> int:
    """How many pieces of memory are in use."""
    gc.collect()
    return sys.getallocatedblocks()


def check(results: Counter[str], count: int) -> None:
    """Enough of it got far enough to be a test."""
    assert results["frames"] + results["bad frames"] == count // 2
    assert results["frames"] > count / 20
    assert results["bad"] > count / 10
    for message in MESSAGES:
        assert results[message.__class__.__name__] > count / 10_000


def test_what_a_stranger_sends_is_decoded_or_refused() -> None:
    check(fuzz(FEW, seed=1), FEW)


@pytest.mark.slow
def test_a_million_times_what_a_stranger_sends_is_decoded_or_refused() -> None:
    check(fuzz(MANY, seed=2), MANY)
