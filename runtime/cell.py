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
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal

import trio
from attrs import frozen

from schedule_zero.runtime.actor import Actor
from schedule_zero.runtime.context import ActorContext
from schedule_zero.runtime.errors import (
    ActorEnded,
    ActorFailed,
    ActorStopped,
    MailboxFull,
    NameTaken,
    StartFailed,
    UnhandledMessage,
)
from schedule_zero.runtime.message import message
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.reason import KILLED, NOPROC, NORMAL, SHUTDOWN, Reason
from schedule_zero.runtime.ref import ActorRef, current_cell

if TYPE_CHECKING:
    from schedule_zero.runtime.childspec import ChildSpec
    from schedule_zero.runtime.dispatcher import Runner
    from schedule_zero.runtime.node import Node
    from schedule_zero.runtime.timers import Timer

IDLE, ACTIVE, HELD = 0, 1, 2
"""Phases: with nothing to do; in the ready queue or on a runner; kept from running (no instance)."""

State = Literal["starting", "running", "stopping", "halted", "stopped"]
Origin = Any  # the sender's Cell, a Pending, or None: told apart by class on the hot path

_NO_MAIL: Any = ()
_logger = logging.getLogger("schedule_zero.actors")


@message
class Down:
    """A monitored actor has ended, for `reason` (`"failed: ValueError: ..."` and the like)."""

    ref: ActorRef
    reason: Reason


@frozen
class ChildExited:
    """To a supervisor: life number `life` of this child has ended."""

    child: Cell
    life: int
    reason: Reason


@frozen
class Control:
    """A change of an actor's life, done in the actor's own turn."""

    perform: Callable[[], Awaitable[None] | None]


