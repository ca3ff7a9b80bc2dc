"""A pending reply: the slot that an ask waits on and that the asked actor fills once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell

_UNSET = object()


class Pending:
    """One answer, filled at most once by `resolve` or `reject`; later ones are dropped.

    `sender` is the asking actor's cell, or `None` for an asker outside any actor.
    """

    __slots__ = ("_error", "_value", "_waiter", "sender")

    def __init__(self, sender: Cell | None = None) -> None:
        self.sender = sender
        self._value: object = _UNSET
        self._error: BaseException | None = None
        self._waiter: trio.lowlevel.Task | Callable[[Pending], None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether an answer or an error is in."""
        return self._value is not _UNSET

    def resolve(self, value: object) -> bool:
        """Answer. False when an answer was there already, or nobody waits any more."""
        if self._value is not _UNSET:
            return False
        self._value = value
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            if isinstance(waiter, trio.lowlevel.Task):
                trio.lowlevel.reschedule(waiter)
            else:
                waiter(self)
        return True

    def reject(self, error: BaseException) -> bool:
        """Answer with an error, which the waiting side raises."""
        if self._value is not _UNSET:
            return False
        self._error = error
        return self.resolve(None)

    async def wait(self) -> object:
        """The answer; raises the error of `reject`. Cancelling the wait drops the answer."""
        if self._value is _UNSET:
            self._waiter = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        return self.result()

    def result(self) -> object:
        """The answer that is in; raises the error of `reject`."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # no cycle: traceback -> frame -> self -> error
        return self._value

    def when_done(self, call: Callable[[Pending], None]) -> None:
        """Call this once the answer is in, in place of a task that waits."""
        self._waiter = call

    @property
    def error(self) -> BaseException | None:
        """The error of `reject`."""
        return self._error

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._waiter = None
        self._value = None
        return trio.lowlevel.Abort.SUCCEEDED
