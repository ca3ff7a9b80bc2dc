"""Keys and their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from schedule_zero.transports import (
    BadKey,
    KeyPair,
    make_key_pair,
    read_allowed,
    read_keys,
    read_public,
    write_keys,
)
from schedule_zero.transports.curve import check_key


def test_keys_are_text_and_each_pair_is_new() -> None:
    one, other = make_key_pair(), make_key_pair()
    for key in (one.public, one.secret):
        check_key(key)
    assert len({one.public, one.secret, other.public, other.secret}) == 4


def test_a_secret_is_in_no_repr() -> None:
    keys = make_key_pair()
    assert keys.secret not in repr(keys)
    assert keys.public in repr(keys)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = write_keys(tmp_path / "keys", "edge-1")
    keys = read_keys(path)
    assert path == tmp_path / "keys" / "edge-1.key"
    assert read_public(path.with_suffix(".pub")) == keys.public
    assert read_allowed(path.parent) == {keys.public: "edge-1"}


def test_the_secret_is_for_its_owner_alone_and_not_in_the_public_file(tmp_path: Path) -> None:
    path = write_keys(tmp_path, "a")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_keys(path).secret not in path.with_suffix(".pub").read_text()


@pytest.mark.parametrize("suffix", [".key", ".pub"])
def test_keys_are_not_written_over_unasked(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_text("mine")
    with pytest.raises(BadKey, match="exists"):
        write_keys(tmp_path, "a")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_keys_are_replaced_when_asked(tmp_path: Path) -> None:
    before = read_keys(write_keys(tmp_path, "a"))
    path = write_keys(tmp_path, "a", replace=True)
    after = read_keys(path)
    assert after != before
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_allowed(tmp_path) == {after.public: "a"}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", ".hidden", "a\0b"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadKey):
        write_keys(tmp_path, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_secret_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_keys(tmp_path, "a")
    path.chmod(mode)
    with pytest.raises(BadKey, match="chmod 600") as caught:
        read_keys(path)
    assert caught.value.path == str(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="FileNotFoundError"):
        read_keys(tmp_path / "a.key")
    with pytest.raises(BadKey):
        read_public(tmp_path / "a.pub")
    with pytest.raises(BadKey, match="no such folder"):
        read_allowed(tmp_path / "nowhere")


def test_a_file_without_keys_is_refused_and_not_shown(tmp_path: Path) -> None:
    keys = make_key_pair()
    path = tmp_path / "a.key"
    for text in ("", f"public {keys.public}\n", f"{keys.public}\n{keys.secret}\n", "\xff\xfe"):
        path.write_bytes(text.encode("latin-1"))
        path.chmod(0o600)
        with pytest.raises(BadKey) as caught:
            read_keys(path)
        assert keys.secret not in str(caught.value)


def test_a_pair_that_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    one, other = make_key_pair(), make_key_pair()
    path = tmp_path / "a.key"
    path.write_text(f"public {one.public}\nsecret {other.secret}\n")
    path.chmod(0o600)
    with pytest.raises(BadKey, match="not the one") as caught:
        read_keys(path)
    assert other.secret not in str(caught.value)


def test_two_nodes_with_one_key_are_refused(tmp_path: Path) -> None:
    write_keys(tmp_path, "a")
    (tmp_path / "b.pub").write_text((tmp_path / "a.pub").read_text())
    with pytest.raises(BadKey, match="'a' has the same key"):
        read_allowed(tmp_path)


def test_a_node_may_have_two_keys(tmp_path: Path) -> None:
    """While one is exchanged for another: the mapping is by key."""
    old, new = make_key_pair(), make_key_pair()
    assert len({old.public: "a", new.public: "a"}) == 2


@pytest.mark.parametrize(
    "key", ["", "x", "x" * 39, "x" * 41, "~" * 40, "\u00e9" * 40, "#" * 40, " " * 40]
)
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(BadKey):
        check_key(key)


def test_a_pair_is_a_value() -> None:
    assert KeyPair("p", "s") == KeyPair("p", "s")
