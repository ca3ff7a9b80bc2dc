"""`schedule-zero run`: run a node."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

import trio
from cyclopts import Parameter

from schedule_zero.actors.app.components import Site, open_node
from schedule_zero.actors.app.settings import Settings
from schedule_zero.runtime import Node, NodeError, NodeFailed, StartFailed, Watchdog

EXIT_FORCED = 130


def run(
    *modules: str,
    name: str = "node",
    data: Path = Path("var"),
    database: str | None = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=lambda _, port: _check_port(port))] = 8888,
    web: bool = True,
    log_level: Literal["debug", "info", "warning", "error"] = "info",
) -> int:
    """Run a node with the handlers of some modules, until Ctrl-C.

    Example: schedule-zero run examples --port 8080

    Parameters
    ----------
    modules
        Modules or packages that define Handler classes; the working directory is searched first.
    name
        The node's name; a database takes one living node of a name.
    data
        Folder for the database and the node's own file.
    database
        The database instead: a path, an sqlite:/// URL, or "memory".
    host
        The page's address. Beyond loopback everyone who has the link can use the page.
    port
        The page's port; 0 takes a free one.
    web
        Whether to serve the page and the API.
    log_level
        The least severe lines to log.
    """
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    for chatty in ("hypercorn", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    settings = Settings(modules, name, data, database, host, port, web)
    with open_node(settings) as (node, site):
        return trio.run(_serve, node, site)


async def _serve(node: Node, site: Site | None) -> int:
    """The node's life as a process; returns the exit code."""
    code = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, node, signals)
            nursery.start_soon(Watchdog().run)
            try:
                async with node:
                    _announce(node, site)
                    await trio.sleep_forever()
            except NodeError as error:
                if isinstance(error, NodeFailed):
                    logging.getLogger("schedule_zero").error("%s", error, exc_info=error)
                    code = 1
            except StartFailed as error:
                logging.getLogger("schedule_zero").error("%s", error, exc_info=error)
                code = 1
            nursery.cancel_scope.cancel()
    if code == 0:
        print("stopped")
    return code


async def _stop_on_signal(node: Node, signals: AsyncIterator[int]) -> None:
    async for number in signals:
        if node.is_stopping:
            print("forced to stop: what was running is retried at the next start", file=sys.stderr)
            os._exit(EXIT_FORCED)
        print(f"{signal.Signals(number).name}: stopping (once more to force)", file=sys.stderr)
        node.stop()


def _announce(node: Node, site: Site | None) -> None:
    where = f"{site.url}?token={site.token}" if site is not None else "no page (--no-web)"
    print(f"node {node.name!r} runs: {where}", flush=True)


def _check_port(port: int) -> None:
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port}: expected 0 to 65535")
