"""The command line, `schedule-zero`: a file a command, imported when it is called.

Exit codes: 0 done, 1 it failed, 2 it was asked wrongly or cannot start, 3 no node answers.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError

from schedule_zero.transports import ScheduleZeroError

EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE = 1, 2, 3

_HERE = "schedule_zero.actors.app.cli"


def build() -> App:
    """The command tree."""
    app = App(
        name="schedule-zero",
        help="An actor runtime whose main job is supervised, distributed job scheduling.",
        version=lambda: version("schedule-zero"),
    )
    app.command(f"{_HERE}.run:run", name="run")
    app.command(f"{_HERE}.cluster:cluster", name="cluster")
    app.command(f"{_HERE}.keygen:keygen", name="keygen")
    app.command(f"{_HERE}.status:status", name="status")
    app.command(f"{_HERE}.runs:runs", name="runs")
    app.command(f"{_HERE}.call:call", name="call")
    schedules = App(name="schedules", help="Look at the schedules of a running node.")
    schedules.command(f"{_HERE}.schedules:list_schedules", name="list")
    app.command(schedules)
    return app


def main() -> None:
    """The console script."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; returns its exit code. An error is one line on standard error."""
    try:
        result = build()(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        words = " ".join(str(error).split())
        return _complain(f"{words} (`schedule-zero --help` shows the commands)", EXIT_USAGE)
    except BrokenPipeError:  # `... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ScheduleZeroError as error:
        return _complain(str(error), getattr(error, "exit_code", EXIT_USAGE))
    return result if isinstance(result, int) else 0


def _complain(text: str, code: int) -> int:
    for line in text.splitlines():
        print(f"schedule-zero: {line}", file=sys.stderr)
    return code
