"""What can go wrong with actors, messages and nodes, by who must act."""

from __future__ import annotations

from collections.abc import Sequence

from schedule_zero.runtime.reason import text_of
from schedule_zero.transports import ScheduleZeroError


class ActorError(ScheduleZeroError):
    """An actor was defined, started or used in a way that cannot work."""

    code = "actor"


class StartFailed(ActorError):
    """An actor did not start: its constructor or `on_start` raised. The cause is chained."""

    code = "start-failed"

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"actor {path!r} did not start: {type(cause).__name__}: {text_of(cause)}")
        self.path = path
        self.cause = cause


class ActorEnded(ActorError):
    """An actor ended while something of it was awaited; `reason` says why."""

    code = "actor-ended"

    def __init__(self, reason: object) -> None:
        super().__init__(f"it ended meanwhile: {reason}")
        self.reason = reason


class NameTaken(ActorError):
    """A living sibling already has this name."""

    code = "name-taken"

    def __init__(self, path: str) -> None:
        super().__init__(f"an actor named {path!r} is alive: stop it first or choose another name")
        self.path = path


class LinkedActorEnded(ActorError):
    """A linked actor ended abnormally, which fails this one; `reason` is the other's."""

    code = "linked-actor-ended"

    def __init__(self, path: str, reason: object) -> None:
        super().__init__(f"linked actor {path!r} ended: {reason}")
        self.path = path
        self.reason = reason


class ProcessFailed(ActorError):
    """The process of a `NodeProcess` could not be run, or ended; `why` says how."""

    code = "process-failed"

    def __init__(self, program: Sequence[str], why: str) -> None:
        super().__init__(f"process {' '.join(program)!r}: {why}")
        self.program = tuple(program)
        self.why = why


class RemoteFailure(ActorError):
    """What failed on another node, as text."""

    code = "remote-failure"


class StashFull(ActorError):
    """An actor has stashed as many messages as its mailbox may hold."""

    code = "stash-full"

    def __init__(self, path: str, capacity: int) -> None:
        super().__init__(f"actor {path!r} has stashed {capacity} messages: unstash some first")
        self.path = path
        self.capacity = capacity


class ChildError(ActorError):
    """A supervisor was asked to do something with a child that its state does not allow."""

    code = "child"


class BadHandler(ActorError):
    """A method marked with `@handles` does not say which message it takes."""

    code = "bad-handler"


class BadChildSpec(ActorError):
    """A child spec or a supervisor spec holds an impossible value or combination."""

    code = "bad-child-spec"


class RestartIntensityExceeded(ActorError):
    """A supervisor's children failed too often; the supervisor gives up and its parent decides."""

    code = "restart-intensity"

    def __init__(self, path: str, max_restarts: int, within: float, child: str) -> None:
        super().__init__(
            f"supervisor {path!r}: child {child!r} failed, which is more than {max_restarts} "
            f"restarts within {within:g} s"
        )
        self.path = path
        self.max_restarts = max_restarts
        self.within = within
        self.child = child


class DeliveryError(ScheduleZeroError):
    """A message did not get its answer; `target` is the path it was sent to."""

    code = "delivery"

    def __init__(self, text: str, target: str, message: object) -> None:
        super().__init__(text)
        self.target = target
        self.message = message


class NotDelivered(DeliveryError):
    """The message certainly was not handled: sending it again is safe."""

    code = "not-delivered"


class ActorStopped(NotDelivered):
    """The actor is stopped, or stopped with this message still in its mailbox."""

    code = "actor-stopped"

    def __init__(self, target: str, message: object) -> None:
        super().__init__(
            f"actor {target!r} is stopped; {type(message).__name__} was not handled",
            target,
            message,
        )


class MailboxFull(NotDelivered):
    """The actor's mailbox holds as many messages as it may."""

    code = "mailbox-full"

    def __init__(self, target: str, message: object, capacity: int) -> None:
        super().__init__(
            f"mailbox of {target!r} is full ({capacity} messages); "
            f"{type(message).__name__} was not accepted",
            target,
            message,
        )
        self.capacity = capacity


class UnhandledMessage(NotDelivered):
    """The actor has no handler for messages of this type."""

    code = "unhandled-message"

    def __init__(self, target: str, message: object) -> None:
        super().__init__(
            f"actor {target!r} has no handler for {type(message).__name__}: "
            "add a method marked with @handles that takes it",
            target,
            message,
        )


class CannotEncode(NotDelivered):
    """A value cannot cross the network: `value_type` is neither a `@message` nor plain data."""

    code = "cannot-encode"

    def __init__(
        self, value_type: type, why: str, target: str = "", message: object = None
    ) -> None:
        name = f"{value_type.__module__}.{value_type.__qualname__}"
        super().__init__(f"{name} cannot cross the network: {why}", target, message)
        self.value_type = value_type
        self.why = why


class MessageRefused(NotDelivered):
    """The other node did not accept the message: it does not know its type, or a field is wrong."""

    code = "message-refused"

    def __init__(self, target: str, message: object, why: str) -> None:
        super().__init__(
            f"the node of {target!r} refused {type(message).__name__}: {why}", target, message
        )
        self.why = why


class BadMessage(ScheduleZeroError):
    """Bytes from another node that are no message of the type `name` they claim."""

    code = "bad-message"

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why


class Unanswered(DeliveryError):
    """No answer came. The message may have been handled: repeat it only if that is harmless."""

    code = "unanswered"


class AskTimeout(Unanswered, TimeoutError):
    """No answer came in time."""

    code = "ask-timeout"

    def __init__(self, target: str, message: object, timeout: float) -> None:
        super().__init__(
            f"{target!r} did not answer {type(message).__name__} within {timeout:g} s",
            target,
            message,
        )
        self.timeout = timeout


class NodeUnreachable(Unanswered):
    """There is no session with the actor's node, or it ended before the answer came."""

    code = "node-unreachable"

    def __init__(self, target: str, message: object, why: str) -> None:
        super().__init__(
            f"{target!r} cannot be reached ({why}); {type(message).__name__} is unanswered",
            target,
            message,
        )
        self.why = why


class ActorFailed(DeliveryError):
    """The actor raised while handling the message.

    `error_type` is the qualified name of what it raised, `error` its text and `traceback` the
    formatted traceback, all as text, so that they cross the network.
    """

    code = "actor-failed"

    def __init__(
        self, target: str, message: object, error_type: str, error: str, traceback: str
    ) -> None:
        super().__init__(
            f"{target!r} failed handling {type(message).__name__}: {error_type}: {error}",
            target,
            message,
        )
        self.error_type = error_type
        self.error = error
        self.traceback = traceback


class NodeError(ScheduleZeroError):
    """A node could not start, or stopped because its root supervisor gave up."""

    code = "node"


class NodeFailed(NodeError):
    """The root supervisor gave up; the cause is chained."""

    code = "node-failed"


class NoSuchActor(NodeError, LookupError):
    """No living actor has this path."""

    code = "no-such-actor"

    def __init__(self, path: str, known: list[str]) -> None:
        names = ", ".join(known) or "none"
        super().__init__(f"no actor {path!r} on this node; its siblings are: {names}")
        self.path = path
        self.known = known
