"""The benchmarks of messaging.py on Pykka: a thread an actor.

`tell` to an `on_receive` of one's own: a proxy makes an object and a lookup a message more, and
counts at two thirds of the speed. A message is a bare int, its cheapest form.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pykka

from tests.benchmarks.figures import measure

RING = 100


class Counter(pykka.ThreadingActor):
    """Counts; asked with anything but a number it tells its total."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def on_receive(self, message: Any) -> int | None:
        if message is None:
            return self.total
        self.total += message
        return None


class Asker(pykka.ThreadingActor):
    """Asks another actor so many times."""

    def __init__(self, asked: pykka.ActorRef[Counter]) -> None:
        super().__init__()
        self.asked = asked

    def on_receive(self, message: int) -> float:
        with measure() as taken:
            for _ in range(message):
                self.asked.ask(None)
        return message / taken.seconds


class Member(pykka.ThreadingActor):
    """Passes a number on, one less, until it is zero."""

    def __init__(self, done: threading.Event) -> None:
        super().__init__()
        self.done = done
        self.next: pykka.ActorRef[Member] | None = None

    def on_receive(self, message: Any) -> None:
        if not isinstance(message, int):
            self.next = message
        elif message and self.next is not None:
            self.next.tell(message - 1)
        else:
            self.done.set()


class Idle(pykka.ThreadingActor):
    """Does nothing."""


def counting(count: int) -> float:
    """One sender, the main thread."""
    counter = Counter.start()
    with measure() as taken:
        for _ in range(count):
            counter.tell(1)
        assert counter.ask(None) == count
    counter.stop()
    return count / taken.seconds


def ring(hops: int) -> float:
    """A number that goes round."""
    done = threading.Event()
    members = [Member.start(done) for _ in range(RING)]
    for member, following in zip(members, members[1:] + members[:1], strict=True):
        member.tell(following)
    with measure() as taken:
        members[0].tell(hops)
        done.wait()
    pykka.ActorRegistry.stop_all()
    return hops / taken.seconds


def ask(trips: int) -> float:
    """One actor asks another, which is idle each time."""
    asker = Asker.start(Counter.start())
    rate: float = asker.ask(trips, block=True)
    pykka.ActorRegistry.stop_all()
    return rate


def spawn(count: int) -> float:
    """`start` returns once the thread runs."""
    with measure() as taken:
        for _ in range(count):
            Idle.start()
    pykka.ActorRegistry.stop_all()
    return count / taken.seconds


def spawn_stop(count: int) -> float:
    """All are told to stop before the first is waited for."""
    with measure() as taken:
        refs = [Idle.start() for _ in range(count)]
        for stopped in [ref.stop(block=False) for ref in refs]:
            stopped.get()
    return count / taken.seconds


FIGURES: dict[str, Callable[[int], float]] = {
    "counting": counting,
    "ring": ring,
    "ask": ask,
    "spawn": spawn,
    "spawn_stop": spawn_stop,
}
