"""Values as JSON can say them."""

from __future__ import annotations

from datetime import UTC, datetime

from schedule_zero.actors.web.views import plain

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_half_a_character_can_be_shown() -> None:
    assert plain({"\udcff": ("\ud800", NOW, object)}) == {
        "?": ["?", "2026-11-23T09:00:00+00:00", str(object)]
    }
