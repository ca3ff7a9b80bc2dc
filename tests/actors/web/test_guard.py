"""The guard on a real server: every route, every answer."""

from __future__ import annotations

import logging

import httpx
import pytest
import trio

from schedule_zero.actors.store import Store
from schedule_zero.actors.web import new_token
from tests.actors.web.sites import Site, running_site

CLOSED = [
    ("GET", "/"),
    ("GET", "/overview"),
    ("GET", "/static/page.css"),
    ("GET", "/static/vendor/htmx.min.js"),
    ("GET", "/api/schedules"),
    ("GET", "/api/runs"),
    ("GET", "/api/runs/00000000-0000-0000-0000-000000000000"),
    ("GET", "/api/handlers"),
    ("GET", "/api/status"),
    ("GET", "/api/openapi.json"),
    ("POST", "/api/call"),
    ("OPTIONS", "/api/call"),
    ("HEAD", "/"),
    ("GET", "/no/such/thing"),
    ("GET", "/api/health/"),
]
CALL = {"handler": "echo", "method": "say"}


def cookie_header(reply: httpx.Response) -> dict[str, str]:
    return {"cookie": reply.headers["set-cookie"].partition(";")[0]}


@pytest.mark.parametrize(("verb", "path"), CLOSED)
async def test_every_route_needs_the_token(site: Site, verb: str, path: str) -> None:
    async with site.stranger() as stranger:
        reply = await stranger.request(verb, path)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        reply = await stranger.request(verb, path, headers={"authorization": "Bearer wrong"})
        assert reply.status_code == 401


def test_the_table_of_routes_is_complete() -> None:
    from schedule_zero.actors.web import api, pages

    paths = {path for route in [*api.ROUTES, *pages.ROUTES] for path in route.paths}
    tested = {path.partition("0000")[0] for _, path in CLOSED}
    assert {path.partition("{")[0] for path in paths} - tested == {"/api/health"}


async def test_health_needs_no_token(site: Site) -> None:
    async with site.stranger() as stranger:
        reply = await stranger.get("/api/health")
    assert reply.status_code == 200
    assert reply.json() == {"status": "ok", "service": "ScheduleZero"}


async def test_the_link_opens_the_page(site: Site) -> None:
    async with site.stranger() as stranger:
        reply = await stranger.get("/", params={"token": site.token})
        assert reply.status_code == 303
        assert reply.headers["location"] == "/"
        assert f"schedule_zero_{site.port}=" in reply.headers["set-cookie"]
        assert site.token not in reply.headers["set-cookie"]
        page = await stranger.get("/")
    assert page.status_code == 200
    assert site.token not in page.text


async def test_a_wrong_link_opens_nothing(site: Site) -> None:
    async with site.stranger() as stranger:
        reply = await stranger.get("/?token=wrong", headers={"accept": "text/html"})
    assert reply.status_code == 401
    assert "set-cookie" not in reply.headers
    assert "Wrong token" in reply.text


async def test_a_cookie_is_worth_nothing_after_the_token_changed(store: Store) -> None:
    async with running_site(store) as first, first.stranger() as stranger:
        cookie = cookie_header(await stranger.get("/", params={"token": first.token}))
        port = first.port
    async with running_site(store, token=first.token) as second, second.stranger() as stranger:
        same = {"cookie": cookie["cookie"].replace(str(port), str(second.port))}
        assert (await stranger.get("/api/runs", headers=same)).status_code == 200
    async with running_site(store, token=new_token()) as third, third.stranger() as stranger:
        reused = {"cookie": cookie["cookie"].replace(str(port), str(third.port))}
        assert (await stranger.get("/api/runs", headers=reused)).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({}, 403),
    ],
)
async def test_a_call_with_a_session_comes_from_the_page(
    site: Site, headers: dict[str, str], status: int
) -> None:
    async with site.stranger() as stranger:
        await stranger.get("/", params={"token": site.token})
        reply = await stranger.post("/api/call", json=CALL, headers=headers)
    assert reply.status_code == status
    assert status == 200 or reply.json()["error"]["code"] == status
    assert len(site.store.list_runs()) == (1 if status == 200 else 0)


@pytest.mark.parametrize(
    "path", ["/", "/api/health", "/api/runs", "/api/runs?limit=0", "/nothing", "/static/page.js"]
)
async def test_every_answer_carries_the_security_headers(site: Site, path: str) -> None:
    async with site.client() as client, site.stranger() as stranger:
        for reply in (await client.get(path), await stranger.get(path)):
            policy = reply.headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["x-frame-options"] == "DENY"
            assert reply.headers["referrer-policy"] == "no-referrer"
            assert "server" not in reply.headers
            kept = reply.is_success and path.startswith("/static/")
            assert ("no-store" in reply.headers["cache-control"]) != kept


async def test_many_wrong_tokens_are_told_to_wait(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "schedule_zero.web")
    async with site.client("wrong") as wrong, site.client() as right:
        statuses = [(await wrong.get("/api/runs")).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        assert int((await wrong.get("/api/runs")).headers["retry-after"]) <= 60
        assert (await right.get("/api/runs")).status_code == 200
    assert len([record for record in caplog.records if "wrong token" in record.message]) == 1


async def test_a_person_without_a_session_gets_a_page(site: Site) -> None:
    async with site.stranger(headers={"accept": "text/html,*/*"}) as browser:
        reply = await browser.get("/")
        assert reply.status_code == 401
        assert "open the link" in reply.text
        assert 'http-equiv="refresh"' not in reply.text
        linked = await browser.get("/", headers={"sec-fetch-site": "cross-site"})
        assert 'http-equiv="refresh"' in linked.text
        fragment = await browser.get("/overview", headers={"hx-request": "true"})
        assert fragment.json()["error"]["code"] == 401


async def test_a_websocket_is_turned_away(site: Site) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", site.port)
    async with stream:
        await stream.send_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        with trio.fail_after(2):
            answer = await stream.receive_some()
    assert answer.startswith(b"HTTP/1.1 403")