class Cell:
    """One actor: its mailbox, its instance while there is one, and its place in the tree."""

    __slots__ = (
        "_commanded",
        "_starting",
        "_tasks_ended",
        "_waiters",
        "actor",
        "capacity",
        "children",
        "direct",
        "handled",
        "life",
        "mailbox",
        "name",
        "node",
        "origin",
        "parent",
        "phase",
        "receivers",
        "ref",
        "runner",
        "spec",
        "state",
        "system",
        "tasks",
        "timers",
        "variables",
        "watchers",
        "watching",
    )

    def __init__(self, node: Node, parent: Cell | None, spec: ChildSpec) -> None:
        self.node = node
        self.parent = parent
        self.spec = spec
        self.name = spec.name
        self.ref = ActorRef(self)
        self.receivers = spec.actor.receivers
        self.direct = spec.actor.direct
        self.mailbox: deque[tuple[object, Origin]] = _NO_MAIL  # made at the first message
        self.capacity = 0
        self.system: deque[tuple[object, Origin]] | None = None
        self.phase = HELD
        self.state: State = "starting"
        self.actor: Actor | None = None
        self.origin: Origin = None
        self.runner: Runner | None = None
        self.handled = 0
        self.life = 0
        self.children: dict[str, Cell] = {}
        self.tasks: dict[trio.CancelScope, None] | None = None
        self.timers: dict[Timer, None] | None = None
        self.watchers: dict[Cell, None] | None = None
        self.watching: dict[Cell, None] | None = None
        self._waiters: list[Pending] | None = None
        self._starting: Pending | None = None
        self._tasks_ended: Pending | None = None
        self._commanded: Literal["halt", "finish"] | None = None
        self.variables: Context = node.variables.copy()
        self.variables.run(current_cell.set, self)

    # What others see

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

    # Messages

    def deliver(self, message: object, origin: Origin) -> None:
        """Put a message in the mailbox, or refuse it (dead letter, rejected ask)."""
        if not self.capacity and self.state != "stopped":
            self.mailbox = deque()
            self.capacity = self.spec.capacity
        if len(self.mailbox) < self.capacity:
            self.mailbox.append((message, origin))
            if not self.phase:
                self.schedule()
        else:
            self._refuse(message, origin)

    def schedule(self) -> None:
        """Get a turn: the one way onto the ready queue."""
        self.phase = ACTIVE
        self.node.dispatcher.schedule(self)

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
            self.schedule()

    def _refuse(self, message: object, origin: Origin) -> None:
        stopped = self.state == "stopped"
        if origin.__class__ is Pending:
            error = (
                ActorStopped(self.path, message)
                if stopped
                else MailboxFull(self.path, message, self.capacity)
            )
            origin.reject(error)
        else:
            reason: Any = "stopped" if stopped else "mailbox_full"
            self.node.dead_letters.record(self.path, message, reason, _path_of(origin))

    def unhandled(self, message: object, origin: Origin) -> None:
        """Account for a message that the actor has no receiver for."""
        if origin.__class__ is Pending:
            origin.reject(UnhandledMessage(self.path, message))
        else:
            self.node.dead_letters.record(self.path, message, "unhandled", _path_of(origin))

    # Failure

    def fail(self, error: Exception, message: object, origin: Origin) -> None:
        """The running instance raised: reject the asker, then halt and let the parent decide."""
        text = f"{type(error).__name__}: {error}"
        _logger.error("actor %r failed: %s", self.path, text, exc_info=error)
        if origin.__class__ is Pending:
            origin.reject(
                ActorFailed(
                    self.path,
                    message,
                    type(error).__qualname__,
                    str(error),
                    "".join(traceback.format_exception(error)),
                )
            )
        if message is not None:
            sender = _path_of(origin)
            self.node.dead_letters.record(self.path, message, "failed", sender, text)
        self.end(Reason("failed", error))

    def interrupted(self, message: object, origin: Origin) -> None:
        """The handler was cancelled under the actor (killed, or the node is going down)."""
        if isinstance(message, Control):
            return
        if origin.__class__ is Pending:
            origin.reject(ActorFailed(self.path, message, "Killed", "killed while handling", ""))
        self.node.dead_letters.record(self.path, message, "failed", _path_of(origin), "killed")

    # Start

    def start(self, failure: Reason | None = None) -> None:
        """Make the instance and run its start hook; at once when the hook does not wait.

        Raises `StartFailed` when that fails at once. Otherwise `wait_started` tells.
        """
        self.life += 1
        self.state = "starting"
        self.phase = ACTIVE  # until the hook is done nothing else may run
        self._commanded = None
        try:
            hook = self.variables.run(self._instantiate, failure)
        except Exception as error:
            raise self._start_failed(error) from error
        if hook is None:
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
        except Exception as error:  # noqa: BLE001 - whatever a hook raises fails the start
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
        self.state = "halted"
        failed = StartFailed(self.path, error)
        if self.parent is None or not self.parent.spec.actor.supervises:
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
        self.end(SHUTDOWN)
        return done

    def kill(self) -> None:
        """End now: the handler is cancelled where it waits, `on_stop` is not called."""
        if self.state in ("halted", "stopped"):
            return
        self.post(Control(self._perform_kill), first=True)
        if self.runner is not None:
            self.runner.scope.cancel()

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
        return not (
            self.children or self.tasks or self.timers or self.system or self.watching
        ) and (self.spec.actor.on_stop is Actor.on_stop)

    async def _perform_end(self, reason: Reason) -> None:
        if self.state in ("halted", "stopped"):
            return
        await self._tear_down(reason)
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
        for child in reversed(list(self.children.values())):
            await self.stop_child(child, "finish")
        for timer in list(self.timers or ()):
            timer.cancel()
        self.timers = None
        for watched in list(self.watching or ()):
            self.demonitor(watched)
        actor = self.actor
        if reason is not KILLED and actor is not None:
            try:
                hook = actor.on_stop(reason)
                if inspect.isawaitable(hook):
                    await hook
            except Exception:  # noqa: BLE001 - a failing end is still an end
                _logger.exception("actor %r: on_stop failed", self.path)
        if self.tasks:
            await self._end_tasks()
        self.actor = None

    def _ended(self, reason: Reason) -> None:
        parent = self.parent
        supervised = (
            parent is not None
            and parent.spec.actor.supervises
            and parent.state in ("starting", "running")
        )
        if self._commanded == "halt":
            self.state = "halted"
            self._tell_waiters()
        elif self._commanded == "finish" or not supervised:
            self.finish(reason)
        elif parent is not None:
            self.state = "halted"
            if self._starting is None:  # else the supervisor waits for the start and is told so
                parent.post(ChildExited(self, self.life, reason))
        if self._starting is not None:
            self._answer_starter(StartFailed(self.path, ActorEnded(reason)))

    def finish(self, reason: Reason) -> None:
        """End for good: mail to the dead letters, monitors told, gone from the tree."""
        self.state = "stopped"
        self.actor = None
        self.capacity = 0
        self.phase = HELD
        self.system = None
        waiting, self.mailbox = self.mailbox, _NO_MAIL
        for item, origin in waiting:
            self._refuse(item, origin)
        if self.parent is not None:
            self.parent.children.pop(self.name, None)
        else:
            self.node.root_ended(reason)
        watchers, self.watchers = self.watchers, None
        for watcher in watchers or ():
            if watcher.watching is not None:
                watcher.watching.pop(self, None)
            watcher.post(Down(self.ref, reason))
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            waiter.resolve(None)

    # Children, monitors, tasks

    def spawn(self, spec: ChildSpec) -> Cell:
        """Add a child and start it. Raises `NameTaken` and `StartFailed`."""
        if spec.name in self.children:
            raise NameTaken(self.children[spec.name].path)
        child = Cell(self.node, self, spec)
        self.children[spec.name] = child
        child.start()
        return child

    def monitor(self, watched: Cell) -> None:
        """Be told with `Down` when `watched` ends for good; at once when it has."""
        if watched.state == "stopped":
            self.post(Down(watched.ref, NOPROC))
            return
        self.watching = self.watching or {}
        self.watching[watched] = None
        watched.watchers = watched.watchers or {}
        watched.watchers[self] = None

    def demonitor(self, watched: Cell) -> None:
        """Stop monitoring; harmless when it was not."""
        if self.watching is not None:
            self.watching.pop(watched, None)
        if watched.watchers is not None:
            watched.watchers.pop(self, None)

    def start_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run an async function in a trio task of this actor's; its failure is the actor's."""
        scope = trio.CancelScope()
        self.tasks = self.tasks or {}
        self.tasks[scope] = None
        self.node.start_soon(self._run_task, scope, function, args, name=f"{self.path} task")

    async def _run_task(
        self,
        scope: trio.CancelScope,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        failure: Exception | None = None
        try:
            with scope:
                await function(*args)
        except Exception as error:  # noqa: BLE001 - a task's failure is its actor's
            failure = error
        finally:
            if self.tasks is not None:
                self.tasks.pop(scope, None)
                if not self.tasks and self._tasks_ended is not None:
                    self._tasks_ended.resolve(None)
        if failure is not None and self.state in ("starting", "running"):
            self.fail(failure, None, None)
            if self.runner is not None:
                self.runner.scope.cancel()

    async def _end_tasks(self) -> None:
        for scope in list(self.tasks or ()):
            scope.cancel()
        if self.tasks:
            self._tasks_ended = Pending()
            await self._tasks_ended.wait()

    def tree(self) -> Iterator[Cell]:
        """This cell and all below it, parents first."""
        yield self
        for child in self.children.values():
            yield from child.tree()


def _path_of(origin: Origin) -> str:
    sender = origin.sender if origin.__class__ is Pending else origin
    return sender.path if isinstance(sender, Cell) else ""
