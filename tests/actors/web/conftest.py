"""Fixtures of the page's and the API's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from schedule_zero.actors.store import Store, open_store
from tests.actors.web.sites import Site, running_site


@pytest.fixture
def store() -> Iterator[Store]:
    """An open store in memory."""
    with open_store("memory") as store:
        yield store


@pytest.fixture
async def site(store: Store) -> AsyncIterator[Site]:
    """A running node with its page."""
    async with running_site(store) as site:
        yield site
