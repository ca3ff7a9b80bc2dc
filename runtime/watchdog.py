"""The watchdog: a thread that reports a handler which keeps the event loop from running."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import FrameType

import trio

_logger = logging.getLogger("schedule_zero.watchdog")


class Watchdog:
    """Asks the loop for a sign of life, and logs its stack when none comes for `limit` seconds.

    One report a blockage, at its end too. It costs the actors nothing: a ping of the loop, a few
    a second, is all that it does.
    """

    def __init__(self, limit: float = 0.5) -> None:
        self._limit = limit
        self._answered = threading.Event()
        self._ended = threading.Event()
        self.reports: list[str] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        token, thread = trio.lowlevel.current_trio_token(), threading.get_ident()
        try:
            await trio.to_thread.run_sync(
                self._watch, token, thread, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )
        finally:
            self._ended.set()

    def _watch(self, token: trio.lowlevel.TrioToken, thread: int) -> None:
        while not self._ended.wait(self._limit / 2):
            self._answered.clear()
            try:
                token.run_sync_soon(self._answered.set, idempotent=True)
            except trio.RunFinishedError:
                return
            if self._answered.wait(self._limit) or self._ended.is_set():
                continue
            self._report(sys._current_frames().get(thread))
            while not self._answered.wait(self._limit) and not self._ended.is_set():
                pass

    def _report(self, frame: FrameType | None) -> None:
        if frame is None:
            return
        text = (
            f"{_culprit(frame)} has kept the event loop for more than {self._limit:g} s: "
            "mark what blocks with @blocking, or await\n" + "".join(traceback.format_stack(frame))
        )
        self.reports = [*self.reports[-9:], text]
        _logger.warning("%s", text)


def _culprit(frame: FrameType) -> str:
    """The actor whose turn a stack is in."""
    walked: FrameType | None = frame
    while walked is not None:
        cell = walked.f_locals.get("cell")
        if walked.f_code.co_name in ("_drain", "_handle_here", "_drive") and cell is not None:
            return f"actor {cell.path!r}"
        walked = walked.f_back
    return "something outside the actors"
