"""Pictures by address: whatever way it is written, and wherever it leads, nothing inside is ever connected to."""

from __future__ import annotations

import ast
import asyncio
import base64
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from atelier.remote import RemoteImages, RemoteRefused, is_public
from chat_models import add_chat_model
from serving import Server

BACKEND = Path(__file__).resolve().parents[2]
OUTSIDE = "127.0.0.2"
"""Plays the public internet: no test may need a network."""

MIB = 1024 * 1024

# {port} is that of the canary.
SPELLINGS = [
    "http://127.0.0.1:{port}/", "http://127.1:{port}/", "http://127.0.1:{port}/", "http://127.255.255.254:{port}/",
    "http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://017700000001:{port}/",
    "http://0x7f.0.0.1:{port}/", "http://0177.0.0.1:{port}/", "http://0177.0x0.0.1:{port}/",
    "http://127.0.0.1.:{port}/", "http://0:{port}/", "http://0.0.0.0:{port}/", "http://00000177.1:{port}/",
    "http://localhost:{port}/", "http://LOCALHOST:{port}/", "http://localhost.:{port}/", "http://ip6-localhost:{port}/",
    "http://[::1]:{port}/", "http://[0:0:0:0:0:0:0:1]:{port}/", "http://[0000::0001]:{port}/", "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://[0:0:0:0:0:ffff:7f00:1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/", "http://[::127.0.0.1]:{port}/", "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/", "http://[64:ff9b:1::7f00:1]:{port}/", "http://[2002:7f00:1::]:{port}/",
    "http://[2002:7f00:0001::1]:{port}/", "http://[2002:a00:1::1]:{port}/", "http://[2001:0:7f00:1::]:{port}/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/", "http://[2001:4860::5efe:127.0.0.1]:{port}/",
    "http://[2001:4860::200:5efe:7f00:1]:{port}/", "http://[fe80::1]:{port}/", "http://[fe80::1%25lo]:{port}/",
    "http://[fe80::5efe:127.0.0.1]:{port}/", "http://[fc00::1]:{port}/", "http://[fd00:ec2::254]:{port}/",
    "http://[ff02::1]:{port}/", "http://[2001:db8::1]:{port}/", "http://[3fff::1]:{port}/", "http://[100::1]:{port}/",
    "http://10.0.0.1:{port}/", "http://10.1:{port}/", "http://172.16.0.1:{port}/", "http://172.31.255.255:{port}/",
    "http://192.168.0.1:{port}/", "http://192.168.1:{port}/", "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/", "http://0xa9fea9fe/", "http://[::ffff:a9fe:a9fe]/", "http://100.64.0.1:{port}/",
    "http://100.100.100.200/", "http://192.0.0.1:{port}/", "http://192.0.2.1:{port}/", "http://192.88.99.1:{port}/",
    "http://198.18.0.1:{port}/", "http://198.51.100.1:{port}/", "http://203.0.113.1:{port}/",
    "http://224.0.0.1:{port}/", "http://240.0.0.1:{port}/", "http://255.255.255.255:{port}/",
    "http://user@127.0.0.1:{port}/", "http://example.com@127.0.0.1:{port}/", "http://127.0.0.1:{port}@example.com/",
    "http://example.com#@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@example.com/", "http:\\\\127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/", "http:127.0.0.1:{port}/", "//127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/", "http://127.0.0.1:{port}/\r\nHost: example.com", "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/", "http://ⓛocalhost:{port}/", "http://127.0.0.1%00.example.com:{port}/",
    "http://127.0.0.1:22/", "http://127.0.0.1:99999/", "http://127.0.0.1:0x{port}/", "http://[::1%25lo]:{port}/",
    "file:///etc/passwd", "gopher://127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/", "unix:///run/docker.sock",
    "data:text/plain,x", "javascript:1", "http://", "http://:{port}/", "http://%31%32%37.0.0.1:{port}/", "",
]  # fmt: skip


class Canary:
    """Listens where nothing may ever connect to, and counts."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.port, self._sockets = 0, []
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, self.port))
            except OSError:  # a machine without IPv6: then nothing can connect there either
                listener.close()
                continue
            self.port = listener.getsockname()[1]
            listener.listen(64)
            self._sockets.append(listener)
            threading.Thread(target=self._count, args=(listener,), daemon=True).start()

    def _count(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            self.hits.append(str(peer))
            connection.close()

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    listening = Canary()
    yield listening
    listening.close()


async def public_server(answer: Callable[[bytes], bytes]) -> asyncio.Server:
    """Stands on `OUTSIDE`; `answer` makes of a request what is sent back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(answer(request))
            await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    return await asyncio.start_server(serve, OUTSIDE, 0)


