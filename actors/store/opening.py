"""Which store an address names."""

from __future__ import annotations

from pathlib import Path

from schedule_zero.actors.errors import ConfigError
from schedule_zero.actors.store.base import Store

_SQLITE = "sqlite:///"


def open_store(url_or_path: str | Path) -> Store:
    """Open a store: `"memory"`, the path of an SQLite file, or an `sqlite:///` URL.

    A URL with three slashes holds a path from the working directory, with four an absolute one.
    Blocks. Raises `ConfigError` for another kind of URL, and what `Store.open` raises.

    Example::

        with open_store("/var/lib/schedule-zero/schedules.db") as store:
            print(store.count_by_state())
    """
    store = _store_of(str(url_or_path))
    store.open()
    return store


def _store_of(place: str) -> Store:
    # Imported here: not everyone who knows the contract wants to load SQLAlchemy.
    if place == "memory":
        from schedule_zero.actors.store.memory import MemoryStore

        return MemoryStore()
    path = place.removeprefix(_SQLITE)
    if not path or path == ":memory:" or "://" in path:
        raise ConfigError(
            f"database {place!r} is not known: give 'memory', the path of an SQLite file, or a URL "
            "such as sqlite:///schedules.db"
        )
    from schedule_zero.actors.store.sql import SqliteStore

    return SqliteStore(path)
