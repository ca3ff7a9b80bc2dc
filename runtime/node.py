"""Nodes: a tree of actors with a name, and all that they share."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from contextvars import Context, copy_context
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

import trio

from schedule_zero.runtime.actor import Actor
from schedule_zero.runtime.cell import Cell
from schedule_zero.runtime.chance import Chance
from schedule_zero.runtime.childspec import ChildSpec, SupervisorSpec, child
from schedule_zero.runtime.clock import Clock, SystemClock
from schedule_zero.runtime.context import spawn
from schedule_zero.runtime.dead_letters import DeadLetters
from schedule_zero.runtime.dispatcher import Dispatcher
from schedule_zero.runtime.door import Spawn
from schedule_zero.runtime.errors import NodeError, NodeFailed, NoSuchActor
from schedule_zero.runtime.network import Connections, Network
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.reason import Reason
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.running import RunningNode, running
from schedule_zero.runtime.stream import Stream
from schedule_zero.runtime.supervisor import Restarted, Supervisor
from schedule_zero.runtime.timers import Timers
from schedule_zero.runtime.workers import Workers

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 40
_SPAWN_SECONDS = 30.0


class Node:
    """A running tree of actors; an async context manager.

    `spec` is the root supervisor's. Entering starts its children in order and raises
    `StartFailed` when one does not start; leaving stops all in reverse order. When the root gives
    up, the body is cancelled and leaving raises `NodeFailed`.

    `listen` are endpoints on which other nodes are awaited, `peers` those of other nodes, as
    `endpoint` or, where keys are in use, `name@endpoint`; `network` has all else of how they speak.
    `incarnation` numbers the lives of a node of this name and must grow; the wall clock's
    microseconds unless given.

    `clock`, `random` and `threads` (how many blocking calls at once, 0 for in place) are seams
    for tests.

    Example::

        async with Node("a", supervisor(child("account", Account))) as node:
            node.ref("account").tell(Deposit(5))

        async with Node("b", peers=["tcp://127.0.0.1:7401"]) as node:
            account = await node.lookup("account", on="a")
            account.tell(Deposit(5))
    """

    def __init__(
        self,
        name: str,
        spec: SupervisorSpec | None = None,
        *,
        listen: Sequence[str] = (),
        peers: Sequence[str] = (),
        network: Network | None = None,
        incarnation: int | None = None,
        clock: Clock | None = None,
        random: Chance | None = None,
        threads: int = _THREADS,
    ) -> None:
        self.name = name
        self.clock: Clock = clock or SystemClock()
        self.random = random or Chance()
        self.incarnation = incarnation or int(self.clock.now().timestamp() * 1_000_000)
        self.timers = Timers(self.clock)
        self.dead_letters = DeadLetters(self.clock)
        self.events: Stream[Restarted] = Stream()
        self.dispatcher = Dispatcher(self.start_soon, self.clock)
        self.variables = Context()
        self._spec = spec or SupervisorSpec()
        self._thread_count = threads
        self._names = 0
        self._body = trio.CancelScope()
        self._scopes: dict[trio.CancelScope, None] = {}
        self._failure: Reason | None = None
        self._is_stopping = False
        self._is_over = False
        self._token: trio.lowlevel.TrioToken | None = None
        has_network = bool(listen or peers or network)
        self._connections = (
            Connections(self, network or Network(), _several(listen), _several(peers))
            if has_network
            else None
        )

    async def __aenter__(self) -> Node:
        self._running = self._run()
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._running.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        """The node's life: all its tasks, the root's start, the body, the root's stop."""
        self.variables = copy_context()
        self._token = trio.lowlevel.current_trio_token()
        self.dispatcher.enter()
        self._threads = trio.CapacityLimiter(max(1, self._thread_count))
        left: BaseException | None = None
        has_started = False
        async with Workers() as self._workers, trio.open_nursery() as self._nursery:
            self.start_soon(self.timers.run, name=f"{self.name} timers")
            self._root = Cell(self, None, child("root", Supervisor, self._spec), "root")
            try:
                with self._body:
                    await self._connect()
                    self._root.start()
                    await self._root.wait_started()
                    has_started = True
                    yield
            except BaseException as error:
                left = error
            self._is_stopping = True
            try:
                with trio.CancelScope(shield=True):
                    if not self._nursery.cancel_scope.cancel_called:  # else actors cannot run
                        await self._root.order_stop("finish").wait()
                        await self._disconnect()
            finally:  # a second KeyboardInterrupt ends the wait
                self._is_over = True
                for scope in list(self._scopes):
                    scope.cancel()
        if left is None and not has_started:
            left = NodeError(f"node {self.name!r} was stopped before it had started")
        if left is not None and (self._failure is None or isinstance(left, trio.Cancelled)):
            raise left
        if self._failure is not None:
            raise NodeFailed(
                f"node {self.name!r} stopped: its root supervisor gave up: {self._failure}"
            ) from self._failure.error

    async def _connect(self) -> None:
        if self._connections is not None:
            started = Pending()
            self.start_soon(self._connections.run, started, name=f"{self.name} network")
            await started.wait()

    async def _disconnect(self) -> None:
        if self._connections is not None:
            await self._connections.leave()

    # What its actors and its users share

    def ref(self, path: str) -> ActorRef:
        """The actor at this path, such as `"registry"` or `"handlers/backup"`.

        Raises `NoSuchActor`, which names its siblings.
        """
        cell = self.root
        for name in path.split("/"):
            below = cell.children.get(name)
            if below is None:
                raise NoSuchActor(path, sorted(cell.children))
            cell = below
        return cell.ref

    async def lookup(self, path: str, on: str, timeout: float = 5.0) -> ActorRef:
        """The actor at a path of another node, once there is a session with it.

        Raises `NoSuchActor`, and `NodeUnreachable` when there is no session within `timeout`
        seconds.

        Example::

            registry = await node.lookup("registry", on="b")
        """
        if on == self.name:
            return self.ref(path)
        return await self.network.lookup(path, on, timeout)

    async def spawn_on(
        self, on: str, under: str, offer: str, /, name: str, *args: Any, **kwargs: Any
    ) -> ActorRef:
        """Start an actor on another node, under its supervisor at the path `under`.

        `offer` names a class that the other node offers (`Network(offers={...})`), `name` will be
        the child's. The arguments have to be plain data, messages or refs. Raises `MessageRefused`
        when it is not offered, `NodeUnreachable`, and `ActorFailed` with what went wrong there.

        Example::

            worker = await node.spawn_on("b", "workers", "worker", "w-1", queue="mail")
        """
        order = Spawn(under, offer, name, list(args), kwargs)
        return await self.network.at_door(order, on, _SPAWN_SECONDS)

    @property
    def has_network(self) -> bool:
        """Whether it can have sessions with other nodes."""
        return self._connections is not None

    @property
    def network(self) -> Connections:
        """The node's sessions with others. Raises `NodeError` where it has no network."""
        if self._connections is None:
            raise NodeError(f"node {self.name!r} has no network: give it `listen` or `peers`")
        return self._connections

    async def spawn(self, what: type[Actor] | ChildSpec, /, *args: Any, **kwargs: Any) -> ActorRef:
        """Start an actor at the top of the tree and wait until it has started.

        It ends with the node, and is not started again when it fails. Raises `StartFailed`,
        `NameTaken`, and `NodeError` when the node does not run.
        """
        if self.root.is_stopped:
            raise NodeError(f"node {self.name!r} has ended: no actor can start on it")
        if isinstance(what, ChildSpec):
            what = what.options(restart="temporary")
        cell = spawn(self._root, what, args, kwargs)
        await cell.wait_started()
        return cell.ref

    @property
    def is_stopping(self) -> bool:
        """Whether the node has been told to stop, has failed, or is leaving its body."""
        return self._is_stopping

    def stop(self) -> None:
        """End the body of `async with`, and so the node."""
        self._is_stopping = True
        self._body.cancel()

    def kill(self) -> None:
        """End at once: no actor is waited for."""
        self._is_stopping = True
        self._body.cancel()
        self._root.kill()

    async def run_blocking(
        self, function: Callable[[], T], limiter: trio.CapacityLimiter | None = None
    ) -> T:
        """Run a blocking function in one of the node's threads, or of another limiter's.

        When the caller is cancelled, the thread is left to end by itself. A node with no threads
        calls it in place: virtual time would run on while a thread works.
        """
        if not self._thread_count:
            await trio.lowlevel.checkpoint()
            return function()
        return await trio.to_thread.run_sync(
            function, abandon_on_cancel=True, limiter=limiter or self._threads
        )

    async def run_cpu_bound(self, function: Callable[[], T]) -> T:
        """Run a function that computes for long in one of the node's worker processes.

        It and its result are pickled. When the caller is cancelled, the process is killed. A node
        with no threads calls it in place.
        """
        if not self._thread_count:
            await trio.lowlevel.checkpoint()
            return function()
        return await self._workers.run(function)

    @overload
    def call_from_thread(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def call_from_thread(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    def call_from_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """From another thread, call a function in the node's own and block for its result.

        The function may be async. Raises what it raises, and `NodeError` when the node does not
        run.

        Example::

            balance = node.call_from_thread(node.ref("account").ask, Balance())
        """
        call = partial(function, *args, **kwargs)
        run = (
            trio.from_thread.run
            if inspect.iscoroutinefunction(function)
            else trio.from_thread.run_sync
        )
        if self._token is None:
            raise NodeError(f"node {self.name!r} does not run: start it first")
        try:
            return run(call, trio_token=self._token)
        except trio.RunFinishedError as error:
            raise NodeError(f"node {self.name!r} has ended") from error

    @classmethod
    def running(
        cls, name: str, spec: SupervisorSpec | None = None
    ) -> AbstractContextManager[RunningNode]:
        """A node in a thread of its own, for a script that is not async.

        Example::

            with Node.running("bank", supervisor(child("account", Account))) as node:
                node.tell("account", Deposit(5))
                print(node.ask("account", Balance()))
        """
        return running(cls(name, spec))

    # For the runtime itself

    def start_soon(
        self, function: Callable[..., Awaitable[object]], *args: object, name: str
    ) -> None:
        """Start a trio task of the node's; none when the node is over."""
        if self._is_over:
            return
        self._nursery.start_soon(self._run_task, function, args, name=name)

    async def _run_task(
        self, function: Callable[..., Awaitable[object]], args: tuple[object, ...]
    ) -> None:
        # Shielded: when the node's surroundings are cancelled, the tree stops in order first.
        with trio.CancelScope(shield=True) as scope:
            self._scopes[scope] = None
            if self._root.is_stopped:
                scope.cancel()
            try:
                await function(*args)
            finally:
                del self._scopes[scope]

    def new_name(self, actor: type[Actor]) -> str:
        """A name that no actor of this node has had."""
        self._names += 1
        return f"{actor.__name__.lower()}-{self._names}"

    def root_ended(self, reason: Reason) -> None:
        """The root has ended: the node ends, and has failed unless the root ended in order.

        It does so when its `auto_shutdown` says that the work is done.
        """
        if not self._is_stopping:
            self._failure = reason if reason.is_abnormal else None
            self.stop()

    @property
    def root(self) -> Cell:
        """The root's cell."""
        if not hasattr(self, "_root"):
            raise NodeError(f"node {self.name!r} is not running: enter it with `async with`")
        return self._root


def _several(endpoints: Sequence[str]) -> Sequence[str]:
    """One endpoint alone is a list of one."""
    return [endpoints] if isinstance(endpoints, str) else endpoints
