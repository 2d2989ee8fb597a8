"""The only way out to the network: which addresses may be spoken to, and to which of them the token is said.

The token goes to the origin (scheme, host, port) of the configured endpoint and to nothing else. An address is spoken
to when it is https, or when it has the endpoint's own host: a mirror on loopback or in the house may do without
certificates and may hand over to another port of itself.
"""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.request
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from engines.engine import RunFailed

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}


class Trouble(Exception):
    """Something went wrong on the way that may go right later. `retry_after` in seconds, when the other side says."""

    def __init__(self, code: str, message: str, retry_after: float | None = None, **params: str | int | float) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after, self.params = code, message, retry_after, params


class GivenUp(RunFailed):
    """A trouble that nobody waits for any longer."""

    HINTS = {
        "hub_unreachable": "Look at the network, the proxy and HF_ENDPOINT. What is on this machine already works.",
        "rate_limited": "Wait a few minutes. With a token the hub allows more requests.",
        "redirect_refused": "Something on the way to the hub changes its answers; look at the network and HF_ENDPOINT.",
    }

    def __init__(self, trouble: Trouble) -> None:
        hint = self.HINTS.get(
            trouble.code, "Look at the network and the hub, then try again. What was fetched is kept."
        )
        super().__init__(trouble.code, trouble.message, hint, **trouble.params)


def origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, (parts.hostname or "").lower(), port or PORTS.get(parts.scheme, 0)


def shown(url: str) -> str:
    """An address without what is signed or secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"[:200]


class Door:
    """Made for one task: its endpoint and its token."""

    def __init__(self, endpoint: str, token: str) -> None:
        self._home = origin(endpoint)
        self._token = token
        self._tls: ssl.SSLContext | None = None

    def check(self, url: str) -> None:
        """Raise Trouble for an address that may not be spoken to."""
        scheme, host, port = origin(url)
        same_host = scheme == "http" and host == self._home[1] and self._home[0] == "http"
        if not host or port < 0 or not (scheme == "https" or same_host):
            raise Trouble(
                "redirect_refused",
                f"The hub leads to {shown(url)}, which is neither https nor the hub itself.",
                url=shown(url),
            )

    def headers_for(self, url: str) -> dict[str, str]:
        """The token, for the endpoint itself and nobody else."""
        if self._token and origin(url) == self._home:
            return {"Authorization": f"Bearer {self._token}"}
        return {}

    def connect(self, url: str, seconds: float) -> Line:
        """A connection for this address, through the proxy that the environment names. Not opened yet."""
        scheme, host, port = origin(url)
        proxy = None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme)
        via = urlsplit(proxy) if proxy else None
        if scheme == "https":
            if self._tls is None:
                self._tls = ssl.create_default_context()
            place = (via.hostname, via.port or 8080) if via else (host, port)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                *place, timeout=seconds, context=self._tls
            )
            if via:
                connection.set_tunnel(host, port, headers=_proxy_headers(proxy))
            return Line(connection, whole_address=False)
        place = (via.hostname, via.port or 8080) if via else (host, port)
        return Line(http.client.HTTPConnection(*place, timeout=seconds), whole_address=bool(via))


class Line:
    """One open connection. `get` may be called again once the answer before was read to its end."""

    def __init__(self, connection: http.client.HTTPConnection, *, whole_address: bool) -> None:
        self._connection, self._whole = connection, whole_address

    def get(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        target = url if self._whole else (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection.request("GET", target, headers={"Accept-Encoding": "identity", **headers})
        return self._connection.getresponse()

    def close(self) -> None:
        """From any thread: also ends a read that is under way."""
        if (sock := self._connection.sock) is not None:
            try:
                sock.shutdown(2)
            except OSError:
                pass
        self._connection.close()


def redirected(url: str, response: http.client.HTTPResponse) -> str | None:
    """Where an answer leads, or None."""
    if response.status not in REDIRECTS:
        return None
    if not (location := response.headers.get("Location")):
        raise Trouble("bad_redirect", "The hub leads on without saying where to.")
    return urljoin(url, location)


def use_network(variables: Mapping[str, str]) -> None:
    """Take over the variables that name proxies and certificates; nothing else from outside is heard."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        for spelling in (name, name.lower()):
            os.environ.pop(spelling, None)
        if name in variables:
            os.environ[name] = variables[name]
            if name.endswith("PROXY"):
                os.environ[name.lower()] = variables[name]


def _proxy_headers(proxy: str | None) -> dict[str, str]:
    from base64 import b64encode

    parts = urlsplit(proxy or "")
    if not parts.username:
        return {}
    credentials = b64encode(f"{parts.username}:{parts.password or ''}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {credentials}"}
