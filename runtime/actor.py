"""Actors: what a user writes. A class with state, and a method for each message it takes."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from types import FrameType, SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from schedule_zero.runtime.errors import BadHandler
from schedule_zero.runtime.reason import Reason

if TYPE_CHECKING:
    from schedule_zero.runtime.childspec import ChildSpec
    from schedule_zero.runtime.context import ActorContext

Receiver = Callable[[Any, Any], Any]
F = TypeVar("F", bound=Callable[..., Any])

_HANDLES = "__schedule_zero_handles__"
_BLOCKING = "__schedule_zero_blocking__"
_CPU_BOUND = "__schedule_zero_cpu_bound__"


class Unhandled:
    """What a receiver returns for a message that the actor does not take."""


UNHANDLED = Unhandled()


def handles(method: F) -> F:
    """Mark a method as the receiver of the messages that its parameter is annotated with.

    The method may be `def` or `async def`; what it returns answers an `ask`. A union takes each
    of its types, a base class takes its subclasses, `object` takes all that is left.

    Example::

        @handles
        def deposit(self, msg: Deposit) -> None:
            self.balance += msg.amount
    """
    setattr(method, _HANDLES, True)
    return method


def blocking(method: F) -> F:
    """Mark a `def` method that blocks: it runs in a thread, and the actor waits for it.

    On cancellation (timeout, kill) the actor goes on and the thread is left to end by itself.
    """
    if inspect.iscoroutinefunction(method):
        raise BadHandler(f"{method.__qualname__} is async: @blocking is for plain functions")
    setattr(method, _BLOCKING, True)
    return method


def is_blocking(method: Callable[..., Any]) -> bool:
    """Whether the function was marked with `@blocking`."""
    return getattr(method, _BLOCKING, False)


def cpu_bound(function: F) -> F:
    """Mark a static `def` method that computes for long: it runs in a worker process.

    The actor waits for it, its node does not. The instance stays where it is: the method is static,
    of a class at the top of its module, and takes the message alone, which is pickled, as what it
    returns or raises is. On cancellation (timeout, kill) the process is killed. A worker imports
    the program's main module too: what that does when it is run has to stand under
    `if __name__ == "__main__":`.

    Example::

        @staticmethod
        @handles
        @cpu_bound
        def render(msg: Render) -> bytes:
            return draw(msg.scene)
    """
    if inspect.iscoroutinefunction(function):
        raise BadHandler(f"{function.__qualname__} is async: @cpu_bound is for plain functions")
    if "<locals>" in function.__qualname__:
        raise BadHandler(
            f"{function.__qualname__} is defined in a function, where a worker process cannot find "
            "it: put its class at the top of a module"
        )
    setattr(function, _CPU_BOUND, True)
    return function


class Receivers(dict[type, Receiver]):
    """Message type -> receiver of one actor class; subclasses of a type are found once."""

    def __missing__(self, cls: type) -> Receiver:
        for base in cls.__mro__[1:]:
            if base in self:
                self[cls] = self[base]
                return self[base]
        self[cls] = _unhandled
        return _unhandled


class Actor:
    """Base of every actor.

    State lives in the instance, made anew at each restart; `self.context` is there already in
    `__init__`. One message is handled at a time.

    Example::

        class Account(Actor):
            def __init__(self, opening: int = 0) -> None:
                self.balance = opening

            @handles
            def deposit(self, msg: Deposit) -> None:
                self.balance += msg.amount
    """

    context: ActorContext
    receivers: ClassVar[Receivers] = Receivers()
    direct: ClassVar[frozenset[type]] = frozenset()
    supervises: ClassVar[bool] = False
    bare_spec: ClassVar[ChildSpec | None] = None
    priority: ClassVar[Callable[[Any], float] | None] = None
    default_shutdown: ClassVar[float | Literal["kill", "infinity"]] = 5.0

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.receivers = _collect(cls, sys._getframe(1))
        cls.direct = frozenset(
            taken
            for taken, receiver in cls.receivers.items()
            if not inspect.iscoroutinefunction(receiver)
        )

    def on_start(self) -> Awaitable[None] | None:
        """Called before the first message. The start is finished only when this has returned;
        raising fails the start.
        """
        return None

    def on_stop(self, reason: Reason) -> Awaitable[None] | None:
        """Called after the last message and after the actor's children have stopped, also
        before a restart; not when the actor is killed. Its own tasks still run, so that they can
        be ended well here; those left are cancelled next.
        """
        return None

    def on_restart(self, failure: Reason) -> Awaitable[None] | None:
        """Called on the new instance in place of `on_start` when it replaces one that ended.

        It calls `on_start` unless overridden.
        """
        return self.on_start()


def _collect(cls: type[Actor], frame: FrameType) -> Receivers:
    """The receivers of a class: its own methods and those it inherits, the nearest first."""
    receivers = Receivers()
    own: dict[tuple[type, type], Receiver] = {}
    for base in reversed(cls.__mro__):
        for name, attribute in vars(base).items():
            is_static = isinstance(attribute, staticmethod)
            method = attribute.__func__ if is_static else attribute
            if getattr(method, _HANDLES, False):
                _require_static(method, is_static)
                nearest = getattr(cls, name)
                if nearest is not method and getattr(nearest, _HANDLES, False):
                    continue  # overridden, and so is what it takes
                for taken in _message_types(cls, method, frame):
                    _refuse_second(base, taken, method, own)
                    receivers[taken] = _as_receiver(nearest)
    return receivers


def _require_static(method: Receiver, is_static: bool) -> None:  # noqa: FBT001 - two facts
    if is_static != getattr(method, _CPU_BOUND, False):
        raise BadHandler(
            f"{method.__qualname__}: a method that handles messages is static when it is "
            "@cpu_bound, as a worker process has no actor, and only then"
        )


def _refuse_second(
    base: type, taken: type, method: Receiver, own: dict[tuple[type, type], Receiver]
) -> None:
    other = own.setdefault((base, taken), method)
    if other is not method:
        raise BadHandler(
            f"{base.__qualname__}: {other.__name__} and {method.__name__} both take "
            f"{taken.__qualname__}: one message type, one receiver"
        )


def _message_types(cls: type, method: Callable[..., Any], frame: FrameType) -> list[type]:
    parameters = list(inspect.signature(method).parameters.values())
    where = f"{cls.__qualname__}.{method.__name__}"
    expected = "(msg: Type)" if getattr(method, _CPU_BOUND, False) else "(self, msg: Type)"
    if len(parameters) != expected.count(",") + 1:
        raise BadHandler(f"{where} takes {len(parameters)} parameters: expected {expected}")
    parameter = parameters[-1]
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        raise BadHandler(f"{where}: annotate {parameter.name!r} with the message type it takes")
    holder = SimpleNamespace(__annotations__={"msg": annotation})
    namespace = {**getattr(inspect.unwrap(method), "__globals__", {}), **frame.f_locals}
    try:
        hint = typing.get_type_hints(holder, namespace)["msg"]
    except NameError as error:
        raise BadHandler(f"{where}: message type {annotation!r} is not defined: {error}") from error
    except Exception as error:
        raise BadHandler(f"{where}: {annotation!r} is no annotation: {error}") from error
    union = isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union
    options = typing.get_args(hint) if union else (hint,)
    types = [typing.get_origin(option) or option for option in options]
    if typing.Any in types:
        raise BadHandler(f"{where}: {annotation!r} takes nothing: write `object` to take all")
    if not all(isinstance(option, type) for option in types):
        raise BadHandler(f"{where}: {annotation!r} is no class, so no message can be told by it")
    return types


def _as_receiver(method: Receiver) -> Receiver:
    if getattr(method, _CPU_BOUND, False):
        return _in_process(method)
    if not is_blocking(method):
        return method

    @wraps(method)
    async def in_thread(actor: Actor, msg: object) -> object:
        return await actor.context.node.run_blocking(partial(method, actor, msg))

    return in_thread


def _in_process(function: Callable[..., Any]) -> Receiver:
    async def in_process(actor: Actor, msg: object) -> object:
        return await actor.context.node.run_cpu_bound(partial(function, msg))

    return in_process


def _unhandled(actor: Actor, msg: object) -> Unhandled:
    return UNHANDLED
