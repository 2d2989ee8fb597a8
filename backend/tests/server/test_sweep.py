"""The sweeper: what nobody speaks for goes, everything else stays."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any


def until(condition: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestSweep:
    def test_strays_go_and_pictures_stay(self, own_server: Any, tmp_path: Path) -> None:
        server = own_server()
        image = server.wait_for(server.generate(num_outputs=2))["images"][0]
        folder = server.data_dir / "images" / image["job_id"]
        files = sorted(path.name for path in folder.iterdir())
        server.stop()
        (folder / "7.png").write_bytes(b"stray")
        (server.data_dir / "images" / "job_unknown").mkdir()
        (server.data_dir / "images" / "job_unknown" / "0.png").write_bytes(b"stray")
        (server.data_dir / "staging" / image["job_id"] / "1").mkdir(parents=True)
        server.start()
        until(lambda: not (server.data_dir / "images" / "job_unknown").exists())
        assert sorted(path.name for path in folder.iterdir()) == files
        assert not (server.data_dir / "staging" / image["job_id"]).exists()
        assert server.client.get(image["url"]).status_code == 200

    def test_old_trash_is_emptied(self, own_server: Any) -> None:
        server = own_server()
        kept, gone = server.wait_for(server.generate(num_outputs=2))["images"]
        server.client.delete(f"/api/gallery/{gone['id']}")
        server.stop()
        with sqlite3.connect(server.data_dir / "atelier.db") as database:
            database.execute("UPDATE images SET deleted_at = '2020-01-01 00:00:00.000000' WHERE deleted_at IS NOT NULL")
        database.close()
        server.start()
        path = server.data_dir / "images" / gone["job_id"] / f"{gone['index']}.png"
        until(lambda: not path.exists())
        assert server.client.post(f"/api/gallery/{gone['id']}/restore").status_code == 404
        assert server.client.get(kept["url"]).status_code == 200
