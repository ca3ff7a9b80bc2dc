"""`schedule-zero run`: run a node."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import trio
from cyclopts import Parameter

from schedule_zero.actors.app.components import Site, open_node
from schedule_zero.actors.app.settings import Settings
from schedule_zero.runtime import Node, serve


def run(
    *modules: str,
    name: str = "node",
    data: Path = Path("var"),
    database: str | None = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=lambda _, port: _check_port(port))] = 8888,
    web: bool = True,
    listen: tuple[str, ...] = (),
    peer: tuple[str, ...] = (),
    keys: Path | None = None,
    cluster: str = "",
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
    listen
        An endpoint on which other nodes are awaited, such as tcp://127.0.0.1:7401; several times
        for several.
    peer
        The endpoint of another node, or name@endpoint where keys are in use; likewise.
    keys
        This node's key file, made by `schedule-zero keygen`; the .pub files beside it are the
        nodes that may speak with this one. Needed beyond loopback.
    cluster
        Only nodes that say the same here speak with each other.
    log_level
        The least severe lines to log.
    """
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    for chatty in ("hypercorn", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    settings = Settings(modules, name, data, database, host, port, web, listen, peer, keys, cluster)
    with open_node(settings) as (node, site):
        code = trio.run(serve, node, partial(_announce, node, site))
    if code == 0:
        print("stopped")
    return code


def _announce(node: Node, site: Site | None) -> None:
    where = f"{site.url}?token={site.token}" if site is not None else "no page (--no-web)"
    print(f"node {node.name!r} runs: {where}", flush=True)
    if node.has_network:
        for endpoint in node.network.endpoints:
            print(f"other nodes reach it at {endpoint}", flush=True)


def _check_port(port: int) -> None:
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port}: expected 0 to 65535")
