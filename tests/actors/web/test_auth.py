"""Who is let in, as a table of requests and decisions."""

from __future__ import annotations

import pytest

from schedule_zero.actors.errors import ConfigError
from schedule_zero.actors.web.auth import (
    PEERS,
    TRIES,
    WINDOW,
    Access,
    Admit,
    Enter,
    Knock,
    Refuse,
    Wrongs,
    new_token,
)

TOKEN = "a-token-of-some-length"


@pytest.fixture
def access() -> Access:
    return Access(TOKEN, "sz")


def knock(path: str = "/api/runs", **shown: str) -> Knock:
    defaults = {"method": "GET", "peer": "10.0.0.1", "host": "node:8888"}
    return Knock(path=path, **{**defaults, **shown})


def session_of(access: Access) -> str:
    """The cookie of a session that the token opened."""
    entered = access.decide(knock("/", query=f"token={TOKEN}"), 0.0)
    assert isinstance(entered, Enter)
    return entered.cookie.partition(";")[0]


def status_of(access: Access, shown: Knock, now: float = 0.0) -> int:
    decision = access.decide(shown, now)
    return decision.status if isinstance(decision, Refuse) else 200


def test_tokens_differ_and_are_long() -> None:
    assert new_token() != new_token()
    assert len(new_token()) >= 43


def test_a_token_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected at least 16"):
        Access("secret", "sz")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer \xe9\udcff", 401),
    ],
)
def test_the_token_is_shown_as_a_bearer(access: Access, authorization: str, status: int) -> None:
    assert status_of(access, knock(authorization=authorization)) == status


def test_the_link_opens_a_session_and_leaves_the_address(access: Access) -> None:
    entered = access.decide(knock("/", query=f"state=failed&token={TOKEN}&x=%26"), 0.0)
    assert isinstance(entered, Enter)
    assert entered.location == "/?state=failed&x=%26"
    assert TOKEN not in entered.cookie
    for part in ("Path=/", "HttpOnly", "SameSite=Strict"):
        assert part in entered.cookie
    assert "Secure" not in entered.cookie


def test_over_tls_the_cookie_is_secure(access: Access) -> None:
    entered = access.decide(knock("/", query=f"token={TOKEN}", scheme="https"), 0.0)
    assert isinstance(entered, Enter)
    assert entered.cookie.endswith("; Secure")


@pytest.mark.parametrize("path", ["/api/runs", "/overview", "/static/page.css", "//evil", "/x"])
def test_the_address_opens_a_session_on_the_page_only(access: Access, path: str) -> None:
    assert status_of(access, knock(path, query=f"token={TOKEN}")) == 401


def test_a_session_opens_everything(access: Access) -> None:
    cookie = session_of(access)
    assert access.decide(knock(cookies=f"other=1; {cookie}; more=2"), 0.0) == Admit()


@pytest.mark.parametrize(
    "cookies", ["", "sz", "sz=", "sz=.", "sz=a.b", f"sz={TOKEN}", 'sz="', "=;=;;", "sz=\udcff.\xe9"]
)
def test_other_cookies_open_nothing(access: Access, cookies: str) -> None:
    assert status_of(access, knock(cookies=cookies)) == 401


def test_a_changed_session_opens_nothing(access: Access) -> None:
    cookie = session_of(access)
    assert (
        status_of(access, knock(cookies=f"{cookie[:-1]}{'1' if cookie[-1] == '0' else '0'}")) == 401
    )
    assert status_of(access, knock(cookies=cookie.replace("sz=", "sz=x"))) == 401


def test_a_session_ends_with_its_token_and_outlives_a_restart() -> None:
    cookie = session_of(Access(TOKEN, "sz"))
    assert status_of(Access(TOKEN, "sz"), knock(cookies=cookie)) == 200
    assert status_of(Access(new_token(), "sz"), knock(cookies=cookie)) == 401


def test_a_wrong_bearer_is_not_made_good_by_a_session(access: Access) -> None:
    cookie = session_of(access)
    assert status_of(access, knock(cookies=cookie, authorization="Bearer wrong")) == 401


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({"fetch_site": "same-origin"}, 200),
        ({"origin": "http://node:8888"}, 200),
        ({}, 403),
        ({"fetch_site": "cross-site"}, 403),
        ({"fetch_site": "same-site"}, 403),
        ({"fetch_site": "none"}, 403),
        ({"origin": "http://evil:8888"}, 403),
        ({"origin": "https://node:8888"}, 403),
        ({"origin": "null"}, 403),
        ({"fetch_site": "cross-site", "origin": "http://node:8888"}, 403),
    ],
)
def test_a_change_with_a_session_comes_from_the_page(
    access: Access, shown: dict[str, str], status: int
) -> None:
    cookie = session_of(access)
    assert status_of(access, knock(method="POST", cookies=cookie, **shown)) == status


def test_a_program_with_the_token_needs_no_origin(access: Access) -> None:
    assert status_of(access, knock(method="POST", authorization=f"Bearer {TOKEN}")) == 200


def test_wrong_tokens_are_slowed_down_by_peer(access: Access) -> None:
    wrong = knock(authorization="Bearer wrong")
    assert [status_of(access, wrong, 1.0) for _ in range(TRIES + 2)] == [401] * TRIES + [429] * 2
    refusal = access.decide(wrong, 11.0)
    assert isinstance(refusal, Refuse)
    assert refusal.retry_after == WINDOW - 10.0
    assert status_of(access, knock(authorization="Bearer wrong", peer="10.0.0.2"), 1.0) == 401
    assert status_of(access, wrong, 1.0 + WINDOW) == 401


def test_the_owner_is_not_locked_out_by_strangers_of_the_same_address(access: Access) -> None:
    for _ in range(TRIES + 5):
        access.decide(knock(authorization="Bearer wrong"), 0.0)
    assert status_of(access, knock(authorization=f"Bearer {TOKEN}")) == 200


def test_only_the_first_wrong_try_of_a_peer_is_logged(access: Access) -> None:
    wrong = knock(authorization="Bearer wrong")
    first, second = access.decide(wrong, 0.0), access.decide(wrong, 0.0)
    assert isinstance(first, Refuse)
    assert isinstance(second, Refuse)
    assert (first.first, second.first) == (True, False)


def test_a_stale_session_is_no_wrong_try(access: Access) -> None:
    for _ in range(TRIES + 5):
        assert status_of(access, knock(cookies="sz=old.session")) == 401
    assert status_of(access, knock(authorization="Bearer wrong")) == 401


def test_the_memory_of_wrong_tries_is_bounded() -> None:
    wrongs = Wrongs()
    for number in range(3 * PEERS):
        wrongs.add(f"peer-{number}", 0.0)
    assert len(wrongs._seen) == PEERS
