"""What a supervisor can be asked about its children, at run time. OTP's functions as messages.

Example::

    worker = await node.ref("workers").ask(StartChild(args=("mail",)))
    await node.ref("workers").ask(TerminateChild("worker-1"))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from schedule_zero.runtime.childspec import ChildSpec, Restart
from schedule_zero.runtime.message import Request, message
from schedule_zero.runtime.ref import ActorRef


@message
class StartChild(Request[ActorRef]):
    """Add a child and start it; the reply is its ref.

    A supervisor takes a `spec`, a pool (`simple_one_for_one`) takes `args` and `kwargs`, which are
    added to those of its template. Raises `NameTaken` and `StartFailed`, and `ChildError` for the
    wrong one of the two.
    """

    spec: ChildSpec | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)


@message
class TerminateChild(Request[None]):
    """Stop a child. Its spec is kept for `RestartChild`, unless it is temporary or of a pool.

    Raises `ChildError` for a name that no child has.
    """

    name: str


@message
class RestartChild(Request[ActorRef]):
    """Start a child that does not run; the reply is its new ref.

    Raises `ChildError` when it runs, waits for its restart or is unknown, and `StartFailed`.
    """

    name: str


@message
class DeleteChild(Request[None]):
    """Forget the spec of a child that does not run. Raises `ChildError`."""

    name: str


@message
class ChildInfo:
    """One child: `ref` is None while it does not run."""

    name: str
    ref: ActorRef | None
    state: Literal["running", "restarting", "undefined"]
    restart: Restart
    actor_class: str


@message
class WhichChildren(Request[tuple[ChildInfo, ...]]):
    """All children, in their order of start."""


@message
class ChildCounts:
    """How many children are known by their specs, how many run, and what they are."""

    specs: int
    active: int
    supervisors: int
    workers: int


@message
class CountChildren(Request[ChildCounts]):
    """How many children there are."""
