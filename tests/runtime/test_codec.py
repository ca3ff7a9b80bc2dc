"""The codec: what is sent arrives as it was, and what is no message is a `BadMessage` (M6, D3)."""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, msgpack

import schedule_zero.actors
import schedule_zero.runtime
from schedule_zero.runtime import ActorRef, message
from schedule_zero.runtime.codec import MESSAGE, REF, Codec
from schedule_zero.runtime.errors import BadMessage, CannotEncode
from schedule_zero.runtime.message import message_types
from schedule_zero.runtime.opening import opener

from .codec_messages import (
    BOOK,
    CHAINS,
    CLOSED,
    CODEC,
    GRAPHS,
    MESSAGES,
    UNCODABLE,
    Bag,
    Box,
    Chain,
    Closed,
    Color,
    Either,
    HoldsFunction,
    Level,
    Pair,
    Picky,
    Point,
    Row,
    Sack,
    Shape,
    Shelf,
    Square,
    Tree,
    ref_of,
    request,
)
from .virtual import UNHURRIED

ROME = dt.timezone(dt.timedelta(hours=2))


def sent(value: Any) -> Any:
    """What arrives of a message or of plain data."""
    return CODEC.decode(CODEC.name_of(value.__class__), Raw(CODEC.encode(value)))


def received(cls: type, fields: Any) -> Any:
    """What a node makes of these fields of a message."""
    return CODEC.decode(CODEC.name_of(cls), Raw(msgpack.encode(fields)))


def answered(asked: type, value: Any) -> Any:
    """What arrives of an answer."""
    name, body = CODEC.encode_reply(asked, value)
    return CODEC.decode_reply(asked, name, Raw(body))


def kinds(value: Any) -> Any:
    """The types of a value and of all that is in it: 1, 1.0 and True are equal."""
    if isinstance(value, list | tuple):
        return [value.__class__, *map(kinds, value)]
    if isinstance(value, dict):
        return [value.__class__, *map(kinds, value.values())]
    if attrs.has(value.__class__):
        return [
            value.__class__,
            *(kinds(getattr(value, f.name)) for f in attrs.fields(type(value))),
        ]
    return value.__class__


# What is sent arrives


@given(CLOSED | CHAINS)
@settings(UNHURRIED, max_examples=40)
def test_a_message_of_closed_fields_arrives_as_it_was(value: object) -> None:
    """Every kind of field that needs no name inside."""
    assert sent(value) == value


@given(GRAPHS | MESSAGES)
@settings(UNHURRIED, max_examples=100)
def test_what_stands_where_anything_may_arrives_as_it_was(value: object) -> None:
    """Plain data, refs and messages, in each other to any depth; types as well as values."""
    arrived = sent(value)

    assert arrived == value
    assert kinds(arrived) == kinds(value)


@given(st.lists(CLOSED, min_size=1, max_size=3) | st.lists(st.builds(Box, GRAPHS), min_size=1))
@settings(UNHURRIED, max_examples=50)
def test_a_run_arrives_as_it_was(values: list[Any]) -> None:
    """Messages of one type, in one piece."""
    name = CODEC.name_of(values[0].__class__)
    assert CODEC.decode_run(name, Raw(CODEC.encode_run(values))) == values


def test_plain_data_is_of_few_types() -> None:
    """A tuple is a list when it arrives, and a time is one in UTC."""
    assert sent((1, (2, 3))) == [1, [2, 3]]
    assert sent(Box((1,))) == Box([1])
    noon = dt.datetime(2026, 7, 1, 12, tzinfo=ROME)
    arrived = sent([noon])[0]
    assert (arrived, arrived.tzinfo) == (noon, dt.UTC)
    assert CODEC.decode_run("", Raw(CODEC.encode_run([1, 2]))) == [1, 2]


def test_a_ref_is_the_same_actor_when_it_arrives() -> None:
    ref = ref_of(7)
    assert sent(ref) is ref
    assert sent(Box([ref])).what[0] is ref


