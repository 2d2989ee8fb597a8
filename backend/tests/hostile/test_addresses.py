"""Addresses where pictures belong: whatever the spelling, nobody is called."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest
from tests.hostile.conftest import Target
from tests.hostile.doors import _PLAIN, SMALL
from tests.hostile.wire import form

HOSTS = (
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "127.0.1", "127.000.000.001", "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001", "2130706433", "017700000001", "0", "0.0.0.0", "127.0.0.2", "127.255.255.254", "[::1]", "[::]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]", "[2001:0:0:0:0:0:80ff:fffe]", "[fe80::5efe:127.0.0.1]", "[::1%25lo]",
    "①②⑦.⓪.⓪.①", "127。0。0。1",
    "１２７.0.0.1", "localtest.me", "127.0.0.1.nip.io", "user@127.0.0.1", "evil.example@127.0.0.1",
    "127.0.0.1#evil.example",
    "127.0.0.1?evil.example", "127.0.0.1%00.example", "%31%32%37.0.0.1", "169.254.169.254", "[fd00:ec2::254]",
    "10.0.0.1",
    "192.168.0.1", "172.16.0.1", "100.64.0.1", "metadata.google.internal",
)  # fmt: skip
SCHEMES = (
    "http://{}:PORT/x.png", "https://{}:PORT/x.png", "HTTP://{}:PORT/", "http:{}:PORT/x", "//{}:PORT/x.png",
    "http:///{}:PORT/x",
    "http:\\\\{}:PORT\\x", " http://{}:PORT/x", "\thttp://{}:PORT/x", "ht\ntp://{}:PORT/x", "ftp://{}:PORT/x",
    "gopher://{}:PORT/_x",
    "dict://{}:PORT/x", "file://{}:PORT/etc/passwd", "file:///etc/passwd", "jar:http://{}:PORT/x!/",
    "data:,http://{}:PORT/x",
    "view-source:http://{}:PORT/", "blob:http://{}:PORT/x", "url:http://{}:PORT/x", "feed:http://{}:PORT/x",
    "ws://{}:PORT/x", "unix:/{}:PORT", "ldap://{}:PORT/x",
)  # fmt: skip


class Canary:
    """Listens on every loopback address of both families and counts who calls."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.four = socket.create_server(("127.0.0.1", 0))
        self.port = self.four.getsockname()[1]
        self._sockets = [self.four]
        try:
            self._sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        except OSError:
            pass  # a machine without IPv6
        for one in self._sockets:
            threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def _listen(self, one: socket.socket) -> None:
        while True:
            try:
                connection, address = one.accept()
            except OSError:
                return
            self.called.append(str(address))
            connection.close()

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    made = Canary()
    yield made
    made.close()


def test_the_canary_hears(canary: Canary) -> None:
    socket.create_connection(("127.0.0.1", canary.port), timeout=5).close()
    for _ in range(100):
        if canary.called:
            return
        threading.Event().wait(0.05)
    raise AssertionError("a canary that hears nothing shows nothing")


def test_nobody_is_called(target: Target, canary: Canary) -> None:
    spellings = [f"http://{host}:{canary.port}/x.png" for host in HOSTS]
    spellings += [scheme.replace("PORT", str(canary.port)).replace("{}", "127.0.0.1") for scheme in SCHEMES]
    assert len(set(spellings)) >= 60
    wire, media = target.wire(), {"Content-Type": "application/json"}
    for at, address in enumerate(spellings):
        bodies: list[tuple[str, dict[str, object]]] = [
            ("/sdapi/v1/img2img", {**SMALL, "init_images": [address]}),
            ("/sdapi/v1/img2img", {**SMALL, "init_images": [_PLAIN], "mask": address}),
            ("/sdapi/v1/extra-single-image", {"image": address, "upscaler_1": "Lanczos"}),
            ("/sdapi/v1/extra-batch-images", {"imageList": [{"data": address}], "upscaler_1": "Lanczos"}),
            ("/sdapi/v1/png-info", {"image": address}),
            ("/sdapi/v1/interrogate", {"image": address}),
            ("/api/inputs", {"url": address}),
            ("/api/generate/settings", {"url": address}),
            ("/api/generate/image-to-image", {"prompt": "x", "image": address}),
            ("/v1/images/edits", {"prompt": "x", "images": [{"image_url": address}]}),
            ("/v1/images/variations", {"images": [address]}),
        ]
        if at % 8 == 0:  # each decodes a picture before it comes to the mask
            masked = {"images": [{"image_url": _PLAIN}], "mask": {"image_url": address}}
            bodies.append(("/v1/images/edits", {"prompt": "x", **masked}))
        for path, body in bodies:
            answer = wire.ask("POST", path, json.dumps(body).encode(), media)
            assert 400 <= answer.status < 500, (path, address, answer)
        for path, field, texts in (
            ("/v1/images/edits", "image", {"prompt": "x"}),
            ("/v1/images/variations", "image", {}),
            ("/generar-imagen-imagen", "imagen", {"texto": "x"}),
            ("/api/inputs", "file", {}),
        ):
            content, kind = form({**texts, field: address}, {})
            answer = wire.ask("POST", path, content, {"Content-Type": kind})
            assert 400 <= answer.status < 500, (path, address, answer)
    assert canary.called == []
