"""What some tests need beside Python: left out and said so, or, for `make test-all`, demanded."""

from __future__ import annotations

import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable
from functools import cache

import hypothesis
import pytest

# A loaded machine is no failure: what is slow is seen in the times that pytest prints.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

REQUIRED = os.environ.get("SCHEDULE_ZERO_REQUIRE_SERVICES") == "1"
_NEEDS = "needs "

Look = Callable[[], str | None]
"""Why a service cannot be used, or None if it can."""


def _listens(port: int) -> Look:
    def look() -> str | None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return f"nothing answers on 127.0.0.1:{port}"
        return None

    return look


def _network() -> str | None:
    if os.geteuid() != 0:
        return "making network namespaces takes root"
    return None if shutil.which("ip") else "the command `ip` is not found"


def _chromium() -> str | None:
    return None if shutil.which("chromium") else "the command `chromium` is not found"


SERVICES: dict[str, Look] = {
    "postgresql": _listens(5432),
    "redis": _listens(6379),
    "mqtt": _listens(1883),
    "network": _network,
    "chromium": _chromium,
}


@cache
def why_missing(service: str) -> str | None:
    """Why a service cannot be used, looked up once a run; None if it can."""
    return SERVICES[service]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse marks that name no service: their tests would never be left out or demanded."""
    for item in items:
        for mark in item.iter_markers("service"):
            if mark.args[0] not in SERVICES:
                known = ", ".join(SERVICES)
                raise pytest.UsageError(
                    f"{item.nodeid}: no service {mark.args[0]!r}; known are: {known}"
                )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out the tests whose service is not here; where services are required, they fail."""
    if item.get_closest_marker("slow") and not REQUIRED:
        pytest.skip(f"{_NEEDS}time: it is one of `make test-all`")
    for mark in item.iter_markers("service"):
        reason = why_missing(mark.args[0])
        if reason is None:
            continue
        if REQUIRED:
            pytest.fail(f"{mark.args[0]} is required: {reason}", pytrace=False)
        pytest.skip(f"{_NEEDS}{mark.args[0]}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, and why."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in sorted(reasons.items()):
        if reason.startswith(_NEEDS):
            what = "1 test that needs" if count == 1 else f"{count} tests that need"
            terminalreporter.write_line(f"left out: {what} {reason.removeprefix(_NEEDS)}")