def test_messages_stand_where_their_abstract_class_is_annotated() -> None:
    shelf = Shelf(Square(1), [Square(2)])
    assert sent(shelf) == shelf

    with pytest.raises(BadMessage, match="expected Shape, got Point"):
        sent(Shelf(Point(1)))  # type: ignore[arg-type]
    with pytest.raises(BadMessage, match="expected Shape, got dict"):
        received(Shelf, {"first": {"side": 1}})


def test_sets_may_hold_anything_that_they_can_hold() -> None:
    @message(name="tests.Purse")
    class Purse:
        what: set[Any]

    purse = Purse({1, "a", Point(1), ref_of(1)})
    assert sent(purse) == purse


def test_closed_types_are_not_walked() -> None:
    """Not even those that are within themselves: the encoder takes them as they are."""
    assert opener(Closed, repr, closed=(ActorRef,)) is None
    assert opener(Chain, repr) is None
    for open_type in (Tree, Box, Bag, Sack, Pair, Row, Either, Shelf, ActorRef):
        assert opener(open_type, repr) is not None


def test_what_is_made_from_bytes_is_as_new() -> None:
    """Defaults are made anew, and fields that the sender has in excess are nothing."""
    first, second = (received(Tree, {"value": 1, "colour": "red"}) for _ in range(2))
    assert first == Tree(1)
    assert first == second


# Schemas that change


def test_an_older_sender_leaves_out_a_field_that_has_a_default() -> None:
    assert received(Point, {"x": 1}) == Point(1, 0)


def test_a_newer_sender_has_more_fields() -> None:
    assert received(Point, {"x": 1, "y": 2, "z": [{"deep": b"down"}]}) == Point(1, 2)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "missing required field `x`"),
        ({"y": 1}, "missing required field `x`"),
        ({"x": "1"}, "Expected `int`, got `str` - at `$.x`"),
        ({"x": None}, "Expected `int`, got `None`"),
        ({"x": True}, "Expected `int`, got `bool`"),
        ({"x": 1.5}, "Expected `int`, got `float`"),
        ({"x": 1, "y": []}, "Expected `int`, got `array` - at `$.y`"),
        ([1, 2], "Expected `object`, got `array`"),
        (None, "Expected `object`, got `None`"),
        (msgpack.Ext(77, b""), "got `ext`"),
    ],
)
def test_a_field_that_is_wrong_is_named(fields: Any, why: str) -> None:
    with pytest.raises(BadMessage) as caught:
        received(Point, fields)
    assert caught.value.name == CODEC.name_of(Point)
    assert why in caught.value.why


# Validators


@pytest.mark.parametrize("fields", [{"size": 0}, {"size": 100}, {"size": 1, "key": "b"}])
def test_validators_see_what_comes_from_elsewhere(fields: dict[str, Any]) -> None:
    """Whatever they raise: one of them raises `KeyError`."""
    with pytest.raises(BadMessage):
        received(Picky, fields)


def test_a_run_suffers_its_bad_messages() -> None:
    """One spoils itself alone, be it a field, a validator or the whole that is wrong with it."""
    bodies = [{"size": 1}, {"size": 0}, {"size": 2}, {"size": 1, "key": "b"}, None, {"size": 3}]
    name = CODEC.name_of(Picky)

    run = CODEC.decode_run(name, Raw(msgpack.encode(bodies)))

    assert [one for one in run if isinstance(one, Picky)] == [Picky(1), Picky(2), Picky(3)]
    assert [one.__class__ for one in run] == [
        *(Picky, BadMessage, Picky),
        *(BadMessage, BadMessage, Picky),
    ]


def test_plain_data_that_is_bad_spoils_itself_alone() -> None:
    bad = msgpack.Ext(MESSAGE, b"no message")
    run = CODEC.decode_run("", Raw(msgpack.encode([1, bad, 2])))
    assert [run[0], run[1].__class__, run[2]] == [1, BadMessage, 2]


