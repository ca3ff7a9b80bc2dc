"""The registry: who handles what."""

from __future__ import annotations

from schedule_zero.actors.registry.messages import (
    Announce,
    Entry,
    GetListing,
    Listing,
    MethodInfo,
    Subscribe,
)
from schedule_zero.runtime import Actor, ActorRef, Down, handles


class Registry(Actor):
    """Keeps the handlers that have announced themselves; forgets those that end.

    A handler that is restarted keeps its ref, so it stays listed.
    """

    def __init__(self) -> None:
        self._methods: dict[str, tuple[MethodInfo, ...]] = {}
        self._instances: dict[ActorRef, str] = {}
        self._subscribers: dict[ActorRef, None] = {}

    @handles
    def _announce(self, msg: Announce) -> None:
        self._methods[msg.handler] = msg.methods
        self._instances[msg.ref] = msg.handler
        self.context.monitor(msg.ref)
        self._publish()

    @handles
    def _subscribe(self, msg: Subscribe) -> None:
        self._subscribers[msg.ref] = None
        self.context.monitor(msg.ref)
        msg.ref.tell(self._listing())

    @handles
    def _list(self, msg: GetListing) -> Listing:
        return self._listing()

    @handles
    def _down(self, msg: Down) -> None:
        self._subscribers.pop(msg.ref, None)
        if self._instances.pop(msg.ref, None) is not None:
            self._publish()

    def _publish(self) -> None:
        listing = self._listing()
        for subscriber in self._subscribers:
            subscriber.tell(listing)

    def _listing(self) -> Listing:
        found: dict[str, list[ActorRef]] = {}
        for ref, handler in self._instances.items():
            found.setdefault(handler, []).append(ref)
        return Listing(
            tuple(
                Entry(handler, self._methods[handler], tuple(instances))
                for handler, instances in sorted(found.items())
            )
        )
