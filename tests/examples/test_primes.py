"""The example of work for another core."""

from __future__ import annotations

import subprocess
import sys

import pytest

from examples.primes import CountPrimes, Primes, count


@pytest.mark.parametrize(("limit", "primes"), [(0, 0), (2, 0), (3, 1), (10, 4), (1_000, 168)])
def test_it_counts_primes(limit: int, primes: int) -> None:
    assert Primes.count(CountPrimes(limit)) == primes


async def test_two_actors_count_at_once() -> None:
    assert await count(1_000) == 168 - 95


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "examples.primes", "1000"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "73 primes between 500 and 1000\n"
