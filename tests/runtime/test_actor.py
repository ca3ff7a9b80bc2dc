"""Actor classes: which receiver takes which message, and what is refused."""

from __future__ import annotations

import threading
from typing import Any, Literal, Union  # noqa: F401 - named in annotations

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    BadHandler,
    Node,
    Request,
    UnhandledMessage,
    blocking,
    child,
    handles,
    message,
    supervisor,
)

from .actors import Boom, Echo, Note, SlowEcho


@message
class Base(Request[str]):
    """A family of messages."""


@message
class Derived(Base):
    """One of the family."""


@message
class Other(Request[str]):
    """No relative."""


async def answer(kind: type[Actor], request: Request[Any]) -> Any:
    async with Node("n") as node:
        return await (await node.spawn(kind)).ask(request)


async def test_a_base_class_takes_its_subclasses() -> None:
    class Takes(Actor):
        @handles
        def base(self, msg: Base) -> str:
            return type(msg).__name__

    assert await answer(Takes, Derived()) == "Derived"


async def test_the_nearest_class_wins() -> None:
    class Takes(Actor):
        @handles
        def everything(self, msg: object) -> str:
            return "object"

        @handles
        def base(self, msg: Base) -> str:
            return "base"

        @handles
        def derived(self, msg: Derived) -> str:
            return "derived"

    assert await answer(Takes, Derived()) == "derived"
    assert await answer(Takes, Base()) == "base"
    assert await answer(Takes, Other()) == "object"


@pytest.mark.parametrize("request_", [Base(), Other()])
async def test_a_union_takes_each_of_its_types(request_: Request[str]) -> None:
    class Takes(Actor):
        @handles
        def either(self, msg: Base | Other) -> str:
            return "new"

    class TakesOld(Actor):
        @handles
        def either(self, msg: Union[Base, Other]) -> str:  # noqa: UP007 - the old spelling
            return "old"

    assert await answer(Takes, request_) == "new"
    assert await answer(TakesOld, request_) == "old"


async def test_a_plain_class_is_a_message_too() -> None:
    got: list[int] = []

    class Takes(Actor):
        @handles
        def number(self, msg: int) -> None:
            got.append(msg)

        @handles
        def items(self, msg: list[int]) -> None:
            got.extend(msg)

        @handles
        def echo(self, msg: Echo) -> object:
            return msg.value

    async with Node("n") as node:
        ref = await node.spawn(Takes)
        ref.tell(1)
        ref.tell([2, 3])
        ref.tell(True)
        await ref.ask(Echo())
    assert got == [1, 2, 3, True]


async def test_receivers_are_inherited() -> None:
    class Parent(Actor):
        @handles
        def base(self, msg: Base) -> str:
            return "parent"

    class Child(Parent):
        @handles
        def other(self, msg: Other) -> str:
            return "child"

    assert await answer(Child, Base()) == "parent"
    assert await answer(Child, Other()) == "child"
    with pytest.raises(UnhandledMessage):
        await answer(Parent, Other())


@pytest.mark.parametrize("marked", [True, False])
async def test_a_subclass_overrides_a_receiver(marked: bool) -> None:
    class Parent(Actor):
        @handles
        def base(self, msg: Base) -> str:
            return "parent"

    if marked:

        class Child(Parent):
            @handles
            def base(self, msg: Base) -> str:
                return f"child of {super().base(msg)}"
    else:

        class Child(Parent):  # type: ignore[no-redef]
            def base(self, msg: Base) -> str:
                return f"child of {super().base(msg)}"

    assert await answer(Child, Base()) == "child of parent"
    assert await answer(Parent, Base()) == "parent"


async def test_an_override_that_takes_another_type_takes_that_alone() -> None:
    class Parent(Actor):
        @handles
        def take(self, msg: Base) -> str:
            return "parent"

    class Child(Parent):
        @handles
        def take(self, msg: Other) -> str:  # type: ignore[override]
            return "child"

    assert await answer(Child, Other()) == "child"
    with pytest.raises(UnhandledMessage):
        await answer(Child, Base())


async def test_a_subclass_may_take_the_message_with_another_method() -> None:
    class Parent(Actor):
        @handles
        def first(self, msg: Base) -> str:
            return "parent"

    class Child(Parent):
        @handles
        def second(self, msg: Base) -> str:
            return "child"

    assert await answer(Child, Base()) == "child"


async def test_an_async_override_of_a_def_receiver_is_awaited(autojump_clock: MockClock) -> None:
    class Parent(Actor):
        @handles
        def take(self, msg: Base) -> str:
            return "parent"

    class Child(Parent):
        async def take(self, msg: Base) -> str:  # type: ignore[override]
            await trio.sleep(1)
            return "child"

    assert await answer(Child, Base()) == "child"


async def test_receivers_of_a_mixin_count() -> None:
    class Mixin:
        @handles
        def take(self, msg: Base) -> str:
            return "mixin"

    class Mixed(Mixin, Actor):
        pass

    assert await answer(Mixed, Base()) == "mixin"


async def test_a_locally_defined_message_is_found() -> None:
    @message
    class Local(Request[str]):
        """Known only here."""

    class Takes(Actor):
        @handles
        def local(self, msg: Local) -> str:
            return "found"

    assert await answer(Takes, Local()) == "found"


