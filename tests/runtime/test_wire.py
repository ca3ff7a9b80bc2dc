"""Frames: their bytes, what is not one, and how much of it may be in memory (M5, M6)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, msgpack

from schedule_zero.runtime import wire
from schedule_zero.runtime.wire import (
    MOST_ITEMS,
    Alive,
    Answer,
    Ask,
    BadFrame,
    Burst,
    Ended,
    Exit,
    Frame,
    Goodbye,
    Hello,
    Link,
    Refusal,
    Stop,
    Tell,
    Unlink,
    Unwatch,
    Value,
    Watch,
)

from .virtual import UNHURRIED

NUMBERS = st.integers(0, 2**64 - 1)
BODIES = st.one_of(NUMBERS, st.text(), st.lists(NUMBERS)).map(lambda v: Raw(msgpack.encode(v)))
VALUES = st.builds(Value, BODIES, st.text())
ITEMS = st.one_of(
    st.builds(Tell, NUMBERS, NUMBERS, st.text(), BODIES),
    st.builds(Ask, NUMBERS, NUMBERS, st.text(), BODIES, NUMBERS, st.booleans()),
    st.builds(Answer, NUMBERS, VALUES),
    st.builds(Refusal, NUMBERS, st.text(), st.text(), st.lists(st.text())),
    st.builds(Watch, NUMBERS),
    st.builds(Unwatch, NUMBERS),
    st.builds(Ended, NUMBERS, st.text(), st.text()),
    st.builds(Link, NUMBERS, NUMBERS),
    st.builds(Unlink, NUMBERS, NUMBERS),
    st.builds(Exit, NUMBERS, NUMBERS, st.text(), st.text()),
    st.builds(Stop, NUMBERS),
)
FRAMES = st.one_of(
    st.builds(
        Hello,
        NUMBERS,
        st.text(),
        st.text(),
        NUMBERS,
        NUMBERS,
        st.dictionaries(st.text(), NUMBERS),
        st.lists(NUMBERS),
    ),
    st.builds(Burst, NUMBERS, st.lists(ITEMS, max_size=4)),
    st.builds(Alive, NUMBERS),
    st.builds(Goodbye, st.text(), st.text(), st.text()),
)


@given(FRAMES)
@settings(UNHURRIED, max_examples=120)
def test_a_frame_arrives_as_it_was(frame: Frame) -> None:
    """All frames, with all items."""
    assert wire.decode(wire.encode(frame)) == frame


@given(FRAMES, st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4), st.binary())
@settings(UNHURRIED, max_examples=200)
def test_bytes_with_errors_are_frames_or_bad_frames(
    frame: Frame, errors: list[tuple[int, int]], tail: bytes
) -> None:
    """M6: bytes that were right and are wrong in some places."""
    data = bytearray(wire.encode(frame))
    for place, byte in errors:
        data[place % len(data)] = byte
    for some in (data, data[: len(tail)], data + tail, tail):
        try:
            again = wire.decode(bytes(some))
        except BadFrame as error:
            assert len(str(error)) <= 500  # noqa: PT017 - one that is raised, if one is
        else:
            assert isinstance(again, Frame)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"\xc0", "Expected `array`"),
        (b"\x90", "at least length"),
        (b"\x91\x63", "Invalid value 99"),
        (b"\x92\x02\xa11", "Expected `int`, got `str`"),
        (b"\x92\x02\xff\xff", "trailing"),
        (b"\x93\x01\x01\xdd\xff\xff\xff\xff", "length <= 4096"),
        (b"\x94\x03\xa1\xff\xa0\xa0", "can't decode byte"),
        (b"\x91" * 1_000_000, "recursion|Expected"),
        (b"\x93\x01\x01\x91\x95\x00\x01\x01\xa0" + b"\x91" * 100_000, "truncated|recursion"),
    ],
    ids=lambda value: str(value[:12]),
)
def test_what_is_no_frame_says_why(data: bytes, why: str) -> None:
    with pytest.raises(BadFrame, match=why):
        wire.decode(data)


def test_a_later_version_may_append() -> None:
    """To a frame, to an item and to a value; what an older one has not is as it was by default."""
    assert wire.decode(msgpack.encode([2, 7, "new", {"in": []}])) == Alive(7)
    assert wire.decode(msgpack.encode([1, 1, [[4, 5, None]], 2])) == Burst(1, [Watch(5)])
    assert wire.decode(msgpack.encode([0, 1, "", "a", 5, 1])) == Hello(1, "", "a", 5, 1, {}, [])
    answer = msgpack.encode([1, 1, [[2, 3, [True, "T", "new"]]]])
    assert wire.decode(answer) == Burst(1, [Answer(3, Value.of(b"\xc3", "T"))])


def test_a_burst_has_a_bound() -> None:
    """A node makes them of 128 KiB, and counts 64 bytes an item at least."""
    burst = Burst(1, [Watch(1)] * MOST_ITEMS)
    assert wire.decode(wire.encode(burst)) == burst
    with pytest.raises(BadFrame, match="4096"):
        wire.decode(wire.encode(Burst(1, [Watch(1)] * (MOST_ITEMS + 1))))


# How many values


def count(value: Any) -> int:
    """How many values there are, those in our extensions as well."""
    if isinstance(value, list | tuple):
        return 1 + sum(map(count, value))
    if isinstance(value, dict):
        return 1 + sum(count(key) + count(each) for key, each in value.items())
    if isinstance(value, msgpack.Ext):
        return 1 + count(msgpack.decode(value.data))
    return 1


PLAIN: st.SearchStrategy[Any] = st.deferred(
    lambda: st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(),
        st.binary(),
        st.sampled_from([n * "x" for n in (31, 32, 255, 256, 65536)]),
        st.sampled_from([n * b"\x90" for n in (255, 256, 65536)]),
        st.lists(PLAIN),
        st.dictionaries(st.text(), PLAIN),
        st.lists(st.just(1), min_size=15, max_size=17),
        st.builds(msgpack.Ext, st.integers(0, 9), PLAIN.map(msgpack.encode)),
        st.sampled_from([n * [0] for n in (1, 2, 4, 8, 16, 17, 300)]).map(
            lambda row: msgpack.Ext(2, msgpack.encode(row))
        ),
        st.sampled_from([1, 2, 4, 8, 16, 17, 300, 70_000]).map(
            lambda n: msgpack.Ext(2, msgpack.encode(["x" * n]))
        ),
    )
)


@given(PLAIN)
@settings(UNHURRIED, max_examples=120)
def test_values_are_counted(value: Any) -> None:
    """Of all kinds and sizes; those of an extension count as if they stood there."""
    padded = [value, b"\x00" * (count(value) + 10)]  # few bytes are not looked at
    data = msgpack.encode(padded)
    assert not wire.has_more_values(data, count(padded))
    assert wire.has_more_values(data, count(padded) - 1)


@given(st.binary(min_size=20), st.integers(1, 10))
@settings(UNHURRIED, max_examples=100)
def test_bytes_that_are_no_values_can_be_counted(data: bytes, most: int) -> None:
    """They are refused when they are decoded."""
    assert wire.has_more_values(data, most) in (True, False)


def test_what_a_stranger_hides_is_counted() -> None:
    """An extension whose content claims to reach beyond it hides nothing behind it."""
    liar = msgpack.encode(msgpack.Ext(2, b"\xc6\xff\xff\xff\xff"))
    assert wire.has_more_values(b"\xdc\x10\x00" + liar + b"\x90" * 4095, 4000)


# How much memory

_CHILD = """
import json, resource, sys
from msgspec import Raw
from schedule_zero.runtime import wire
from schedule_zero.runtime.codec import Codec
from schedule_zero.runtime.errors import BadMessage
from schedule_zero.runtime.door import Spawn
from schedule_zero.runtime.message import message

