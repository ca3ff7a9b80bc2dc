"""kill -9 of a node that others ask: what waits ends at once, and its next life is another."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
import trio

from schedule_zero.runtime import (
    Network,
    Node,
    NodeProcess,
    NodeUnreachable,
    WhichNode,
    child,
    node_program,
    supervisor,
)
from tests.runtime.served import HERE, Hold, Note, Notes

ASKS = 30


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


def free_endpoint() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{taken.getsockname()[1]}"


async def test_asks_in_flight_end_when_their_peer_is_killed_and_nothing_old_reaches_the_next() -> (
    None
):
    endpoint = free_endpoint()
    there = child("there", NodeProcess, node_program(f"{HERE}:holding", "there", endpoint))
    here = Node(
        "here",
        supervisor(there.options(shutdown=10.0)),
        peers=[endpoint],
        network=Network(interval=0.1, timeout=1.0),
    )
    failures: list[NodeUnreachable] = []
    with trio.fail_after(60):
        async with here:
            old = await here.lookup("holder", on="there", timeout=30)
            first = await here.ref("there").ask(WhichNode())
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    with pytest.raises(NodeUnreachable) as caught:
                        await old.ask(Hold(), timeout=50)
                    failures.append(caught.value)

                for _ in range(ASKS):
                    nursery.start_soon(ask)
                assert await old.ask(Notes()) == 0  # so those are in flight
                os.kill(first.pid, signal.SIGKILL)
                for _ in range(1000):
                    old.tell(Note())
            assert len(failures) == ASKS
            second = await here.ref("there").ask(WhichNode(), timeout=30)
            assert second.incarnation > first.incarnation
            new = await here.lookup("holder", on="there", timeout=30)
            old.tell(Note())
            with pytest.raises(NodeUnreachable):
                await old.ask(Notes())
            assert old.is_stopped
            assert await new.ask(Notes()) == 0
