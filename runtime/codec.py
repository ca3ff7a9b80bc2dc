"""The codec: messages and plain data to bytes and back, checked as they come in.

Only types registered with `@message` are ever made from bytes, each field checked against its
annotation (msgspec does that in C, once a type). Where a field is annotated `object` or `Any`,
plain data, messages and refs may stand; a message there carries its registered name.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from msgspec import Meta, Raw, msgpack

from schedule_zero.runtime.errors import BadMessage, CannotEncode
from schedule_zero.runtime.message import Request, message_types
from schedule_zero.runtime.opening import opener
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.wire import MOST_MESSAGES, MOST_VALUES, has_more_values

REF, MESSAGE = 1, 2
"""Codes of our msgpack extension types."""

_MOST_VALUES = MOST_VALUES // 2  # the rest of a frame has some as well
_LONGEST_NAME = 255
_LONGEST_TEXT = 1000


class Refs(Protocol):
    """Turns refs to bytes that mean the same actor on every node, and back."""

    def address(self, ref: ActorRef) -> tuple[str, int, int, str]:
        """Node, incarnation, number and path of an actor."""

    def resolve(self, node: str, incarnation: int, number: int, path: str) -> ActorRef:
        """The ref at this address."""


class Codec:
    """Encodes and decodes for one node; `refs` says what refs mean there."""

    def __init__(self, refs: Refs) -> None:
        self._refs = refs
        self._encoder = msgpack.Encoder(enc_hook=self._encode_special)
        self._plain = _Kind(self._decoder(object), self._run_decoder(object), self._open)
        self._address: msgpack.Decoder[tuple[str, int, int, str]] = msgpack.Decoder(
            tuple[str, int, int, str]
        )
        self._named: msgpack.Decoder[tuple[str, Raw]] = msgpack.Decoder(tuple[str, Raw])
        self._raws = self._run_decoder(Raw)
        self._kinds: dict[type, _Kind | str] = {}
        self._replies: dict[type, _Reply] = {}
        self._names: dict[type, str | None] = {}
        self._types: dict[str, type] = {}

    def name_of(self, cls: type) -> str:
        """The registered name of a message type; empty for plain data. Raises `CannotEncode`."""
        name = self._names.get(cls)
        if name is None:
            if cls in _PLAIN:
                return ""
            name = self._look_up(cls)
            if name is None:
                raise CannotEncode(cls, "it is neither a @message nor plain data")
        return name

    def encode_run(self, messages: Sequence[Any]) -> bytes:
        """Messages of one type, as a msgpack array. Raises `CannotEncode`."""
        cls = messages[0].__class__
        open_up = self._kind(cls).open_up if self.name_of(cls) else self._open
        if open_up is None:
            return self._encode(cls, messages)
        return self._encode(cls, messages, lambda: [open_up(message) for message in messages])

    def encode(self, message: Any) -> bytes:
        """One message or plain value. Raises `CannotEncode`."""
        cls = message.__class__
        open_up = self._kind(cls).open_up if self.name_of(cls) else self._open
        if open_up is None:
            return self._encode(cls, message)
        return self._encode(cls, message, lambda: open_up(message))

    def decode_run(self, name: str, bodies: Raw) -> Sequence[Any]:
        """The messages of an array; a bad one is a `BadMessage` in its place.

        Raises `BadMessage` when the name is unknown or it is no array, or one of too many.
        """
        kind = self._known_kind(name)
        try:
            messages: Sequence[Any] = kind.many.decode(bodies)
        except Exception:
            return [self._decode_or_say(name, body) for body in self._split(name, bodies)]
        return messages

    def decode(self, name: str, body: Raw) -> Any:
        """One message, or plain data where the name is empty. Raises `BadMessage`."""
        kind = self._known_kind(name)
        try:
            return kind.one.decode(body)
        except Exception as error:  # a validator may raise anything
            raise _bad(name or "plain data", error) from error

    def encode_reply(self, request: type, value: object) -> tuple[str, bytes]:
        """What answers a request: its type's name (empty unless a message) and its bytes."""
        cls = value.__class__
        name = None if cls in _PLAIN else self._look_up(cls)
        if name:
            return name, self.encode(value)
        open_up = self._reply(request).open_up
        if open_up is None:
            return "", self._encode(cls, value)
        return "", self._encode(cls, value, lambda: open_up(value))

    def decode_reply(self, request: type, name: str, body: Raw) -> Any:
        """The answer to a request, checked against its `Request[...]`. Raises `BadMessage`."""
        reply = self._reply(request)
        what = f"the answer to {request.__qualname__}"
        if name:
            value = self.decode(name, body)
            if not _is_of(value, reply.hint):
                raise BadMessage(what, f"expected {_shown(reply.hint)}, got {_short(name)}")
            return value
        try:
            return reply.decoder.decode(body)
        except Exception as error:
            raise _bad(what, error) from error

    def _encode(
        self, cls: type, value: object, opened: Callable[[], object] | None = None
    ) -> bytes:
        try:
            encoded = self._encoder.encode(value if opened is None else opened())
        except CannotEncode:
            raise
        except Exception as error:  # a value need not be what its field is annotated with
            raise CannotEncode(cls, str(error)) from error
        if has_more_values(encoded, _MOST_VALUES):
            raise CannotEncode(cls, f"it has more than {_MOST_VALUES} values: pack them as bytes")
        return encoded

    def _decoder(self, hint: Any) -> msgpack.Decoder[Any]:
        return msgpack.Decoder(hint, dec_hook=_decode_special, ext_hook=self._decode_ext)

    def _run_decoder(self, hint: Any) -> msgpack.Decoder[Any]:
        return self._decoder(Annotated[list[hint], Meta(max_length=MOST_MESSAGES)])

    def _split(self, name: str, bodies: Raw) -> list[Raw]:
        try:
            raws: list[Raw] = self._raws.decode(bodies)
        except Exception as error:
            raise _bad(name or "plain data", error) from error
        return raws

    def _decode_or_say(self, name: str, body: Raw) -> Any:
        try:
            return self.decode(name, body)
        except BadMessage as error:
            return BadMessage(error.name, error.why)  # without its traceback: many may be bad

    def _look_up(self, cls: type) -> str | None:
        """The registered name of a type, if it has one."""
        if cls not in self._names:
            self._learn()
        return self._names.setdefault(cls, None)

    def _learn(self) -> None:
        self._types = message_types()
        self._names.update((cls, name) for name, cls in self._types.items())

    def _known_kind(self, name: str) -> _Kind:
        """How messages of this name are coded. Raises `BadMessage`."""
        if not name:
            return self._plain
        if name not in self._types:
            self._learn()
        cls = self._types.get(name)
        if cls is None:
            raise BadMessage(_short(name), "no message of this name is registered here")
        try:
            return self._kind(cls)
        except CannotEncode as error:
            raise BadMessage(name, error.why) from None

    def _kind(self, cls: type) -> _Kind:
        """How messages of this type are coded. Raises `CannotEncode`."""
        kind = self._kinds.get(cls)
        if kind is None:
            kind = self._kinds[cls] = self._make_kind(cls)
        if isinstance(kind, str):
            raise CannotEncode(cls, kind)
        return kind

    def _make_kind(self, cls: type) -> _Kind | str:
        try:
            open_up = opener(cls, self._open, closed=(ActorRef,))
            return _Kind(self._decoder(cls), self._run_decoder(cls), open_up)
        except Exception as error:  # annotations are anything, and so is what they fail with
            return str(error) or repr(error)

    def _reply(self, request: type) -> _Reply:
        reply = self._replies.get(request)
        if reply is None:
            hint = _reply_type(request)
            try:
                open_up = opener(hint, self._open, closed=(ActorRef,))
                reply = _Reply(hint, self._decoder(hint), open_up)
            except Exception:  # told apart by their names instead
                reply = _Reply(hint, self._plain.one, self._open)
            self._replies[request] = reply
        return reply

    def _open(self, value: Any) -> Any:
        """What may stand where anything may: plain data, refs, and messages with their names."""
        cls = value.__class__
        if cls in _SCALARS or cls is ActorRef:
            return value
        if cls is list or cls is tuple:
            return [self._open(item) for item in value]
        if cls is dict:
            return {_key(key): self._open(item) for key, item in value.items()}
        if cls is datetime:
            if value.tzinfo is None:
                raise CannotEncode(cls, "it has no time zone")
            return value
        name = self.name_of(cls)
        return msgpack.Ext(MESSAGE, self._encoder.encode((name, Raw(self.encode(value)))))

    def _encode_special(self, value: Any) -> Any:
        if value.__class__ is ActorRef:
            return msgpack.Ext(REF, self._encoder.encode(self._refs.address(value)))
        raise CannotEncode(value.__class__, "it is neither a @message nor plain data")

    def _decode_ext(self, code: int, data: memoryview) -> Any:
        if code == REF:
            return self._refs.resolve(*self._address.decode(data))
        if code == MESSAGE:
            name, body = self._named.decode(data)
            return self.decode(name, body)
        raise ValueError(f"no extension type {code}")


