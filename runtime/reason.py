"""Why an actor ended: OTP's exit reasons as a value."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

Kind = Literal["normal", "shutdown", "killed", "failed", "noproc", "noconnection"]


def text_of(error: BaseException) -> str:
    """What an error says; some say nothing but raise."""
    try:
        return str(error)
    except Exception as failure:
        return f"(its text cannot be had: {type(failure).__name__})"


@frozen
class Reason:
    """The reason of an actor's end, as `on_stop` and `Down` carry it.

    `normal`: it stopped of its own accord. `shutdown`: its parent or the node stopped it.
    `killed`: it did not stop in time. `failed`: it raised (`error`). `noproc`: it was dead before
    it was asked about. `noconnection`: the session with its node ended, and it may be alive.
    """

    kind: Kind
    error: BaseException | None = field(default=None, eq=False)

    @property
    def is_abnormal(self) -> bool:
        """Whether a transient child is restarted for it (OTP: anything but normal, shutdown)."""
        return self.kind not in ("normal", "shutdown")

    def __str__(self) -> str:
        if self.error is None:
            return self.kind
        return f"{self.kind}: {type(self.error).__name__}: {text_of(self.error)}"


NORMAL = Reason("normal")
SHUTDOWN = Reason("shutdown")
KILLED = Reason("killed")
NOPROC = Reason("noproc")
NOCONNECTION = Reason("noconnection")
