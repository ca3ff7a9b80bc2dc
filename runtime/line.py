"""Lines: the way out over one link."""

from __future__ import annotations

from collections import deque

import trio

from schedule_zero.runtime import wire
from schedule_zero.runtime.peer import Peer
from schedule_zero.transports import Link


class Line:
    """What is to be sent over one link: control frames first, then what its peer has to say.

    `scope` is that of the task which sends it; `ending` says why the link ends after that.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.frames: deque[wire.Frame] = deque()
        self.peer: Peer | None = None
        self.ending = ""
        self.scope = trio.CancelScope()
        self._parked: trio.lowlevel.Task | None = None

    def wake(self) -> None:
        """There is something to send."""
        if self._parked is not None:
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task)

    def say(self, frame: wire.Frame) -> None:
        """Send a control frame."""
        self.frames.append(frame)
        self.wake()

    async def wait(self) -> None:
        """Until there is something to send."""
        self._parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def _unpark(self, _: object) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED
