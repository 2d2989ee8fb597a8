"""A hub on loopback that speaks Hugging Face's protocol, with a data host of its own on another port, and with faults.

    hub = FakeHub().start(); hub.add(Repo("owner/name", {"config.json": b"…", "model.safetensors": b"…"}))

Spoken: `/api/models` (search), `/api/models/<id>[/revision/<rev>]?blobs=true`, `/api/whoami-v2`, and
`/<id>/resolve/<rev>/<path>` with ETag, X-Repo-Commit, X-Linked-Etag, X-Linked-Size and, for large files, a redirect to
the data host. Every request is noted with its headers, and the bytes of every blob that left the data host are counted.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = {".safetensors", ".bin", ".pt", ".ckpt", ".pkl", ".nemo", ".msgpack", ".onnx", ".h5", ".gguf", ".pth", ".zip"}
DATA_FAULTS = (
    "cut",
    "stall",
    "slow",
    "flip",
    "wrong_length",
    "etag",
    "whole",
    "416",
    "429",
    "503",
    "loop",
    "elsewhere",
)


@dataclass
class Repo:
    """A repository with one commit. `files` maps paths to their content."""

    id: str
    files: dict[str, bytes]
    license: str = "apache-2.0"
    gated: str | bool = False
    private: bool = False
    open_to: set[str] = field(default_factory=set)  # tokens that may read a gated or private one
    library: str | None = None
    pipeline_tag: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    downloads: int = 10
    listed: list[dict[str, Any]] = field(default_factory=list)  # further, made-up lines of the listing

    @property
    def commit(self) -> str:
        return sha1(f"{self.id}{sorted((path, sha1(data)) for path, data in self.files.items())}".encode())

    def digest(self, path: str) -> str:
        data = self.files[path]
        if is_large(path, data):
            return sha256(data)
        return blob_id(data)

    def info(self) -> dict[str, Any]:
        siblings: list[dict[str, Any]] = []
        for path, data in self.files.items():
            line: dict[str, Any] = {"rfilename": path, "size": len(data)}
            line["blobId"] = blob_id(data)
            if is_large(path, data):
                line["lfs"] = {"sha256": self.digest(path), "size": len(data), "pointerSize": 130}
            siblings.append(line)
        return {
            "_id": "0", "id": self.id, "modelId": self.id, "sha": self.commit, "private": self.private,
            "gated": self.gated, "disabled": False, "downloads": self.downloads, "likes": 3,
            "lastModified": "2026-10-01T12:00:00.000Z", "library_name": self.library, "pipeline_tag": self.pipeline_tag,
            "tags": [*self.tags, f"license:{self.license}"], "config": self.config,
            "cardData": {"license": self.license},
            "siblings": siblings + self.listed,
        }  # fmt: skip


@lru_cache(maxsize=1024)
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=1024)
def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@lru_cache(maxsize=1024)
def blob_id(content: bytes) -> str:
    """As git names a file's content."""
    return sha1(b"blob %d\0" % len(content) + content)


def is_large(path: str, data: bytes) -> bool:
    return Path(path).suffix in LARGE or len(data) > 10_000_000


@dataclass
class Seen:
    """A request that arrived. `place` is "hub" or "data"."""

    place: str
    method: str
    path: str
    headers: dict[str, str]


