"""The API against a real server, a real store, a real handler."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import trio
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.errors import StoreUnavailable
from schedule_zero.actors.store import Policies, Schedule, Store, new_run
from tests.actors.web.sites import Site, running_site

# The site's node runs on the real clock, and what is an hour late is swept away.
NOW = datetime.now(UTC).replace(microsecond=0)


def stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def schedule(name: str, handler: str = "ghost", **fields: Any) -> Schedule:
    trigger = IntervalTrigger(hours=1, start_time=NOW)
    return Schedule(id=name, handler=handler, method="haunt", trigger=trigger, **fields)


def fill(store: Store, count: int) -> None:
    """Planned calls of a handler that is not there, one a second."""
    moments = [NOW + timedelta(seconds=number) for number in range(count)]
    runs = [
        new_run(UUID(int=n + 1), "ghost", "haunt", {"n": n}, at) for n, at in enumerate(moments)
    ]
    store.submit(runs, NOW)


async def get(site: Site, path: str, **params: Any) -> Any:
    async with site.client() as client:
        reply = await client.get(path, params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_schedules_have_the_shape_of_the_original(site: Site) -> None:
    site.store.put_schedules(
        [schedule("b", params={"x": 1}, policies=Policies(retries=5)), schedule("a")], NOW
    )
    site.store.pause_schedule("a", "holidays")
    found = await get(site, "/api/schedules")
    assert found["count"] == 2
    first, second = found["schedules"]
    assert first["id"] == "a"
    assert (first["paused"], first["note"]) == (True, "holidays")
    assert second["args"] == ["ghost", "haunt", {"x": 1}, "b"]
    assert second["next_fire_time"] == stamp(NOW)
    assert "interval" in second["trigger"].lower()
    assert second["policies"]["retries"] == 5
    assert second["quarantined"] is None


async def test_runs_come_newest_first_and_can_be_filtered(site: Site) -> None:
    fill(site.store, 5)
    site.store.put_schedules([schedule("s", handler="spirit")], NOW)
    site.store.plan(NOW, NOW, 10)
    newest = (await get(site, "/api/runs", limit=2))["runs"]
    assert [run["params"] for run in newest] == [{"n": 4}, {"n": 3}]
    assert newest[0]["fire_time"] == stamp(NOW + timedelta(seconds=4))
    assert (await get(site, "/api/runs", handler="spirit"))["count"] == 1
    assert (await get(site, "/api/runs", schedule_id="s"))["runs"][0]["schedule_id"] == "s"
    assert (await get(site, "/api/runs", state="planned"))["count"] == 6
    assert (await get(site, "/api/runs", state="failed", schedule_id="", handler=""))["runs"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-5", "limit"),
        ("limit=many", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("state=done", "expected one of"),
        ("status=failed", "known are"),
    ],
)
async def test_bad_parameters_are_named(site: Site, query: str, expected: str) -> None:
    async with site.client() as client:
        reply = await client.get(f"/api/runs?{query}")
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == 400
    assert expected in error["message"]
    assert set(error) == {"code", "message"}


async def test_one_run(site: Site) -> None:
    fill(site.store, 1)
    run = await get(site, f"/api/runs/{UUID(int=1)}")
    assert (run["state"], run["params"]) == ("planned", {"n": 0})
    async with site.client() as client:
        assert (await client.get(f"/api/runs/{UUID(int=99)}")).status_code == 404
        assert (await client.get("/api/runs/not-an-id")).status_code == 400


async def test_handlers_have_the_shape_of_the_original(site: Site) -> None:
    found = await get(site, "/api/handlers")
    assert found["count"] == 1
    echo = found["handlers"][0]
    assert (echo["id"], echo["status"], echo["address"]) == ("echo", "Connected", "handlers/echo")
    assert echo["methods"] == ["say", "stumble", "wait"]
    assert echo["details"][0] == {
        "name": "say",
        "parameters": "(text: 'str' = 'hello', times: 'int' = 1)",
        "doc": "Say it.",
    }


async def test_status_shows_the_tree(site: Site) -> None:
    fill(site.store, 2)
    site.node.ref("registry").tell("nobody takes this")
    found = await get(site, "/api/status")
    assert (found["node"], found["owner"], found["incarnation"]) == ("a", "a@1", "1")
    assert found["uptime"] >= 0
    assert found["runs"] == {"planned": 2}
    assert found["dead_letters"] == {"unhandled": 1}
    tree = {actor["path"]: actor for actor in found["tree"]}
    assert list(tree) == ["/", "registry", "handlers", "handlers/echo", "executor", "web"]
    assert tree["web"] == {
        "path": "web",
        "class": "Web",
        "state": "running",
        "mailbox": 0,
        "handled": 0,
        "restarts": 0,
    }


async def call(site: Site, **body: Any) -> tuple[int, Any]:
    async with site.client() as client:
        reply = await client.post("/api/call", json=body)
    return reply.status_code, reply.json()


async def test_a_call_goes_through_the_ledger(site: Site) -> None:
    params = {"text": "hi", "times": 2}
    status, run = await call(site, handler="echo", method="say", params=params)
    assert status == 200
    assert (run["state"], run["result"], run["params"]) == ("succeeded", "hi hi", params)
    assert run["duration"] >= 0
    assert run["started_at"].endswith("Z")
    assert [str(row.run_id) for row in site.store.list_runs()] == [run["run_id"]]


async def test_a_call_that_fails_is_a_failed_run(site: Site) -> None:
    status, run = await call(site, handler="echo", method="stumble")
    assert (status, run["state"]) == (200, "failed")
    assert run["error"] == "ValueError: <b>over</b> a stone"


async def test_a_call_has_a_timeout(site: Site) -> None:
    status, run = await call(site, handler="echo", method="wait", timeout=0.05)
    assert (status, run["state"]) == (200, "failed")
    assert "timeout" in run["error"]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"handler": "nobody", "method": "say"}, 404, "known are: echo"),
        ({"handler": "echo", "method": "sing"}, 400, "it has: say, stumble, wait"),
        ({"handler": "echo", "method": "_invoke"}, 400, "it has"),
        ({"handler": "echo"}, 400, "method"),
        ({"handler": "echo", "method": "say", "params": [1]}, 400, "params"),
        ({"handler": 5, "method": "say"}, 400, "handler"),
        ({"handler": "echo", "method": "say", "parms": {}}, 400, "unknown field 'parms'"),
        ({"handler": "echo", "method": "say", "timeout": 0}, 400, "timeout"),
        ([], 400, "object"),
    ],
)
async def test_a_call_that_cannot_be_is_refused_and_not_recorded(
    site: Site, body: Any, status: int, expected: str
) -> None:
    async with site.client() as client:
        reply = await client.post("/api/call", json=body)
    assert reply.status_code == status
    assert expected in reply.json()["error"]["message"]
    assert site.store.list_runs() == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"1" * 5000])
async def test_a_body_that_is_no_json_is_refused(site: Site, content: bytes) -> None:
    async with site.client() as client:
        reply = await client.post("/api/call", content=content)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == 400


async def test_a_body_that_is_too_large_is_refused_unread(site: Site) -> None:
    head = (
        f"POST /api/call HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {2 << 20}\r\n\r\n"
    )
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(head.encode())
        with trio.fail_after(2):
            answer = await stream.receive_some()
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_client_that_goes_away_is_no_error(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    head = (
        f"POST /api/call HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.token}\r\n"
        "Content-Length: 100\r\n\r\n{"
    )
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(head.encode())
    for _ in range(3):
        await get(site, "/api/health")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_other_verbs_and_paths_get_the_same_kind_of_error(site: Site) -> None:
    async with site.client() as client:
        for reply in (
            await client.delete("/api/schedules"),
            await client.get("/api/nothing"),
            await client.get("/api"),
            await client.get("/static/../actor.py"),
            await client.get("/static/%2e%2e/actor.py"),
            await client.get("/static/vendor/vendor.json"),
        ):
            assert reply.json()["error"]["code"] == reply.status_code
            assert reply.status_code in (404, 405)


async def test_openapi_describes_every_route(site: Site) -> None:
    found = await get(site, "/api/openapi.json")
    assert set(found["paths"]) == {
        "/api/health",
        "/api/schedules",
        "/api/runs",
        "/api/runs/{run_id}",
        "/api/handlers",
        "/api/status",
        "/api/call",
    }
    limit = next(
        each for each in found["paths"]["/api/runs"]["get"]["parameters"] if each["name"] == "limit"
    )
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, 1000)
    assert "RunView" in found["components"]["schemas"]
    assert found["security"] == [{"token": []}]


async def test_an_unexpected_error_is_told_without_a_traceback_and_logged_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site.store, "list_runs", lambda **_: 1 / 0)
    async with site.client() as client:
        reply = await client.get("/api/runs")
    assert reply.status_code == 500
    assert "division" not in reply.text
    assert "Traceback" not in reply.text
    logged = [record for record in caplog.records if record.exc_info]
    assert [record.message for record in logged] == ["GET /api/runs failed"]


async def test_a_store_that_is_away_is_said_to_be(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise StoreUnavailable("disk /secret/place is gone")

    monkeypatch.setattr(site.store, "list_runs", fail)
    async with site.client() as client:
        reply = await client.get("/api/runs")
        assert reply.status_code == 503
        assert "secret" not in reply.text
        page = await client.get("/", headers={"accept": "text/html"})
        assert page.status_code == 503
        assert "cannot be reached" in page.text


async def test_a_component_that_is_away_is_said_to_be(store: Store) -> None:
    async with running_site(store, executor="nowhere") as site:
        status, body = await call(site, handler="echo", method="say")
    assert status == 503
    assert "nowhere" in body["error"]["message"]


async def test_what_json_cannot_say_is_said_otherwise(store: Store) -> None:
    params = {"raw": b"\x00\xff", "nan": float("nan"), "deep": {"list": [b"x", {"1": None}]}}
    store.submit([new_run(UUID(int=1), "ghost", "haunt", params, NOW)], NOW)
    async with running_site(store) as site:
        found = await get(site, f"/api/runs/{UUID(int=1)}")
    assert found["params"] == {"raw": "AP8=", "nan": None, "deep": {"list": ["eA==", {"1": None}]}}