# Replies


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 5),
        (None, None),
        (str | None, None),
        (float, 2.5),
        (bytes, b"abc"),
        (dt.datetime, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        (dt.timedelta, dt.timedelta(seconds=5)),
        (UUID, UUID(int=5)),
        (Color, Color.RED),
        (Level, Level.LOW),
        (Point, Point(1)),
        (Point | None, Point(1)),
        (Point | None, None),
        (Point | Square, Square(1)),
        (Shape, Square(1)),
        (list[Point], [Point(1), Point(2)]),
        (list[Point | Square], [Point(1), Square(2)]),
        (tuple[Point, ...], (Point(1),)),
        (tuple[int, str], (1, "a")),
        (dict[str, Point], {"a": Point(1)}),
        (dict[str, Any], {"a": [Point(1)], "b": 2}),
        (set[int], {1, 2}),
        (Any, {"a": Point(1)}),
        (object, Point(1)),
        (object, [1, "a", None]),
        (ActorRef, ref_of(3)),
        (ActorRef | None, ref_of(3)),
        (list[ActorRef], [ref_of(3)]),
    ],
    ids=str,
)
def test_an_answer_is_of_the_type_that_its_request_says(hint: Any, value: Any) -> None:
    answer = answered(request(hint, "Asked"), value)
    assert answer == value
    assert answer.__class__ is value.__class__


@pytest.mark.parametrize("told", [[], {}, (), 1, None])
def test_what_was_sent_before_changes_no_answer(told: Any) -> None:
    """A codec that has met plain data once still knows what the request says."""
    codec = Codec(BOOK)
    codec.encode(told)
    codec.name_of(told.__class__)
    for hint, value in [(list[Point], [Point(1)]), (dict[str, Point], {"a": Point(1)})]:
        name, body = codec.encode_reply(request(hint, "Asked"), value)
        assert codec.decode_reply(request(hint, "Asked"), name, Raw(body)) == value


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, "5"),
        (int, None),
        (int, Point(1)),
        (list[int], Point(1)),
        (str | None, Point(1)),
        (Point, Square(1)),
        (Point, 5),
        (Point | Tree, Square(1)),
        (Shape, Point(1)),
        (ActorRef, 5),
        (list[Point], [Square(1)]),
        (dict[str, int], {"a": "b"}),
    ],
    ids=str,
)
def test_an_answer_of_another_type_is_bad(hint: Any, value: Any) -> None:
    with pytest.raises(BadMessage, match="the answer to "):
        answered(request(hint, "Asked"), value)


def test_whoever_asks_without_a_type_gets_what_there_is() -> None:
    """`send` waits for a word from the other node, whatever its message is."""
    for asked in (Point, int, list):
        assert answered(asked, None) is None
        assert answered(asked, Point(1)) == Point(1)


def test_an_answer_that_cannot_cross_says_so() -> None:
    for value in (object(), {1, 2}, Color.RED, [object()]):
        with pytest.raises(CannotEncode):
            CODEC.encode_reply(request(object, "Asked"), value)


# What cannot be sent


@pytest.mark.parametrize(("cls", "why"), UNCODABLE.items(), ids=lambda value: str(value)[-20:])
def test_a_type_that_cannot_cross_says_why(cls: type, why: str) -> None:
    """To its sender; and a stranger who sends it by name does no harm."""
    value: Any = object.__new__(cls)
    for encode in (CODEC.encode, lambda value: CODEC.encode_run([value])):
        with pytest.raises(CannotEncode, match=why) as caught:
            encode(value)
        assert caught.value.value_type is cls
    name = CODEC.name_of(cls)
    for decode in (CODEC.decode, CODEC.decode_run):
        with pytest.raises(BadMessage, match=why):
            decode(name, Raw(b"\x90"))


def test_every_message_of_the_house_can_be_named_by_a_stranger() -> None:
    """Those that were never meant to cross the network as well."""
    for package in (schedule_zero.runtime, schedule_zero.actors):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                with suppress(ImportError):  # what it needs may not be installed
                    importlib.import_module(module.name)
    for name in message_types():
        for body in (b"\x80", b"\x90", b"\xc0"):
            decoded(name, body)


