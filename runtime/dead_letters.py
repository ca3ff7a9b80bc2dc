"""Dead letters: every message that nobody handled, with the reason."""

from __future__ import annotations

import logging
from collections import Counter, deque
from datetime import datetime
from typing import Literal

from attrs import frozen

from schedule_zero.runtime.clock import Clock
from schedule_zero.runtime.stream import Stream

DeadLetterReason = Literal[
    "stopped",
    "mailbox_full",
    "dropped",
    "unhandled",
    "failed",
    "late_reply",
    "no_such_actor",
    "no_connection",
    "cannot_encode",
    "refused",
]

_LOG_EVERY = 60.0
_logger = logging.getLogger("schedule_zero.dead_letters")


@frozen
class DeadLetter:
    """A message that was not handled.

    `target` and `sender` are paths (`sender` is empty outside an actor); `failure` says what the
    handler raised when `reason` is `failed`.
    """

    target: str
    message: object
    reason: DeadLetterReason
    sender: str
    at: datetime
    failure: str = ""


class DeadLetters(Stream[DeadLetter]):
    """The node's stream of dead letters: counted all, kept the newest, logged seldom.

    One line a reason and target type is logged at most once a minute, with the count since.
    """

    def __init__(self, clock: Clock, keep: int = 1000) -> None:
        super().__init__()
        self._clock = clock
        self._recent: deque[DeadLetter] = deque(maxlen=keep)
        self._logged_at: dict[tuple[str, str], float] = {}
        self.counts: Counter[str] = Counter()

    @property
    def recent(self) -> list[DeadLetter]:
        """The newest letters, oldest first."""
        return list(self._recent)

    def record(
        self,
        target: str,
        message: object,
        reason: DeadLetterReason,
        sender: str = "",
        failure: str = "",
    ) -> None:
        """Record a letter and tell the listeners."""
        letter = DeadLetter(target, message, reason, sender, self._clock.now(), failure)
        self.counts[reason] += 1
        self._recent.append(letter)
        self._log(letter)
        self.publish(letter)

    def _log(self, letter: DeadLetter) -> None:
        key = (letter.reason, letter.target)
        now = self._clock.monotonic()
        if now - self._logged_at.get(key, float("-inf")) < _LOG_EVERY:
            return
        if len(self._logged_at) > 1000:
            self._logged_at.clear()
        self._logged_at[key] = now
        _logger.warning(
            "dead letter: %s to %s: %s (%d in all for this reason)",
            type(letter.message).__name__,
            letter.target,
            letter.reason,
            self.counts[letter.reason],
        )
