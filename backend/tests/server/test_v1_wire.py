"""/v1 as bytes: what HTTP allows and libraries rarely send, and what it does not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from chat_models import add_chat_model
from serving import Server

PAGE = "http://localhost:3000"
KEY = {"authorization": "Bearer sk-one-0123456789"}
UPGRADE = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
"""As Java's HTTP client sends it with every request."""


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("wire")
    keys = "sk-one-0123456789,sk-two-0123456789"
    with Server(folder / "data", OPENAI_API_KEYS=keys, CORS_ORIGINS=f"{PAGE}, https://chat.example") as server:
        add_chat_model(server, folder)
        yield server


def body(**more: object) -> dict[str, object]:
    return {"model": "echo", "messages": [{"role": "user", "content": "Hello"}], **more}


def request(version: str = "1.1", headers: str = "", **more: object) -> bytes:
    raw = json.dumps(body(**more)).encode()
    head = f"POST /v1/chat/completions HTTP/{version}\r\nhost: 127.0.0.1\r\nauthorization: {KEY['authorization']}\r\n"
    return f"{head}{headers}content-length: {len(raw)}\r\n\r\n".encode() + raw


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=10)


def answer(server: Server, *pieces: bytes, end: bytes = b"") -> bytes:
    """All that comes until the connection's end, or until `end` came."""
    found = b""
    with connected(server) as wire:
        try:
            for piece in pieces:
                wire.sendall(piece)
            while not (end and end in found) and (more := wire.recv(65536)):
                found += more
        except ConnectionError:
            pass
    return found


def test_an_old_client_gets_no_chunks(chat: Server) -> None:
    found = answer(chat, request("1.0", stream=True))
    head, _, events = found.partition(b"\r\n\r\n")
    assert b"200 OK" in head and b"connection: close" in head and b"chunked" not in head
    assert events.startswith(b"data: {") and events.endswith(b"data: [DONE]\n\n")
    assert answer(chat, request("1.0", "expect: 100-continue\r\n")).startswith(b"HTTP/1.1 200"), "nothing before it"


@pytest.mark.parametrize("cut", [0, 40, 150, 420])
def test_an_upgrade_that_nobody_speaks_is_none(chat: Server, cut: int) -> None:
    asked = request(headers=UPGRADE)
    found = answer(chat, asked[:cut], asked[cut:], end=b'"usage"')
    assert found.startswith(b"HTTP/1.1 200"), found
    two = answer(chat, asked + request(headers=UPGRADE + "connection: close\r\n"))
    assert two.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "pieces",
    [
        [b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ", *[b"a" * 65536] * 16],
        [b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n", *[b"x: a\r\n" * 10_000] * 16],
        [b"GET /", *[b"a" * 65536] * 16],
        [request().replace(b"content-length", b"x").partition(b"\r\n\r\n")[0]
         + b"\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", *[b"x: a\r\n" * 10_000] * 16],
        [request().replace(b"content-length", b"x").partition(b"\r\n\r\n")[0]
         + b"\r\ntransfer-encoding: chunked\r\n\r\n2;x=", *[b"a" * 65536] * 16],
    ],
    ids=["one header", "many headers", "an address", "trailers", "an extension"],
)  # fmt: skip
def test_first_and_last_lines_without_end(chat: Server, pieces: list[bytes]) -> None:
    begun = time.monotonic()
    found = answer(chat, *pieces)
    assert time.monotonic() - begun < 5, "it was hung up on, not waited for"
    assert not found or found[9:12] in (b"431", b"400"), found
    assert chat.client.post("/v1/chat/completions", json=body(), headers=KEY).is_success


def test_what_stands_after_a_body_is_no_header(chat: Server) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
    trailer = b"authorization: " + KEY["authorization"].encode()
    found = answer(chat, head + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n%b\r\n\r\n" % trailer)
    assert found.startswith(b"HTTP/1.1 401")


def test_who_sent_ahead_and_hangs_up_is_noticed(chat: Server) -> None:
    wire = connected(chat)
    wire.sendall(request(stream=True, fake={"tokens": 5000, "delay_ms": 20}) + request())
    assert b"200 OK" in wire.recv(65536)
    wire.close()
    deadline = time.monotonic() + 8
    while 'in_flight{model="echo"} 0' not in (told := chat.client.get("/metrics").text):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    assert "unexpected" not in chat.log_path.read_text()


def test_the_first_of_two_credentials_counts(chat: Server) -> None:
    """What is remembered as a valid key is the one that was looked at."""
    ask = chat.client.post
    two = [("authorization", KEY["authorization"]), ("authorization", "Bearer sk-made-up-by-me")]
    assert ask("/v1/chat/completions", json=body(), headers=two).is_success  # type: ignore[arg-type]
    alone = ask("/v1/chat/completions", json=body(), headers={"authorization": "Bearer sk-made-up-by-me"})
    assert alone.status_code == 401


class TestPagesOfOtherSites:
    def test_a_page_that_is_named_may_call(self, chat: Server) -> None:
        asked = {
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-stainless-os",
        }
        before = chat.client.options("/v1/chat/completions", headers=asked)
        assert before.status_code == 204 and before.headers["access-control-allow-origin"] == PAGE
        assert before.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
        for told in (
            chat.client.get("/v1/models", headers={"origin": PAGE, **KEY}),
            chat.client.post("/v1/chat/completions", json=body(), headers={"origin": PAGE, **KEY}),
            chat.client.post("/v1/chat/completions", json=body(stream=True), headers={"origin": PAGE, **KEY}),
            chat.client.post("/v1/chat/completions", json=body(), headers={"origin": PAGE}),
        ):
            assert told.status_code in (200, 401), told.text
            assert told.headers["access-control-allow-origin"] == PAGE and "origin" in told.headers["vary"]
            assert "access-control-allow-credentials" not in told.headers

    @pytest.mark.parametrize("origin", ["null", "http://localhost:3001", f"{PAGE}.evil", "https://localhost:3000"])
    def test_no_other_may(self, chat: Server, origin: str) -> None:
        asked = {"origin": origin, "access-control-request-method": "POST"}
        told = [
            chat.client.options("/v1/chat/completions", headers=asked),
            chat.client.post("/v1/chat/completions", json=body(), headers={"origin": origin, **KEY}),
        ]
        assert [one.status_code for one in told] == [405, 403]
        assert all("access-control-allow-origin" not in one.headers for one in told)

    def test_the_dashboards_own_api_stays_closed(self, chat: Server) -> None:
        told = chat.client.post("/api/generate/text-to-image", json={"prompt": "x"}, headers={"origin": PAGE})
        assert told.status_code == 403 and "access-control-allow-origin" not in told.headers
