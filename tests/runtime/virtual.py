"""Virtual time, and trio's scheduling by a seed."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio
from hypothesis import HealthCheck, settings
from trio._core import _run  # the seam for deterministic scheduling, as Hypothesis uses it
from trio.testing import MockClock

T = TypeVar("T")

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: a loaded machine is no failure."""


@contextmanager
def scheduling_by(seed: int) -> Iterator[None]:
    """Let `seed` alone decide in which order trio runs its tasks."""
    state, allowed = _run._r.getstate(), _run._ALLOW_DETERMINISTIC_SCHEDULING
    _run._r.seed(seed)
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    try:
        yield
    finally:
        _run._ALLOW_DETERMINISTIC_SCHEDULING = allowed  # type: ignore[misc]
        _run._r.setstate(state)


def run_virtual(main: Callable[..., Awaitable[T]], *args: object, seed: int = 0) -> T:
    """`trio.run` on a clock that jumps, in the order that `seed` gives."""
    with scheduling_by(seed):
        return trio.run(main, *args, clock=MockClock(autojump_threshold=0))


def seeds(count: int) -> list[int]:
    """The first `count` of a fixed row of seeds."""
    return [random.Random(number).randrange(2**32) for number in range(count)]
