"""The page's own files: read once, served from memory under addresses that change with them."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from attrs import frozen

FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript"}


@frozen
class Asset:
    """One file: its content, its type, and a short digest of the content."""

    content: bytes
    media_type: str
    digest: str


@cache
def assets() -> dict[str, Asset]:
    """All files by their path below `static/`; nothing else can be asked for."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            name = path.relative_to(FOLDER).as_posix()
            found[name] = Asset(content, _TYPES[path.suffix], sha256(content).hexdigest()[:12])
    return found


def address_of(name: str) -> str:
    """The address of a file, with the digest of its content."""
    return f"/static/{name}?{assets()[name].digest}"
