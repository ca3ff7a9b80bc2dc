"""Messages of every kind of field, and random ones, for the tests of the codec."""

from __future__ import annotations

import datetime as dt
import enum
from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import attrs
from attrs import define, field
from hypothesis import strategies as st

from schedule_zero.runtime import ActorRef, Request, message
from schedule_zero.runtime.codec import Codec


class Place(NamedTuple):
    """What stands for an actor behind a ref here: its address."""

    node: str
    incarnation: int
    number: int
    path: str


@define(eq=False)
class Book:
    """What refs mean, to a codec: the same actor everywhere."""

    refs: dict[Place, ActorRef] = field(factory=dict)

    def address(self, ref: ActorRef) -> tuple[str, int, int, str]:
        return tuple(ref._cell)  # type: ignore[return-value, arg-type]

    def resolve(self, node: str, incarnation: int, number: int, path: str) -> ActorRef:
        if incarnation < 0:
            raise KeyError(node)
        place = Place(node, incarnation, number, path)
        return self.refs.setdefault(place, ActorRef(place))  # type: ignore[arg-type]


BOOK = Book()
CODEC = Codec(BOOK)


def ref_of(number: int) -> ActorRef:
    return BOOK.resolve("n", 1, number, "p")


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1


class Corner(NamedTuple):
    x: int
    what: str


class Options(TypedDict):
    depth: int


@message
class Point:
    x: int
    y: int = 0


@message
class Closed:
    """Every kind of field that needs no name inside."""

    whole: int
    real: float
    text: str
    raw: bytes
    truth: bool
    maybe: int | None
    instant: dt.datetime
    day: dt.date
    clock: dt.time
    span: dt.timedelta
    id: UUID
    money: Decimal
    color: Color
    level: Level
    literal: Literal["a", 1]
    either: int | str
    two: tuple[int, str]
    many: tuple[int, ...]
    row: list[Point]
    known: dict[str, int]
    points: dict[UUID, Point]
    numbers: set[int]
    texts: frozenset[str]
    point: Point
    no_point: Point | None
    ref: ActorRef
    no_ref: ActorRef | None
    refs: list[ActorRef]
    corner: Corner
    options: Options


@message
class Chain:
    """Closed, and within itself."""

    length: int
    rest: Chain | None = None


@message
class Box:
    what: object


@message
class Bag:
    what: list[Any]


@message
class Sack:
    what: dict[str, Any]


@message
class Pair:
    what: tuple[Any, int]


@message
class Row:
    what: tuple[Any, ...]


@message
class Either:
    what: list[Any] | dict[str, Any] | int | None


@message
class Tree:
    """Open, and within itself."""

    value: Any
    below: list[Tree] = field(factory=list)
    named: dict[str, Tree] = field(factory=dict)


class Shape(ABC):
    """Bytes cannot be checked against an abstract class: what stands there says what it is."""

    __slots__ = ()

    @abstractmethod
    def area(self) -> float: ...


@message
class Square(Shape):
    side: int

    def area(self) -> float:
        return self.side**2


@message
class Shelf:
    first: Shape
    others: list[Shape] = field(factory=list)


def _is_known(picky: object, attribute: object, value: str) -> None:
    {"a": 1}[value]


@message
class Picky:
    """Its validators are thorough, and one of them is broken."""

    size: int = field(validator=[attrs.validators.gt(0), attrs.validators.lt(100)])
    key: str = field(default="a", validator=_is_known)


class Count(Request[int]): ...


def request(hint: Any, name: str) -> type:
    """A `@message` that is answered by such a value."""

    class Asked(Request[hint]):
        pass

    return message(name=f"tests.{name}")(Asked)


# What cannot cross the network


@message
class Private:
    _secret: int


@message
class HoldsPrivate:
    row: list[Private]


@message
class TwoMessages:
    either: Point | Box


@message
class Unresolvable:
    what: NoSuchClass  # type: ignore[name-defined]  # noqa: F821


@message
class TakesSelf:
    x: int
    y: int = field(default=attrs.Factory(lambda self: self.x, takes_self=True))


