"""The frames that nodes exchange, as values. `docs/reference/wire.md` describes their bytes.

A frame is a msgpack array that begins with its kind. A link's first frame is a `Hello` each way, or
a `Goodbye`; then come bursts, numbered from 1 on each way, and signs of life. A later version may
append elements; what is not known is skipped.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Raw, Struct, msgpack

PROTOCOL = 1
"""The version of the protocol that this node speaks."""

DOOR = 0
"""The actor number of a node itself: it answers `Lookup` and `Spawn`."""

NOBODY = 0
"""The sender of what no actor has sent."""

MOST_ITEMS = 4096
"""Of a burst."""

MOST_MESSAGES = 4096
"""Of one `Tell`."""

MOST_VALUES = 2**20
"""Of a frame. An empty list is one byte there and 64 in memory: bytes alone are no bound."""


class BadFrame(ValueError):
    """Bytes that are no frame; the text says what is wrong with them."""


class _Tagged(Struct, array_like=True, frozen=True, tag_field="kind"):
    """A msgpack array that begins with the number of its kind."""


class Value(Struct, array_like=True, frozen=True):
    """What a handler has returned: plain data, or a message of this type."""

    body: Raw
    type: str = ""

    @classmethod
    def of(cls, body: bytes, type: str) -> Value:
        """A value of these bytes."""
        return cls(Raw(body), type)


class Tell(_Tagged, frozen=True, tag=0):
    """Messages of one type from one actor to one other, in the order told."""

    to: int
    sender: int
    type: str
    bodies: Raw
    """A msgpack array of the messages."""


class Ask(_Tagged, frozen=True, tag=1):
    """A message that wants an answer under this number.

    The answer to one that was sent with `send` comes as soon as there is room for it.
    """

    to: int
    sender: int
    type: str
    body: Raw
    number: int
    wants_admission: bool = False


class Answer(_Tagged, frozen=True, tag=2):
    """The answer to an ask."""

    number: int
    value: Value


class Refusal(_Tagged, frozen=True, tag=3):
    """An ask that ended with an error: its stable code, its text, and its facts as text."""

    number: int
    code: str
    text: str
    facts: list[str] = []


class Watch(_Tagged, frozen=True, tag=4):
    """Send `Ended` when this actor ends."""

    actor: int


class Unwatch(_Tagged, frozen=True, tag=5):
    """Never mind."""

    actor: int


class Ended(_Tagged, frozen=True, tag=6):
    """An actor that the receiver watches has ended."""

    actor: int
    reason: str
    text: str = ""


class Link(_Tagged, frozen=True, tag=7):
    """Share the fate of two actors: `mine` on the sender's node, `yours` on the receiver's."""

    mine: int
    yours: int


class Unlink(_Tagged, frozen=True, tag=8):
    """Part them."""

    mine: int
    yours: int


class Exit(_Tagged, frozen=True, tag=9):
    """A linked actor, `mine`, has ended abnormally: `yours` fails for it."""

    mine: int
    yours: int
    reason: str
    text: str = ""


class Stop(_Tagged, frozen=True, tag=10):
    """Ask the actor to stop."""

    actor: int


Item: TypeAlias = (
    Tell | Ask | Answer | Refusal | Watch | Unwatch | Ended | Link | Unlink | Exit | Stop
)


class Hello(_Tagged, frozen=True, tag=0):
    """Who speaks: the first frame of a link.

    `count` numbers the hellos of this life of the node; `sessions` are the nodes, with their
    incarnations, with which it has a session or whose call it is about to answer; `calls` are the
    counts of those hellos of its that began a call and have no answer yet.
    """

    protocol: int
    cluster: str
    name: str
    incarnation: int
    count: int
    sessions: dict[str, int] = {}
    calls: list[int] = []


class Burst(_Tagged, frozen=True, tag=1):
    """All that one side had to say; bursts of a link are numbered from 1."""

    number: int
    items: Annotated[list[Item], Meta(max_length=MOST_ITEMS)]


class Alive(_Tagged, frozen=True, tag=2):
    """A sign of life; `number` is that of the last burst sent, 0 before the first."""

    number: int


class Goodbye(_Tagged, frozen=True, tag=3):
    """The speaker, `name`, ends the session or refuses it: a stable code, and text for people."""

    code: str
    name: str
    text: str = ""


Frame: TypeAlias = Hello | Burst | Alive | Goodbye

_encoder = msgpack.Encoder()
_decoder: msgpack.Decoder[Frame] = msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """The bytes of a frame."""
    return _encoder.encode(frame)


def decode(data: bytes) -> Frame:
    """The frame of these bytes. Raises `BadFrame`, and nothing else, whatever they are."""
    if has_more_values(data, MOST_VALUES):
        raise BadFrame(f"it has more than {MOST_VALUES} values")
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError) as error:
        raise BadFrame(str(error)) from error


def has_more_values(data: bytes, most: int) -> bool:
    """Whether msgpack bytes have more values than that: numbers, texts, arrays and so on.

    Nothing is decoded, and what is not well formed is not noticed. Few bytes are not looked at.
    """
    if len(data) <= most:  # a value takes a byte at least
        return False
    at, end, count = 0, len(data), 0
    outer: list[int] = []
    while True:
        while at >= end:
            if not outer:
                return False
            at, end = end, outer.pop()  # whatever was said to reach beyond its end
        count += 1
        if count > most:
            return True
        first = data[at]
        head, size = _HEADS[first], _SIZES[first]
        if size:
            size = int.from_bytes(data[at + 1 : at + 1 + size])
        if first in _EXTENSIONS:  # there may be values in it
            inner = min(at + head + size, end)
            if inner < end:
                outer.append(end)
            at, end = at + _EXTENSIONS[first], inner
        else:
            at += head + size


def _heads() -> bytes:
    """How many bytes a value takes by its first one; without what is in it, if a size follows."""
    heads = bytearray([1]) * 256
    heads[0xA0:0xC0] = range(1, 33)  # short texts
    heads[0xC4:0xCA] = 2, 3, 5, 3, 4, 6  # bytes, extensions
    heads[0xCA:0xD4] = 5, 9, 2, 3, 5, 9, 2, 3, 5, 9  # numbers
    heads[0xD4:0xD9] = 3, 4, 6, 10, 18  # extensions of a fixed size
    heads[0xD9:0xE0] = 2, 3, 5, 3, 5, 3, 5  # texts, arrays and maps
    return bytes(heads)


def _sizes() -> bytes:
    """How many bytes say how much is in a value, by its first one."""
    sizes = bytearray(256)
    sizes[0xC4:0xCA] = 1, 2, 4, 1, 2, 4  # bytes, extensions
    sizes[0xD9:0xDC] = 1, 2, 4  # texts
    return bytes(sizes)


_HEADS = _heads()
_SIZES = _sizes()
_EXTENSIONS = {0xC7: 3, 0xC8: 4, 0xC9: 6, **dict.fromkeys(range(0xD4, 0xD9), 2)}
"""Where what is in an extension begins."""
