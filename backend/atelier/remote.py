"""Fetches a picture from an address that a client named: off unless ATELIER_REMOTE_IMAGES is 1.

What counts is the address that a socket is connected to, never how it was written: a name is looked up once, every
record must be public, the connection goes to that very record and is asked for its peer before a byte is sent. Each
redirect begins anew. No proxy, no cookie, no credential, a cap on size and time. A test holds that no other module of
the server speaks HTTP to where a stranger points.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urljoin, urlsplit

import h11

from atelier.errors import BadRequest
from atelier.said import Said

MAX_REDIRECTS = 3
MAX_URL = 2000
SECONDS = 30.0
MAX_PICTURE_BYTES = 20 * 1024 * 1024
KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"GIF8": "gif"}
PORTS = {80, 443}
"""And those from 1024 on: what listens below speaks other protocols."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class RemoteRefused(BadRequest):
    """An address that is not fetched from, or that has nothing to offer."""

    code = "remote_refused"


class RemoteImages:
    """`resolve` and `is_allowed` are looked at by tests; nobody else gives them."""

    def __init__(
        self, *, enabled: bool, resolve: Resolve | None = None, is_allowed: Callable[[str], bool] | None = None
    ) -> None:
        self.enabled = enabled
        self._resolve, self._is_allowed = resolve or _look_up, is_allowed or is_public

    async def fetch(self, url: str, most: int) -> bytes:
        """At most `most` bytes from `url`. Raises RemoteRefused."""
        if not self.enabled:
            words = Said("This Atelier fetches no pictures from addresses.", "remote.off")
            raise RemoteRefused(words, hint="Send the picture itself: as a file, as a data URL or by its id.")
        try:
            async with asyncio.timeout(SECONDS):
                for _ in range(MAX_REDIRECTS + 1):
                    body, onward = await self._hop(_checked(url), most)
                    if onward is None:
                        return body
                    url = urljoin(url, onward)
        except TimeoutError:
            raise _failed(Said("The address did not answer in time.", "remote.slow")) from None
        except (OSError, ssl.SSLError, h11.RemoteProtocolError, h11.LocalProtocolError, UnicodeError) as error:
            raise _failed(Said("Nothing can be fetched from that address.", "remote.unreachable")) from error
        raise _failed(Said("The address leads from one to the next without end.", "remote.redirects"))

    async def data_url(self, url: str) -> str:
        """The picture at `url` as a data URL. Raises RemoteRefused."""
        body = await self.fetch(url, MAX_PICTURE_BYTES)
        kind = next((kind for mark, kind in KINDS.items() if body.startswith(mark)), None)
        if kind is None:
            raise _failed(Said("There is no picture at that address.", "remote.no_picture"))
        return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"

    async def _hop(self, parts: SplitResult, most: int) -> tuple[bytes, str | None]:
        """The body, or where it leads on to."""
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await self._resolve(host, port)
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise _internal()
        reader, writer = await self._connect(addresses[0], host, port, parts.scheme == "https")
        try:
            return await _converse(reader, writer, parts, most)
        finally:
            writer.close()

    async def _connect(
        self, address: str, host: str, port: int, secure: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
            if not self._is_allowed(connection.getpeername()[0]):
                raise _internal()
            context = ssl.create_default_context() if secure else None
            return await asyncio.open_connection(sock=connection, ssl=context, server_hostname=host if secure else None)
        except BaseException:
            connection.close()
            raise


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, parts: SplitResult, most: int
) -> tuple[bytes, str | None]:
    """One GET over an open connection."""
    talk = h11.Connection(h11.CLIENT)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    headers = [
        ("Host", f"{name}:{parts.port}" if parts.port else name),
        ("Accept", "image/png, image/jpeg, image/webp"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "Atelier"),
        ("Connection", "close"),
    ]
    for event in (h11.Request(method="GET", target=target, headers=headers), h11.EndOfMessage()):
        writer.write(talk.send(event) or b"")
    await writer.drain()
    body = bytearray()
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(1 << 16))
        elif isinstance(event, h11.Response):
            onward = dict(event.headers).get(b"location")
            if event.status_code in {301, 302, 303, 307, 308} and onward:
                return b"", onward.decode("latin-1")
            if event.status_code != 200:
                raise _failed(Said("Nothing can be fetched from that address.", "remote.unreachable"))
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most:
                mebibytes = most // 1024**2
                words = f"What lies at that address is larger than {mebibytes} MiB."
                raise RemoteRefused(Said(words, "remote.too_large", mebibytes=mebibytes), hint="Take a smaller one.")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return bytes(body), None


def _checked(url: str) -> SplitResult:
    """The parts of an address that may be fetched from as far as its text tells. Raises RemoteRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = len(url) <= MAX_URL and url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    named = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None and parts.password is None
    if not (plain and named) or not (port is None or port in PORTS or port >= 1024):
        words = Said("That is no address of a picture.", "remote.no_address")
        raise RemoteRefused(words, hint="Give an http or https address without a name and password in it.")
    return parts


def _internal() -> RemoteRefused:
    words = Said("That address is not a public one.", "remote.internal")
    return RemoteRefused(words, hint="Pictures are fetched from public addresses only; send the picture itself.")


def _failed(words: Said) -> RemoteRefused:
    return RemoteRefused(words, hint="Look whether the address is right, or send the picture itself.")


async def _look_up(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


# ── addresses ─────────────────────────────────────────────────────────────────

# Global unicast is 2000::/3; within it, what leads elsewhere or nowhere: protocol assignments (Teredo among them),
# documentation. 64:ff9b::/96 (NAT64) lies outside of it, as do ::/96 and everything local.
_UNICAST = IPv6Network("2000::/3")
_NOT_THESE = tuple(ip_network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20", "192.88.99.0/24"))
_SIX_TO_FOUR = IPv6Network("2002::/16")
_ISATAP = {0x00005EFE, 0x02005EFE}


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, and leads to no other one by its form."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address not in _UNICAST or (inner := _inside(address)) is not None and not is_public(str(inner)):
            return False
    in_these = any(address in network for network in _NOT_THESE if network.version == address.version)
    return address.is_global and not (in_these or address.is_multicast or address.is_reserved)


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a 6to4 or ISATAP address leads to."""
    number = int(address)
    if address in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & 0xFFFFFFFF)
    return IPv4Address(number & 0xFFFFFFFF) if number >> 32 & 0xFFFFFFFF in _ISATAP else None
