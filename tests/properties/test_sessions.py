"""Sessions between nodes that call each other, whatever happens to their links (M1, M2, M6).

The cores are real, links and time are simulated: see `tests/runtime/session_world.py`, which also
checks that the effects of each core are in order. `patience` is 2 s, `timeout` 4 s.
"""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from schedule_zero.runtime.session import Closed, Effect, Identity, Sessions
from schedule_zero.runtime.wire import Alive, Burst, Goodbye, Hello, Stop
from schedule_zero.transports import Link

from ..runtime.session_world import Edge, Turns, Witness, World
from ..runtime.virtual import UNHURRIED

NAMES = ["a", "b", "c"]
PAIRS = [(one, other) for one in NAMES for other in NAMES if one != other]
AB: list[Edge] = [("a", "b"), ("b", "a")]
TWO = st.lists(st.sampled_from(AB), min_size=1, max_size=4)
THREE = st.lists(st.sampled_from(PAIRS), min_size=1, max_size=7)
BACKOFFS = st.lists(st.sampled_from([0.05, 0.1, 0.35, 1.0]), min_size=1, max_size=5).map(Turns)
FATES = st.lists(
    st.sampled_from(["ok", "ok", "lost", "twice", "late"]), min_size=1, max_size=12
).map(Turns)
WAITS = st.sampled_from([0.0, 0.05, 0.2, 0.7, 2.0, 5.0])


def tells(pairs: list[Edge]) -> st.SearchStrategy[list[tuple[float, Edge]]]:
    """Who says something to whom, after so many seconds."""
    return st.lists(st.tuples(WAITS, st.sampled_from(pairs)), max_size=10)


def delays(hundredths: int) -> st.SearchStrategy[Turns[float]]:
    """Seconds that frames take, one after the other, up to so many hundredths."""
    seconds = st.integers(0, hundredths).map(lambda n: n / 100)
    return st.lists(seconds, min_size=1, max_size=25).map(Turns)


# Without faults


def live_well(world: World, tells: list[tuple[float, Edge]]) -> None:
    """Without faults there is one session a pair, never lost, and all that was said is heard."""
    for wait, (one, other) in tells:
        world.run(wait)
        world.hosts[one].say(other)
    world.run(20)

    assert not world.disagreements()
    assert not [change for change in world.changes if isinstance(change.effect, Closed)]
    assert not [at for at in world.calls if at > world.now - 5]
    assert all(pipe.heard[1 - side] == pipe.sent[side] for pipe in world.pipes for side in (0, 1))


@given(TWO, tells(AB), delays(95), BACKOFFS, st.booleans())
@settings(UNHURRIED, max_examples=120)
def test_two_nodes_lose_no_session_without_faults(
    edges: list[Edge],
    tells: list[tuple[float, Edge]],
    delays: Turns[float],
    backoffs: Turns[float],
    has_keys: bool,
) -> None:
    """Delays may be anything below half the patience: calls cross, or overtake each other, and one
    side may call the other at many endpoints.
    """
    live_well(World(NAMES[:2], edges, delays, backoffs, has_keys=has_keys), tells)


@given(THREE, tells(PAIRS), delays(95), BACKOFFS)
@settings(UNHURRIED, max_examples=80)
def test_three_nodes_with_keys_lose_no_session_without_faults(
    edges: list[Edge], tells: list[tuple[float, Edge]], delays: Turns[float], backoffs: Turns[float]
) -> None:
    """With keys a node waits only for calls that can be to the one that waits, as with two."""
    live_well(World(NAMES, edges, delays, backoffs, has_keys=True), tells)


@given(THREE, tells(PAIRS), delays(33), BACKOFFS)
@settings(UNHURRIED, max_examples=80)
def test_three_nodes_without_keys_lose_no_session_without_faults(
    edges: list[Edge], tells: list[tuple[float, Edge]], delays: Turns[float], backoffs: Turns[float]
) -> None:
    """Without keys a call can wait for a call that waits for a call: six delays in all."""
    live_well(World(NAMES, edges, delays, backoffs), tells)


