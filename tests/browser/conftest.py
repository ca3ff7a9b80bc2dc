"""A browser, and a node whose page it looks at."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from schedule_zero.actors.store import Store, open_store
from tests.actors.web.sites import Site, running_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def store() -> Iterator[Store]:
    """An open store in memory."""
    with open_store("memory") as store:
        yield store


@pytest.fixture
def site(store: Store) -> Iterator[Site]:
    """A running node with its page."""
    with site_in_thread(store) as site:
        yield site


@contextmanager
def site_in_thread(store: Store, **options: object) -> Iterator[Site]:
    """A node that runs in a thread of its own while the browser drives this one."""
    ready = threading.Event()
    found: list[Site] = []
    handles: list[tuple[trio.lowlevel.TrioToken, trio.Event]] = []

    async def serve() -> None:
        end = trio.Event()
        handles.append((trio.lowlevel.current_trio_token(), end))
        async with running_site(store, **options) as site:  # type: ignore[arg-type]
            found.append(site)
            ready.set()
            await end.wait()

    def run() -> None:
        try:
            trio.run(serve)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(30)
    try:
        yield found[0]
    finally:
        token, end = handles[0]
        token.run_sync_soon(end.set)
        thread.join(30)
