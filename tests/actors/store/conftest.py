"""Every store that keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schedule_zero.actors.store import Store, open_store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open, empty store of each kind."""
    place = "memory" if request.param == "memory" else tmp_path / "ledger.db"
    with open_store(place) as opened:
        yield opened
