"""Accounts, their tokens, passwords and keys: who comes in through which door, and who does not."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from atelier import cli
from atelier.access.accounts import Accounts
from atelier.access.actor import LOCAL_ADMIN, Door, Role
from atelier.access.gate import Gate
from atelier.access.limit import SignInLimit, TooManyAttempts
from atelier.access.tokens import Tokens
from atelier.config import AccessSettings
from atelier.db import Database
from atelier.errors import BadRequest, Conflict
from serving import BACKEND, Server
from starlette.datastructures import Headers
from tests.databases import migrated

TOKEN = "0123456789abcdef0123456789abcdef"
PASSWORD = "four plain old words"
KEYS = ("sk-first-key", "sk-second-key")


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
async def accounts(tmp_path: Path) -> Any:
    path = tmp_path / "atelier.db"
    migrated(path)
    database = Database(path)
    made = Accounts(database)
    await made.start()
    yield made
    await database.close()


class Rig:
    """A gate over real accounts, asked as routes ask it."""

    def __init__(self, accounts: Accounts, folder: Path, **settings: Any) -> None:
        self.accounts, self.tokens = accounts, Tokens(folder / "secrets")
        self.gate = Gate(AccessSettings(**settings), accounts, self.tokens, SignInLimit())

    async def who(self, authorization: str | None, door: Door = Door.OWN, address: str = "1.2.3.4") -> str | None:
        headers = Headers({} if authorization is None else {"authorization": authorization})
        actor = await self.gate.identify(headers, door, address)
        return actor and actor.name


class TestAccounts:
    async def test_a_name_is_taken_once_however_it_is_written(self, accounts: Accounts) -> None:
        await accounts.add("José", PASSWORD, Role.USER)
        for again in ("José", " josé ", "JOSÉ", "Jose\u0301"):
            with pytest.raises(Conflict):
                await accounts.add(again, PASSWORD, Role.USER)

    @pytest.mark.parametrize("name", ["", "  ", "a:b", "a\nb", "x" * 65, "\u200b", "a\0"])
    async def test_names_that_cannot_be(self, accounts: Accounts, name: str) -> None:
        with pytest.raises(BadRequest) as caught:
            await accounts.add(name, PASSWORD, Role.USER)
        assert caught.value.field == "name"

    @pytest.mark.parametrize("password", ["", "seven77", "x" * 1025])
    async def test_passwords_that_cannot_be(self, accounts: Accounts, password: str) -> None:
        with pytest.raises(BadRequest) as caught:
            await accounts.add("ana", password, Role.USER)
        assert caught.value.field == "password"
        assert accounts.all() == []

    async def test_the_row_holds_a_hash_and_a_restart_knows_it(self, accounts: Accounts) -> None:
        account = await accounts.add("ana", PASSWORD, Role.ADMIN)
        assert (account.password_hash or "").startswith("$argon2id$")
        again = Accounts(accounts._database)
        await again.start()
        assert await again.check("ana", PASSWORD) == account
        assert await again.check("ana", PASSWORD + "x") is None
        assert await again.check("nobody", PASSWORD) is None

    async def test_a_removed_account_leaves_its_row(self, accounts: Accounts) -> None:
        account = await accounts.add("ana", PASSWORD, Role.USER)
        await accounts.remove("ana")
        assert await accounts.check("ana", PASSWORD) is None
        assert accounts.all() == []
        assert accounts.row(account.id) is not None
        assert (await accounts.add("ana", PASSWORD, Role.USER)).id != account.id, "another ana gets nothing of hers"

    async def test_a_password_is_hashed_once_for_many_requests(self, accounts: Accounts) -> None:
        await accounts.add("ana", PASSWORD, Role.USER)
        hashed: list[str] = []
        verify = accounts._verify
        accounts._verify = lambda password, expected: hashed.append(password) or verify(password, expected)  # type: ignore[method-assign]
        for _ in range(5):
            assert await accounts.check("ana", PASSWORD)
        assert len(hashed) == 1
        await accounts.set_password("ana", "another good password")
        assert await accounts.check("ana", PASSWORD) is None, "what was remembered is worthless after a change"


class TestDoors:
    """Which credential opens which door. `closed`: with ATELIER_TOKEN; `open`: on loopback without anything."""

    @pytest.fixture
    async def closed(self, accounts: Accounts, tmp_path: Path) -> Rig:
        rig = Rig(accounts, tmp_path, token=TOKEN, api_keys=KEYS, creatures_token="pikachu")
        await accounts.ensure(rig.gate.key_holders())
        await accounts.add("ana", PASSWORD, Role.USER)
        return rig

    async def test_the_matrix(self, closed: Rig) -> None:
        ana = closed.accounts.named("ana")
        assert ana
        bearer = "Bearer " + await closed.gate.token_for(ana)
        given = {
            "none": None, "empty": "", "empty basic": "Basic ", "token": f"Bearer {TOKEN}", "jwt": bearer,
            "key": f"Bearer {KEYS[1]}", "creatures": "Bearer pikachu", "basic": basic("ana", PASSWORD),
            "basic token": basic("you", TOKEN), "wrong basic": basic("ana", "wrong"), "wrong": "Bearer wrong",
        }  # fmt: skip
        opens = {
            Door.OWN: {"token": "You", "jwt": "ana"},
            Door.OPENAI: {"token": "You", "jwt": "ana", "key": "API key 2"},
            Door.BASIC: {"token": "You", "jwt": "ana", "basic": "ana", "basic token": "You"},
            Door.TOKEN: {"token": "You", "jwt": "ana"},
            Door.CREATURES: {"token": "You", "jwt": "ana", "key": "API key 2", "creatures": "Creature service"},
        }
        for door, names in opens.items():
            found = {what: who for what, credential in given.items() if (who := await closed.who(credential, door))}
            assert found == names, door

    @pytest.mark.parametrize("credential", [None, "", "Basic ", "Basic Og==", "Bearer", "Bearer sk-whatever", "x y"])
    async def test_an_open_atelier_takes_whatever_clients_have_to_send(
        self, accounts: Accounts, tmp_path: Path, credential: str | None
    ) -> None:
        rig = Rig(accounts, tmp_path)
        await accounts.add("ana", PASSWORD, Role.USER)  # accounts alone close nothing
        for door in (Door.OWN, Door.OPENAI, Door.BASIC, Door.CREATURES):
            assert await rig.who(credential, door) == LOCAL_ADMIN.name
        assert await rig.who(credential, Door.TOKEN) is None

    async def test_on_an_open_atelier_an_account_acts_as_itself(self, accounts: Accounts, tmp_path: Path) -> None:
        rig = Rig(accounts, tmp_path)
        ana = await accounts.add("ana", PASSWORD, Role.USER)
        assert await rig.who("Bearer " + await rig.gate.token_for(ana)) == "ana"
        assert await rig.who(basic("ana", PASSWORD), Door.BASIC) == "ana"

    async def test_a_key_closes_its_own_door_only(self, accounts: Accounts, tmp_path: Path) -> None:
        rig = Rig(accounts, tmp_path, api_keys=KEYS)
        assert await rig.who(None, Door.OPENAI) is None
        assert await rig.who("Bearer wrong", Door.OPENAI) is None
        assert await rig.who(f"Bearer {KEYS[0]}", Door.OPENAI) == "API key 1"
        assert await rig.who(None, Door.OWN) == await rig.who(None, Door.CREATURES) == LOCAL_ADMIN.name

    async def test_sign_in_closes_loopback(self, accounts: Accounts, tmp_path: Path) -> None:
        rig = Rig(accounts, tmp_path, sign_in=True)
        ana = await accounts.add("ana", PASSWORD, Role.USER)
        for door in Door:
            assert await rig.who(None, door) is None
        assert await rig.who("Bearer " + await rig.gate.token_for(ana)) == "ana"
        assert not rig.gate.accepts(""), "no token is set: none is right"

    async def test_a_key_keeps_its_user_wherever_it_stands(self, accounts: Accounts, tmp_path: Path) -> None:
        first = Rig(accounts, tmp_path, api_keys=KEYS)
        turned = Rig(accounts, tmp_path, api_keys=KEYS[::-1])
        headers = Headers({"authorization": f"Bearer {KEYS[0]}"})
        one, other = [await rig.gate.identify(headers, Door.OPENAI) for rig in (first, turned)]
        assert one and other and one.id == other.id and one.role is Role.USER

    async def test_guessing_passwords_is_slowed_down_by_address(self, closed: Rig) -> None:
        for _ in range(5):
            assert await closed.who(basic("ana", "wrong"), Door.BASIC) is None
        with pytest.raises(TooManyAttempts):
            await closed.who(basic("ana", PASSWORD), Door.BASIC)
        assert await closed.who(basic("ana", PASSWORD), Door.BASIC, address="5.6.7.8") == "ana"
        assert await closed.who(f"Bearer {TOKEN}", Door.BASIC) == "You", "a right token is no guess"


class TestTokens:
    @pytest.fixture
    async def rig(self, accounts: Accounts, tmp_path: Path) -> Rig:
        await accounts.add("ana", PASSWORD, Role.USER)
        return Rig(accounts, tmp_path, token=TOKEN)

    async def token(self, rig: Rig) -> tuple[str, bytes, dict[str, Any]]:
        ana = rig.accounts.named("ana")
        assert ana
        token = await rig.gate.token_for(ana)
        secret = rig.tokens._path.read_bytes()
        return token, secret, jwt.decode(token, secret, algorithms=["HS256"])

    async def test_it_says_who_and_for_how_long(self, rig: Rig) -> None:
        token, _secret, claims = await self.token(rig)
        assert claims["exp"] - claims["iat"] == 12 * 3600
        assert abs(claims["iat"] - time.time()) < 60
        assert set(claims) == {"sub", "iat", "exp", "ver"}
        assert await rig.who(f"Bearer {token}") == "ana"

    async def test_the_secret_is_made_once_and_for_nobody_else(self, rig: Rig, tmp_path: Path) -> None:
        token, secret, _ = await self.token(rig)
        assert len(secret) == 64
        assert stat.S_IMODE(rig.tokens._path.stat().st_mode) == 0o600
        assert stat.S_IMODE(rig.tokens._path.parent.stat().st_mode) == 0o700
        assert await Tokens(tmp_path / "secrets").read(token), "a restart takes the same secret"
        assert await Tokens(tmp_path / "elsewhere").read(token) is None

    async def test_forged_ones(self, rig: Rig) -> None:
        token, secret, claims = await self.token(rig)
        header, body, signature = token.split(".")
        past = {**claims, "iat": claims["iat"] - 90000, "exp": claims["iat"] - 1}
        forged = {
            "expired": jwt.encode(past, secret, "HS256"),
            "no algorithm": jwt.encode(claims, None, "none"),
            "other secret": jwt.encode(claims, b"x" * 64, "HS256"),
            "other algorithm": jwt.encode(claims, secret, "HS512"),
            "no end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, secret, "HS256"),
            "no version": jwt.encode({k: v for k, v in claims.items() if k != "ver"}, secret, "HS256"),
            "other version": jwt.encode({**claims, "ver": "0" * 16}, secret, "HS256"),
            "unknown user": jwt.encode({**claims, "sub": "user_0"}, secret, "HS256"),
            "the administrator": jwt.encode({**claims, "sub": "local"}, secret, "HS256"),
            "issued tomorrow": jwt.encode({**claims, "iat": claims["iat"] + 90000}, secret, "HS256"),
            "unsigned": f"{header}.{body}.",
            "cut": token[:-2],
            "other body": f"{header}.{body[:-2]}AA.{signature}",
            "nonsense": "a.b.c",
            "huge": "a." + "b" * 3000 + ".c",
        }
        passed = {what: who for what, one in forged.items() if (who := await rig.who(f"Bearer {one}"))}
        assert passed == {}

    async def test_another_password_ends_every_session(self, rig: Rig) -> None:
        token, _, _ = await self.token(rig)
        await rig.accounts.set_password("ana", "another good password")
        assert await rig.who(f"Bearer {token}") is None
        fresh, _, _ = await self.token(rig)
        await rig.accounts.remove("ana")
        assert await rig.who(f"Bearer {fresh}") is None

    async def test_another_access_token_ends_the_administrators(
        self, rig: Rig, accounts: Accounts, tmp_path: Path
    ) -> None:
        account = await rig.gate.sign_in("admin", TOKEN, "")
        assert account
        bearer = "Bearer " + await rig.gate.token_for(account)
        assert await rig.who(bearer) == "You"
        other = Rig(accounts, tmp_path, token=TOKEN[::-1])
        assert await other.who(bearer) is None


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("accounts") / "data"
    with Server(data, ATELIER_TOKEN=TOKEN, OPENAI_API_KEYS=",".join(KEYS)) as running:
        running.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield running


def sign_in(server: Server, name: str, password: str) -> str:
    answer = server.client.post("/token", data={"username": name, "password": password}, headers={"Authorization": ""})
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "bearer"
    return answer.json()["access_token"]


class TestServer:
    def test_an_account_from_its_making_to_its_end(self, studio: Server) -> None:
        client = studio.client
        made = client.post("/api/users", json={"name": "eva", "password": PASSWORD})
        assert made.status_code == 201, made.text
        assert made.json()["role"] == "user" and "password" not in made.text
        assert client.post("/api/users", json={"name": "EVA", "password": PASSWORD}).status_code == 409
        as_eva = {"Authorization": "Bearer " + sign_in(studio, "eva", PASSWORD)}
        assert client.get("/api/access/me", headers=as_eva).json()["name"] == "eva"
        assert client.get("/api/users", headers=as_eva).status_code == 403
        changed = client.put("/api/users/eva/password", json={"password": "another good password"})
        assert changed.status_code == 200
        assert client.get("/api/jobs", headers=as_eva).status_code == 401
        sign_in(studio, "eva", "another good password")
        assert client.delete("/api/users/eva").status_code == 200
        assert client.delete("/api/users/eva").status_code == 404
        assert client.get("/api/users").json()["items"] == []

    def test_pictures_belong_to_who_signed_in(self, studio: Server) -> None:
        for name in ("tom", "ida"):
            studio.client.post("/api/users", json={"name": name, "password": PASSWORD})
        tom, ida = ({"Authorization": "Bearer " + sign_in(studio, name, PASSWORD)} for name in ("tom", "ida"))
        job = studio.client.post(
            "/api/generate/text-to-image", json={"prompt": "a cat", "steps": 60}, headers=tom
        ).json()["job_id"]
        assert studio.client.get(f"/api/generate/{job}", headers=tom).status_code == 200
        assert studio.client.get(f"/api/generate/{job}", headers=ida).status_code == 404
        told = studio.client.get("/api/models/creatures/consequences", headers=ida).json()["jobs"]
        assert all(one["title"] == "•••" for one in told if one["id"] == job), "what somebody drew is theirs"
        studio.wait_for(job)

    def test_what_somebody_keeps_to_themselves_has_no_name_for_others(self, studio: Server) -> None:
        def shared(value: bool) -> None:
            with contextlib.closing(sqlite3.connect(studio.data_dir / "atelier.db", timeout=10)) as database:
                database.execute("UPDATE models SET shared = ? WHERE key = 'creatures'", (value,))
                database.commit()

        studio.client.post("/api/users", json={"name": "lea", "password": PASSWORD})
        lea = {"Authorization": "Bearer " + sign_in(studio, "lea", PASSWORD)}
        studio.client.post("/api/admin/models/creatures/unload", json={"force": True})
        shared(False)
        try:
            assert studio.client.get("/api/models/creatures", headers=lea).status_code == 404
            studio.client.post("/api/admin/models/creatures/load")
            until = time.monotonic() + 20
            while studio.client.get("/api/models/creatures").json()["state"] != "ready" and time.monotonic() < until:
                time.sleep(0.05)
            names = []
            for headers in (lea, {}):
                told = studio.client.get("/api/system", headers=headers)
                [worker] = told.json()["workers"]
                names.append(worker["model"])
                assert worker["bytes_leased"] > 0 and ("creatures" in json.dumps(worker)) == (not headers)
            assert names == ["•••", "creatures"]
        finally:
            studio.client.post("/api/admin/models/creatures/unload", json={"force": True})
            shared(True)

    def test_a_browser_signs_in_with_a_name(self, studio: Server) -> None:
        studio.client.post("/api/users", json={"name": "kim", "password": PASSWORD})
        body = {"token": PASSWORD, "username": "kim"}
        answer = studio.client.post("/api/access/session", json=body, headers={"Authorization": ""})
        assert answer.status_code == 204
        try:
            me = studio.client.get("/api/access/me", headers={"Authorization": ""}).json()
            assert me["name"] == "kim" and not me["open"]
        finally:
            studio.client.cookies.clear()
        body["token"] = "wrong password"
        assert studio.client.post("/api/access/session", json=body).status_code == 401

    @pytest.mark.parametrize("form", [{}, {"username": "eva"}, {"username": "x" * 65, "password": "y"}])
    def test_a_form_that_lacks_something_is_told_as_fastapi_tells_it(self, studio: Server, form: dict) -> None:
        answer = studio.client.post("/token", data=form)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"][0] == "body"

    def test_wrong_passwords_are_slowed_down(self, own_server: Any) -> None:
        server = own_server()
        form = {"username": "eva", "password": "wrong"}
        answers = [server.client.post("/token", data=form) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert answers[0].headers["www-authenticate"] == "Bearer"
        assert answers[0].json() == {"detail": "Name or password is wrong."}
        assert int(answers[5].headers["retry-after"]) > 0

    def test_no_secret_stands_in_the_log_or_in_a_file_but_its_own(self, studio: Server) -> None:
        token = sign_in(studio, "admin", TOKEN)
        assert token not in studio.log_path.read_text()
        assert PASSWORD not in studio.log_path.read_text()
        secret = (studio.data_dir / "secrets" / "sign-in.key").read_bytes()
        for path in studio.data_dir.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert PASSWORD.encode() not in content and KEYS[0].encode() not in content, path
                assert path.name == "sign-in.key" or secret not in content, path


class TestCommand:
    @pytest.fixture
    def command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
        """`atelier user …` without a process of its own: (exit status, what it printed, what it complained about)."""

        def run(*arguments: str, given: str = "") -> tuple[int, str, str]:
            monkeypatch.setenv("DATA_DIR", str(tmp_path))
            monkeypatch.setattr("sys.stdin", io.StringIO(given))
            capsys.readouterr()
            return (cli.main(["user", *arguments]), *capsys.readouterr())

        return run

    def test_accounts_from_the_command_line(self, tmp_path: Path, command: Any) -> None:
        added = subprocess.run(
            [sys.executable, "-m", "atelier", "user", "add", "ana", "--role", "admin"],
            cwd=BACKEND, env={"PYTHONPATH": str(BACKEND), "DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
            input=PASSWORD + "\n", capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert added.returncode == 0 and added.stdout.startswith("ana\tadmin\t"), added.stderr
        status, _, complaint = command("passwd", "ana", given="short\n")
        assert status == 1 and "8 to 1024" in complaint
        with Server(tmp_path, ATELIER_SIGN_IN="1") as server:
            bearer = {"Authorization": "Bearer " + sign_in(server, "ana", PASSWORD)}
            assert server.client.get("/api/jobs").status_code == 401
            assert server.client.get("/api/users", headers=bearer).json()["items"][0]["name"] == "ana"
            status, _, complaint = command("list")
            assert status == 2 and "/api/users" in complaint
        assert command("remove", "ana") == (0, "", "")
