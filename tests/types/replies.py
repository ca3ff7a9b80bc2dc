"""What type checkers know of messages and replies: mypy checks it in `test_types.py`."""

from __future__ import annotations

from typing import assert_type

from schedule_zero.runtime import (
    ActorRef,
    Node,
    Request,
    RunningNode,
    StartChild,
    WhichChildren,
    message,
)
from schedule_zero.runtime.children import ChildInfo


@message
class Balance(Request[int]):
    account: str


@message
class Owners(Request[list[str]]):
    pass


@message
class Deposit:
    amount: int


async def replies(ref: ActorRef, node: Node, running: RunningNode) -> None:
    assert_type(await ref.ask(Balance("a")), int)
    assert_type(await ref.ask(Owners()), list[str])
    assert_type(await ref.ask(StartChild()), ActorRef)
    assert_type(await ref.ask(WhichChildren()), tuple[ChildInfo, ...])
    assert_type(running.ask("account", Balance("a")), int)
    assert_type(node.call_from_thread(ref.ask, Balance("a")), int)


async def mistakes(ref: ActorRef) -> None:
    Balance(5)  # type: ignore[arg-type]
    Balance()  # type: ignore[call-arg]
    Deposit(1).amount = 2  # type: ignore[misc]
    await ref.ask(Deposit(1))  # type: ignore[arg-type]
    wrong: str = await ref.ask(Balance("a"))  # type: ignore[arg-type]
    print(wrong)
