"""Hello, called directly."""

from __future__ import annotations

import pytest

from examples.hello import Hello


def test_tick_greets_and_counts() -> None:
    hello = Hello()

    assert hello.tick() == {"greeting": "Hello, world!", "count": 1}
    assert hello.tick(name="Ada") == {"greeting": "Hello, Ada!", "count": 2}


def test_flaky_fails_at_each_third_call() -> None:
    hello = Hello()
    for _ in range(3):
        hello.flaky()
        hello.flaky()
        with pytest.raises(RuntimeError, match="on purpose"):
            hello.flaky()


def test_a_retry_finds_a_fresh_instance_and_succeeds() -> None:
    first = Hello()
    first.flaky()
    first.flaky()
    with pytest.raises(RuntimeError):
        first.flaky()

    assert Hello().flaky() == {"calls": 1}
