"""Actors and messages that several tests use."""

from __future__ import annotations

import trio
from attrs import define, field

from schedule_zero.runtime import Actor, ActorRef, Down, Reason, Request, handles, message


@message
class Note:
    """Something to write down."""

    text: object


@message
class Crash:
    """The handler raises `Boom(text)`."""

    text: str = "boom"


@message
class Quit:
    """The handler ends its actor normally."""


@message
class Nap:
    """The handler sleeps."""

    seconds: float


@message
class Echo(Request[object]):
    """Answered with its value."""

    value: object = None


@message
class SlowEcho(Request[object]):
    """Answered with its value, after `seconds`."""

    value: object = None
    seconds: float = 1.0


@message
class CrashAsk(Request[object]):
    """The handler raises."""

    text: str = "boom"


class Boom(Exception):
    """What test actors raise."""


@define(eq=False)
class Diary:
    """What happened to a group of actors, in order; two lives at once are written down too."""

    entries: list[str] = field(factory=list)
    alive: set[str] = field(factory=set)
    overlaps: list[str] = field(factory=list)
    faulty: dict[str, list[bool]] = field(factory=dict)

    def write(self, what: str, who: str) -> None:
        self.entries.append(f"{what} {who}")

    def take(self) -> list[str]:
        """The entries since the last call."""
        taken, self.entries = self.entries, []
        return taken

    def born(self, who: str) -> None:
        if who in self.alive:
            self.overlaps.append(who)
        self.alive.add(who)

    def starts(self, who: str) -> bool:
        """Whether the next start of this actor succeeds."""
        plan = self.faulty.get(who)
        return plan.pop(0) if plan else True


class Recorder(Actor):
    """Writes the notes it gets into a list."""

    def __init__(self, notes: list[object]) -> None:
        self.notes = notes

    @handles
    def note(self, msg: Note) -> None:
        self.notes.append(msg.text)

    @handles
    def crash(self, msg: Crash) -> None:
        raise Boom(msg.text)

    @handles
    def quit(self, msg: Quit) -> None:
        self.context.stop()

    @handles
    async def nap(self, msg: Nap) -> None:
        await trio.sleep(msg.seconds)

    @handles
    def echo(self, msg: Echo) -> object:
        return msg.value

    @handles
    async def slow_echo(self, msg: SlowEcho) -> object:
        await trio.sleep(msg.seconds)
        return msg.value

    @handles
    def crash_ask(self, msg: CrashAsk) -> object:
        raise Boom(msg.text)


class Diarist(Recorder):
    """Keeps a diary of its lives; its start fails when the diary says so."""

    def __init__(self, diary: Diary) -> None:
        super().__init__([])
        self.diary = diary
        diary.born(self.context.ref.path)

    def on_start(self) -> None:
        path = self.context.ref.path
        if not self.diary.starts(path):
            self.diary.alive.discard(path)
            self.diary.write("fail", path)
            raise Boom(f"{path} does not start")
        self.diary.write("start", path)

    def on_stop(self, reason: Reason) -> None:
        path = self.context.ref.path
        self.diary.alive.discard(path)
        self.diary.write("stop", path)


class SlowDiarist(Diarist):
    """A diarist whose stop takes a second."""

    async def on_stop(self, reason: Reason) -> None:  # type: ignore[override]
        await trio.sleep(1)
        super().on_stop(reason)


class Watcher(Actor):
    """Monitors a ref and keeps the `Down` messages."""

    def __init__(self, watched: ActorRef, downs: list[Down], times: int = 1) -> None:
        self.downs = downs
        for _ in range(times):
            self.context.monitor(watched)

    @handles
    def down(self, msg: Down) -> None:
        self.downs.append(msg)

    @handles
    def crash(self, msg: Crash) -> None:
        raise Boom(msg.text)