@given(st.integers(0, 19), delays(5), st.integers(2, 3))
@settings(UNHURRIED, max_examples=30)
def test_endpoints_that_never_answer_do_not_keep_others_waiting(
    start: int, delays: Turns[float], silent: int
) -> None:
    """Some call is without answer at any time; in the end none of those made before the other's."""
    backoffs = Turns([0.05, 0.15, 0.3, 0.1, 0.25])
    world = World(["a", "b", "m"], [("b", "a")], delays, backoffs, mute=["m"])
    for number in range(silent):
        endpoint, phase = f"m#{number}", 2 * number / silent
        world.later(phase, lambda endpoint=endpoint: world.hosts["a"].call(endpoint))  # type: ignore[misc]
    world.run(2 + start / 10)
    world.hosts["b"].hang_up("a")
    world.run(12)

    assert world.hosts["b"].session_with("a")


# With faults

FAULTS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(PAIRS)),
    st.tuples(st.just("say often"), st.sampled_from(PAIRS)),
    st.tuples(st.just("cut"), st.integers(0, 30)),
    st.tuples(
        st.just("silence"),
        st.integers(0, 30),
        st.sampled_from([(True, False), (False, True), (True, True)]),
    ),
    st.tuples(st.just("part"), st.sampled_from(PAIRS)),
    st.tuples(st.just("heal"), st.booleans()),
    st.tuples(st.just("crash"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("restart"), st.sampled_from(NAMES)),
    st.tuples(st.just("storm")),
    st.tuples(st.just("hang up"), st.sampled_from(PAIRS)),
)


def befall(world: World, fault: tuple[Any, ...]) -> None:
    """One fault, or one thing to say."""
    match fault:
        case ("say", (one, other)):
            world.hosts[one].say(other)
        case ("say often", (one, other)):
            for _ in range(10):
                world.hosts[one].say(other)
        case ("cut", number) if world.pipes:
            world.cut(world.pipes[-1 - number % len(world.pipes)])
        case ("silence", number, how) if world.pipes:
            world.pipes[-1 - number % len(world.pipes)].silent = list(how)
        case ("part", (one, other)):
            world.part(one, other)
        case ("heal", hear_again):
            world.heal(hear_again=hear_again)
        case ("crash", name, silently):
            world.hosts[name].crash(silently=silently)
            world.hosts[name].boot()
        case ("restart", name):
            world.hosts[name].leave()
            world.hosts[name].boot()
        case ("storm",):
            world.is_stormy = True
        case ("hang up", (one, other)):
            world.hosts[one].hang_up(other)


@given(
    st.one_of(TWO, THREE),
    st.lists(st.tuples(WAITS, FAULTS), max_size=25),
    delays(30),
    BACKOFFS,
    FATES,
    st.booleans(),
    st.booleans(),
)
@settings(UNHURRIED, max_examples=200)
def test_after_any_faults_all_agree_and_nobody_has_heard_what_was_not_said(
    edges: list[Edge],
    faults: list[tuple[float, tuple[Any, ...]]],
    delays: Turns[float],
    backoffs: Turns[float],
    fates: Turns[str],
    has_keys: bool,
    hear_again: bool,
) -> None:
    """Cuts, silence, crashes, loss, duplication and reordering inside links: what is heard in a
    session is what was said in it up to some point; and once all is well, each pair has one
    session over one link, and keeps it.
    """
    world = World(NAMES, edges, delays, backoffs, fates, has_keys=has_keys)
    world.run(1)
    for wait, fault in faults:
        befall(world, fault)
        world.run(wait)
    event(f"sessions lost: {sum(isinstance(c.effect, Closed) for c in world.changes) // 5 * 5}+")
    world.heal(hear_again=hear_again)
    world.run(30)

    assert not world.disagreements()
    quiet_since = world.now - 10
    assert not [change for change in world.changes if change.at > quiet_since]
    assert not [at for at in world.calls if at > quiet_since]
    for pipe in world.pipes:
        for side in (0, 1):
            said, heard = pipe.sent[side], pipe.heard[1 - side]
            assert heard == said[: len(heard)]


