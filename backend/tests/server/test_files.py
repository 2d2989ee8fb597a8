"""Files of /v1/files: whole or not there at all, their owner's alone, gone when they should be."""

from __future__ import annotations

import hashlib
import os
import resource
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from serving import Server

KIB = 1024


def upload(
    server: Server, data: bytes = b'{"a": 1}\n', name: str = "in.jsonl", purpose: str = "batch", **form: Any
) -> Any:
    return server.client.post("/v1/files", files={"file": (name, data)}, data={"purpose": purpose, **form})


def content(server: Server, file_id: str, **headers: str) -> Any:
    return server.client.get(f"/v1/files/{file_id}/content", headers=headers)


def kept_files(server: Server) -> list[str]:
    return sorted(path.name for path in (server.data_dir / "files").iterdir())


class TestTakingIn:
    @pytest.mark.parametrize("size", [0, 1, 100 * KIB, 3 * KIB * KIB + 7])
    def test_what_was_sent_is_what_there_is(self, server: Server, size: int) -> None:
        data = os.urandom(size)
        file = upload(server, data, purpose="user_data").json()
        assert (file["object"], file["bytes"], file["purpose"], file["status"]) == (
            "file",
            size,
            "user_data",
            "processed",
        )
        assert abs(file["created_at"] - time.time()) < 60 and file["expires_at"] is None
        answer = content(server, file["id"])
        assert answer.content == data
        assert "attachment" in answer.headers["content-disposition"]
        with sqlite3.connect(server.data_dir / "atelier.db") as database:
            digest = database.execute("SELECT sha256 FROM files WHERE id = ?", [file["id"]]).fetchone()[0]
        assert digest == hashlib.sha256(data).hexdigest()

    def test_fields_may_come_after_the_file(self, server: Server) -> None:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nwords\r\n'
            b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevals\r\n--x--\r\n'
        )
        answer = server.client.post(
            "/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert answer.status_code == 200 and answer.json()["purpose"] == "evals"

    @pytest.mark.parametrize(
        ("name", "shown"),
        [("../../etc/passwd", "passwd"), ("C:\\x\\y.txt", "y.txt"), ("a\nb", "a"), ("é" * 400, "é" * 255)],
    )
    def test_a_name_is_only_for_people(self, server: Server, name: str, shown: str) -> None:
        file = upload(server, name=name).json()
        assert shown in file["filename"] and "/" not in file["filename"]
        assert file["id"] in kept_files(server)

    @pytest.mark.parametrize(
        ("form", "param"),
        [
            ({"purpose": "world"}, "purpose"),
            ({"expires_after[seconds]": "60"}, "expires_after[seconds]"),
            ({"expires_after[seconds]": "soon"}, "expires_after[seconds]"),
        ],
    )
    def test_a_wrong_field_leaves_nothing(self, server: Server, form: dict[str, str], param: str) -> None:
        before = kept_files(server)
        answer = upload(server, **form)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        assert kept_files(server) == before

    def test_no_file(self, server: Server) -> None:
        answer = server.client.post("/v1/files", files={"purpose": (None, "batch")})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")

    def test_no_form(self, server: Server) -> None:
        for headers in ({"content-type": "application/json"}, {"content-type": "multipart/form-data"}, {}):
            answer = server.client.post("/v1/files", content=b"{}", headers=headers)
            assert answer.status_code == 400, headers

    def test_a_connection_that_breaks_leaves_nothing(self, server: Server) -> None:
        import socket

        before = kept_files(server)
        host, port = server.url.removeprefix("http://").split(":")
        head = f"POST /v1/files HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 5000\r\n"
        part = (
            'Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name="file"; '
        )
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f'{head}{part}filename="a"\r\n\r\n{"y" * 2000}'.encode())
            time.sleep(0.3)
        deadline = time.monotonic() + 5
        while kept_files(server) != before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert kept_files(server) == before


