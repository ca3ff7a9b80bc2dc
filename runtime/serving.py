"""Serving: a node as the life of a process."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable

import trio

from schedule_zero.runtime.errors import NodeFailed, StartFailed
from schedule_zero.runtime.node import Node
from schedule_zero.runtime.parent import attend, has_parent
from schedule_zero.runtime.watchdog import Watchdog
from schedule_zero.transports import ScheduleZeroError

EXIT_FORCED = 130
_logger = logging.getLogger("schedule_zero")


async def serve(node: Node, announce: Callable[[], None] | None = None) -> int:
    """Run a node until SIGINT or SIGTERM, the end of its root or of its parent; the exit code.

    A second signal ends the process at once. `announce` is called when the node runs. Raises what
    keeps the node from starting, save a failed actor.
    """
    code = 0
    heard: list[int] = []
    refused: ScheduleZeroError | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, node, signals, heard)
            nursery.start_soon(Watchdog().run)
            try:
                async with node:
                    if announce is not None:
                        announce()
                    nursery.start_soon(attend, node)
                    await trio.sleep_forever()
            except (NodeFailed, StartFailed) as error:
                _logger.error("%s", error, exc_info=error)
                code = 1
            except ScheduleZeroError as error:
                if not heard:  # else a signal came while it started
                    refused = error
            nursery.cancel_scope.cancel()
    if refused is not None:
        raise refused
    return code


async def _stop_on_signal(node: Node, signals: AsyncIterator[int], heard: list[int]) -> None:
    async for number in signals:
        heard.append(number)
        if node.is_stopping and len(heard) > 1:
            print("forced to stop: what was running is cut off", file=sys.stderr)
            os._exit(EXIT_FORCED)
        if not has_parent():
            print(f"{signal.Signals(number).name}: stopping (once more to force)", file=sys.stderr)
        node.stop()
