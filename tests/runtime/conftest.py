"""What all tests of the runtime share: no test hangs, and trio's order can be drawn by a seed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

_HANGS_AFTER = 60


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """End a test that hangs even where every cancel scope is shielded. No test depends on it."""

    def give_up(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"the test hangs: still running after {_HANGS_AFTER} s of real time")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _HANGS_AFTER, 5)  # again, for Hypothesis' next tries
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
