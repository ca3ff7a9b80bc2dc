"""The handlers of a node: their actors, supervised, and announced to the registry."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence

from schedule_zero.actors.handler.handler import Handler
from schedule_zero.actors.registry.messages import Announce, MethodInfo
from schedule_zero.runtime import ActorRef, Backoff, Supervisor, child, supervisor

_BACKOFF = Backoff(initial=0.001, factor=2.0, maximum=1.0)


class Handlers(Supervisor):
    """Supervises the instances of some handler classes and announces them to `registry`.

    A handler that fails is started again, however often: its failures are its runs', which the
    ledger retries or ends. One that fails often is started ever later, up to a second.
    """

    def __init__(self, handlers: Sequence[type[Handler]], registry: str = "registry") -> None:
        self._registry = registry
        self._classes: dict[str, type[Handler]] = {}
        children = []
        for cls in handlers:
            for number in range(cls.concurrency):
                name = cls.handler_id if cls.concurrency == 1 else f"{cls.handler_id}-{number + 1}"
                self._classes[name] = cls
                children.append(child(name, cls))
        super().__init__(supervisor(*children, max_restarts=math.inf, backoff=_BACKOFF))

    async def on_start(self) -> None:
        """Start all, then announce each."""
        await super().on_start()
        registry = self.context.node.ref(self._registry)
        for name, cls in self._classes.items():
            ref = self.context.node.ref(f"{self.context.ref.path}/{name}")
            registry.tell(announcement(cls, ref))


def announcement(cls: type[Handler], ref: ActorRef) -> Announce:
    """What a handler tells the registry of itself."""
    methods = tuple(
        MethodInfo(method.name, _parameters(method.signature), method.doc)
        for method in cls.methods.values()
    )
    return Announce(cls.handler_id, methods, ref)


def _parameters(signature: inspect.Signature) -> str:
    shown = [p for name, p in signature.parameters.items() if name != "self"]
    return str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))