class Anything(TypedDict):
    value: Any


@message
class HoldsAnything:
    what: Anything


@message
class HoldsFunction:
    what: Callable[[], None]


UNCODABLE = {
    Private: "'_secret' of Private is private",
    HoldsPrivate: "'_secret' of Private is private",
    TwoMessages: "more than one dataclass or attrs type",
    Unresolvable: "'NoSuchClass' is not defined",
    TakesSelf: "takes_self",
    HoldsAnything: "Anything cannot hold anything at all: use a @message",
}

# Random values

INTS = st.integers(-(2**63), 2**64 - 1)
INSTANTS = st.datetimes(
    dt.datetime(1000, 1, 1), dt.datetime(3000, 1, 1), timezones=st.just(dt.UTC)
).map(lambda instant: instant.replace(fold=0))
REFS = st.integers(0, 9).map(ref_of)
FLOATS = st.floats(allow_nan=False)
POINTS = st.builds(Point, INTS, INTS)
SPANS = st.timedeltas(dt.timedelta(-10_000), dt.timedelta(10_000))
CLOSED = st.builds(
    Closed,
    whole=INTS,
    real=FLOATS,
    text=st.text(),
    raw=st.binary(),
    truth=st.booleans(),
    maybe=st.none() | INTS,
    instant=INSTANTS,
    day=st.dates(),
    clock=st.times(),
    span=SPANS,
    id=st.uuids(),
    money=st.decimals(allow_nan=False, allow_infinity=False),
    color=st.sampled_from(Color),
    level=st.just(Level.LOW),
    literal=st.sampled_from(["a", 1]),
    either=INTS | st.text(),
    two=st.tuples(INTS, st.text()),
    many=st.lists(INTS, max_size=3).map(tuple),
    row=st.lists(POINTS, max_size=3),
    known=st.dictionaries(st.text(), INTS, max_size=3),
    points=st.dictionaries(st.uuids(), POINTS, max_size=2),
    numbers=st.sets(INTS, max_size=3),
    texts=st.frozensets(st.text(), max_size=3),
    point=POINTS,
    no_point=st.none() | POINTS,
    ref=REFS,
    no_ref=st.none() | REFS,
    refs=st.lists(REFS, max_size=3),
    corner=st.builds(Corner, INTS, st.text()),
    options=st.fixed_dictionaries({"depth": INTS}),
)
CHAINS: st.SearchStrategy[Chain] = st.deferred(lambda: st.builds(Chain, INTS, st.none() | CHAINS))
SCALARS = st.one_of(st.none(), st.booleans(), INTS, FLOATS, st.text(), st.binary(), INSTANTS, REFS)
SQUARES = st.builds(Square, INTS)

GRAPHS: st.SearchStrategy[Any] = st.deferred(lambda: SCALARS | ROWS | SACKS | MESSAGES)
"""Plain data, refs and messages, in each other wherever anything may stand."""
ROWS: st.SearchStrategy[list[Any]] = st.lists(GRAPHS, max_size=3)
SACKS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.text(max_size=3), GRAPHS, max_size=3)
TREES: st.SearchStrategy[Tree] = st.deferred(
    lambda: st.builds(
        Tree,
        GRAPHS,
        st.lists(TREES, max_size=2),
        st.dictionaries(st.text(max_size=2), TREES, max_size=2),
    )
)
MESSAGES: st.SearchStrategy[Any] = st.one_of(
    POINTS,
    CHAINS,
    st.builds(Box, GRAPHS | st.dictionaries(st.integers(0, 9), GRAPHS, max_size=2)),
    st.builds(Bag, ROWS),
    st.builds(Sack, SACKS),
    st.builds(Pair, st.tuples(GRAPHS, INTS)),
    st.builds(Row, ROWS.map(tuple)),
    st.builds(Either, ROWS | SACKS | INTS | st.none()),
    st.builds(Shelf, SQUARES, st.lists(SQUARES, max_size=2)),
    TREES,
    CLOSED,
)
