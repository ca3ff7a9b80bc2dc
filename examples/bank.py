"""Accounts on one node, and a customer on another.

Start the bank in one terminal, then a customer in another, as often as you like:

    python -m schedule_zero.runtime examples.bank:node bank tcp://127.0.0.1:7401
    python -m examples.bank tcp://127.0.0.1:7401 5
"""

from __future__ import annotations

import sys

import trio

from schedule_zero.runtime import (
    Actor,
    Node,
    NodeUnreachable,
    Request,
    child,
    handles,
    message,
    supervisor,
)


@message
class Deposit:
    """Put `amount` into the account."""

    amount: int


@message
class Balance(Request[int]):
    """How much is in the account?"""


class Account(Actor):
    """Holds money."""

    def __init__(self) -> None:
        self.balance = 0

    @handles
    def deposit(self, msg: Deposit) -> None:
        """Add to the balance."""
        self.balance += msg.amount

    @handles
    def report(self, msg: Balance) -> int:
        """The balance."""
        return self.balance


def node(name: str, endpoint: str = "tcp://127.0.0.1:0") -> Node:
    """The bank: a node with one account, which others reach at `endpoint`."""
    return Node(name, supervisor(child("account", Account)), listen=[endpoint])


async def visit(endpoint: str, amount: int) -> int:
    """Be a customer: deposit something and say what the account holds then."""
    async with Node("customer", peers=[endpoint]) as customer:
        account = await customer.lookup("account", on="bank")
        account.tell(Deposit(amount))
        return await account.ask(Balance())


if __name__ == "__main__":
    try:
        print(f"the account holds {trio.run(visit, sys.argv[1], int(sys.argv[2]))}")
    except NodeUnreachable as error:
        sys.exit(f"is the bank open? {error}")
