"""Messages: frozen values with a registered name, and requests that know their reply type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, dataclass_transform, overload

import attrs

T = TypeVar("T")
ReplyT_co = TypeVar("ReplyT_co", covariant=True)

_registered: dict[str, type] = {}


class Request(Generic[ReplyT_co]):
    """Base of a message that is answered: `await ref.ask(msg)` of a `Request[int]` is an `int`.

    Example::

        @message
        class Balance(Request[int]):
            account: str
    """

    __slots__ = ()


@overload
def message(cls: type[T]) -> type[T]: ...
@overload
def message(*, name: str) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def message(
    cls: type[T] | None = None, *, name: str | None = None
) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a class an immutable message that may cross the network.

    The class becomes a frozen, slotted attrs class and is registered under its qualified name,
    or under `name` (for a name that must survive moving the class). Only registered types are
    ever decoded from the wire.

    Raises `ValueError` when `name` is taken by another class.

    Example::

        @message
        class Deposit:
            amount: int
    """

    def make(plain: type[T]) -> type[T]:
        built = attrs.define(plain, frozen=True, slots=True)
        _register(name or f"{plain.__module__}.{plain.__qualname__}", built)
        return built

    return make if cls is None else make(cls)


def message_types() -> dict[str, type]:
    """Every registered message type by its wire name (a copy)."""
    return dict(_registered)


def _register(name: str, cls: type) -> None:
    other = _registered.get(name)
    same = other is not None and (other.__module__, other.__qualname__) == (
        cls.__module__,
        cls.__qualname__,
    )
    if other is not None and not same:
        raise ValueError(
            f"message name {name!r} is taken by {other.__module__}.{other.__qualname__}"
        )
    _registered[name] = cls