class TestLimits:
    def test_at_the_cap_and_past_it(self, own_server: Any) -> None:
        server = own_server(ATELIER_FILE_LIMIT=str(64 * KIB))
        assert upload(server, bytes(64 * KIB)).status_code == 200
        for size in (64 * KIB + 1, 3 * KIB * KIB):  # the second is refused by its announced length
            answer = upload(server, bytes(size))
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")
        assert len(kept_files(server)) == 1

    def test_a_full_disk_is_said_and_nothing_is_left(self, own_server: Any) -> None:
        server = own_server()
        # As a full disk: the process may not write further into any file.
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (8 * KIB * KIB, 8 * KIB * KIB))
        answer = upload(server, bytes(9 * KIB * KIB))
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "file_no_room")
        assert answer.headers["x-should-retry"] == "false"
        assert kept_files(server) == []
        assert upload(server, bytes(KIB)).status_code == 200


class TestLooking:
    def test_pages(self, own_server: Any) -> None:
        server = own_server()
        ids = [
            upload(server, name=f"{at}.jsonl", purpose="batch" if at % 2 else "evals").json()["id"] for at in range(5)
        ]

        def page(**query: Any) -> Any:
            return server.client.get("/v1/files", params=query).json()

        assert [one["id"] for one in page()["data"]] == ids[::-1]
        first = page(limit=2, order="asc")
        assert ([one["id"] for one in first["data"]], first["has_more"]) == (ids[:2], True)
        assert (first["first_id"], first["last_id"]) == (ids[0], ids[1])
        rest = page(limit=3, order="asc", after=ids[1])
        assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[2:], False)
        assert [one["id"] for one in page(purpose="batch")["data"]] == [ids[3], ids[1]]
        assert server.client.get("/v1/files", params={"after": "file-none"}).status_code == 404

    def test_a_part_of_the_content(self, server: Server) -> None:
        file_id = upload(server, b"0123456789").json()["id"]
        answer = content(server, file_id, range="bytes=3-5")
        assert (answer.status_code, answer.content) == (206, b"345")

    def test_another_ones_file_is_not_there(self, own_server: Any) -> None:
        server = own_server(OPENAI_API_KEYS="k1,k2", ATELIER_TOKEN="0123456789abcdef0123456789abcdef")
        one, other = ({"Authorization": f"Bearer {key}"} for key in ("k1", "k2"))
        file = server.client.post("/v1/files", files={"file": b"x"}, data={"purpose": "batch"}, headers=one).json()
        path = f"/v1/files/{file['id']}"
        assert server.client.get(path, headers=one).status_code == 200
        for method, where in (("GET", path), ("GET", f"{path}/content"), ("DELETE", path)):
            assert server.client.request(method, where, headers=other).status_code == 404
        assert server.client.get("/v1/files", headers=other).json()["data"] == []
        assert server.client.get(path).status_code == 401


class TestLettingGo:
    def test_deleted(self, server: Server) -> None:
        file_id = upload(server).json()["id"]
        answer = server.client.delete(f"/v1/files/{file_id}")
        assert answer.json() == {"id": file_id, "object": "file", "deleted": True}
        assert file_id not in kept_files(server)
        assert server.client.get(f"/v1/files/{file_id}").json()["error"]["code"] == "file_not_found"

    def test_expired(self, own_server: Any) -> None:
        server = own_server()
        file = upload(server, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}).json()
        stays = upload(server).json()["id"]
        assert file["expires_at"] - file["created_at"] == 3600
        server.stop()
        with sqlite3.connect(server.data_dir / "atelier.db") as database:
            database.execute("UPDATE files SET expires_at = '2020-01-01 00:00:00.000000' WHERE expires_at IS NOT NULL")
        (server.data_dir / "files" / "file-torn.part").write_bytes(b"half")
        stray = server.data_dir / "files" / "file-stray"
        stray.write_bytes(b"nobody's")
        os.utime(stray, (0, 0))
        server.start()
        assert content(server, file["id"]).status_code == 404
        deadline = time.monotonic() + 10
        while kept_files(server) != [stays] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert kept_files(server) == [stays]

    def test_lost_bytes_are_said(self, server: Server, tmp_path: Path) -> None:
        file_id = upload(server).json()["id"]
        (server.data_dir / "files" / file_id).unlink()
        assert content(server, file_id).json()["error"]["code"] == "file_not_found"
        assert server.client.delete(f"/v1/files/{file_id}").status_code == 200