def decoded(name: str, body: bytes) -> None:
    """Decode in all ways: a message or `BadMessage`."""
    ways: list[Callable[[], Any]] = [
        lambda: CODEC.decode(name, Raw(body)),
        lambda: CODEC.decode_run(name, Raw(body)),
        lambda: CODEC.decode_reply(Point, name, Raw(body)),
    ]
    for way in ways:
        with suppress(BadMessage):
            way()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param(object(), "neither a @message nor plain data", id="object"),
        (Color.RED, "neither a @message nor plain data"),
        (Level.LOW, "neither a @message nor plain data"),
        ({1, 2}, "neither a @message nor plain data"),
        (bytearray(b"a"), "neither a @message nor plain data"),
        (UUID(int=1), "neither a @message nor plain data"),
        (HoldsFunction(print), "neither a @message nor plain data"),
        (dt.datetime(2026, 1, 1), "no time zone"),
        (dt.datetime(1, 1, 1, tzinfo=ROME), "out of range"),
        ({(1, 2): 3}, "only text and whole numbers may be keys"),
        ({True: 3}, "only text and whole numbers may be keys"),
        ({None: 3}, "only text and whole numbers may be keys"),
        (2**64, "can't serialize ints"),
        (-(2**63) - 1, "can't serialize ints"),
        ({2**64: 1}, "can't serialize ints"),
        ("\ud800", "surrogates not allowed"),
        ({"\ud800": 1}, "surrogates not allowed"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_cross_says_why(value: Any, why: str) -> None:
    """On its own and wherever it stands in something else."""
    for holder in (
        value,
        [value],
        {"a": value},
        Box(value),
        Bag([[value]]),
        Tree(1, [Tree(value)]),
    ):
        with pytest.raises(CannotEncode, match=why):
            CODEC.encode(holder)
        with pytest.raises(CannotEncode, match=why):
            CODEC.encode_run([holder])


@given(st.sampled_from([Point, Bag, Sack, Pair, Row, Either, Tree, Chain, Shelf]), GRAPHS, GRAPHS)
@settings(UNHURRIED, max_examples=100)
def test_fields_that_are_not_what_they_should_be_harm_nobody(
    cls: type, first: object, second: object
) -> None:
    """Nobody checks a local message: its sender is told, or its receiver refuses it."""
    made: Any = object.__new__(cls)
    for field in cls.__attrs_attrs__:  # type: ignore[attr-defined]
        object.__setattr__(made, field.name, second if field.name == "below" else first)
    with suppress(CannotEncode, BadMessage):
        sent(made)


def test_what_is_too_deep_says_so() -> None:
    """In the memory of the sender, in bytes, and in bytes within bytes."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CannotEncode, match="recursion"):
        CODEC.encode(deep)
    chain = Chain(0)
    for _ in range(100_000):
        chain = Chain(0, chain)
    with pytest.raises(CannotEncode, match="recursion"):
        CODEC.encode(chain)
    decoded("", b"\x91" * 1_000_000 + b"\x90")
    decoded(CODEC.name_of(Chain), b"\x82\xa6length\x00\xa4rest" * 100_000 + b"\xc0")
    nested = b"\xc0"
    for _ in range(2000):
        nested = msgpack.encode(msgpack.Ext(MESSAGE, msgpack.encode(("", Raw(nested)))))
    decoded("", nested)
    while deep:  # one by one: freeing all at once would be too deep as well
        (deep,) = deep
    while chain.rest is not None:
        chain = chain.rest


# What strangers send


@pytest.mark.parametrize("name", ["no.such.Type", "builtins.dict", "os.system", "x" * 100_000])
def test_only_registered_names_are_known(name: str) -> None:
    """D3: nothing is imported by name; and a name is not long in the log."""
    for decode in (CODEC.decode, CODEC.decode_run):
        with pytest.raises(BadMessage, match="no message of this name") as caught:
            decode(name, Raw(b"\x80"))
        assert len(caught.value.name) < 300
    inner = msgpack.encode(msgpack.Ext(MESSAGE, msgpack.encode((name, {}))))
    with pytest.raises(BadMessage, match="no message of this name"):
        CODEC.decode("", Raw(inner))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\xc0\xc0",
        b"\x91",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xffabc",
        b"\xc6\xff\xff\xff\xffabc",
        b"\xa1\xff",
        b"\x81\x80\x00",
        b"\x81\x91\x80\x00",
        msgpack.encode(msgpack.Ext(77, b"")),
        msgpack.encode(msgpack.Ext(-1, b"")),
        msgpack.encode(msgpack.Ext(-1, b"\xff" * 12)),
        msgpack.encode(msgpack.Ext(REF, b"")),
        msgpack.encode(msgpack.Ext(REF, msgpack.encode(["n", 1, 1]))),
        msgpack.encode(msgpack.Ext(REF, msgpack.encode(["n", -1, 1, "p"]))),
        msgpack.encode(msgpack.Ext(REF, msgpack.encode([1, 1, 1, 1]))),
        msgpack.encode(msgpack.Ext(MESSAGE, b"")),
        msgpack.encode(msgpack.Ext(MESSAGE, msgpack.encode([1, 2]))),
    ],
    ids=lambda body: body[:8].hex(),
)
def test_bad_bytes_are_a_bad_message(body: bytes) -> None:
    """Also where a ref cannot be resolved: incarnation -1 makes the book raise `KeyError`."""
    for name in ("", CODEC.name_of(Box), CODEC.name_of(Point)):
        with pytest.raises(BadMessage):
            CODEC.decode(name, Raw(body))
        with pytest.raises(BadMessage):
            CODEC.decode_run(name, Raw(body))
    with pytest.raises(BadMessage):
        CODEC.decode(CODEC.name_of(Box), Raw(b"\x81\xa4what" + body))


def test_what_is_wrong_is_said_in_few_words() -> None:
    """Whatever the stranger has written where one of a few values was expected."""
    fields = {"color": "x" * 100_000}
    cls: type = message(name="tests.Coloured")(
        type("Coloured", (), {"__annotations__": {"color": Color}})
    )
    with pytest.raises(BadMessage) as caught:
        received(cls, fields)
    assert len(caught.value.why) <= 1000


@given(MESSAGES, st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4), st.binary())
@settings(UNHURRIED, max_examples=120)
def test_bytes_with_errors_are_messages_or_bad_messages(
    value: Any, errors: list[tuple[int, int]], tail: bytes
) -> None:
    """M6: bytes that were right and are wrong in some places."""
    body = bytearray(CODEC.encode(value))
    for place, byte in errors:
        body[place % len(body)] = byte
    for name in ("", CODEC.name_of(value.__class__), CODEC.name_of(Box)):
        decoded(name, bytes(body))
        decoded(name, bytes(body[: len(tail)]))
        decoded(name, tail)


# What is too much


def test_a_run_has_a_bound() -> None:
    """A peer makes runs of 512; a longer array is refused as a whole, before it is made."""
    name = CODEC.name_of(Point)
    bodies = [{"x": 1}] * 4096
    assert len(CODEC.decode_run(name, Raw(msgpack.encode(bodies)))) == 4096
    for many in ([*bodies, {"x": 1}], [*bodies, {"x": "bad"}], [None] * 5000):
        with pytest.raises(BadMessage, match="4096"):
            CODEC.decode_run(name, Raw(msgpack.encode(many)))
        with pytest.raises(BadMessage, match="4096"):
            CODEC.decode_run("", Raw(msgpack.encode(many)))


def test_bad_messages_take_little_memory() -> None:
    bodies = Raw(msgpack.encode([None] * 4096))
    name = CODEC.name_of(Point)
    CODEC.decode_run(name, bodies)
    tracemalloc.start()
    run = CODEC.decode_run(name, bodies)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert len(run) == 4096
    assert kept < 4096 * 600


@pytest.mark.parametrize(
    "many",
    [
        [0] * 600_000,
        {str(n): n for n in range(300_000)},
        Box([0] * 600_000),
        Box(Box([0] * 600_000)),
    ],
    ids=["array", "map", "message", "message in a message"],
)
def test_a_message_of_too_many_values_is_not_sent(many: Any) -> None:
    """Its receiver would refuse the frame: values take much more memory than bytes."""
    with pytest.raises(CannotEncode, match="more than 524288 values"):
        CODEC.encode(many)


def test_a_message_of_many_values_is_sent() -> None:
    assert sent(Box([0] * 500_000)) == Box([0] * 500_000)
    assert sent("x" * 10_000_000) == "x" * 10_000_000
