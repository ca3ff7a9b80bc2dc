"""What can go wrong with the page and the API."""

from __future__ import annotations

from schedule_zero.runtime import ActorError
from schedule_zero.transports import ScheduleZeroError


class ServerFailed(ActorError):
    """The web server ended by itself."""

    code = "server-failed"


class RequestError(ScheduleZeroError):
    """A request cannot be answered as it was meant; `status` is the HTTP status."""

    code = "request"
    status = 500


class WrongRequest(RequestError):
    """The request asks for what there cannot be."""

    code = "wrong-request"
    status = 400


class NotFound(RequestError):
    """The request asks for what is not there."""

    code = "not-found"
    status = 404


class Unavailable(RequestError):
    """A component does not answer now; it may later."""

    code = "unavailable"
    status = 503
