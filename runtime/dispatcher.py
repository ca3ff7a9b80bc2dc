"""The dispatcher: runs many actors on few trio tasks. Nobody else knows how.

The rules that this file keeps:

1. At most one runner owns the ready queue, and while it is not empty some runner owns it or has
   been woken to own it. `schedule` is the only way onto the queue, and it wakes.
2. A cell is in the queue, or on a runner, or neither; never twice. So its messages are handled
   one at a time, in order.
3. A `def` handler is a call. An `async def` handler is stepped by hand; most end without
   waiting. One that is about to wait costs its runner the queue: another runner takes that over,
   and this one goes on as the handler's trio task, so that cancel scopes, nurseries and
   `current_task` mean what they always mean.
4. The owner lets other trio tasks run after a burst, bounded by count and by time.
5. Each runner has one cancel scope, by which a stuck handler is killed; that runner ends.
"""

from __future__ import annotations

import logging
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from threading import get_ident
from types import CoroutineType
from typing import Any, Protocol

import trio

from schedule_zero.runtime import undelivered
from schedule_zero.runtime.actor import UNHANDLED
from schedule_zero.runtime.cell import ACTIVE, HELD, IDLE, Cell
from schedule_zero.runtime.clock import Clock
from schedule_zero.runtime.control import Begun, Control
from schedule_zero.runtime.errors import NodeError
from schedule_zero.runtime.mailbox import admit
from schedule_zero.runtime.monitors import Down
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.variables import open_variables

_logger = logging.getLogger("schedule_zero.actors")

_SPARE_RUNNERS = 32
_BURST_SECONDS = 0.0005
_BURST_CELLS = 4096
_QUANTUM_MAX = 64
_UNWIND_SECONDS = 1.0
_ASKS_WITHOUT_CHECKPOINT = 64


class ReadyQueue(Protocol):
    """Where cells wait for their turn: a deque, or in simulation one that picks by a seed."""

    def append(self, cell: Cell, /) -> None:
        """Put a cell in."""

    def popleft(self) -> Cell:
        """Take the next one out."""

    def __len__(self) -> int: ...


class Runner:
    """One trio task that runs cells; `scope` ends it."""

    __slots__ = ("message", "scope", "task")

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None
        self.message: object = None


class Blocked:
    """A coroutine that is about to wait, with what it has yielded to trio."""

    __slots__ = ("cell", "coro", "message", "trap")

    def __init__(
        self, cell: Cell, coro: Coroutine[Any, Any, Any], trap: object, message: object
    ) -> None:
        self.cell = cell
        self.coro = coro
        self.trap = trap
        self.message = message


