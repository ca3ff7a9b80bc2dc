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


class BadEndpoint(TransportError):
    """An endpoint that no transport understands, or that does not exist on this machine."""

    code = "bad-endpoint"

    def __init__(self, endpoint: str, what: str) -> None:
        super().__init__(
            f"endpoint {endpoint!r}: {what}; expected such as 'tcp://127.0.0.1:7401', "
            "'tcp://[::1]:7401' or 'ipc:///run/node.sock'"
        )
        self.endpoint = endpoint


class EndpointInUse(TransportError):
    """Something else listens there already."""

    code = "endpoint-in-use"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f"endpoint {endpoint!r} is in use: stop what listens there, or choose another port"
        )
        self.endpoint = endpoint


class InsecureEndpoint(TransportError):
    """Beyond this machine every link needs keys."""

    code = "insecure-endpoint"

    def __init__(self, endpoint: str, missing: str = "no keys are set") -> None:
        super().__init__(
            f"endpoint {endpoint!r} reaches beyond this machine and {missing}: make them "
            "with `schedule-zero keygen` and give them to the node, or use a loopback address"
        )
        self.endpoint = endpoint


class BadKey(TransportError):
    """A key, or a file of keys, that cannot be read, is open to others, or is none.

    `path` is the file's, empty for a key that was given as text. No error shows a key.
    """

    code = "bad-key"

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"key file {path!r}: {what}" if path else f"a key is none: {what}")
        self.path = path
        self.what = what


class LinkLost(TransportError):
    """The link has ended."""

    code = "link-lost"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"the link to {address} is lost: {reason}")
        self.address = address
        self.reason = reason


class FrameTooLarge(TransportError):
    """A frame is over the transport's limit."""

    code = "frame-too-large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a frame of {size} bytes is over the limit of {limit}")
        self.size = size
        self.limit = limit
