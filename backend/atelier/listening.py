"""Whether the address that a server is to listen on can be had, said before anything is begun."""

from __future__ import annotations

import errno
import socket

from atelier.config import BadSetting


def check(host: str, port: int) -> None:
    """Raises BadSetting with what to do instead. Somebody may still be quicker until the server binds it itself."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise BadSetting(f"HOST={host!r} is no address and no name that this machine knows.") from None
    refused = [problem for one in found if (problem := _problem(one[0], one[4])) is not None]
    if errno.EADDRINUSE in refused:
        raise BadSetting(
            f"Port {port} of {host} is taken, perhaps by an Atelier that runs already. "
            "Use that one, or choose another port with --port or PORT."
        )
    if errno.EACCES in refused:
        raise BadSetting(f"This user may not listen on port {port}. Choose one from 1024 on with --port or PORT.")
    if len(refused) == len(found):
        raise BadSetting(f"HOST={host!r} is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for all it has.")


def _problem(family: socket.AddressFamily, address: tuple) -> int | None:
    """The error's number when it cannot be bound."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error.errno or 0
    return None