class Dispatcher:
    """Gives every cell with something to do its turn.

    `start_soon` starts a trio task in the node's nursery.
    """

    def __init__(
        self,
        start_soon: Callable[..., None],
        clock: Clock,
        ready: ReadyQueue | None = None,
    ) -> None:
        self._start_soon = start_soon
        self._clock = clock
        self._ready: ReadyQueue = deque() if ready is None else ready
        self._thread = 0
        self._token: trio.lowlevel.TrioToken | None = None
        self._owner: Runner | None = None
        self._spare: list[Runner] = []
        self._quantum = 1
        self._asks = 0

    def enter(self) -> None:
        """This thread is the node's; no other may wake it."""
        self._thread, self._token = get_ident(), trio.lowlevel.current_trio_token()

    @trio.lowlevel.enable_ki_protection
    def schedule(self, cell: Cell) -> None:
        """Queue a cell for a turn, and see that some runner takes it."""
        cell.phase = ACTIVE
        self._ready.append(cell)
        if self._owner is None:
            self._wake()

    def settle(self, cell: Cell) -> None:
        """After a turn: queue the cell again if it has more to do."""
        if cell.senders:
            admit(cell)
        if cell.system:
            self.schedule(cell)
        elif cell.actor is None:
            cell.phase = HELD
        elif cell.mailbox:
            self.schedule(cell)
        else:
            cell.phase = IDLE

    @trio.lowlevel.enable_ki_protection
    def handle_now(self, cell: Cell, message: object, pending: Pending) -> None:
        """Let an idle cell with a `def` receiver handle one message on the caller's stack."""
        cell.phase = ACTIVE
        (cell.variables or open_variables(cell)).run(self._handle_here, cell, message, pending)

    def _handle_here(self, cell: Cell, message: object, pending: Pending) -> None:
        cell.origin = pending
        cell.handled += 1
        try:
            result = cell.receivers[message.__class__](cell.actor, message)
            if result.__class__ is CoroutineType:
                cell.post(Begun(result, message, cell.origin), first=True)
            else:
                self._answer(cell, message, result)
        except Exception as error:
            cell.fail(error, message, cell.origin)
        self.settle(cell)

    def abandon_later(self, cell: Cell, runner: Runner) -> None:
        """Give a killed handler a moment to unwind; one that shields itself is then left alone."""
        cell.node.timers.after(_UNWIND_SECONDS, lambda: self._abandon(cell, runner))

    def _abandon(self, cell: Cell, runner: Runner) -> None:
        if cell.runner is not runner:
            return
        _logger.error(
            "actor %r: its handler shields itself from being killed; it is left to end by itself",
            cell.path,
        )
        cell.runner = cell.busy_since = None
        undelivered.interrupted(cell, runner.message, cell.origin)
        self.settle(cell)

    def owes_checkpoint(self) -> bool:
        """Whether an asker served on its own stack must now let other tasks run."""
        self._asks += 1
        if self._asks < _ASKS_WITHOUT_CHECKPOINT:
            return False
        self._asks = 0
        return True

    def _wake(self) -> None:
        if get_ident() != self._thread and self._token is not None:
            self._token.run_sync_soon(self._wake_if_needed)
            raise NodeError(
                "an actor was told something from another thread: use `node.call_from_thread`"
            )
        if self._spare:
            runner = self._spare.pop()
            self._owner = runner
            if runner.task is not None:
                trio.lowlevel.reschedule(runner.task)
        else:
            self._owner = Runner()
            self._start_soon(self._run, self._owner, name="schedule_zero runner")

    @trio.lowlevel.enable_ki_protection
    async def _run(self, runner: Runner) -> None:
        runner.task = trio.lowlevel.current_task()
        with runner.scope:
            try:
                while True:
                    if self._owner is runner:
                        blocked = self._burst()
                        if blocked is not None:
                            self._give_up_queue()
                            await self._finish(runner, blocked)
                        elif self._ready:
                            await trio.lowlevel.checkpoint()
                        else:
                            self._owner = None
                    elif self._owner is None and self._ready:
                        self._owner = runner
                    elif len(self._spare) < _SPARE_RUNNERS:
                        self._spare.append(runner)
                        await trio.lowlevel.wait_task_rescheduled(lambda _: self._unspare(runner))
                    else:
                        return
            finally:
                if self._owner is runner:
                    self._give_up_queue()

    def _wake_if_needed(self) -> None:
        if self._owner is None and self._ready:
            self._wake()

    def _unspare(self, runner: Runner) -> trio.lowlevel.Abort:
        self._spare.remove(runner)
        return trio.lowlevel.Abort.SUCCEEDED

    def _give_up_queue(self) -> None:
        self._owner = None
        if self._ready:
            self._wake()

    def _burst(self) -> Blocked | None:
        """Run ready cells for about half a millisecond, or until a handler is about to wait.

        The clock is read after as many cells as the last reading showed to be short enough.
        """
        ready, monotonic, drain = self._ready, self._clock.monotonic, self._drain
        begun = read = monotonic()
        until_read = quantum = self._quantum
        for _ in range(_BURST_CELLS):
            if not ready:
                break
            cell = ready.popleft()
            variables = cell.variables
            if variables is None:
                variables = open_variables(cell)
            blocked = variables.run(drain, cell, quantum)
            if blocked is not None:
                return blocked
            until_read -= 1
            if not until_read:
                now = monotonic()
                if now - read > _BURST_SECONDS / 2:
                    quantum = max(1, quantum // 4)
                elif quantum < _QUANTUM_MAX:
                    quantum *= 2
                self._quantum = until_read = quantum
                read = now
                if now - begun > _BURST_SECONDS:
                    break
        return None

    def _drain(self, cell: Cell, limit: int) -> Blocked | None:  # noqa: C901 - the hot loop
        """One turn of a cell: one item of its system lane, or up to `limit` messages."""
        if cell.system:
            blocked = self._handle_system(cell)
            if blocked is None:
                self.settle(cell)
            return blocked
        actor, mailbox, receivers = cell.actor, cell.mailbox, cell.receivers
        left = limit
        while left and mailbox:
            left -= 1
            message, origin = mailbox.popleft()
            cell.origin = origin
            try:
                result = receivers[message.__class__](actor, message)
                if result is None and origin.__class__ is not Pending:
                    if cell.system:
                        break
                    continue
                if result.__class__ is CoroutineType:
                    try:
                        trap = result.send(None)
                    except StopIteration as stop:
                        result = stop.value
                    else:
                        cell.handled += limit - left
                        return Blocked(cell, result, trap, message)
            except Exception as error:
                cell.fail(error, message, cell.origin)
                break
            self._answer(cell, message, result)
            if cell.system:
                break
        cell.handled += limit - left
        if mailbox or cell.system or cell.senders or cell.actor is None:
            self.settle(cell)
        else:
            cell.phase = IDLE  # what `settle` would say, without the call
        return None

    def _handle_system(self, cell: Cell) -> Blocked | None:
        assert cell.system
        item, _ = cell.system.popleft()
        if item.__class__ is Begun:
            return self._begin(cell, item)
        cell.origin = None
        try:
            if item.__class__ is Control:
                result = item.perform()
            elif cell.is_suspended:
                self._put_off(cell, item)
                return None
            elif cell.actor is not None:
                result = cell.receivers[item.__class__](cell.actor, item)
            else:
                return None
            if result.__class__ is CoroutineType:
                try:
                    trap = result.send(None)
                except StopIteration:
                    return None
                return Blocked(cell, result, trap, item)
        except Exception as error:
            cell.fail(error, item if isinstance(item, Down) else None, None)
        return None

    def _put_off(self, cell: Cell, item: object) -> None:
        """A suspended actor gets what is told to it by the runtime when it is resumed."""
        cell.open_mailbox()
        cell.mailbox.appendleft((item, None))

    def _begin(self, cell: Cell, begun: Begun) -> Blocked | None:
        cell.origin = begun.origin
        try:
            trap = begun.coro.send(None)
        except StopIteration as stop:
            self._answer(cell, begun.message, stop.value)
            return None
        except Exception as error:
            cell.fail(error, begun.message, cell.origin)
            return None
        return Blocked(cell, begun.coro, trap, begun.message)

    def _answer(self, cell: Cell, message: object, result: object) -> None:
        origin = cell.origin  # None once the actor has taken the answer over
        if result is UNHANDLED:
            undelivered.unhandled(cell, message, origin)
        elif origin.__class__ is Pending and not origin.resolve(result):
            cell.node.dead_letters.record(cell.path, message, "late_reply")

    async def _finish(self, runner: Runner, blocked: Blocked) -> None:
        """Be the trio task of a handler that waits, to its end."""
        cell = blocked.cell
        cell.runner = runner
        runner.message = blocked.message
        cell.busy_since = self._clock.monotonic()
        try:
            result = await _drive(open_variables(cell), blocked.coro, blocked.trap)
        except Exception as error:
            if cell.runner is not runner:
                return  # abandoned: the actor has gone on without it
            cell.runner = cell.busy_since = None
            cell.fail(error, blocked.message, cell.origin)
        except BaseException as error:
            if cell.runner is not runner:
                raise
            cell.runner = cell.busy_since = None
            undelivered.interrupted(cell, blocked.message, cell.origin)
            self.settle(cell)
            if isinstance(error, BaseExceptionGroup):
                raise _without_failures(error) from None
            raise
        else:
            if cell.runner is not runner:
                return
            cell.runner = cell.busy_since = None
            self._answer(cell, blocked.message, result)
        self.settle(cell)


def _without_failures(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a killed handler raised, less what failed as it was cleaning up: that ends here."""
    failures, rest = group.split(Exception)
    if failures is not None:
        _logger.error("a killed handler failed as it ended", exc_info=failures)
    assert rest is not None
    return rest


@types.coroutine
def _drive(
    variables: Context, coro: Coroutine[Any, Any, Any], trap: object
) -> Generator[Any, Any, Any]:
    """Go on with a started coroutine on this task: its traps out, their results in."""
    while True:
        step: Callable[..., object]
        try:
            value = yield trap
            step = coro.send
        except BaseException as error:
            value, step = error, coro.throw
        try:
            trap = variables.run(step, value)
        except StopIteration as stop:
            return stop.value
