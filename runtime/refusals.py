"""Refusals: the errors of asks as they cross the network, and reasons of ends likewise."""

from __future__ import annotations

from typing import get_args

from schedule_zero.runtime.errors import (
    ActorFailed,
    ActorStopped,
    BadMessage,
    CannotEncode,
    MailboxFull,
    MessageRefused,
    NoSuchActor,
    RemoteFailure,
    UnhandledMessage,
)
from schedule_zero.runtime.reason import Kind, Reason, text_of
from schedule_zero.runtime.wire import Refusal
from schedule_zero.transports import ScheduleZeroError

_LONGEST_TEXT = 64 * 1024


def to_refusal(number: int, error: BaseException) -> Refusal:
    """What tells the asker's node of an error."""
    match error:
        case ActorFailed():
            facts = [error.error_type, error.error, error.traceback]
        case MailboxFull():
            facts = [str(error.capacity)]
        case NoSuchActor():
            facts = [error.path, *error.known]
        case BadMessage() | CannotEncode() | MessageRefused():
            facts = [error.why]
        case _:
            facts = [type(error).__qualname__]
    code = error.code if isinstance(error, ScheduleZeroError) else "actor-failed"
    shortened = [fact[:_LONGEST_TEXT] for fact in facts]
    return Refusal(number, code, text_of(error)[:_LONGEST_TEXT], shortened)


def to_error(refusal: Refusal, target: str, message: object) -> Exception:
    """The error that the asker gets, whatever the other node has sent."""
    match refusal.code, refusal.facts:
        case "actor-failed", [error_type, error, trace]:
            return ActorFailed(target, message, error_type, error, trace)
        case "actor-stopped", _:
            return ActorStopped(target, message)
        case "mailbox-full", [capacity] if capacity.isdecimal() and len(capacity) < 20:
            return MailboxFull(target, message, int(capacity))
        case "unhandled-message", _:
            return UnhandledMessage(target, message)
        case "no-such-actor", [path, *known]:
            return NoSuchActor(path, known)
        case "bad-message" | "message-refused", [why]:
            return MessageRefused(target, message, why)
    error_type = refusal.facts[0] if refusal.facts else refusal.code
    return ActorFailed(target, message, error_type, refusal.text, "")


def to_text(reason: Reason) -> tuple[str, str]:
    """The kind and the text of a reason."""
    if reason.error is None:
        return reason.kind, ""
    return reason.kind, f"{type(reason.error).__name__}: {text_of(reason.error)}"[:_LONGEST_TEXT]


def to_reason(kind: str, text: str) -> Reason:
    """The reason that another node has told of; an unknown kind is a failure."""
    for known in get_args(Kind):
        if known == kind:
            return Reason(known, RemoteFailure(text) if text else None)
    return Reason("failed", RemoteFailure(text or kind))
