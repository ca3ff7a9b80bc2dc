"""The benchmarks of messaging.py on Thespian's simpleSystemBase: all actors in one thread.

Its other bases have an operating-system process an actor and are a hundred times slower. The
sender is an actor, twice as fast as `ActorSystem.tell` from outside, and sends in blocks: the
queue of the system is a list that is popped at its head. An actor cannot wait for an answer: it
sends, and receives. Actors are made from outside: an actor goes through the list of all its
children at the end of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from thespian.actors import Actor, ActorAddress, ActorExitRequest, ActorSystem

from tests.benchmarks.figures import measure, resident

RING = 100
BLOCK = 1_000
LONG = 600


class Counter(Actor):
    """Counts; anything but a number is answered with the total."""

    def __init__(self) -> None:
        self.total = 0

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> None:  # noqa: N802 - its name
        if msg.__class__ is int:
            self.total += msg
        else:
            self.send(sender, self.total)


class Sender(Actor):
    """Sends so many ones to another actor, in blocks, then lets it tell the total."""

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> None:  # noqa: N802 - its name
        if msg.__class__ is tuple:
            self.counter, self.left = msg
            self.starter = sender
            self.send(self.myAddress, "more")
        elif msg == "more":
            block = min(BLOCK, self.left)
            for _ in range(block):
                self.send(self.counter, 1)
            self.left -= block
            self.send(*((self.myAddress, "more") if self.left else (self.counter, "total")))
        else:
            self.send(self.starter, msg)


class Asker(Actor):
    """Sends a question to another actor so many times, each after the last answer."""

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> None:  # noqa: N802 - its name
        if msg.__class__ is tuple:
            self.asked, self.trips = msg
            self.left, self.starter = self.trips, sender
            self.begun = time.perf_counter()
            self.send(self.asked, "total")
            return
        self.left -= 1
        if self.left:
            self.send(self.asked, "total")
        else:
            self.send(self.starter, self.trips / (time.perf_counter() - self.begun))


class Member(Actor):
    """Passes a number on, one less, until it is zero: then the one who started it is told."""

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> None:  # noqa: N802 - its name
        if msg.__class__ is not int:
            self.next, self.starter = msg, sender
        elif msg:
            self.send(self.next, msg - 1)
        else:
            self.send(self.starter, "done")


class Idle(Actor):
    """Does nothing."""

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> None:  # noqa: N802 - its name
        pass


@contextmanager
def _system() -> Iterator[ActorSystem]:
    system = ActorSystem("simpleSystemBase")
    try:
        yield system
    finally:
        system.shutdown()


def counting(count: int) -> float:
    """One sender, an actor."""
    with _system() as system:
        counter, sender = system.createActor(Counter), system.createActor(Sender)
        with measure() as taken:
            assert system.ask(sender, (counter, count), LONG) == count
    return count / taken.seconds


def ring(hops: int) -> float:
    """A number that goes round."""
    with _system() as system:
        members = [system.createActor(Member) for _ in range(RING)]
        for member, following in zip(members, members[1:] + members[:1], strict=True):
            system.tell(member, following)
        with measure() as taken:
            assert system.ask(members[0], hops, LONG) == "done"
    return hops / taken.seconds


def ask(trips: int) -> float:
    """A question and an answer between two actors."""
    with _system() as system:
        asked, asker = system.createActor(Counter), system.createActor(Asker)
        rate: float = system.ask(asker, (asked, trips), LONG)
    return rate


def spawn(count: int) -> float:
    """From outside."""
    with _system() as system, measure() as taken:
        for _ in range(count):
            system.createActor(Idle)
    return count / taken.seconds


def spawn_stop(count: int) -> float:
    """From outside; each is gone when `tell` returns."""
    with _system() as system, measure() as taken:
        for address in [system.createActor(Idle) for _ in range(count)]:
            system.tell(address, ActorExitRequest())
    return count / taken.seconds


def idle(count: int) -> float:
    """Megabytes."""
    with _system() as system:
        before = resident()
        kept = [system.createActor(Idle) for _ in range(count)]
        assert len(kept) == count
        return (resident() - before) / 1e6


FIGURES: dict[str, Callable[[int], float]] = {
    "counting": counting,
    "ring": ring,
    "ask": ask,
    "spawn": spawn,
    "spawn_stop": spawn_stop,
    "idle": idle,
}