@message(name="Nested")
class Nested:
    rows: list[list[int]]

head, unit, size = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), int(sys.argv[3])
many = (size - len(head) - 4) // len(unit)
data = head + many.to_bytes(4) + unit * many
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
ended = "well"
kept = []
try:
    frame = wire.decode(data)
    for item in frame.items if isinstance(frame, wire.Burst) else ():
        kept.append(Codec(None).decode_run(item.type, item.bodies))
except (wire.BadFrame, BadMessage) as error:
    ended = type(error).__name__
print(json.dumps([len(data), peak() - before, ended]))
"""
BURST = "930101dd"
TELL = "9301019195000101"
PLAIN_RUN = "930101" + "91" + "95000101a0" + "91dd"
NESTED_RUN = "930101" + "91" + "95000101a64e6573746564" + "91" + "81" + "a4726f7773dd"
UNITS = {
    "nothing": "c0",
    "small numbers": "e0",
    "numbers": "cd7fff",
    "real numbers": "ca3f9d70a4",
    "empty arrays": "90",
    "empty maps": "80",
    "arrays in arrays": "9190",
    "maps in maps": "81c080",
    "texts": "a26162",
    "wide texts": "a5f09f988061",
    "bytes": "c40161",
    "instants": "d6ff00000001",
    "messages": "c70402" + "92a0" + "9090",
    "long texts": "b0f09f9880" + "61" * 12,
}
BODIES_OF = {f"run of {what}": (PLAIN_RUN, unit) for what, unit in UNITS.items()}
ITEMS_OF = {
    "tells": (BURST, "9500" + "0101" + "a0" + "90"),
    "answers": (BURST, "930201" + "91c0"),
    "refusals": (BURST, "940301a0a0"),
    "watches": (BURST, "920401"),
    "rows of a message": (NESTED_RUN, "90"),
    "calls of a hello": ("980001a0a00101" + "80dd", "e0"),
    "sessions of a hello": ("970001a0a00101df", "a101" + "01"),
    "one text": ("930101" + "91" + "95000101a0" + "91db", "61"),
}


@pytest.mark.parametrize("size", [2**20, 2**24], ids=["1 MiB", "16 MiB"])
@pytest.mark.parametrize(
    ("head", "unit"), [*BODIES_OF.values(), *ITEMS_OF.values()], ids=[*BODIES_OF, *ITEMS_OF]
)
@pytest.mark.slow
def test_bytes_take_ten_times_their_limit_in_memory_at_most(
    head: str, unit: str, size: int
) -> None:
    """M6: frames of many values are not decoded; those that are take less than 160 MiB."""
    command = [sys.executable, "-c", _CHILD, head, unit, str(size)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    length, taken, _ = json.loads(ran.stdout)

    assert length <= 2**24
    assert taken < 10 * 2**24


def test_a_frame_of_too_many_values_is_none() -> None:
    for unit in (b"\x90", b"\x80", b"\xe0"):
        run = b"\x91\x95\x00\x01\x01\xa0\x91\xdd" + (2_000_000).to_bytes(4) + unit * 2_000_000
        with pytest.raises(BadFrame, match="more than 1048576 values"):
            wire.decode(b"\x93\x01\x01" + run)
