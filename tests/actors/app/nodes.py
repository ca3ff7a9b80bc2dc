"""Real nodes in processes of their own, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

COMMAND = (sys.executable, "-c", "from schedule_zero.actors.app.cli import main; main()")


def run_cli(*arguments: str, cwd: Path, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run one command line to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class NodeProcess:
    """A node started with `schedule-zero run`; `announced` is the line that says it runs."""

    def __init__(self, arguments: Sequence[str], cwd: Path) -> None:
        self.log = (cwd / "node.log").open("ab")
        self.process = subprocess.Popen(
            [*COMMAND, "run", *arguments],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.announced = self.process.stdout.readline()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> int:
        """Ctrl-C, and wait; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


@contextmanager
def running_node(*arguments: str, cwd: Path) -> Iterator[NodeProcess]:
    """A node that runs inside the block."""
    node = NodeProcess(arguments, cwd)
    try:
        assert "runs" in node.announced, (cwd / "node.log").read_text()
        yield node
    finally:
        node.close()
