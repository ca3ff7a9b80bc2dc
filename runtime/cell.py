"""Cells: the runtime's record of one actor, and the states of its life.

The rules that this file keeps:

1. An actor has one instance at a time. `state` goes `starting -> running -> stopping`, then
   `halted` (no instance, mail kept, its supervisor decides) or `stopped` (for good). From
   `halted` it starts again or is finished.
2. Whatever changes the life of an actor (start, stop, kill) is a control item in its system lane
   and runs in the actor's own turn, so it never overlaps with a handler or with another change.
3. The system lane is served before the mailbox.
4. An end that its parent did not order is reported to a supervising parent, which orders either
   a new start or the end for good. Without a supervising parent the end is for good.
5. What a dead actor leaves is accounted for: waiting mail becomes dead letters, asks are
   rejected, monitors are told, children, tasks and timers are gone before the end is reported.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal

from schedule_zero.runtime import undelivered
from schedule_zero.runtime.actor import Actor
from schedule_zero.runtime.context import ActorContext
from schedule_zero.runtime.control import Begun, ChildExited, Control
from schedule_zero.runtime.errors import (
    ActorEnded,
    NameTaken,
    StartFailed,
)
from schedule_zero.runtime.links import break_links
from schedule_zero.runtime.mailbox import (
    Mail,
    Mailbox,
    Sender,
    make_mailbox,
    overflow,
    turn_away,
    unstash,
)
from schedule_zero.runtime.monitors import Watcher, demonitor, tell_watchers
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.reason import KILLED, NORMAL, SHUTDOWN, Reason
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.remote import Target
from schedule_zero.runtime.tasks import Tasks
from schedule_zero.runtime.variables import close_unchanged, open_variables

if TYPE_CHECKING:
    from schedule_zero.runtime.childspec import ChildSpec
    from schedule_zero.runtime.dispatcher import Runner
    from schedule_zero.runtime.node import Node
    from schedule_zero.runtime.timers import Timer

IDLE, ACTIVE, HELD = 0, 1, 2
"""Phases: nothing to do; in the ready queue or on a runner; kept from running (no instance)."""

State = Literal["starting", "running", "stopping", "halted", "stopped"]
Origin = Any  # the sender's Cell, a Pending, or None: told apart by class on the hot path

_NO_MAIL: Any = ()
_NO_CHILDREN: dict[str, Cell] = {}  # shared and never written to: most actors have none
_logger = logging.getLogger("schedule_zero.actors")


class Cell:
    """One actor: its mailbox, its instance while there is one, and its place in the tree."""

    is_remote: Literal[False] = False

    __slots__ = (
        "_commanded",
        "_starting",
        "_waiters",
        "actor",
        "busy_since",
        "capacity",
        "children",
        "direct",
        "handled",
        "last_failure",
        "life",
        "links",
        "mailbox",
        "name",
        "node",
        "origin",
        "owed",
        "parent",
        "phase",
        "receivers",
        "ref",
        "runner",
        "senders",
        "spec",
        "stash",
        "state",
        "suspended",
        "system",
        "tasks",
        "timers",
        "variables",
        "watchers",
        "watching",
    )

    def __init__(self, node: Node, parent: Cell | None, spec: ChildSpec, name: str) -> None:
        self.node = node
        self.parent = parent
        self.spec = spec
        self.name = name
        self.ref = ActorRef(self)
        self.receivers = spec.actor.receivers
        self.direct = spec.actor.direct
        self.mailbox: Mailbox = _NO_MAIL  # made at the first message
        self.capacity = 0
        self.system: deque[tuple[object, Origin]] | None = None
        self.phase = HELD
        self.state: State = "starting"
        self.actor: Actor | None = None
        self.origin: Origin = None
        self.runner: Runner | None = None
        self.handled = 0
        self.life = 0
        self.children: dict[str, Cell] = _NO_CHILDREN
        self.tasks: Tasks | None = None
        self.timers: dict[Timer, None] | None = None
        self.watchers: dict[Watcher, None] | None = None
        self.watching: dict[Target, None] | None = None
        self.links: dict[Target, None] | None = None
        self.senders: deque[Sender] | None = None
        self.stash: list[Mail] | None = None
        self.owed: dict[Pending, None] | None = None
        self.suspended: Actor | None = None
        self.busy_since: float | None = None
        self.last_failure = ""
        self._waiters: list[Pending] | None = None
        self._starting: Pending | None = None
        self._commanded: Literal["halt", "finish"] | None = None
        self.variables: Context | None = None

    @property
    def path(self) -> str:
        """Names from the root's child down, joined by `/`; the root's own path is empty."""
        if self.parent is None:
            return ""
        above = self.parent.path
        return f"{above}/{self.name}" if above else self.name

    @property
    def is_stopped(self) -> bool:
        """Whether the actor has ended for good."""
        return self.state == "stopped"

    @property
    def is_halted(self) -> bool:
        """Whether it has no instance and waits for its supervisor."""
        return self.state == "halted"

    def deliver(self, message: object, origin: Origin) -> None:
        """Put a message in the mailbox, or refuse it (dead letter, rejected ask)."""
        self.open_mailbox()
        if len(self.mailbox) < self.capacity:
            self.mailbox.append((message, origin))
        else:
            overflow(self, message, origin)
        if not self.phase and self.mailbox:
            self.node.dispatcher.schedule(self)

    def open_mailbox(self) -> None:
        """Make the mailbox, which waits for the first message."""
        if not self.capacity and self.state != "stopped":
            self.mailbox = make_mailbox(self)
            self.capacity = self.spec.capacity

    def post(self, item: object, *, first: bool = False) -> None:
        """Put an item in the system lane; it is served before any waiting mail."""
        if self.state == "stopped":
            return
        if self.system is None:
            self.system = deque()
        if first:
            self.system.appendleft((item, None))
        else:
            self.system.append((item, None))
        if self.phase != ACTIVE:
            self.node.dispatcher.schedule(self)

    def fail(self, error: Exception, message: object, origin: Origin) -> None:
        """The running instance raised: account for the message, then end and be decided upon."""
        undelivered.failed(self, error, message, origin)
        self.end(Reason("failed", error))

    def fail_beside(self, error: Exception) -> None:
        """Something of the actor failed beside its messages: a handler that waits is ended."""
        if self.state not in ("starting", "running"):
            _logger.error("actor %r: failed as it ended", self.path, exc_info=error)
            return
        self.fail(error, None, None)
        if self.runner is not None:
            self.runner.scope.cancel()

    @property
    def is_suspended(self) -> bool:
        """Whether it keeps its messages waiting until it is resumed."""
        return self.suspended is not None

    # Start

    def start(self, failure: Reason | None = None) -> None:
        """Make the instance and run its start hook; at once when the hook does not wait.

        Raises `StartFailed` when that fails at once. Otherwise `wait_started` tells.
        """
        self.life += 1
        self.state = "starting"
        self.phase = ACTIVE  # until the hook is done nothing else may run
        self._commanded = None
        variables = open_variables(self)
        try:
            hook = variables.run(self._instantiate, failure)
        except Exception as error:
            if self._owns_nothing():
                raise self._start_failed(error) from error
            hook = _raise(error)  # what the instance has begun ends first, in its own turn
        if hook is None:
            close_unchanged(self)
            self._started()
        else:
            self._starting = Pending()
            self.phase = HELD
            self.post(Control(lambda: self._finish_start(hook)), first=True)

    async def wait_started(self) -> None:
        """Wait for a start hook that waits; raises `StartFailed`."""
        if self._starting is not None:
            await self._starting.wait()

    def _instantiate(self, failure: Reason | None) -> Awaitable[None] | None:
        spec = self.spec
        actor = spec.actor.__new__(spec.actor)
        actor.context = ActorContext(self)
        actor.__init__(*spec.args, **spec.kwargs)  # type: ignore[misc]
        self.actor = actor
        return actor.on_start() if failure is None else actor.on_restart(failure)

    async def _finish_start(self, hook: Awaitable[None]) -> None:
        try:
            await hook
        except Exception as error:
            await self._tear_down(KILLED)
            self._answer_starter(self._start_failed(error))
        else:
            self.state = "running"
            self._answer_starter(None)

    def _answer_starter(self, failed: StartFailed | None) -> None:
        starting, self._starting = self._starting, None
        if starting is None:
            return
        if failed is None:
            starting.resolve(None)
            return
        failed.__cause__ = failed.cause
        if not starting.reject(failed):
            _logger.error("%s", failed, exc_info=failed.cause)

    def _started(self) -> None:
        self.state = "running"
        self.node.dispatcher.settle(self)

    def _start_failed(self, error: Exception) -> StartFailed:
        self.actor = None
        self.phase = HELD
        failed = error if isinstance(error, StartFailed) else StartFailed(self.path, error)
        parent = self.parent
        may_try_again = parent is None or (
            parent.spec.actor.supervises and self.spec.restart != "temporary"
        )
        if may_try_again and self._commanded != "finish":
            self._halt()
        else:
            self.finish(Reason("failed", error))
        return failed

    # Stop

    def stop(self) -> None:
        """End as if of its own accord; a supervising parent decides what follows."""
        self.end(NORMAL)

    def end(self, reason: Reason) -> None:
        """End the running instance for `reason`, in the actor's own turn.

        A failed instance handles nothing more; another end lets the system lane run out first.
        """
        if self.state not in ("starting", "running"):
            return
        if self.phase == IDLE and self._is_simple():
            self.actor = None
            self.phase = HELD
            self._ended(reason)
        else:
            self.post(Control(lambda: self._perform_end(reason)), first=reason.is_abnormal)

    def order_stop(self, what: Literal["halt", "finish"]) -> Pending:
        """By its parent: stop, and either wait for a new start or be finished."""
        done = Pending()
        if self.state == "stopped" or (self.state == "halted" and what == "halt"):
            done.resolve(None)
            return done
        if self.state == "halted":
            self.finish(SHUTDOWN)
            done.resolve(None)
            return done
        self._commanded = what
        self._waiters = [*(self._waiters or ()), done]
        if self.spec.actor.supervises and self.state != "stopping" and self.runner is not None:
            self.runner.scope.cancel()  # it waits for a child, perhaps one that never starts
        self.end(SHUTDOWN)
        return done

    def kill(self) -> None:
        """End now: the handler is cancelled where it waits, `on_stop` is not called."""
        if self.state in ("halted", "stopped"):
            return
        self.post(Control(self._perform_kill), first=True)
        if self.runner is not None:
            self.runner.scope.cancel()
            self.node.dispatcher.abandon_later(self, self.runner)

    async def stop_child(self, child: Cell, what: Literal["halt", "finish"]) -> None:
        """Stop a child of this cell within its shutdown time, killing it after that."""
        done = child.order_stop(what)
        if done.is_done:
            return
        shutdown = child.spec.shutdown
        timer = None
        if shutdown == "kill":
            child.kill()
        elif not isinstance(shutdown, str):
            timer = self.node.timers.after(shutdown, child.kill)
        await done.wait()
        if timer is not None:
            timer.cancel()

    def _is_simple(self) -> bool:
        has_hook = self.spec.actor.on_stop is not Actor.on_stop
        return not self.system and self._owns_nothing() and not has_hook

    def _owns_nothing(self) -> bool:
        few = self.children or self.tasks or self.timers or self.watching
        return not (few or self.stash or self.owed or self.suspended)

    async def _perform_end(self, reason: Reason) -> None:
        if self.state in ("halted", "stopped"):
            return
        has_started = self.state == "running"
        await self._tear_down(reason if has_started else KILLED)
        self._ended(reason)

    async def _perform_kill(self) -> None:
        if self.state in ("halted", "stopped"):
            return
        for child in list(self.children.values()):
            child.kill()
        await self._tear_down(KILLED)
        self._ended(KILLED)

    async def _tear_down(self, reason: Reason) -> None:
        self.state = "stopping"
        await self._let_go()
        if self.suspended is not None:
            self.actor, self.suspended = self.suspended, None
        actor = self.actor
        if reason is not KILLED and actor is not None:
            try:
                hook = actor.on_stop(reason)
                if inspect.isawaitable(hook):
                    await hook
            except Exception:
                _logger.exception("actor %r: on_stop failed", self.path)
        if self.tasks:
            await self.tasks.end()
        if not self._owns_nothing():
            await self._let_go()  # what `on_stop` and the tasks have begun meanwhile
        undelivered.unanswered(self)
        unstash(self)
        self.actor = None

    async def _let_go(self) -> None:
        while self.children:
            for child in reversed(list(self.children.values())):
                await self.stop_child(child, "finish")
        for timer in list(self.timers or ()):
            timer.cancel()
        self.timers = None
        for watched in list(self.watching or ()):
            demonitor(self, watched)

    def _ended(self, reason: Reason) -> None:
        break_links(self, reason)
        parent = self.parent
        supervised = (
            parent is not None
            and parent.spec.actor.supervises
            and parent.state in ("starting", "running")
        )
        if self._commanded == "halt":
            self._halt()
        elif self._commanded == "finish" or not supervised:
            self.finish(reason)
        elif parent is not None:
            self._halt()
            if self._starting is None:  # else the supervisor waits for the start and is told so
                parent.post(ChildExited(self, self.life, reason))
        if self._starting is not None:
            self._answer_starter(StartFailed(self.path, ActorEnded(reason)))

    def _halt(self) -> None:
        self.state = "halted"
        self._drop_system()  # meant for the life that has ended
        self._tell_waiters()

    def _drop_system(self) -> None:
        system, self.system = self.system, None
        for item, _ in system or ():
            if isinstance(item, Control) and item.done is not None:
                item.done.reject(ActorEnded(KILLED))
            elif isinstance(item, Begun):
                item.coro.close()
                undelivered.interrupted(self, item.message, item.origin)

    def finish(self, reason: Reason) -> None:
        """End for good: mail to the dead letters, monitors told, gone from the tree."""
        if self.state == "stopped":
            return
        self.state = "stopped"
        self.actor = None
        self.capacity = 0
        self.phase = HELD
        self._drop_system()
        waiting, self.mailbox = self.mailbox, _NO_MAIL
        for item, origin in waiting:
            undelivered.refuse(self, item, origin)
        turn_away(self)
        if self.parent is not None:
            self.parent.children.pop(self.name, None)
        else:
            self.node.root_ended(reason)
        tell_watchers(self, reason)
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            waiter.resolve(None)

    def spawn(self, spec: ChildSpec, name: str = "") -> Cell:
        """Add a child, under the name of its spec or another, and start it.

        Raises `NameTaken` and `StartFailed`.
        """
        name = name or spec.name
        if name in self.children:
            raise NameTaken(self.children[name].path)
        if self.children is _NO_CHILDREN:
            self.children = {}
        child = Cell(self.node, self, spec, name)
        self.children[name] = child
        child.start()
        return child

    def start_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run an async function in a trio task of this actor's; its failure is the actor's."""
        if self.tasks is None:
            self.tasks = Tasks(self.fail_beside, self.path)
        self.tasks.start(self.node.start_soon, function, args)

    def tree(self) -> Iterator[Cell]:
        """This cell and all below it, parents first."""
        yield self
        for child in self.children.values():
            yield from child.tree()


async def _raise(error: Exception) -> None:
    raise error
