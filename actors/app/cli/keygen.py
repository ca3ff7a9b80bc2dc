"""`schedule-zero keygen`: make the keys of a node."""

from __future__ import annotations

from pathlib import Path

from schedule_zero.transports import write_keys


def keygen(name: str, *, folder: Path = Path("keys"), replace: bool = False) -> None:
    """Make the key pair of a node.

    Writes NAME.key, which its owner alone may read and which stays on that node, and NAME.pub, to
    be copied beside the key file of each node that shall speak with it.

    Example: schedule-zero keygen edge-1 --folder /etc/schedule-zero

    Parameters
    ----------
    name
        The node's name.
    folder
        Where the two files go; it is made when it is missing.
    replace
        Whether keys that are there may be overwritten.
    """
    path = write_keys(folder, name, replace=replace)
    print(f"{path}: the key of {name}; keep it there")
    print(f"{path.with_suffix('.pub')}: what others need of it; copy it beside their own keys")