def there(address: str) -> bool:
    return address == OUTSIDE or is_public(address)


def always(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A name server that answers these in turn, the last one for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


def refused(remote: RemoteImages, url: str) -> None:
    with pytest.raises(RemoteRefused):
        asyncio.run(remote.fetch(url, MIB))


class TestSpellings:
    def test_there_are_enough(self) -> None:
        assert len(set(SPELLINGS)) == len(SPELLINGS) >= 60

    def test_directly(self, canary: Canary) -> None:
        for spelling in SPELLINGS:
            refused(RemoteImages(enabled=True), spelling.replace("{port}", str(canary.port)))
        assert canary.hits == []

    def test_by_a_redirect(self, canary: Canary) -> None:
        async def run() -> None:
            target = ""
            server = await public_server(lambda _: f"HTTP/1.1 302 F\r\nLocation: {target}\r\n\r\n".encode())
            port = server.sockets[0].getsockname()[1]
            remote = RemoteImages(enabled=True, is_allowed=there)
            for spelling in SPELLINGS:
                target = spelling.replace("{port}", str(canary.port)).replace("\r\n", "%0d%0a")
                with pytest.raises(RemoteRefused):
                    await remote.fetch(f"http://{OUTSIDE}:{port}/", MIB)
            server.close()

        asyncio.run(run())
        assert canary.hits == []

    def test_by_a_name_that_changes(self, canary: Canary) -> None:
        for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"):
            for answers in (([address],), ([OUTSIDE, address],), ([address, OUTSIDE],), ([],)):
                remote = RemoteImages(enabled=True, is_allowed=there, resolve=always(*answers))
                refused(remote, f"http://rebind.example:{canary.port}/")
        assert canary.hits == []

    def test_by_a_name_that_changes_between_two_hops(self, canary: Canary) -> None:
        async def run() -> None:
            server = await public_server(
                lambda _: f"HTTP/1.1 307 T\r\nLocation: http://rebind.example:{canary.port}/\r\n\r\n".encode()
            )
            port = server.sockets[0].getsockname()[1]
            remote = RemoteImages(enabled=True, is_allowed=there, resolve=always([OUTSIDE], ["127.0.0.1"]))
            with pytest.raises(RemoteRefused):
                await remote.fetch(f"http://rebind.example:{port}/", MIB)
            server.close()

        asyncio.run(run())
        assert canary.hits == []

    def test_the_canary_sings(self) -> None:
        """Without the check the same call arrives: the tests above would see it."""
        listening = Canary()
        refused(RemoteImages(enabled=True, is_allowed=lambda _: True), f"http://127.1:{listening.port}/")
        listening.close()
        assert len(listening.hits) == 1

    def test_a_peer_that_is_not_who_was_asked_for(self) -> None:
        """The connected socket has the last word, before a byte is sent."""
        asked: list[str] = []

        def once(address: str) -> bool:
            asked.append(address)
            return len(asked) == 1

        async def run() -> list[bytes]:
            seen: list[bytes] = []
            server = await public_server(lambda request: seen.append(request) or b"")
            with pytest.raises(RemoteRefused):
                await RemoteImages(enabled=True, is_allowed=once).fetch(
                    f"http://{OUTSIDE}:{server.sockets[0].getsockname()[1]}/", MIB
                )
            server.close()
            return seen

        assert asyncio.run(run()) == []
        assert asked == [OUTSIDE, OUTSIDE]


class TestFetching:
    def ask(self, answer: Callable[[bytes], bytes], most: int = MIB) -> bytes:
        return self.with_url(answer, lambda remote, url: remote.fetch(url, most))

    def with_url(self, answer: Callable[[bytes], bytes], ask: Callable[[RemoteImages, str], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            server = await public_server(answer)
            url = f"http://{OUTSIDE}:{server.sockets[0].getsockname()[1]}/a.png?x=1"
            try:
                return await ask(RemoteImages(enabled=True, is_allowed=there), url)
            finally:
                server.close()

        return asyncio.run(run())

    def test_as_a_data_url(self) -> None:
        """By its content, whatever it is called."""
        kinds = {b"\x89PNG\r\n": "png", b"\xff\xd8\xff\xe0": "jpeg", b"RIFF1234WEBP": "webp", b"GIF89a": "gif"}
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
        for body, kind in kinds.items():
            found = self.with_url(lambda _, body=body: head + body, lambda remote, url: remote.data_url(url))
            assert found == f"data:image/{kind};base64,{base64.b64encode(body).decode()}"
        for body in (b"<svg/>", b"II*\0", b""):
            with pytest.raises(RemoteRefused) as caught:
                self.with_url(lambda _, body=body: head + body, lambda remote, url: remote.data_url(url))
            assert caught.value.message.code == "remote.no_picture"

    def test_a_picture(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
        seen: list[bytes] = []
        body = self.ask(lambda request: seen.append(request) or b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        assert body == b"abc"
        assert seen[0].startswith(b"GET /a.png?x=1 HTTP/1.1\r\n")
        assert b"ookie" not in seen[0] and b"uthorization" not in seen[0]

    def test_too_large(self) -> None:
        for head in (b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n", b"\r\n" + b"x" * 1024):
            with pytest.raises(RemoteRefused) as caught:
                self.ask(lambda _, head=head: b"HTTP/1.1 200 OK\r\n" + head, most=1000)
            assert caught.value.message.code == "remote.too_large"

    @pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 404 N\r\n\r\n", b"HTTP/1.1 304 N\r\n\r\n"])
    def test_no_picture(self, answer: bytes) -> None:
        with pytest.raises(RemoteRefused):
            self.ask(lambda _: answer)

    def test_round_in_circles(self) -> None:
        count: list[bytes] = []
        with pytest.raises(RemoteRefused) as caught:
            self.ask(lambda request: count.append(request) or b"HTTP/1.1 302 F\r\nLocation: /b\r\n\r\n")
        assert caught.value.message.code == "remote.redirects"
        assert len(count) == 4

    def test_off(self, canary: Canary) -> None:
        refused(RemoteImages(enabled=False), f"http://127.0.0.1:{canary.port}/")
        assert canary.hits == []


TAKES_ADDRESSES: dict[str, Callable[[str], dict[str, object]]] = {
    "/sdapi/v1/img2img": lambda one: {"prompt": "x", "init_images": [one]},
    "/sdapi/v1/extra-single-image": lambda one: {"image": one, "upscaler_1": "Lanczos"},
    "/sdapi/v1/png-info": lambda one: {"image": one},
    "/sdapi/v1/interrogate": lambda one: {"image": one},
    "/v1/images/edits": lambda one: {"prompt": "x", "images": [{"image_url": one}]},
    "/v1/images/variations": lambda one: {"images": [{"image_url": one}]},
    "/api/inputs": lambda one: {"url": one},
    "/v1/chat/completions": lambda one: {
        "model": "echo",
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": one}}]}],
    },
}


def test_doors_that_take_addresses(canary: Canary, tmp_path: Path) -> None:
    with Server(tmp_path / "data", ATELIER_REMOTE_IMAGES="1") as server:
        add_chat_model(server, tmp_path)
        for path, body in TAKES_ADDRESSES.items():
            for spelling in SPELLINGS[:8]:
                answer = server.client.post(path, json=body(spelling.replace("{port}", str(canary.port))))
                assert answer.status_code in {400, 422}, (path, spelling, answer.text)
                assert "public" in answer.text, (path, spelling)
    assert canary.hits == []


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2002:808:808::1", "::ffff:8.8.8.8"]
)
def test_the_internet_is_public(address: str) -> None:
    assert is_public(address)


# Who speaks HTTP at all: to where a client points, to workers over their sockets, to where a setting points.
CLIENTS = {"aiohttp", "h11", "http.client", "httpcore", "httpx", "httpx2", "requests", "urllib.request", "urllib3"}
MAY = {
    "atelier/remote.py": {"h11"},
    "atelier/runtime/client.py": {"aiohttp"},
    "atelier/creatures/remote_names.py": {"aiohttp"},
    "atelier/chat/benchmark_cli.py": {"aiohttp"},  # a program of its own: it measures whatever server it is given
}


def test_nobody_else_speaks_http() -> None:
    speaking = {}
    for path in sorted((BACKEND / "atelier").rglob("*.py")):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found = {client for client in CLIENTS for name in names if name == client or name.startswith(f"{client}.")}
        if found:
            speaking[str(path.relative_to(BACKEND))] = found
    assert speaking == MAY
