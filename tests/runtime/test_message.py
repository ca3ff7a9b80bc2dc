"""Messages: frozen values, registered by name."""

from __future__ import annotations

import attrs
import pytest

from schedule_zero.runtime import Request, message
from schedule_zero.runtime.message import message_types


@message
class Point:
    """A plain message."""

    x: int
    y: int = 0


@message(name="tests.renamed")
class Renamed(Request[int]):
    """A message with a name of its own."""


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Point(1).x = 2  # type: ignore[misc]


def test_a_message_has_no_room_for_more() -> None:
    assert not hasattr(Point(1), "__dict__")


def test_messages_with_equal_fields_are_equal() -> None:
    assert Point(1) == Point(1, 0)
    assert len({Point(1), Point(1, 0), Point(2)}) == 2


def test_a_message_is_registered_under_its_qualified_name() -> None:
    assert message_types()[f"{__name__}.Point"] is Point


def test_a_message_may_have_a_name_that_survives_moving_it() -> None:
    assert message_types()["tests.renamed"] is Renamed


def test_a_name_that_another_class_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'tests\.renamed' is taken by .*Renamed"):

        @message(name="tests.renamed")
        class Impostor:
            """Wants the name of another."""


def test_a_class_defined_again_replaces_itself() -> None:
    def define() -> type:
        @message
        class Again:
            """Defined at each call, as at a reload of its module."""

        return Again

    define()
    second = define()
    assert second in message_types().values()


def test_the_table_of_types_is_a_copy() -> None:
    message_types().clear()
    assert message_types()


def test_a_message_matches_by_position() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no match")
