"""Keys: a node's own pair, the files they are kept in, and those of the nodes it lets in.

All keys are Z85 text of 40 characters. A pair's file is for its owner alone (mode 0600) and is
never shown; the public key stands also in a file of its own, to be copied to other nodes.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from attrs import field, frozen

from schedule_zero.transports.errors import BadKey

_LENGTH = 40
_FOR_OTHERS = 0o077


@frozen
class KeyPair:
    """A node's keys. The secret is in no `repr`."""

    public: str
    secret: str = field(repr=False)


def make_key_pair() -> KeyPair:
    """New keys."""
    import zmq

    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def write_keys(folder: Path, name: str, *, replace: bool = False) -> Path:
    """Make keys for the node of this name: `NAME.key` and `NAME.pub`; returns the former's path.

    The folder is made if need be. Raises `BadKey` when one of the files exists, unless `replace`.
    """
    if not name or name.startswith(".") or os.sep in name or "\0" in name:
        raise BadKey(name, "a node's name names its files: expected one without '/' and '.' ahead")
    folder.mkdir(parents=True, exist_ok=True)
    secret, public = folder / f"{name}.key", folder / f"{name}.pub"
    for path in (secret, public):
        if path.exists() and not replace:
            raise BadKey(str(path), "it exists already, and keys are not written over unasked")
    keys = make_key_pair()
    _write(
        secret,
        f"# The keys of node {name}. Show this file to nobody.\n"
        f"public {keys.public}\nsecret {keys.secret}\n",
        mode=0o600,
    )
    _write(
        public,
        f"# The public key of node {name}: give it to those who talk to it.\n"
        f"public {keys.public}\n",
        mode=0o644,
    )
    return secret


def read_keys(path: Path) -> KeyPair:
    """The pair in a `.key` file. Raises `BadKey`, also when others than its owner may read it."""
    import zmq

    entries = _entries(path, is_secret=True)
    keys = KeyPair(_key(path, entries, "public"), _key(path, entries, "secret"))
    if zmq.curve_public(keys.secret.encode()).decode() != keys.public:
        raise BadKey(str(path), "its public key is not the one of its secret key")
    return keys


def read_public(path: Path) -> str:
    """The public key in a `.pub` file. Raises `BadKey`."""
    return _key(path, _entries(path, is_secret=False), "public")


def read_allowed(folder: Path) -> dict[str, str]:
    """The nodes whose `NAME.pub` is in this folder: public key -> node name. Raises `BadKey`."""
    if not folder.is_dir():
        raise BadKey(str(folder), "there is no such folder of public keys")
    allowed: dict[str, str] = {}
    for path in sorted(folder.glob("*.pub")):
        key = read_public(path)
        if key in allowed:
            raise BadKey(str(path), f"node {allowed[key]!r} has the same key")
        allowed[key] = path.stem
    return allowed


def check_key(key: str) -> None:
    """Raise `BadKey` unless this is a key as Z85 text. The error does not show it."""
    from zmq.utils import z85

    try:
        is_key = len(key) == _LENGTH and len(z85.decode(key)) == _LENGTH * 4 // 5
    except (KeyError, ValueError, struct.error):
        is_key = False
    if not is_key:
        raise BadKey("", f"expected {_LENGTH} characters of Z85 text")


def _write(path: Path, text: str, *, mode: int) -> None:
    """Write a file whole or not at all, and never readable for more than it shall be."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=mode, exist_ok=False)
    new.write_text(text)
    new.replace(path)


def _entries(path: Path, *, is_secret: bool) -> dict[str, str]:
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            if is_secret and mode & _FOR_OTHERS:
                raise BadKey(
                    str(path),
                    f"others than its owner may use it (mode {mode & 0o777:o}): "
                    f"run `chmod 600 {path}`, or make new keys if it was shared",
                )
            lines = file.read(4096).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(str(path), f"it cannot be read: {type(error).__name__}") from None
    words = [line.split() for line in lines if not line.startswith("#")]
    return {pair[0]: pair[1] for pair in words if len(pair) == 2}


def _key(path: Path, entries: dict[str, str], name: str) -> str:
    key = entries.get(name, "")
    try:
        check_key(key)
    except BadKey as error:
        raise BadKey(str(path), f"it holds no {name} key: {error.what}") from None
    return key
