"""Listening sockets. `serve` binds them before it forks, so a web server that is restarted refuses nobody."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable

from mlserver.serving import Refused

BACKLOG = 2048
# An address family this machine does not have; its other family may do.
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def listen_all(addresses: Iterable[tuple[str, int]]) -> list[socket.socket]:
    """Listening sockets of every address; raises Refused when one cannot be had."""
    return [listener for host, port in addresses for listener in listen(host, port)]


def listen(host: str, port: int) -> list[socket.socket]:
    """One socket for each address `host` stands for (`localhost` is often two)."""
    listeners = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        absent = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                listeners.append(_listener(family, address))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error
        if not listeners:
            raise absent
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listeners


def is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
