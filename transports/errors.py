"""The root of the error tree, on the lowest floor so that every floor can share it."""

from __future__ import annotations


class ScheduleZeroError(Exception):
    """Any error that this project raises on purpose.

    A message says what was being done, what was found, what was expected and what to do; the
    facts are attributes of the subclass. `code` is stable: logs, the API and the docs use it.
    """

    code = "error"


class TransportError(ScheduleZeroError):
    """Bytes could not be carried between two nodes."""

    code = "transport"