async def test_an_attrs_class_may_be_an_actor() -> None:
    @define(slots=False)
    class Takes(Actor):
        name: str = "attrs"

        @handles
        def base(self, msg: Base) -> str:
            return self.name

    assert await answer(Takes, Base()) == "attrs"


def test_a_receiver_without_an_annotation_is_refused() -> None:
    with pytest.raises(BadHandler, match=r"Bad\.take: annotate 'msg'"):

        class Bad(Actor):
            @handles
            def take(self, msg):  # type: ignore[no-untyped-def]
                """Takes nobody knows what."""


def test_a_receiver_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(BadHandler, match=r"Bad\.take: message type 'Nowhere' is not defined"):

        class Bad(Actor):
            @handles
            def take(self, msg: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
                """Takes what does not exist."""


@pytest.mark.parametrize("annotation", ["Any", "Base | Any", "'Base' | 3", "Literal[3]", "Base |"])
def test_a_receiver_of_what_is_no_class_is_refused(annotation: str) -> None:
    def take(self: object, msg: object) -> None:
        """Takes no class."""

    take.__annotations__["msg"] = annotation
    with pytest.raises(BadHandler, match=r"\.take"):
        type("Bad", (Actor,), {"take": handles(take)})


@pytest.mark.parametrize("count", [1, 3])
def test_a_receiver_with_another_number_of_parameters_is_refused(count: int) -> None:
    def none(self: object) -> None: ...
    def two(self: object, msg: Base, more: int) -> None: ...

    with pytest.raises(
        BadHandler, match=rf"takes {count} parameters: expected \(self, msg: Type\)"
    ):
        type("Bad", (Actor,), {"take": handles(none if count == 1 else two)})


def test_blocking_is_for_plain_functions() -> None:
    with pytest.raises(BadHandler, match="async"):

        @blocking
        async def wrong() -> None: ...


@pytest.mark.parametrize("order", ["handles first", "blocking first"])
async def test_a_blocking_receiver_runs_in_a_thread(order: str) -> None:
    one, two = (handles, blocking) if order == "handles first" else (blocking, handles)

    class Blocks(Actor):
        @one
        @two
        def where(self, msg: Base) -> str:
            return threading.current_thread().name

    assert await answer(Blocks, Base()) != threading.current_thread().name


async def test_a_blocking_receiver_that_raises_fails_the_actor() -> None:
    class Blocks(Actor):
        @handles
        @blocking
        def fail(self, msg: Base) -> str:
            raise Boom("in the thread")

    async with Node("n", supervisor(child("a", Blocks))) as node:
        with pytest.raises(ActorFailed, match="in the thread"):
            await node.ref("a").ask(Base())


async def test_blocking_actors_block_nobody_else() -> None:
    """Two wait for each other in threads: neither the loop nor the other is held up."""
    barrier = threading.Barrier(2, timeout=30)

    class Meets(Actor):
        @handles
        @blocking
        def meet(self, msg: Base) -> str:
            barrier.wait()
            return "met"

    async with Node("n") as node, trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon((await node.spawn(Meets)).ask, Base())


async def test_the_context_is_there_in_the_constructor() -> None:
    paths: list[str] = []

    class Early(Actor):
        def __init__(self) -> None:
            paths.append(self.context.ref.path)

    async with Node("n") as node:
        await node.spawn(child("early", Early))
    assert paths == ["early"]


async def test_the_sender_is_known(autojump_clock: MockClock) -> None:
    senders: list[object] = []

    class Asked(Actor):
        @handles
        async def note(self, msg: Note | SlowEcho) -> object:
            senders.append(self.context.sender)
            return None

    class Asks(Actor):
        @handles
        async def go(self, msg: Base) -> str:
            self.context.node.ref("asked").tell(Note("x"))
            await self.context.node.ref("asked").ask(SlowEcho())
            return "done"

    async with Node("n") as node:
        asked = await node.spawn(child("asked", Asked))
        asks = await node.spawn(Asks)
        asked.tell(Note("from outside"))
        await asks.ask(Base())
    assert senders == [None, asks, asks]


async def test_an_actor_may_spawn_and_talk_to_its_parent(autojump_clock: MockClock) -> None:
    class Below(Actor):
        def on_start(self) -> None:
            assert self.context.parent is not None
            self.context.parent.tell(Note(self.context.ref.path))

    class Above(Actor):
        def on_start(self) -> None:
            self.heard: list[object] = []
            self.context.spawn(child("below", Below))

        @handles
        def note(self, msg: Note) -> None:
            self.heard.append(msg.text)

        @handles
        def heard_so_far(self, msg: Echo) -> object:
            return self.heard

    async with Node("n") as node:
        above = await node.spawn(child("above", Above))
        assert await above.ask(Echo()) == ["above/below"]


def test_two_receivers_for_one_message_type_are_refused() -> None:
    with pytest.raises(BadHandler, match="first and second both take Base"):

        class Twice(Actor):
            @handles
            def first(self, msg: Base) -> None:
                """Takes it."""

            @handles
            def second(self, msg: Base) -> None:
                """Takes it, too."""