class _Kind(typing.NamedTuple):
    """How one message type is coded; `open_up` where anything may stand in a field of it."""

    one: msgpack.Decoder[Any]
    many: msgpack.Decoder[Any]
    open_up: Callable[[Any], Any] | None


class _Reply(typing.NamedTuple):
    """How the answers to one type of request are coded, unless they are messages."""

    hint: Any
    decoder: msgpack.Decoder[Any]
    open_up: Callable[[Any], Any] | None


_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_PLAIN = _SCALARS | {list, tuple, dict, datetime, ActorRef}


def _key(key: Any) -> Any:
    if key.__class__ is str or key.__class__ is int:
        return key
    raise CannotEncode(key.__class__, "only text and whole numbers may be keys")


def _decode_special(hint: Any, value: Any) -> Any:
    if _is_of(value, hint):
        return value  # a ref or a message: the extension hook has made it
    raise ValueError(f"expected {_shown(hint)}, got {_shown(type(value))}")


def _is_of(value: object, hint: Any) -> bool:
    """Whether a value that is no plain data may stand where this is annotated."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_is_of(value, part) for part in typing.get_args(hint))
    if origin is Annotated:
        return _is_of(value, typing.get_args(hint)[0])
    cls = hint if origin is None else origin
    if not inspect.isclass(cls):
        return hint is Any
    return isinstance(value, cls)


def _reply_type(request: type) -> Any:
    """The `T` of `Request[T]`; `object` where none is said."""
    for base in request.__mro__:
        for original in vars(base).get("__orig_bases__", ()):
            if typing.get_origin(original) is Request:
                (hint,) = typing.get_args(original)
                usable = not isinstance(hint, typing.TypeVar | typing.ForwardRef)
                return hint if usable else object
    return object


def _bad(name: str, error: Exception) -> BadMessage:
    return BadMessage(_short(name), (str(error) or repr(error))[:_LONGEST_TEXT])


def _short(name: str) -> str:
    """What came from a stranger, as it may stand in the log."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def _shown(hint: Any) -> str:
    return getattr(hint, "__qualname__", None) or str(hint)
