"""Node processes: a child of a supervisor that is another node, in an operating-system process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import trio

from schedule_zero.runtime.actor import Actor, handles
from schedule_zero.runtime.errors import ProcessFailed
from schedule_zero.runtime.message import Request, message
from schedule_zero.runtime.parent import VARIABLE, NodeInfo, read_line
from schedule_zero.runtime.reason import Reason

_LONGEST_LINE = 64 * 1024


@message
class WhichNode(Request[NodeInfo]):
    """To a `NodeProcess`: which node runs there now?"""


class NodeProcess(Actor):
    """Runs a program that serves a node (`serve`), for another core or to be apart from its faults.

    It has started when the node has, within `ready_within` seconds. The end of the process is its
    end: normal for exit code 0, a failure otherwise, so that its supervisor restarts it as it would
    any child. Stopped, it sends SIGTERM and waits for its shutdown time; killed, SIGKILL. When this
    process is gone, however it ended, the other stops its node.

    `program` is the command line, `env` is added to this process's environment. A `quiet` one's
    standard output goes nowhere.

    Example::

        supervisor(
            child("b", NodeProcess, node_program("examples.bank:node", "b")).options(shutdown=10)
        )
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        ready_within: float = 30.0,
        quiet: bool = False,
    ) -> None:
        self._program = [*program]
        self._env = dict(env or {})
        self._ready_within = ready_within
        self._output = subprocess.DEVNULL if quiet else None
        self._process: trio.Process | None = None
        self._info: NodeInfo | None = None
        self._is_ending = False

    async def on_start(self) -> None:
        """Start the process and wait until its node runs."""
        ours, theirs = trio.socket.socketpair()
        with theirs:
            env = {**os.environ, **self._env, VARIABLE: str(theirs.fileno())}
            try:
                self._process = await trio.lowlevel.open_process(
                    self._program,
                    pass_fds=[theirs.fileno()],
                    env=env,
                    stdout=self._output,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ProcessFailed(self._program, f"it cannot be run: {error}") from error
        self._line = trio.SocketStream(ours)
        self.context.start_task(self._own, self._process)
        with trio.move_on_after(self._ready_within):
            self._info = read_line(await self._hear())
            return
        raise ProcessFailed(self._program, f"its node did not run within {self._ready_within:g} s")

    async def on_stop(self, reason: Reason) -> None:
        """Let the other node stop in order, for as long as the shutdown time lasts."""
        self._is_ending = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()

    @handles
    def _which(self, msg: WhichNode) -> NodeInfo:
        if self._info is None:
            raise ProcessFailed(self._program, "its node does not run yet")
        return self._info

    async def _hear(self) -> bytes:
        heard = b""
        while not heard.endswith(b"\n"):
            more = await self._line.receive_some()
            if not more or len(heard) > _LONGEST_LINE:
                assert self._process is not None
                code = await self._process.wait()
                raise ProcessFailed(self._program, f"it ended before its node ran ({_how(code)})")
            heard += more
        return heard

    async def _own(self, process: trio.Process) -> None:
        """Be there as long as the process is."""
        async with self._line:
            try:
                code = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    with trio.CancelScope(shield=True):
                        await process.wait()
        if code == 0:
            self.context.stop()
        elif self._info is not None and not self._is_ending:  # before, `on_start` says it
            raise ProcessFailed(self._program, _how(code))


def node_program(target: str, *args: str) -> list[str]:
    """The command line that serves the node which the function `module:function` makes.

    The function gets `args`, all text.
    """
    return [sys.executable, "-m", "schedule_zero.runtime", target, *args]


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
