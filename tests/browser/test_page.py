"""The page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.store import Finish, Schedule, Start, Store, new_run
from tests.actors.web.sites import Site, listening
from tests.browser.conftest import site_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.service("chromium")

NASTY = "<img src=x onerror=alert(1)>"


@contextmanager
def opened(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """The page, opened by its link. Fails on requests elsewhere, dialogs and console errors."""
    wrong: list[str] = []
    context = browser.new_context(**options)
    try:
        page = context.new_page()
        page.on("request", lambda sent: _note_elsewhere(wrong, sent.url, site.url))
        page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
        page.on("console", lambda said: _note_complaint(wrong, said.type, said.text))
        page.on("pageerror", lambda error: wrong.append(f"script error {error}"))
        page.goto(f"{site.url}/?token={site.token}")
        yield page
    finally:
        context.close()
    assert wrong == []


def _note_elsewhere(wrong: list[str], url: str, home: str) -> None:
    if not url.startswith((home, "data:")):
        wrong.append(f"request to {url}")


def _note_complaint(wrong: list[str], kind: str, text: str) -> None:
    # That the node is gone, or refuses, is what some of these tests are about.
    if kind in ("error", "warning") and "Failed to load resource" not in text:
        wrong.append(f"console {kind}: {text}")


def submit(store: Store, number: int, handler: str = "ghost") -> UUID:
    """A run that waits for a handler that is not there."""
    now = datetime.now(UTC)
    run = new_run(UUID(int=number), handler, "haunt", {}, now)
    store.submit([run], now)
    return run.run_id


def fill(store: Store) -> None:
    """Schedules and runs of every kind that people meet."""
    now = datetime.now(UTC)
    store.put_schedules(
        [
            Schedule(
                id="backup.nightly",
                handler="backup",
                method="nightly",
                trigger=CronTrigger(hour=3, timezone="Europe/Rome"),
                definition="cron 0 3 * * * Europe/Rome",
            ),
            Schedule(
                id="rotate-the-logs-of-a-service-with-a-rather-long-name",
                handler="rotate",
                method="hourly",
                trigger=IntervalTrigger(seconds=90, start_time=now - timedelta(seconds=80)),
                definition="every 90 s",
            ),
            Schedule(
                id="watch.feed",
                handler="watch",
                method="feed",
                trigger=IntervalTrigger(seconds=20, start_time=now - timedelta(seconds=19)),
            ),
            Schedule(
                id=NASTY,
                handler="backup",
                method="snapshot",
                trigger=IntervalTrigger(hours=1, start_time=now),
                definition="every 3600 s",
            ),
        ],
        now,
    )
    store.pause_schedule("watch.feed", "until the feed is mended")
    store.plan(now, now + timedelta(seconds=60), 100)
    for number, handler in enumerate(["backup", "rotate", "mail", "mail"]):
        submit(store, 100 + number, handler)
    _end(store, "backup", None)
    _end(store, "mail", f"ConnectionRefusedError: [Errno 111] {NASTY} smtp.example " + "x" * 200)
    store.claim("b@1", datetime.now(UTC), datetime.now(UTC), {"rotate": 1}, 30.0)


def _end(store: Store, handler: str, error: str | None) -> None:
    now = datetime.now(UTC)
    for run in store.claim("b@1", now, now, {handler: 10}, 30.0):
        end = now + timedelta(seconds=2.5)
        outcome = "succeeded" if error is None else "failed"
        store.record(
            [Start(run, now)], [Finish(run, end, outcome, error=error, is_final=True)], end
        )


def row(page: Page, run_id: UUID) -> Any:
    return page.locator(f"#run-{run_id}")


def test_a_later_run_appears_by_itself(browser: Browser, site: Site) -> None:
    with opened(browser, site) as page:
        assert page.url == f"{site.url}/"
        assert page.get_by_text("No runs yet").is_visible()
        page.evaluate("window.sameDocument = true")
        first = submit(site.store, 1)
        row(page, first).wait_for(timeout=6000)
        assert page.get_by_text("No runs yet").count() == 0
        assert page.evaluate("window.sameDocument")


def test_focus_scroll_and_selection_stay(browser: Browser, site: Site) -> None:
    first = submit(site.store, 1)
    for number in range(2, 45):
        submit(site.store, number)
    with opened(browser, site, viewport={"width": 900, "height": 400}) as page:
        page.locator(f"#details-{first}").focus()
        page.evaluate("window.scrollTo(0, 500)")
        before = page.evaluate("window.scrollY")
        added = submit(site.store, 100)
        row(page, added).wait_for(state="attached", timeout=6000)
        assert page.evaluate("document.activeElement.id") == f"details-{first}"
        assert abs(page.evaluate("window.scrollY") - before) < 200
        assert before > 0


def test_it_says_when_the_node_is_gone_and_when_it_is_back(browser: Browser, store: Store) -> None:
    with listening() as listener:
        with site_in_thread(store, listener=listener) as site:
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{site.url}/?token={site.token}")
            assert not page.locator("#stale").is_visible()
            token = site.token
        page.get_by_text("No answer from the node").wait_for(timeout=15000)
        with site_in_thread(store, listener=listener, token=token):
            page.locator("#stale").wait_for(state="hidden", timeout=15000)
        with site_in_thread(store, listener=listener):
            page.get_by_text("session has ended").wait_for(timeout=15000)
        context.close()


def test_a_hidden_tab_asks_for_nothing(browser: Browser, site: Site) -> None:
    with opened(browser, site) as page:
        asked: list[str] = []
        page.evaluate("Object.defineProperty(document, 'hidden', {value: true, writable: true})")
        page.wait_for_timeout(300)
        page.on("request", lambda sent: asked.append(sent.url))
        page.wait_for_timeout(4500)
        assert asked == []
        page.evaluate(
            "document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))"
        )
        page.wait_for_timeout(500)
        assert asked == [f"{site.url}/overview"]


def test_names_are_text_and_nothing_else(browser: Browser, site: Site) -> None:
    fill(site.store)
    with opened(browser, site) as page:
        assert page.get_by_text(NASTY, exact=False).count() >= 2
        assert page.locator("main img").count() == 0
        page.wait_for_timeout(2500)
        assert page.locator("main img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_the_screen(
    browser: Browser, site: Site, scheme: Any, width: int, tmp_path: Path
) -> None:
    fill(site.store)
    size: Any = {"width": width, "height": 740}
    with opened(browser, site, viewport=size, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        shades = [int(number) for number in re.findall(r"\d+", background)[:3]]
        assert (sum(shades) > 3 * 128) == (scheme == "light")
        page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)


def test_times_show_the_viewers_own_on_hover(browser: Browser, site: Site) -> None:
    submit(site.store, 1)
    with opened(browser, site, timezone_id="Asia/Tokyo", locale="en-GB") as page:
        time = page.locator("tbody time").first
        instant = datetime.fromisoformat(time.get_attribute("datetime") or "")
        assert time.inner_text() == instant.strftime("%Y-%m-%d %H:%M:%S")
        shown = (instant + timedelta(hours=9)).strftime("%H:%M:%S")
        assert shown in (time.get_attribute("title") or "")
        page.wait_for_timeout(2500)
        assert shown in (time.get_attribute("title") or "")


def test_it_works_without_scripts(browser: Browser, site: Site) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        assert page.locator("h2").all_inner_texts() == ["Schedules", "Newest runs"]
        added = submit(site.store, 1)
        row(page, added).wait_for(timeout=12000)


def test_it_works_with_the_keyboard(browser: Browser, site: Site) -> None:
    run_id = submit(site.store, 1)
    with opened(browser, site) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == f"details-{run_id}"
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/api/runs/{run_id}")


def test_a_link_from_another_site_opens_the_page_of_a_session(browser: Browser, site: Site) -> None:
    other = site.url.replace("127.0.0.1", "localhost")
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/?token={site.token}")
    page.goto(f"{other}/")
    assert page.get_by_text("open the link that the node printed").is_visible()
    page.evaluate(f"location.href = '{site.url}/'")
    page.locator("#runs-title").wait_for(timeout=5000)
    context.close()


def test_a_stranger_can_type_the_token(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url)
    page.get_by_label("Token").fill(site.token)
    page.keyboard.press("Enter")
    page.locator("#runs-title").wait_for(timeout=5000)
    assert page.url == f"{site.url}/"
    context.close()
