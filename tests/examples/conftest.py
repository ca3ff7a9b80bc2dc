"""What the tests of the examples share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from attrs import define

from schedule_zero.actors import Handler

_CHECKOUT = str(Path(__file__).parents[2])
if _CHECKOUT not in sys.path:
    sys.path.insert(0, _CHECKOUT)  # `examples` is imported from the checkout, as its users do

H = TypeVar("H", bound=Handler)


@define
class FixedClock:
    """A wall clock that is moved by hand."""

    instant: datetime = datetime(2026, 11, 23, 8, 45, 30, tzinfo=UTC)

    def now(self) -> datetime:
        """The instant."""
        return self.instant

    def advance(self, **amount: float) -> None:
        """Move on by `days=`, `seconds=` and the like."""
        self.instant += timedelta(**amount)


@define
class FakeNode:
    """As much of a node as the examples use."""

    clock: FixedClock


@define
class FakeContext:
    """As much of an actor's context as the examples use."""

    node: FakeNode


@pytest.fixture
def clock() -> FixedClock:
    """The clock of the handlers made by `make`."""
    return FixedClock()


@pytest.fixture
def make(clock: FixedClock) -> Callable[[type[H]], H]:
    """Makes a handler that is on no node and can be called directly."""

    def make_one(kind: type[H]) -> H:
        handler = kind()
        handler.context = FakeContext(FakeNode(clock))
        return handler

    return make_one
