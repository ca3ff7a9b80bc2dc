"""What a node is run with."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


@frozen
class Settings:
    """The operator's choices for one node.

    `data` is the folder for the database and the node's own file; `database` overrides the
    database in it (`memory`, a path, or an SQLite URL). `listen` and `peers` are endpoints of this
    and of other nodes; beyond loopback they need `keys`, this node's key file, whose folder holds
    the public keys of the nodes that are allowed.
    """

    modules: tuple[str, ...] = ()
    name: str = "node"
    data: Path = Path("var")
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 8888
    web: bool = True
    listen: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    keys: Path | None = None
    cluster: str = ""

    @property
    def database_url(self) -> str:
        """Where the ledger is."""
        return self.database or str(self.data / "schedule-zero.db")

    @property
    def node_file(self) -> Path:
        """Where a running node says how it is reached (readable by its owner only)."""
        return self.data / f"{self.name}.json"