class FakeHub:
    """Two servers on 127.0.0.1: the hub and its data host. `fault(place, path)` names what goes wrong, or None."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.tokens = {"hf_right": "tester"}
        self.seen: list[Seen] = []
        self.sent: Counter[str] = Counter()
        self.fault: Callable[[str, str], str | None] = lambda _place, _path: None
        self.bytes_per_second: float | None = None
        self.happened: Counter[str] = Counter()
        self.closing = threading.Event()
        self._servers: list[ThreadingHTTPServer] = []
        self.blobs: dict[str, bytes] = {}

    def add(self, repo: Repo) -> Repo:
        self.repos[repo.id] = repo
        self.blobs |= {repo.digest(path): data for path, data in repo.files.items()}
        return repo

    def start(self) -> FakeHub:
        for place in ("hub", "data"):
            handler = type(f"{place}Handler", (_Handler,), {"hub": self, "place": place})
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self._servers.append(server)
        return self

    def stop(self) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def data_host(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def __enter__(self) -> FakeHub:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()


class Mix:
    """A seeded mix of faults: `rate` of the requests for data go wrong, `limit` of them at most."""

    def __init__(self, seed: int, rate: float, limit: int, kinds: tuple[str, ...] = DATA_FAULTS) -> None:
        self._random, self._rate, self.left, self._kinds = random.Random(seed), rate, limit, kinds
        self._lock = threading.Lock()

    def __call__(self, place: str, path: str) -> str | None:
        with self._lock:
            if "/api/" in path or self.left <= 0 or self._random.random() > self._rate:
                return None
            self.left -= 1
            return self._random.choice(self._kinds)


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    place: str
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.hub.seen.append(Seen(self.place, self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        try:
            if self.place == "data":
                digest = path.removeprefix("/blobs/")
                if digest in self.hub.blobs:
                    return self._data(digest, f'"data-{digest[:16]}"', {})
            elif path == "/api/whoami-v2":
                return self._whoami()
            elif path == "/api/models":
                return self._search(query)
            elif path.startswith("/api/models/"):
                return self._info(path.removeprefix("/api/models/"))
            elif "/resolve/" in path:
                return self._resolve(*path.strip("/").split("/resolve/", 1))
            self._json(404, {"error": "Not found"}, {"X-Error-Code": "EntryNotFound"})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        return None

    # ── the hub ──

    @property
    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _whoami(self) -> None:
        if (name := self.hub.tokens.get(self._token)) is None:
            return self._json(
                401, {"error": "Invalid"}, {"X-Error-Message": "Invalid credentials in Authorization header"}
            )
        return self._json(
            200, {"name": name, "type": "user", "auth": {"accessToken": {"displayName": "for-tests", "role": "read"}}}
        )

    def _search(self, query: dict[str, list[str]]) -> None:
        words, tag = query.get("search", [""])[0].lower(), query.get("pipeline_tag", [None])[0]
        found = [
            repo for repo in self.hub.repos.values() if words in repo.id.lower() and tag in {None, repo.pipeline_tag}
        ]
        found = [repo for repo in found if set(query.get("filter", [])) <= set(repo.tags)]
        limit = int(query.get("limit", ["20"])[0])
        lines = [{key: value for key, value in repo.info().items() if key != "siblings"} for repo in found[:limit]]
        self._json(200, lines)

    def _info(self, path: str) -> None:
        id_, _, revision = path.partition("/revision/")
        repo = self.hub.repos.get(id_)
        if repo is None or (repo.private and self._token not in repo.open_to):
            return self._json(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if revision not in {"", "main", repo.commit}:
            return self._json(404, {"error": "Revision"}, {"X-Error-Code": "RevisionNotFound"})
        if (fault := self.hub.fault("api", f"/api/{id_}")) in {"429", "503"}:
            return self._busy(fault)
        return self._json(200, repo.info())

    def _resolve(self, id_: str, rest: str) -> None:
        revision, _, path = rest.partition("/")
        repo = self.hub.repos.get(id_)
        if repo is None or (repo.private and self._token not in repo.open_to):
            return self._json(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if repo.gated and self._token not in repo.open_to:
            status = 403 if self._token in self.hub.tokens else 401
            return self._json(status, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
        if path not in repo.files or revision not in {"main", repo.commit}:
            return self._json(404, {"error": "Entry"}, {"X-Error-Code": "EntryNotFound"})
        digest, data = repo.digest(path), repo.files[path]
        headers = {"X-Repo-Commit": repo.commit}
        if not is_large(path, data):
            return self._data(digest, f'"{digest}"', headers)
        fault = self.hub.fault("hub", self.path)
        if fault in {"429", "503"}:
            return self._busy(fault)
        target = f"{self.hub.data_host}/blobs/{digest}?signature=abc"
        if fault == "loop":
            target = self.path
            self.hub.happened["loop"] += 1
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)), "ETag": f'"{digest}"'}
        return self._empty(302, {**headers, "Location": target})

    # ── data, with faults ──

    def _data(self, digest: str, etag: str, headers: dict[str, str]) -> None:
        data = self.hub.blobs[digest]
        fault = self.hub.fault(self.place, self.path) if self.command == "GET" else None
        if fault:
            self.hub.happened[fault] += 1
        match fault:
            case "429" | "503":
                return self._busy(fault)
            case "416":
                return self._empty(416, {"Content-Range": f"bytes */{len(data)}"})
            case "loop":
                return self._empty(302, {"Location": self.path})
            case "elsewhere":
                return self._empty(302, {"Location": f"http://127.0.0.2:{self.server.server_port}/blobs/{digest}"})
            case "etag":
                etag = '"another"'
        first, last = self._range(len(data))
        stands = self.headers.get("If-Range") in {None, etag}
        ranged = "Range" in self.headers and stands and fault != "whole"
        body = data[first : last + 1] if ranged else data
        headers = {**headers, "ETag": etag, "Accept-Ranges": "bytes", "Content-Length": str(len(body))}
        if ranged:
            total = len(data) + (7 if fault == "wrong_length" else 0)
            headers["Content-Range"] = f"bytes {first}-{last}/{total}"
        if fault == "flip" and body:
            at = len(body) // 2
            body = body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :]
        self._head(206 if ranged else 200, headers)
        if self.command == "GET":
            self._body(digest, body, fault)
        return None

    def _body(self, digest: str, body: bytes, fault: str | None) -> None:
        end = len(body) // 2 if fault in {"cut", "stall", "slow"} else len(body)
        step = 16384 if self.hub.bytes_per_second else 1 << 20
        for at in range(0, end, step):
            piece = body[at : min(end, at + step)]
            self.wfile.write(piece)
            self.hub.sent[digest] += len(piece)
            if self.hub.bytes_per_second:
                time.sleep(len(piece) / self.hub.bytes_per_second)
        if fault == "cut":
            self.close_connection = True
        if fault in {"stall", "slow"}:
            for at in range(end, min(end + 20, len(body))):
                if self.hub.closing.wait(0.1):
                    break
                if fault == "slow":
                    self.wfile.write(body[at : at + 1])
                    self.hub.sent[digest] += 1
            self.close_connection = True

    def _range(self, size: int) -> tuple[int, int]:
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        return int(first), min(size - 1, int(last)) if last else size - 1

    def _busy(self, status: str) -> None:
        self._json(int(status), {"error": "busy"}, {"Retry-After": "0"} if status == "429" else {})

    def _json(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        if self.command == "GET":
            self.wfile.write(body)

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": "0"})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
