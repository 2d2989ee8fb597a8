"""A server that speaks as much of OpenAI's chat API as the names of creatures need, and answers what a test says."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatServer:
    """`answer` is the content of the next answers, or bytes of a whole body; `status` and `delay` as they are."""

    def __init__(self) -> None:
        self.answer: str | bytes | list[Any] = '{"name": "Flamara"}'
        self.status, self.delay = 200, 0.0
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                outer.asked.append({"path": self.path, **json.loads(self.rfile.read(length))})
                outer.keys.append(self.headers.get("authorization"))
                time.sleep(outer.delay)
                body = outer.answer
                if not isinstance(body, bytes):
                    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": body}}]}).encode()
                self.send_response(outer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # the client did not wait

            def log_message(self, *_arguments: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
