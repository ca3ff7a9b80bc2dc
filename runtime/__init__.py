"""Actors, mailboxes, refs, supervision and nodes. This floor knows no scheduler.

Example::

    import trio
    from schedule_zero.runtime import Actor, Node, Request, child, handles, message, supervisor

    @message
    class Deposit:
        amount: int

    @message
    class Balance(Request[int]):
        pass

    class Account(Actor):
        def __init__(self) -> None:
            self.balance = 0

        @handles
        def deposit(self, msg: Deposit) -> None:
            self.balance += msg.amount

        @handles
        def report(self, msg: Balance) -> int:
            return self.balance

    async def main() -> None:
        async with Node("a", supervisor(child("account", Account))) as node:
            account = node.ref("account")
            account.tell(Deposit(5))
            print(await account.ask(Balance()))

    trio.run(main)
"""

from __future__ import annotations

from schedule_zero.runtime.actor import Actor, blocking, cpu_bound, handles, is_blocking
from schedule_zero.runtime.chance import Chance
from schedule_zero.runtime.children import (
    ChildCounts,
    ChildInfo,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from schedule_zero.runtime.childspec import Backoff, ChildSpec, SupervisorSpec, child
from schedule_zero.runtime.clock import Clock, SystemClock, VirtualClock
from schedule_zero.runtime.context import ActorContext
from schedule_zero.runtime.dead_letters import DeadLetter
from schedule_zero.runtime.door import WhichSessions
from schedule_zero.runtime.errors import (
    ActorError,
    ActorFailed,
    ActorStopped,
    AskTimeout,
    BadChildSpec,
    BadHandler,
    CannotEncode,
    ChildError,
    DeliveryError,
    LinkedActorEnded,
    MailboxFull,
    MessageRefused,
    NameTaken,
    NodeError,
    NodeFailed,
    NodeUnreachable,
    NoSuchActor,
    NotDelivered,
    RestartIntensityExceeded,
    StartFailed,
    StashFull,
    Unanswered,
    UnhandledMessage,
)
from schedule_zero.runtime.introspect import (
    ActorInfo,
    Traced,
    get_state,
    resume,
    snapshot,
    suspend,
    trace,
)
from schedule_zero.runtime.message import Request, message, message_types
from schedule_zero.runtime.monitors import Down
from schedule_zero.runtime.network import Network, PeerDown, PeerUp
from schedule_zero.runtime.node import Node
from schedule_zero.runtime.nodeprocess import NodeProcess, WhichNode, node_program
from schedule_zero.runtime.parent import NodeInfo
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.reason import Reason
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.running import RunningNode
from schedule_zero.runtime.serving import serve
from schedule_zero.runtime.supervisor import Restarted, Supervisor, supervisor
from schedule_zero.runtime.watchdog import Watchdog

__all__ = [
    "Actor",
    "ActorContext",
    "ActorError",
    "ActorFailed",
    "ActorInfo",
    "ActorRef",
    "ActorStopped",
    "AskTimeout",
    "Backoff",
    "BadChildSpec",
    "BadHandler",
    "CannotEncode",
    "Chance",
    "ChildCounts",
    "ChildError",
    "ChildInfo",
    "ChildSpec",
    "Clock",
    "CountChildren",
    "DeadLetter",
    "DeleteChild",
    "DeliveryError",
    "Down",
    "LinkedActorEnded",
    "MailboxFull",
    "MessageRefused",
    "NameTaken",
    "Network",
    "NoSuchActor",
    "Node",
    "NodeError",
    "NodeFailed",
    "NodeInfo",
    "NodeProcess",
    "NodeUnreachable",
    "NotDelivered",
    "PeerDown",
    "PeerUp",
    "Pending",
    "Reason",
    "Request",
    "RestartChild",
    "RestartIntensityExceeded",
    "Restarted",
    "RunningNode",
    "StartChild",
    "StartFailed",
    "StashFull",
    "Supervisor",
    "SupervisorSpec",
    "SystemClock",
    "TerminateChild",
    "Traced",
    "Unanswered",
    "UnhandledMessage",
    "VirtualClock",
    "Watchdog",
    "WhichChildren",
    "WhichNode",
    "WhichSessions",
    "blocking",
    "child",
    "cpu_bound",
    "get_state",
    "handles",
    "is_blocking",
    "message",
    "message_types",
    "node_program",
    "resume",
    "serve",
    "snapshot",
    "supervisor",
    "suspend",
    "trace",
]
