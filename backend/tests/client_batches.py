"""A batch from its lines to its answers, over plain HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

from serving import Server


def answered(
    server: Server, endpoint: str, bodies: list[dict[str, Any]], *, seconds: float = 300.0, key: str = ""
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The batch once it has ended, and its answers in the order of its output. `key`: of the door, where it has one."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    lines = [
        {"custom_id": f"line-{at}", "method": "POST", "url": endpoint, "body": body} for at, body in enumerate(bodies)
    ]
    text = "\n".join(map(json.dumps, lines)).encode()
    client = server.client
    file = client.post("/v1/files", files={"file": ("in.jsonl", text)}, data={"purpose": "batch"}, headers=headers)
    assert file.status_code == 200, file.text
    asked = {"input_file_id": file.json()["id"], "endpoint": endpoint, "completion_window": "24h"}
    batch = client.post("/v1/batches", json=asked, headers=headers).json()
    deadline = time.monotonic() + seconds
    while batch["status"] not in {"completed", "failed", "expired", "cancelled"}:
        assert time.monotonic() < deadline, batch
        time.sleep(0.5)
        batch = client.get(f"/v1/batches/{batch['id']}", headers=headers).json()
    output = client.get(f"/v1/batches/{batch['id']}/output", headers=headers).text
    return batch, [json.loads(line) for line in output.splitlines()]