# Strangers

WHO = st.sampled_from(["a", "b", "c", "d", "", "x" * 300])
SMALL = st.integers(0, 4)
HELLOS = st.builds(
    Hello,
    protocol=st.sampled_from([1, 1, 1, 2]),
    cluster=st.sampled_from(["", "", "", "other"]),
    name=WHO,
    incarnation=SMALL,
    count=SMALL,
    sessions=st.dictionaries(WHO, SMALL, max_size=3),
    calls=st.lists(SMALL, max_size=3),
)
FRAMES = st.one_of(
    HELLOS,
    HELLOS,
    st.builds(Burst, number=SMALL, items=st.just([Stop(1)])),
    st.builds(Alive, number=SMALL),
    st.builds(
        Goodbye, code=st.sampled_from(["redundant", "leaving", "gap", "x"]), name=WHO, text=WHO
    ),
)
LINKS = [
    *[Link(f"in{n}", user) for n, user in enumerate(["", "", "", "a", "c"])],
    *[Link(f"out{n}", user, f"e{n}") for n, user in enumerate(["", "", "", "a", "c"])],
]
ON_LINKS = st.sampled_from(LINKS)
EVENTS = st.one_of(
    st.tuples(st.just("hears"), ON_LINKS, FRAMES),
    st.tuples(st.just("hears"), ON_LINKS, HELLOS),
    st.tuples(st.just("up"), ON_LINKS),
    st.tuples(st.just("down"), ON_LINKS),
    st.tuples(st.just("hang up"), WHO),
    st.tuples(st.just("tick")),
    st.tuples(st.just("leave")),
)


def happen(core: Sessions, seen: Witness, what: tuple[Any, ...], now: float) -> list[Effect]:
    """Feed a core; a link that is heard of comes up first, and one that is up does not again."""
    match what:
        case ("hears", link, frame):
            if link not in seen.up:
                happen_and_check(core, seen, ("up", link), now)
            return core.heard(link, frame, now)
        case ("up", link) if link not in seen.up and link.endpoint not in seen.resting:
            seen.up.add(link)
            return core.link_up(link, now)
        case ("down", link):
            seen.up.discard(link)
            return core.link_down(link, "lost", now)
        case ("hang up", name):
            return core.hang_up(name, "told so")
        case ("tick",):
            return core.tick(now)
        case ("leave",):
            seen.resting.clear()
            return core.leave()
    return []


def happen_and_check(core: Sessions, seen: Witness, what: tuple[Any, ...], now: float) -> None:
    """The same, and the effects are in order."""
    for effect in happen(core, seen, what, now):
        seen.check(effect)
        if effect.__class__.__name__ == "Rested":
            seen.up -= {link for link in seen.up if link.endpoint == effect.endpoint}  # type: ignore[union-attr]
    seen.conclude()


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 1.0, 3.0]), EVENTS), max_size=40))
@settings(UNHURRIED, max_examples=300)
def test_no_frame_in_any_state_makes_a_core_fail(
    events: list[tuple[float, tuple[Any, ...]]],
) -> None:
    """M6: whatever comes, effects are in order; and when nobody speaks any more all links end."""
    core = Sessions(Identity("b", 2))
    seen = Witness(core)
    now = 0.0
    for wait, what in events:
        now += wait
        happen_and_check(core, seen, what, now)
    for _ in range(2):  # a call that waited may be answered by the first one
        now += 4
        happen_and_check(core, seen, ("tick",), now)

    assert not seen.up
    assert not seen.resting
