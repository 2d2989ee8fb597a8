"""A bare HTTP client: sends bytes as they are, which no library would, over one connection that is kept."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

# Signs that stay as they are in a path or a query: what is hostile has to arrive as it was written.
AS_IT_IS = "/%.;:@&=+$,!~*'()\\-_"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to a server of ours; opened anew whenever the server closed it."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._headers = headers or {}
        self._socket: socket.socket | None = None
        self._rest = b""

    def ask(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Answers without a length are read to the connection's end."""
        lines = [f"{method.upper()} {target} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in {**self._headers, **(headers or {})}.items()]
        lines += [f"Content-Length: {len(body or b'')}"] if body is not None or method.upper() != "GET" else []
        request = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass") + (body or b"")
        for again in (True, False):
            try:
                self._connect().sendall(request)
                return self._read()
            except (ConnectionError, EOFError):
                self.close()
                if not again:
                    raise
        raise AssertionError

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket, self._rest = None, b""

    def _connect(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection((self._host, self._port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _more(self) -> None:
        assert self._socket
        chunk = self._socket.recv(65536)
        if not chunk:
            raise EOFError("the server hung up")
        self._rest += chunk

    def _read(self) -> Answer:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split(" ")[1])
        if headers.get("transfer-encoding") == "chunked":
            body = self._chunked()
        else:
            length = int(headers.get("content-length", "0"))
            while len(self._rest) < length:
                self._more()
            body, self._rest = self._rest[:length], self._rest[length:]
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)

    def _chunked(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._rest:
                self._more()
            size, _, self._rest = self._rest.partition(b"\r\n")
            count = int(size, 16)
            while len(self._rest) < count + 2:
                self._more()
            body, self._rest = body + self._rest[:count], self._rest[count + 2 :]
            if not count:
                return body


def in_path(payload: str) -> str:
    """As it can stand in a request's first line: what would end the line is written in percent."""
    return quote(payload, safe=AS_IT_IS)


def in_query(payload: str) -> str:
    return quote(payload, safe="/%.;:@$,!~*'()\\-_")


def form(fields: dict[str, str], files: dict[str, tuple[str, bytes, str]]) -> tuple[bytes, str]:
    """A multipart body and its content type; file names as they are, but for line ends and quotes."""
    boundary, parts = "hostile-boundary", []
    for name, value in fields.items():
        parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode("utf-8", "surrogatepass"))
    for name, (file_name, content, media) in files.items():
        quoted = file_name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
        head = f'Content-Disposition: form-data; name="{name}"; filename="{quoted}"\r\nContent-Type: {media}\r\n\r\n'
        parts.append(head.encode("utf-8", "surrogatepass") + content)
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
