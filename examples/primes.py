"""Work for another core: counting primes in worker processes.

Run it: `python -m examples.primes 2000000`.
"""

from __future__ import annotations

import sys

import trio

from schedule_zero.runtime import (
    Actor,
    Node,
    Request,
    child,
    cpu_bound,
    handles,
    message,
    supervisor,
)


@message
class CountPrimes(Request[int]):
    """How many primes are below `limit`?"""

    limit: int


class Primes(Actor):
    """Counts primes while the node goes on with other things."""

    @staticmethod
    @handles
    @cpu_bound
    def count(msg: CountPrimes) -> int:
        """The sieve of Eratosthenes."""
        is_prime = bytearray([1]) * max(2, msg.limit)
        is_prime[0] = is_prime[1] = 0
        for number in range(2, int(msg.limit**0.5) + 1):
            if is_prime[number]:
                multiples = range(number * number, msg.limit, number)
                is_prime[number * number :: number] = bytes(len(multiples))
        return sum(is_prime[: msg.limit])


async def count(limit: int) -> int:
    """Ask two actors for the primes below `limit` and half of it, at once."""
    spec = supervisor(child("all", Primes), child("half", Primes))
    found: dict[str, int] = {}
    async with Node("primes", spec) as node, trio.open_nursery() as nursery:

        async def ask(name: str, below: int) -> None:
            found[name] = await node.ref(name).ask(CountPrimes(below), timeout=600)

        nursery.start_soon(ask, "all", limit)
        nursery.start_soon(ask, "half", limit // 2)
    return found["all"] - found["half"]


if __name__ == "__main__":
    top = int(sys.argv[1])
    print(f"{trio.run(count, top)} primes between {top // 2} and {top}")
