"""Endpoints of ZeroMQ: what they say, and whether they reach beyond this machine."""

from __future__ import annotations

import os
import re
import socket
import stat
from ipaddress import IPv4Address, IPv6Address, ip_address

from attrs import frozen

from schedule_zero.transports.errors import BadEndpoint, EndpointInUse

_TCP = re.compile(r"tcp://(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^\[\]/:@]+)):(?P<port>[0-9]{1,5})")
_IPC = "ipc://"
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_LONGEST_PATH = 107  # bytes that the kernel takes, less the zero at the end


@frozen
class Tcp:
    """A host and a port. `host` is an address, a name, or `*` for all addresses."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine for sure."""
        address = self.address
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address is not None and address.is_loopback

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The host's address, None if it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


@frozen
class Ipc:
    """A socket file on this machine."""

    path: str
    is_local = True

    def __str__(self) -> str:
        return f"{_IPC}{self.path}"


Endpoint = Tcp | Ipc


def parse(text: str) -> Endpoint:
    """Read an endpoint; `localhost` is 127.0.0.1. Raises `BadEndpoint`."""
    if text.startswith(_IPC):
        return _parse_ipc(text)
    found = _TCP.fullmatch(text)
    if found is None:
        raise BadEndpoint(text, "it is neither tcp://HOST:PORT nor ipc://PATH")
    host, port = found["six"] or found["host"], int(found["port"])
    if port > 65535:
        raise BadEndpoint(text, f"there is no port {port}")
    endpoint = Tcp("127.0.0.1" if host == "localhost" else host, port)
    is_address = endpoint.address is not None
    if bool(found["six"]) != isinstance(endpoint.address, IPv6Address):
        raise BadEndpoint(text, "an IPv6 address, and nothing else, stands in brackets")
    if not is_address and host != "*" and not _is_name(host):
        raise BadEndpoint(text, f"{host!r} is no address and no name of a host")
    return endpoint


def to_listen(text: str) -> Endpoint:
    """Read an endpoint to listen at: an address of this machine, or `*`. Raises `BadEndpoint`."""
    endpoint = parse(text)
    if isinstance(endpoint, Tcp) and endpoint.address is None and endpoint.host != "*":
        raise BadEndpoint(text, "to listen takes an address of this machine, not a name")
    return endpoint


def to_connect(text: str) -> Endpoint:
    """Read an endpoint to connect to: one place, with a port. Raises `BadEndpoint`."""
    endpoint = parse(text)
    if isinstance(endpoint, Tcp):
        if endpoint.port == 0:
            raise BadEndpoint(text, "port 0 is nowhere")
        if endpoint.host == "*" or (endpoint.address and endpoint.address.is_unspecified):
            raise BadEndpoint(text, "all addresses are no place to connect to")
    return endpoint


def make_room(endpoint: Ipc) -> None:
    """See to it that a socket file can be made there.

    libzmq removes whatever is at the path, without asking: the socket of a living process, or a
    file that is no socket. Raises `EndpointInUse` and `BadEndpoint` then.
    """
    text, path = str(endpoint), endpoint.path
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a path in the kernel's sense)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadEndpoint(text, f"the path cannot be used: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise BadEndpoint(text, "at its path is something that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return  # left behind by a dead process
        except OSError as error:
            raise EndpointInUse(text) from error
    raise EndpointInUse(text)


def _is_name(host: str) -> bool:
    return len(host) <= 253 and bool(_NAME.fullmatch(host)) and not host.replace(".", "").isdigit()


def _parse_ipc(text: str) -> Ipc:
    path = text.removeprefix(_IPC)
    length = len(os.fsencode(path))
    if not path or "\0" in path or path[0] in "*@":
        raise BadEndpoint(text, "it has no path of a socket file")
    if length > _LONGEST_PATH:
        raise BadEndpoint(text, f"its path has {length} bytes, of {_LONGEST_PATH} at most")
    return Ipc(path)
