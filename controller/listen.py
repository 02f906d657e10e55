"""Listening sockets: a port that is taken is replaced by the next free one."""

import errno
import socket
from typing import Final

TRIES: Final = 100
BACKLOG: Final = 512


class NoFreePortError(Exception):
    """Neither the wanted port nor one of the next hundred is free."""


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket on ``port``, or on the next free one above it.

    Raises:
        NoFreePortError: There is none, or the address is not this machine's.
    """
    for candidate in range(port, min(port + TRIES, 65_536)):
        try:
            return _bound(host, candidate)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise NoFreePortError(f"cannot listen on {host}: {error.strerror}") from error
    raise NoFreePortError(f"no port of {host} from {port} to {port + TRIES - 1} is free")


def free_port(host: str, port: int) -> int:
    """Return ``port`` if it is free, else the next free one, for somebody else to listen on."""
    with bind(host, port) as found:
        return int(found.getsockname()[1])


def _bound(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # Two sockets may bind one port before either listens; the second is refused only here.
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
