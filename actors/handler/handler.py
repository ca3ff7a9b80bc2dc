"""Handlers: actors whose public methods are jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import trio

from schedule_zero.actors.errors import BadCall, BadData, BadResult, JobExited, RunTimedOut
from schedule_zero.actors.handler.declare import Declared, declared_on
from schedule_zero.actors.handler.messages import Invoke
from schedule_zero.actors.handler.method import Method, methods_of
from schedule_zero.actors.store.serializer import dumps, loads
from schedule_zero.runtime import Actor, BadHandler, handles

RESULT_BYTES_MAX = 1_000_000


class Handler(Actor):
    """Base of a job handler: each public method can be scheduled and called by name.

    A method may be `async def`, a short `def`, or a `def` marked `@blocking`, which runs in a
    thread. Its parameters are checked against its annotations; its result is plain data (what
    JSON can say, and bytes). What it raises fails the run, and the handler is restarted: the
    next run finds a fresh instance.

    `handler_id` is the class's name in snake case unless set. `concurrency` is how many runs it
    takes at once, each on an instance of its own. `invocation` is the call being
    handled: run id, attempt, fencing token.

    Example::

        class Backup(Handler):
            @every(hours=1)
            async def snapshot(self, path: str = "/data") -> dict[str, int]: ...
    """

    handler_id: ClassVar[str] = ""
    concurrency: ClassVar[int] = 1
    methods: ClassVar[Mapping[str, Method]] = {}
    invocation: Invoke

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "handler_id" not in vars(cls):
            cls.handler_id = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.methods = methods_of(cls, without=Handler)
        _check(cls)

    @classmethod
    def declared(cls) -> list[tuple[str, Declared]]:
        """Method names with the schedules declared on them."""
        return [
            (name, declared)
            for name, method in cls.methods.items()
            for declared in declared_on(method.function)
        ]

    @handles
    async def _invoke(self, msg: Invoke) -> object:
        method = self.methods.get(msg.method)
        try:
            if method is None:
                names = ", ".join(self.methods)
                raise BadCall(f"{self.handler_id} has no method {msg.method!r}; it has: {names}")
            arguments = method.bind(msg.params)
        except BadCall as error:
            self.context.reply_later().reject(error)  # the caller's fault: nothing is restarted
            return None
        self.invocation = msg
        if msg.timeout is None:
            return _plain(msg, await self._call(method, arguments))
        with trio.move_on_after(msg.timeout) as scope:
            return _plain(msg, await self._call(method, arguments))
        assert scope.cancelled_caught
        raise RunTimedOut(f"{self.handler_id}.{msg.method}", msg.timeout)

    async def _call(self, method: Method, arguments: dict[str, Any]) -> object:
        call = partial(method.function, self, **arguments)
        try:
            if method.kind == "async":
                return await call()
            if method.kind == "blocking":
                return await self.context.node.run_blocking(call)
            return call()
        except (SystemExit, KeyboardInterrupt) as error:  # a job must not end the node
            raise JobExited(f"{self.handler_id}.{method.name}", repr(error)) from error


def _check(cls: type[Handler]) -> None:
    """Refuse what would go wrong later, and far from here."""
    where = f"handler {cls.__qualname__}"
    if not re.fullmatch(r"[\w.-]+", cls.handler_id):
        raise BadHandler(f"{where}: handler_id={cls.handler_id!r}: expected letters, digits, _ . -")
    if cls.concurrency < 1:
        raise BadHandler(f"{where}: concurrency={cls.concurrency!r}: expected a number from 1")
    for name, value in vars(cls).items():
        if declared_on(value) and name not in cls.methods:
            raise BadHandler(
                f"{where}: {name!r} has a schedule, but is no public method of its own"
            )
        if callable(value) and name in vars(Handler) and not name.startswith("_"):
            raise BadHandler(
                f"{where}: a method named {name!r} would hide Handler's own: rename it"
            )


def _plain(msg: Invoke, result: object) -> object:
    """The result as the ledger will keep it: plain, bounded, and no longer the handler's own."""
    if result is None:
        return None
    try:
        packed = dumps(result)
    except BadData as error:
        raise BadResult(
            f"{msg.method} returned {type(result).__name__}, which is not plain data: {error}; "
            "return None, numbers, text, bytes, lists and dicts of these"
        ) from error
    if len(packed) > RESULT_BYTES_MAX:
        raise BadResult(
            f"{msg.method} returned {len(packed)} bytes, more than the {RESULT_BYTES_MAX} that the "
            "ledger keeps: put it in a file or a database and return where it is"
        )
    return loads(packed)
