"""The page, as its HTML says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.store import Finish, Schedule, Start, Store, new_run
from schedule_zero.actors.web.desk import Desk
from schedule_zero.actors.web.overview import Outcomes
from tests.actors.web.sites import Site, running_site

NASTY = "<script>alert(1)</script>\"'&"
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)


def schedule(name: str, handler: str = "ghost", **fields: Any) -> Schedule:
    trigger = IntervalTrigger(hours=1, start_time=LONG_AGO)
    return Schedule(id=name, handler=handler, method="haunt", trigger=trigger, **fields)


async def page(site: Site, path: str = "/") -> str:
    async with site.client() as client:
        reply = await client.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    return reply.text


def run_to_its_end(store: Store, handler: str, error: str | None = None) -> None:
    """Claim what is due of a handler and report its end."""
    now = datetime.now(UTC)
    for run in store.claim("b@1", now, now, {handler: 10}, 30.0):
        end = now + timedelta(seconds=1.5)
        outcome = "succeeded" if error is None else "failed"
        finish = Finish(run, end, outcome, error=error, is_final=True)
        assert not store.record([Start(run, now)], [finish], end)


async def test_an_empty_page_says_what_to_do(site: Site) -> None:
    text = await page(site)
    assert "No schedules yet." in text
    assert "@every" in text
    assert "schedule-zero call" in text
    assert "<title>a - ScheduleZero</title>" in text


async def test_names_and_errors_are_escaped(store: Store) -> None:
    now = datetime.now(UTC)
    store.put_schedules([schedule(f"s{NASTY}", handler=f"h{NASTY}", definition=NASTY)], now)
    store.pause_schedule(f"s{NASTY}", NASTY)
    store.submit([new_run(UUID(int=1), f"h{NASTY}", "haunt", {"x": NASTY}, now)], now)
    run_to_its_end(store, f"h{NASTY}", error=NASTY)
    async with running_site(store) as site:
        for path in ("/", "/overview"):
            text = await page(site, path)
            assert "alert(1)" in text
            assert "<script>alert" not in text
            assert text.count("<script") == (3 if path == "/" else 0)
            assert "&lt;script&gt;" in text


async def test_the_page_needs_no_scripts_of_its_own_in_it(site: Site) -> None:
    text = await page(site)
    assert " onclick" not in text
    assert " style=" not in text
    assert "<style" not in text
    assert '<noscript><meta http-equiv="refresh"' in text


async def test_runs_are_told_in_plain_words(store: Store) -> None:
    now = datetime.now(UTC)
    store.put_schedules([schedule("s"), schedule("held")], now)
    store.pause_schedule("held")
    store.plan(now + timedelta(hours=2), now + timedelta(hours=2), 10)
    store.submit([new_run(UUID(int=1), "other", "haunt", {}, now)], now)
    run_to_its_end(store, "other", error="ValueError: no such ghost")
    async with running_site(store) as site:
        text = await page(site)
    assert "skipped: the schedule was paused" in text
    assert "ValueError: no such ghost" in text
    assert "1.5 s" in text
    assert 'data-state="paused"' in text
    assert f'<time datetime="{now.isoformat()}">' in text


async def test_static_files_are_kept_by_the_browser(site: Site) -> None:
    text = await page(site)
    address = text.partition('src="')[2].partition('"')[0]
    async with site.client() as client:
        reply = await client.get(address)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/javascript")
    assert "immutable" in reply.headers["cache-control"]


async def test_all_viewers_of_a_second_share_one_reading(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = []
    real = site.store.count_by_state
    monkeypatch.setattr(site.store, "count_by_state", lambda: readings.append(1) or real())
    for _ in range(5):
        await page(site, "/overview")
    assert len(readings) <= 2


async def test_long_lists_say_that_they_are_cut(store: Store) -> None:
    now = datetime.now(UTC)
    store.put_schedules([schedule(f"s{number}") for number in range(210)], now)
    store.submit([new_run(UUID(int=n + 1), "ghost", "haunt", {}, now) for n in range(60)], now)
    async with running_site(store) as site:
        text = await page(site)
    assert "The first 200 of 210 schedules" in text
    assert "The newest 50 of 60 runs" in text
    assert text.count("<tr id=") == 250


async def test_the_last_outcome_is_found_however_old_and_looked_up_once(site: Site) -> None:
    now = datetime.now(UTC)
    site.store.put_schedules([schedule("rare", handler="rarely")], now - timedelta(hours=1))
    site.store.plan(now, now, 10)
    run_to_its_end(site.store, "rarely", error="gone wrong")
    rare = site.store.get_schedule("rare")

    class Counting(Desk):
        lookups = 0

        async def runs(self, limit: int, **filters: str | None) -> Any:
            self.lookups += 1
            return site.store.list_runs(limit=limit, **filters)

    desk = Counting(site.node, None)  # type: ignore[arg-type]
    outcomes = Outcomes(desk)
    for _ in range(3):
        found = await outcomes.of([rare], [])
        assert found["rare"].state == "failed"
    assert desk.lookups == 1
