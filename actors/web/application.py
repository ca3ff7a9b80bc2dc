"""The web application. Imported when the server starts: it needs Litestar."""

from __future__ import annotations

from importlib.metadata import version

from litestar import Litestar, Response, get
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from schedule_zero.actors.web import api, pages
from schedule_zero.actors.web.assets import assets
from schedule_zero.actors.web.auth import Access
from schedule_zero.actors.web.desk import Desk
from schedule_zero.actors.web.errors import NotFound
from schedule_zero.actors.web.guard import App, Guard
from schedule_zero.actors.web.overview import Overviews
from schedule_zero.actors.web.problems import answer_error
from schedule_zero.actors.web.reads import Reads
from schedule_zero.runtime import Node

_LARGEST_BODY = 1 << 20


@get("/static/{name:path}", include_in_schema=False)
async def get_asset(name: FromPath[str]) -> Response[bytes]:
    """One of the page's own files."""
    asset = assets().get(name.lstrip("/"))
    if asset is None:
        raise NotFound(f"no file {name!r}")
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def build(node: Node, reads: Reads, access: Access) -> App:
    """All routes behind the guard."""
    desk = Desk(node, reads)
    overviews = Overviews(desk, reads.owner)
    app = Litestar(
        [*api.ROUTES, *pages.ROUTES, get_asset],
        dependencies={
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "overviews": Provide(lambda: overviews, sync_to_thread=False),
        },
        exception_handlers={HTTPException: answer_error, Exception: answer_error},
        logging_config=None,
        debug=False,
        openapi_config=_openapi(),
        request_max_body_size=_LARGEST_BODY,
    )
    return Guard(app, access, node.clock, pages.message_page)  # type: ignore[arg-type]


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", description="the node's token")
    return OpenAPIConfig(
        title="ScheduleZero",
        version=version("schedule-zero"),
        path="/api/openapi.json",
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
        components=Components(security_schemes={"token": bearer}),
        security=[{"token": []}],
    )
