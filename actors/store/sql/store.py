"""The store in an SQLite file: the shared ledger over SQL transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schedule_zero.actors.store.ledger import Ledger
from schedule_zero.actors.store.sql.lock import LifeLock
from schedule_zero.actors.store.sql.sqlite import SqliteBackend
from schedule_zero.actors.store.sql.transaction import SqlTransaction
from schedule_zero.actors.store.transaction import Transaction

PATIENCE = 10.0


class SqliteStore(Ledger):
    """The contract on an SQLite file.

    `patience` is how long to wait for another program's write, in seconds. Several processes may
    work on one file, each under its own node name.

    Example::

        with SqliteStore("schedules.db") as store:
            store.begin_life("a")
    """

    def __init__(self, path: str | Path, patience: float = PATIENCE) -> None:
        self.backend = SqliteBackend(Path(path), patience)
        self._lives: dict[str, LifeLock] = {}
        self._is_open = False

    def open(self) -> None:
        """See `Store.open`."""
        if not self._is_open:
            self.backend.open()
            self._is_open = True

    def close(self) -> None:
        """See `Store.close`."""
        self._is_open = False
        self.backend.close()
        while self._lives:
            self._lives.popitem()[1].release()

    def begin_life(self, node: str) -> int:
        """See `Store.begin_life`."""
        if node not in self._lives:
            lock = LifeLock(self.backend.path, node)
            lock.acquire()
            self._lives[node] = lock
        return super().begin_life(node)

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with self.backend.writing() as connection:
            yield SqlTransaction(connection)

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        with self.backend.reading() as connection:
            yield SqlTransaction(connection)
