"""What is compared: the events, who enters each and with how many, and the targets.

The counts are chosen so that an entry takes about half a second: a slow peer gets fewer.
"""

from __future__ import annotations

from attrs import frozen

OURS, PYKKA, XOSCAR, THESPIAN, ERLANG = "ours", "Pykka", "xoscar", "Thespian", "Erlang"


@frozen
class Entry:
    """Someone's go at an event: a figure of a contestant's file, with how many.

    `peer` is who it is, `variant` tells its entries of one event apart. A figure that is `beside`
    is shown and never counts as the best of the peers; one that is `once` is not repeated.
    """

    peer: str
    figure: str
    count: int
    variant: str = ""
    beside: bool = False
    once: bool = False

    @property
    def label(self) -> str:
        """Who, and which of its ways."""
        return f"{self.peer}, {self.variant}" if self.variant else self.peer


@frozen
class Event:
    """One thing that is measured, and who enters."""

    name: str
    unit: str
    entries: tuple[Entry, ...]

    @property
    def is_memory(self) -> bool:
        """Whether less is better."""
        return self.unit == "MB"


@frozen
class Comparison:
    """An entry of ours beside the best of some peers, or alone; with a target or without."""

    event: str
    label: str
    against: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    written: str = ""

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_least is not None:
            return f"at least {self.written or format(self.at_least, 'g')}"
        return "" if self.at_most is None else f"below {self.written or format(self.at_most, 'g')}"

    def is_met(self, value: float) -> bool | None:
        """Whether this value reaches the target; None when there is none."""
        if self.at_least is not None:
            return value >= self.at_least
        return None if self.at_most is None else value < self.at_most


PYTHON = (PYKKA, XOSCAR, THESPIAN)

EVENTS = (
    Event(
        "counting",
        "messages/s",
        (
            Entry(OURS, "counting", 1_000_000, "def"),
            Entry(OURS, "counting, async", 500_000, "async def"),
            Entry(OURS, "counting, burst", 500_000, "def, in one burst", beside=True),
            Entry(PYKKA, "counting", 100_000),
            Entry(XOSCAR, "counting", 50_000),
            Entry(XOSCAR, "counting, awaited", 200_000, "awaited calls", beside=True),
            Entry(THESPIAN, "counting", 100_000),
            Entry(ERLANG, "counting", 5_000_000),
        ),
    ),
    Event(
        "ring of 100",
        "hops/s",
        (
            Entry(OURS, "ring", 500_000, "def"),
            Entry(OURS, "ring, async", 500_000, "async def"),
            Entry(PYKKA, "ring", 20_000),
            Entry(XOSCAR, "ring", 50_000),
            Entry(THESPIAN, "ring", 100_000),
            Entry(ERLANG, "ring", 2_000_000),
        ),
    ),
    Event(
        "ask from an actor to an idle actor",
        "trips/s",
        (
            Entry(OURS, "ask", 400_000, "def"),
            Entry(OURS, "ask, async", 40_000, "async def"),
            Entry(PYKKA, "ask", 10_000),
            Entry(XOSCAR, "ask", 200_000),
            Entry(THESPIAN, "ask", 50_000),
            Entry(ERLANG, "ask", 500_000),
        ),
    ),
    Event(
        "spawn",
        "actors/s",
        (
            Entry(OURS, "spawn", 20_000),
            Entry(OURS, "spawn", 100_000, "100,000", beside=True),
            Entry(PYKKA, "spawn", 1_000),
            Entry(XOSCAR, "spawn", 5_000),
            Entry(THESPIAN, "spawn", 10_000),
            Entry(ERLANG, "spawn", 200_000),
        ),
    ),
    Event(
        "spawn and stop",
        "actors/s",
        (
            Entry(OURS, "spawn_stop", 50_000),
            Entry(PYKKA, "spawn_stop", 1_000),
            Entry(XOSCAR, "spawn_stop", 5_000),
            Entry(THESPIAN, "spawn_stop", 5_000),
            Entry(ERLANG, "spawn_stop", 100_000),
        ),
    ),
    Event(
        "100,000 idle actors",
        "MB",
        (
            Entry(OURS, "idle", 100_000),
            Entry(OURS, "idle, told", 100_000, "each told once"),
            Entry(XOSCAR, "idle", 100_000, once=True),
            Entry(THESPIAN, "idle", 100_000, once=True),
            Entry(ERLANG, "idle", 100_000),
        ),
    ),
    Event("1,000,000 idle actors", "MB", (Entry(OURS, "idle", 1_000_000, once=True),)),
)

COMPARISONS = (
    Comparison("counting", "ours, def", PYTHON, at_least=10, written="10 x"),
    Comparison("counting", "ours, def", (ERLANG,), at_least=1 / 6, written="1/6"),
    Comparison("counting", "ours, async def", PYTHON),
    Comparison("ring of 100", "ours, def", PYTHON, at_least=5, written="5 x"),
    Comparison("ring of 100", "ours, def", (ERLANG,), at_least=1 / 3, written="1/3"),
    Comparison("ring of 100", "ours, async def", PYTHON),
    Comparison("ring of 100", "ours, async def", (ERLANG,), at_least=1 / 7, written="1/7"),
    Comparison("ask from an actor to an idle actor", "ours, def", PYTHON),
    Comparison(
        "ask from an actor to an idle actor", "ours, def", (ERLANG,), at_least=1 / 3, written="1/3"
    ),
    Comparison("ask from an actor to an idle actor", "ours, async def", PYTHON),
    Comparison("ask from an actor to an idle actor", "ours, async def", (ERLANG,)),
    Comparison("spawn", "ours", PYTHON),
    Comparison("spawn", "ours", (ERLANG,)),
    Comparison("spawn", "ours", at_least=200_000, written="200,000/s"),
    Comparison("spawn and stop", "ours", PYTHON),
    Comparison("spawn and stop", "ours", (ERLANG,)),
    Comparison("100,000 idle actors", "ours", (ERLANG,)),
    Comparison("100,000 idle actors", "ours", at_most=150, written="150 MB"),
)
