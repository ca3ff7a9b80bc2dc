"""Handlers: actors whose public methods are jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import msgpack
import trio

from schedule_zero.actors.errors import BadCall, BadResult, RunTimedOut
from schedule_zero.actors.handler.declare import Declared, declared_on
from schedule_zero.actors.handler.messages import Invoke
from schedule_zero.actors.handler.method import Method, methods_of
from schedule_zero.runtime import Actor, handles


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
        if method.kind == "async":
            return await method.function(self, **arguments)
        call = partial(method.function, self, **arguments)
        return await self.context.node.run_blocking(call) if method.kind == "blocking" else call()


def _plain(msg: Invoke, result: object) -> object:
    """The result itself, if it can be kept and sent."""
    if result is not None:
        try:
            msgpack.packb(result)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadResult(
                f"{msg.method} returned {type(result).__name__}, which is not plain data "
                f"({error}): return None, numbers, text, bytes, lists and dicts of these"
            ) from error
    return result
