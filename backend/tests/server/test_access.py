"""Who may call what: every route declares it, and the front refuses strange hosts and origins."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import jwt
import pytest
from atelier.access.actor import Door, check_declared, declared_access
from atelier.config import BadSetting, ServerSettings, read_settings
from atelier.dialects import dialect_of
from atelier.hosts import Hosts
from atelier.main import ROUTERS, create_app
from fastapi import APIRouter
from fastapi.routing import APIRoute
from serving import Server

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = {"/health", "/docs", "/docs/start.js", "/api/access/me", "/api/access/session", "/token"}
# What an error's body has in each API.
ERROR_KEYS = {
    "atelier": {"type", "title", "status", "detail", "code", "hint", "errors", "request_id"},
    "openai": {"error"},
    "automatic1111": {"error", "detail", "body", "errors"},
    "creatures": {"code", "message"},
    "imagen": {"detail"},
}
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    data = tmp_path_factory.mktemp("locked") / "data"
    with Server(data, ATELIER_TOKEN=TOKEN, OPENAI_API_KEYS="k1,k2", POKEMON_BEARER_TOKEN="p1") as running:
        yield running


@pytest.fixture(scope="module")
def forged(locked: Server) -> dict[str, str]:
    """Tokens that look like those of POST /token, by what is wrong with them; and one with which nothing is."""
    form = {"username": "admin", "password": TOKEN}
    right = locked.client.post("/token", data=form).json()["access_token"]
    secret = (locked.data_dir / "secrets" / "sign-in.key").read_bytes()
    claims = jwt.decode(right, secret, algorithms=["HS256"])
    past = {**claims, "iat": claims["iat"] - 90000, "exp": claims["iat"] - 1}
    return {
        "right": right,
        "expired": jwt.encode(past, secret, "HS256"),
        "alg none": jwt.encode(claims, None, "none"),
        "other secret": jwt.encode(claims, b"x" * 64, "HS256"),
    }


def ask(server: Server, route: APIRoute, credential: str) -> Any:
    path = route.path.replace("{", "").replace("}", "")
    method = sorted(route.methods)[0]
    headers = {"Authorization": credential} if credential else {}
    return server.client.request(method, path, headers=headers, json={} if method == "POST" else None)


class TestDeclaration:
    def test_every_route_declares_exactly_one(self) -> None:
        assert len(ROUTES) > 15
        check_declared(ROUTERS)

    def test_what_stands_in_the_signature_is_what_guards(self) -> None:
        """The start looks at signatures only; what FastAPI makes of a route has that one declaration and no other."""
        assert [route.path for route in ROUTES if len(declared_access(route)) != 1] == []

    def test_only_these_are_public(self) -> None:
        assert {route.path for route in ROUTES if declared_access(route)[0].role is None} == PUBLIC

    def test_a_route_without_a_declaration_is_refused_at_start(self) -> None:
        router = APIRouter()

        @router.get("/forgotten")
        async def forgotten() -> None: ...

        with pytest.raises(RuntimeError, match="/forgotten"):
            check_declared([router])

    def test_all_routes_of_the_application_come_from_checked_routers(self) -> None:
        app = create_app(read_settings({})).app  # type: ignore[attr-defined]
        described = set(app.openapi()["paths"])
        assert described <= {re.sub(r":\w+}", "}", route.path) for route in ROUTES}


class TestToken:
    @pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{sorted(route.methods)[0]} {route.path}")
    def test_nothing_but_public_routes_answers(self, locked: Server, route: APIRoute, forged: dict[str, str]) -> None:
        """Without a credential, with a wrong one, and with one that opens another door only."""
        credentials = ["", "Basic", "Bearer wrong", "Basic " + TOKEN, "Bearer", f"Bearer {TOKEN[:-1]}", "Basic YTpi"]
        credentials += [f"Bearer {token}" for what, token in forged.items() if what != "right"]
        door = declared_access(route)[0].door
        credentials += [] if door in {Door.OPENAI, Door.CREATURES} else ["Bearer k1"]
        credentials += [] if door is Door.CREATURES else ["Bearer p1"]
        dialect = dialect_of(route.path)
        for credential in credentials:
            # Few passwords, so that the brake on guessing stays out of it.
            if door is Door.BASIC and credential == "Basic YTpi" and not route.path.endswith("txt2img"):
                continue
            answer = ask(locked, route, credential)
            if route.path in PUBLIC:
                assert answer.status_code != 401 or route.path == "/api/access/session", credential
            else:
                assert answer.status_code == 401, credential
                scheme = 'Basic realm="Atelier"' if door is Door.BASIC else "Bearer"
                assert answer.headers["www-authenticate"] == scheme
                assert set(answer.json()) >= ERROR_KEYS[dialect], answer.text

    def test_a_token_of_a_sign_in_opens_every_door(self, locked: Server, forged: dict[str, str]) -> None:
        asked = [route for route in ROUTES if route.methods == {"GET"} and "{" not in route.path]
        asked = [route for route in asked if "/hub" not in route.path]  # asks another machine
        assert len(asked) > 10
        for route in asked:
            assert ask(locked, route, f"Bearer {forged['right']}").status_code != 401, route.path

    @pytest.mark.parametrize("path", ["/api/jobs/", "//api/jobs", "/api//jobs", "/api/jobs?x=/docs", "/API/jobs"])
    def test_other_spellings_open_nothing(self, locked: Server, path: str) -> None:
        answer = locked.client.get(path, follow_redirects=True)
        assert answer.status_code in {401, 404}

    def test_the_token_opens(self, locked: Server) -> None:
        answer = locked.client.get("/api/jobs", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200

    def test_a_browser_gets_a_cookie_that_no_script_can_read(self, locked: Server) -> None:
        answer = locked.client.post("/api/access/session", json={"token": TOKEN})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in answer.headers["set-cookie"]
        assert locked.client.get("/api/jobs").status_code == 200
        assert locked.client.get("/api/access/me").json()["role"] == "admin"
        assert locked.client.delete("/api/access/session").status_code == 204
        assert locked.client.get("/api/jobs").status_code == 401

    def test_the_token_stands_in_no_log_and_no_file(self, locked: Server) -> None:
        locked.client.get("/api/jobs", headers={"Authorization": f"Bearer {TOKEN}"})
        assert TOKEN not in locked.log_path.read_text()
        for path in locked.data_dir.rglob("*"):
            if path.is_file():
                assert TOKEN.encode() not in path.read_bytes(), path

    def test_guessing_is_slowed_down(self, own_server: object) -> None:
        server = own_server(ATELIER_TOKEN=TOKEN)  # type: ignore[operator]
        answers = [server.client.post("/api/access/session", json={"token": "wrong"}).status_code for _ in range(7)]
        assert answers[:5] == [401] * 5
        assert answers[5:] == [429, 429]


class TestHostAndOrigin:
    def raw(self, server: Server, request: bytes) -> bytes:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(request)
            return connection.recv(65536)

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "x/docs?", "a/?x=", "h/#", "h@e", "", "localhost.evil", "127.0.0.1.evil:80", "localhost@evil"],
    )
    @pytest.mark.parametrize("path", ["/api/jobs", "/health", "/"])
    def test_other_hosts_are_refused(self, server: Server, host: str, path: str) -> None:
        answer = self.raw(server, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.split(b" ", 2)[1] in {b"421", b"400"}

    def test_two_hosts_are_refused(self, server: Server) -> None:
        request = b"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        assert self.raw(server, request).split(b" ", 2)[1] in {b"421", b"400"}

    @pytest.mark.parametrize(
        "origin",
        [
            "null",
            "http://evil.example",
            "http://localhost.evil",
            "http://localhost:1",
            "https://127.0.0.1",
            "x",
            "http://",
        ],
    )
    def test_other_sites_may_not_change_anything(self, server: Server, origin: str) -> None:
        headers = {"Origin": origin}
        answer = server.client.post("/api/generate/text-to-image", json={"prompt": "x"}, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["code"] == "origin_not_allowed"
        assert "access-control-allow-origin" not in answer.headers

    def test_the_own_page_and_programs_may(self, server: Server) -> None:
        own = server.client.post("/api/jobs/x/retry", headers={"Origin": server.url})
        assert own.status_code == 404
        assert server.client.post("/api/jobs/x/retry").status_code == 404

    def test_the_live_socket_says_that_it_is_one(self, server: Server) -> None:
        answer = server.client.get("/api/live")
        assert (answer.status_code, answer.json()["code"]) == (426, "upgrade_required")
        assert answer.headers["upgrade"] == "websocket" and answer.json()["hint"]
        assert server.client.post("/api/live").status_code == 404

    def test_the_dashboard_comes_compressed_and_nothing_else_does(self, own_server: object, tmp_path: Path) -> None:
        (tmp_path / "assets").mkdir()
        (tmp_path / "index.html").write_text("<!doctype html>")
        script = tmp_path / "assets" / "page-0.js"
        script.write_text("const words = 'red dragon';\n" * 1000)
        server = own_server(ATELIER_FRONTEND_DIR=str(tmp_path))  # type: ignore[operator]
        packed = server.client.get("/assets/page-0.js", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip" and packed.text == script.read_text()
        assert "immutable" in packed.headers["cache-control"]
        plain = server.client.get("/assets/page-0.js", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.text == script.read_text()
        part = server.client.get("/assets/page-0.js", headers={"Range": "bytes=0-4"})
        assert (part.status_code, part.text) == (206, "const")
        assert "content-encoding" not in server.client.get("/openapi.json").headers

    def test_an_advertised_host_is_answered(self, own_server: object) -> None:
        server = own_server(ADVERTISED_HOSTS="studio.example, other.example")  # type: ignore[operator]
        assert server.client.get("/health", headers={"Host": "studio.example:8000"}).status_code == 200
        refused = server.client.get("/health", headers={"Host": "evil.example"})
        assert refused.status_code == 421
        assert f"{server.url}," in refused.json()["hint"]

    def test_whoever_listens_everywhere_is_opened_by_an_address_that_is_one(self) -> None:
        for host in ("0.0.0.0", "::"):
            refused = Hosts(ServerSettings(host=host, port=8123)).refuse(1, b"evil.example", None, checked=False)
            assert refused is not None and "http://127.0.0.1:8123," in refused[3]
        refused = Hosts(ServerSettings(host="::1", port=1)).refuse(1, b"evil.example", None, checked=False)
        assert refused is not None and "http://[::1]:1," in refused[3]


class TestSettings:
    def test_beyond_loopback_needs_a_credential(self) -> None:
        with pytest.raises(BadSetting, match="ATELIER_TOKEN"):
            read_settings({"HOST": "0.0.0.0"})
        assert read_settings({"HOST": "0.0.0.0", "ATELIER_TOKEN": TOKEN}).access.token == TOKEN

    def test_a_short_token_is_refused(self) -> None:
        with pytest.raises(BadSetting, match="16"):
            read_settings({"ATELIER_TOKEN": "short"})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PORT", "eighty"),
            ("PORT", "70000"),
            ("PORT", "²"),
            ("PORT", "9" * 5000),
            ("ATELIER_QUEUE_LIMIT", "0"),
            ("ATELIER_IDLE_SECONDS", "-1"),
            ("LOG_LEVEL", "x"),
        ],
    )
    def test_bad_settings_name_their_variable(self, name: str, value: str) -> None:
        with pytest.raises(BadSetting, match=name):
            read_settings({name: value})
