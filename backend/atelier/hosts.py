"""Which host names this server answers to (against DNS rebinding), and pages of which sites may call it.

Headers are looked at as they came, never a reassembled URL.
"""

from __future__ import annotations

import re

from atelier.config import ServerSettings

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
MOST_REMEMBERED = 256

Refusal = tuple[int, str, str, str]
"""Status, code, words and hint for a request that must not go on."""


class Hosts:
    def __init__(self, settings: ServerSettings) -> None:
        self._names = {"localhost", "127.0.0.1", "[::1]", *(name.lower() for name in settings.advertised_hosts)}
        if settings.host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound to
            self._names.add(f"[{settings.host}]" if ":" in settings.host else settings.host.lower())
        self._known: set[bytes] = set()

    def refuse(self, hosts: int, host: bytes, origin: bytes | None, *, checked: bool) -> Refusal | None:
        """`hosts`: how many Host headers came, `host` the last; `checked`: whether the request may change something,
        so that its `origin` counts."""
        if hosts != 1 or (host not in self._known and not self._answers_to(host)):
            return (
                421,
                "host_not_allowed",
                "This Atelier does not answer to that host name.",
                "Open it by the address it prints at start, or add the name to ADVERTISED_HOSTS.",
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
