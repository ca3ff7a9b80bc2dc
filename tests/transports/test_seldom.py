"""What strangers do is logged seldom."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from schedule_zero.transports.seldom import Seldom


async def test_each_kind_is_logged_once_a_minute_with_the_count_of_the_others(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log = Seldom(logging.getLogger("test"))
    for _ in range(10):
        log.warn("one", "one came")
        log.warn("other", "another came")
    await trio.sleep(59)
    log.warn("one", "one came")
    await trio.sleep(1)
    log.warn("one", "one came")
    assert caplog.messages == ["one came", "another came", "one came (10 more since the last time)"]


async def test_what_was_forgotten_is_news_again(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log = Seldom(logging.getLogger("test"))
    log.warn("one", "one came")
    log.forget("one")
    log.warn("one", "one came")
    assert caplog.messages == ["one came"] * 2
