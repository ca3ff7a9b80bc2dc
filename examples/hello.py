"""Hello: the smallest handler, and what a failing method looks like."""

from __future__ import annotations

from schedule_zero.actors import Handler, every


class Hello(Handler):
    """Greets every two seconds, and fails now and then on purpose.

    Watch it in the ledger (`schedule-zero runs`, or the page's Runs):

    1. `tick` succeeds with a count that grows: the instance is kept from run to run.
    2. `flaky` raises at the third call of an instance. That attempt is recorded with its error,
       the handler is restarted, and the run is retried.
    3. The retry is the *first* call of a fresh instance, so it succeeds: one run, two attempts.
       `tick` counts from 1 again, which shows that no state outlives a failure. Keep in a file
       or a database what must.
    """

    def __init__(self) -> None:
        self._ticks = 0
        self._calls = 0

    @every(seconds=2)
    def tick(self, name: str = "world") -> dict[str, object]:
        """Greet `name`, and say how often this instance has done so."""
        self._ticks += 1
        return {"greeting": f"Hello, {name}!", "count": self._ticks}

    @every(seconds=10, retries=2)
    def flaky(self) -> dict[str, object]:
        """Succeed twice, then raise `RuntimeError` at the third call of this instance."""
        self._calls += 1
        if self._calls % 3 == 0:
            raise RuntimeError(f"call {self._calls} of this instance fails, on purpose")
        return {"calls": self._calls}
