"""Services that some tests need: left out and said so, or, for `make test-all`, demanded."""

from __future__ import annotations

import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable

import pytest

REQUIRED = os.environ.get("SCHEDULE_ZERO_REQUIRE_SERVICES") == "1"
MISSING = pytest.StashKey[str]()
LEFT_OUT = pytest.StashKey[Counter[str]]()


def _listens(port: int) -> Callable[[], bool]:
    def look() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return look


def _can_make_namespaces() -> bool:
    return os.geteuid() == 0 and shutil.which("ip") is not None


SERVICES: dict[str, Callable[[], bool]] = {
    "postgresql": _listens(5432),
    "redis": _listens(6379),
    "mqtt": _listens(1883),
    "network": _can_make_namespaces,
    "chromium": lambda: shutil.which("chromium") is not None,
}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose service is not here, unless services are required."""
    is_here: dict[str, bool] = {}
    for item in items:
        for mark in item.iter_markers("service"):
            name = mark.args[0]
            if name not in is_here:
                is_here[name] = SERVICES[name]()
            if not is_here[name]:
                _leave_out(config, item, name)


def _leave_out(config: pytest.Config, item: pytest.Item, name: str) -> None:
    if REQUIRED:
        item.stash[MISSING] = name
    else:
        config.stash[LEFT_OUT][name] += 1
        item.add_marker(pytest.mark.skip(reason=f"{name} is not found on this machine"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose service is required and missing."""
    if MISSING in item.stash:
        pytest.fail(f"service {item.stash[MISSING]!r} is required and was not found")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out."""
    for name, count in sorted(config.stash[LEFT_OUT].items()):
        terminalreporter.write_line(f"left out: {count} tests that need {name} (not found here)")
