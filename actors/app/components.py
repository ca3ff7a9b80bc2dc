"""The composition root: a node's components, from its settings."""

from __future__ import annotations

import json
import math
import os
import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from attrs import frozen

from schedule_zero.actors.app.modules import load_handlers
from schedule_zero.actors.app.settings import Settings
from schedule_zero.actors.errors import ConfigError
from schedule_zero.actors.executor import Executor
from schedule_zero.actors.handler import Handler, Handlers
from schedule_zero.actors.registry import Registry
from schedule_zero.actors.scheduler import Scheduler
from schedule_zero.actors.store import Schedule, open_store
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.actors.web import Reads, Web, check_installed, new_token
from schedule_zero.runtime import (
    Backoff,
    Clock,
    Network,
    Node,
    Supervisor,
    SupervisorSpec,
    SystemClock,
    child,
    supervisor,
)
from schedule_zero.transports import read_allowed, read_keys


@frozen
class Site:
    """Where a node's page is, and what opens it."""

    listener: socket.socket
    token: str

    @property
    def url(self) -> str:
        """The page's address, without the token."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextmanager
def open_node(settings: Settings, clock: Clock | None = None) -> Iterator[tuple[Node, Site | None]]:
    """Check and open all that a node needs, then yield the node, ready to be entered.

    Whatever is wrong raises `ConfigError` or `StoreError` here, before anything has started, and
    leaves nothing open.
    """
    if not re.fullmatch(r"[\w.-]+", settings.name):
        raise ConfigError(f"node name {settings.name!r}: expected letters, digits, _ . and -")
    clock = clock or SystemClock()
    handlers = load_handlers(settings.modules)
    site = _open_site(settings) if settings.web else None
    try:
        _make_folder(settings.data)
        store = open_store(settings.database_url)
        try:
            now = clock.now()
            owner = f"{settings.name}@{store.begin_life(settings.name)}"
            spec = components(handlers, StoreAccess(store), owner, now, site)
            with _node_file(settings, site):
                yield (
                    Node(
                        settings.name,
                        spec,
                        clock=clock,
                        listen=settings.listen,
                        peers=settings.peers,
                        network=_network(settings),
                    ),
                    site,
                )
        finally:
            store.close()
    finally:
        if site is not None:
            site.listener.close()


def components(
    handlers: Sequence[type[Handler]],
    store: StoreAccess,
    owner: str,
    now: datetime,
    site: Site | None = None,
) -> SupervisorSpec:
    """The supervisor spec of a node in full mode.

    What follows a failed component is restarted with it. The page has a supervisor of its own:
    however often it fails, the rest does not notice.
    """
    declared = {cls.handler_id: declared_schedules(cls, now) for cls in handlers}
    _refuse_twins(declared.values())
    children = [
        child("registry", Registry),
        child("handlers", Handlers, handlers),
        child("executor", Executor, store, owner).options(shutdown=30.0),
        child("scheduler", Scheduler, store, declared),
    ]
    if site is not None:
        server = child("server", Web, site.listener, site.token, Reads(store.read, owner, now))
        spec = supervisor(server, max_restarts=math.inf, backoff=Backoff(maximum=10.0))
        children.append(child("web", Supervisor, spec))
    return supervisor(*children, strategy="rest_for_one")


def declared_schedules(cls: type[Handler], now: datetime) -> list[Schedule]:
    """The schedules that a handler's code declares, as they are when first seen at `now`."""
    return [
        Schedule(
            id=".".join(part for part in (cls.handler_id, method, declared.name) if part),
            handler=cls.handler_id,
            method=method,
            params=declared.params,
            trigger=declared.trigger(now),
            declared=True,
            definition=declared.definition,
            policies=declared.policies,
            created_at=now,
        )
        for method, declared in cls.declared()
    ]


def _network(settings: Settings) -> Network | None:
    """How the node speaks with others, if it does."""
    if settings.keys is None:
        return Network(settings.cluster) if settings.listen or settings.peers else None
    keys = read_keys(settings.keys)
    return Network(settings.cluster, keys=keys, allowed=read_allowed(settings.keys.parent))


def _refuse_twins(declared: Iterable[Sequence[Schedule]]) -> None:
    counts = Counter(schedule.id for schedules in declared for schedule in schedules)
    twins = sorted(name for name, count in counts.items() if count > 1)
    if twins:
        raise ConfigError(
            f"schedules declared twice: {', '.join(twins)}: give each a name, such as "
            '@every(hours=1, name="hourly")'
        )


def _open_site(settings: Settings) -> Site:
    check_installed()
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}: "
            "stop what uses it, or choose another with --port"
        ) from error
    return Site(listener, new_token())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the data folder {folder}: {error.strerror or error}: choose another with "
            "--data"
        ) from error


@contextmanager
def _node_file(settings: Settings, site: Site | None) -> Iterator[None]:
    """Say where the running node is, for the command line; its owner alone may read it."""
    if site is None:
        yield
        return
    path = settings.node_file
    path.unlink(missing_ok=True)
    text = json.dumps({"name": settings.name, "url": site.url, "token": site.token})
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
