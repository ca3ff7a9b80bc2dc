"""Errors, as the API says them. Imported when the server starts: it needs Litestar."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, cast

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from schedule_zero.actors.errors import NoHandler, StoreUnavailable
from schedule_zero.actors.web.errors import RequestError
from schedule_zero.actors.web.guard import GONE, Scope, error_body, wants_page
from schedule_zero.actors.web.pages import message_page

_logger = logging.getLogger("schedule_zero.web")


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer to a request that raised: never with a traceback, which is logged once."""
    status, message = _described(error)
    is_expected = isinstance(error, RequestError) or GONE in request.scope
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not is_expected:
        _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    headers = dict(getattr(error, "headers", None) or {})
    if wants_page(cast("Scope", request.scope)):
        page = message_page(HTTPStatus(status).phrase, message)
        return Response(page, status_code=status, headers=headers, media_type=MediaType.HTML)
    body = error_body(status, message)
    return Response(body, status_code=status, headers=headers, media_type=MediaType.JSON)


def _described(error: Exception) -> tuple[int, str]:
    if isinstance(error, RequestError):
        return error.status, str(error)
    if isinstance(error, NoHandler):
        return 404, str(error)
    if isinstance(error, StoreUnavailable):
        return 503, "the ledger's database cannot be reached; the node's log says why"
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return error.status_code, _details(error)
    return 500, "this failed; the node's log says why"


def _details(error: HTTPException) -> str:
    """Litestar's findings in one sentence: which value, and what was expected."""
    extra = error.extra if isinstance(error.extra, list) else []
    found = [
        f"{each['key']}: {each['message']}" if each.get("key") else str(each.get("message", ""))
        for each in extra
        if isinstance(each, dict)
    ]
    return "; ".join(filter(None, found)) or error.detail
