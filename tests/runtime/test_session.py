"""The pure session core: each of its rules by scripts, and what strangers may not do to it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from schedule_zero.runtime import session
from schedule_zero.runtime.session import Closed, Dropped, Identity, Refused, Send, Sessions
from schedule_zero.runtime.wire import PROTOCOL, Alive, Burst, Goodbye, Hello, encode
from schedule_zero.transports import Link

from .session_scripts import SCRIPTS, run_script


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_script_of_events_has_its_effects(path: Path) -> None:
    expected, actual = run_script(path.read_text())

    assert actual == expected


def called() -> tuple[Sessions, Link]:
    """A node b with a link on which nobody has called yet."""
    core, link = Sessions(Identity("b", 1)), Link("in")
    core.link_up(link, 0.0)
    return core, link


def hello(name: str, cluster: str = "", count: int = 1) -> Hello:
    return Hello(PROTOCOL, cluster, name, 1, count)


@pytest.mark.parametrize(
    "stranger",
    [hello("\x00" * 1_000_000), hello(""), hello("a", "\x00" * 1_000_000), hello("x" * 256)],
    ids=["long name", "no name", "long cluster", "slightly long name"],
)
def test_what_a_stranger_is_told_is_short(stranger: Hello) -> None:
    """It would be a line of the log and, in a goodbye, a frame over the limit."""
    core, link = called()

    refused, goodbye, dropped = core.heard(link, stranger, 0.0)

    assert isinstance(refused, Refused)
    assert len(refused.text) < 3000
    assert isinstance(goodbye, Send)
    assert len(encode(goodbye.frame)) < 3000
    assert dropped == Dropped(link, refused.text)


def test_a_name_of_255_characters_is_a_name() -> None:
    core, link = called()
    core.heard(link, hello("x" * 255), 0.0)
    assert list(core.peers) == ["x" * 255]


def test_what_a_peer_says_when_it_leaves_is_cut_short() -> None:
    core, link = called()
    core.heard(link, hello("a"), 0.0)

    closed, refused, dropped = core.heard(link, Goodbye("c" * 10_000, "a", "t" * 10_000), 1.0)

    assert closed == Closed(link, Identity("a", 1), "t" * 200)
    assert refused == Refused(link, "other", "t" * 200)
    assert dropped == Dropped(link, "t" * 200)


def test_no_number_of_strangers_makes_a_core_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even those who come under ever new names, as they can where there are no keys."""
    monkeypatch.setattr(session, "_MOST_NAMES", 100)
    core = Sessions(Identity("b", 1))
    tracemalloc.start()
    for number in range(2000):
        if number == 1000:
            before = tracemalloc.get_traced_memory()[0]
        link = Link("in")
        core.link_up(link, 0.0)
        core.heard(link, hello(f"stranger {number}", count=number), 0.0)
        core.link_down(link, "lost", 0.0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert grown < 20_000


def test_nothing_of_a_long_hello_is_kept() -> None:
    core, link = called()
    tracemalloc.start()
    known = {f"node {number}": number for number in range(100_000)}
    core.heard(link, Hello(PROTOCOL, "", "a", 1, 1, known, list(range(100_000))), 0.0)
    del known
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert list(core.peers) == ["a"]
    assert kept < 10_000


def test_frames_of_a_link_that_is_not_known_are_nothing() -> None:
    core = Sessions(Identity("b", 1))
    for frame in (hello("a"), Burst(1, []), Alive(0), Goodbye("leaving", "a")):
        assert core.heard(Link("in"), frame, 0.0) == []
    assert core.link_down(Link("in"), "lost", 0.0) == []
    assert core.hang_up("a", "told so") == []
