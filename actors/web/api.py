"""The API's routes. Imported when the server starts: it needs Litestar."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any
from uuid import UUID

import attrs
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from schedule_zero.actors.store.run import OPEN, TERMINAL
from schedule_zero.actors.web.desk import Desk
from schedule_zero.actors.web.errors import WrongRequest
from schedule_zero.actors.web.views import (
    CallBody,
    ErrorBody,
    HandlerList,
    Health,
    RunList,
    RunView,
    ScheduleList,
    Status,
    handler_view,
    run_view,
    schedule_view,
)

Asked = Request[Any, Any, Any]

MOST_RUNS = 1000
_LIMIT = QueryParameter(ge=1, le=MOST_RUNS, description="how many runs at most")
_STATES = sorted(OPEN | TERMINAL)
_STATE = QueryParameter(name="state", enum=_STATES, description="only runs in this state")
_FILTERS = frozenset({"schedule_id", "handler", "state", "limit"})
_FIELDS = frozenset(field.name for field in attrs.fields(CallBody))


def _failures(*statuses: int) -> dict[int, ResponseSpec]:
    return {
        status: ResponseSpec(ErrorBody, generate_examples=False, description="an error")
        for status in statuses
    }


@get("/api/health", summary="Whether the node answers; needs no token", security=[{}])
async def get_health() -> Health:
    """Answer."""
    return Health()


@get("/api/schedules", summary="All schedules, by id", responses=_failures(401, 503))
async def get_schedules(desk: NamedDependency[Desk]) -> ScheduleList:
    """List the schedules."""
    views = [schedule_view(schedule) for schedule in await desk.schedules()]
    return ScheduleList(views, len(views))


@get("/api/runs", summary="The newest runs", responses=_failures(400, 401, 503))
async def get_runs(
    request: Asked,
    desk: NamedDependency[Desk],
    schedule_id: FromQuery[str | None] = None,
    handler: FromQuery[str | None] = None,
    in_state: Annotated[str | None, _STATE] = None,
    limit: Annotated[int, _LIMIT] = 100,
) -> RunList:
    """List runs, the newest fire first."""
    _check_names("query parameter", request.query_params.keys(), _FILTERS)
    if in_state is not None and in_state not in _STATES:
        raise WrongRequest(f"state {in_state!r}: expected one of {', '.join(_STATES)}")
    runs = await desk.runs(limit, schedule_id=schedule_id, handler=handler, state=in_state)
    return RunList([run_view(run) for run in runs], len(runs), limit)


@get("/api/runs/{run_id:str}", summary="One run", responses=_failures(400, 401, 404, 503))
async def get_run(desk: NamedDependency[Desk], run_id: FromPath[str]) -> RunView:
    """Show one run."""
    try:
        wanted = UUID(run_id)
    except ValueError as error:
        raise WrongRequest(
            f"run id {run_id!r}: expected a UUID, as /api/runs lists them"
        ) from error
    return run_view(await desk.run(wanted))


@get("/api/handlers", summary="All handlers with their methods", responses=_failures(401, 503))
async def get_handlers(desk: NamedDependency[Desk]) -> HandlerList:
    """List the handlers."""
    views = [handler_view(entry) for entry in (await desk.listing()).entries]
    return HandlerList(views, len(views))


@get("/api/status", summary="What the node is doing", responses=_failures(401, 503))
async def get_status(desk: NamedDependency[Desk]) -> Status:
    """Show the node, its runs by state, its dead letters and its actors."""
    return await desk.status()


@post(
    "/api/call",
    summary="Run a handler's method now, and wait for its end",
    status_code=200,
    responses=_failures(400, 401, 403, 404, 503),
)
async def post_call(
    request: Asked, desk: NamedDependency[Desk], data: JSONBody[CallBody]
) -> RunView:
    """Run a method through the ledger; the run tells whether it succeeded."""
    _check_names("field", (await request.json()).keys(), _FIELDS)
    if data.timeout is not None and not data.timeout > 0:
        raise WrongRequest(f"timeout={data.timeout:g}: expected seconds above 0")
    return run_view(await desk.call(data.handler, data.method, data.params, data.timeout))


def _check_names(what: str, given: Collection[str], known: Collection[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise WrongRequest(f"unknown {what} {unknown[0]!r}; known are: {', '.join(sorted(known))}")


ROUTES = [get_health, get_schedules, get_runs, get_run, get_handlers, get_status, post_call]
