"""Which host names this server answers to (against DNS rebinding), and pages of which sites may call it.

Headers are looked at as they came, never a reassembled URL. A page that `CORS_ORIGINS` names is a guest of the doors of
other programs: it may call them and read their answers, with a key and never with the dashboard's cookie.
"""

from __future__ import annotations

import re

from atelier.config import ServerSettings
from atelier.dialects import dialect_of

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
MOST_REMEMBERED = 256

GUEST_READS = b"x-request-id, retry-after, x-should-retry, openai-processing-ms, x-ratelimit-limit-requests, " + (
    b"x-ratelimit-remaining-requests"
)
_ASKED_HEADERS = re.compile(rb"[a-zA-Z0-9_, -]{1,2000}")

Refusal = tuple[int, str, str, str]
"""Status, code, words and hint for a request that must not go on."""


class Hosts:
    def __init__(self, settings: ServerSettings) -> None:
        self._names = {"localhost", "127.0.0.1", "[::1]", *(name.lower() for name in settings.advertised_hosts)}
        name = "127.0.0.1"
        if settings.host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound to
            name = f"[{settings.host}]" if ":" in settings.host else settings.host.lower()
            self._names.add(name)
        self._own = f"{'https' if settings.tls else 'http'}://{name}:{settings.port}"
        self._known: set[bytes] = set()
        self.origins = frozenset(one.encode() for one in settings.cors_origins)

    def is_guest(self, path: str, origin: bytes) -> bool:
        """Whether a page of another site may ask for `path`."""
        return origin in self.origins and dialect_of(path) in ("openai", "automatic1111")

    def refuse(self, hosts: int, host: bytes, origin: bytes | None, *, checked: bool) -> Refusal | None:
        """`hosts`: how many Host headers came, `host` the last; `checked`: whether the request may change something,
        so that its `origin` counts."""
        if hosts != 1 or (host not in self._known and not self._answers_to(host)):
            return (
                421,
                "host_not_allowed",
                "This Atelier does not answer to that host name.",
                f"Open it on its own machine as {self._own}, or elsewhere by a name that stands in ADVERTISED_HOSTS. "
                "Whoever runs it can add this name there and start it again.",
            )
        if checked and origin is not None and origin.partition(b"://")[2].lower() != host.lower():
            return (
                403,
                "origin_not_allowed",
                "A page of another site may not do this.",
                "Use the dashboard of this Atelier, or call the API from a program.",
            )
        return None

    def _answers_to(self, host: bytes) -> bool:
        if _host_name(host.decode("latin-1")) not in self._names:
            return False
        if len(self._known) < MOST_REMEMBERED:
            self._known.add(host)
        return True


def _host_name(value: str) -> str:
    """The name in a Host header, without its port; '' for one that is no plain host."""
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", value.strip().lower())
    return match[1] if match else ""


def guest_headers(origin: bytes) -> list[tuple[bytes, bytes]]:
    """What lets a guest read an answer."""
    allow = (b"access-control-allow-origin", origin)
    return [allow, (b"access-control-expose-headers", GUEST_READS), (b"vary", b"origin")]


def preflight_headers(origin: bytes, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]] | None:
    """The answer to a browser that asks before it calls; None where `headers` are of no such question."""
    asked = dict(headers)
    if b"access-control-request-method" not in asked:
        return None
    wanted = asked.get(b"access-control-request-headers", b"")
    answer = [
        *guest_headers(origin),
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-max-age", b"600"),
    ]
    if _ASKED_HEADERS.fullmatch(wanted):  # SDKs send a dozen of their own
        answer.append((b"access-control-allow-headers", wanted))
    if asked.get(b"access-control-request-private-network") == b"true":
        answer.append((b"access-control-allow-private-network", b"true"))
    return answer


def without_cookie(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [one for one in headers if one[0] != b"cookie"]
