"""Waits between attempts: they grow, have a bound, and chance has a part in them."""

from __future__ import annotations

from schedule_zero.transports.backoff import Backoff


def test_waits_double_from_a_tenth_of_a_second_up_to_five() -> None:
    backoff = Backoff(lambda: 0.0)
    waits = [backoff.next() for _ in range(8)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_chance_takes_up_to_a_half_off() -> None:
    draws = iter([0.0, 0.5, 1.0])
    backoff = Backoff(lambda: next(draws))
    assert [backoff.next() for _ in range(3)] == [0.1, 0.2 * 0.75, 0.4 * 0.5]


def test_after_a_long_life_the_waits_start_small_again() -> None:
    backoff = Backoff(lambda: 0.0)
    for _ in range(5):
        backoff.next()
    backoff.lived(1.0)
    assert backoff.next() == 3.2
    backoff.lived(5.0)
    assert backoff.next() == 0.1
