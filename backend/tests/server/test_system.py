"""The system page's API: figures of the last minutes, dependencies, endpoints, and the admin's status."""

from __future__ import annotations

import time

from serving import Server


class TestHistory:
    def test_columns_of_the_same_length_that_go_on_from_the_last(self, server: Server) -> None:
        deadline = time.monotonic() + 15
        while not (told := server.client.get("/api/system/history").json())["at"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (device,) = told["devices"]
        lengths = {len(column) for column in (told["at"], told["cpu"], told["memory_used_bytes"])}
        lengths |= {len(device[name]) for name in ("used_bytes", "utilization", "temperature_c", "power_w")}
        assert lengths == {len(told["at"])}
        assert 0 <= device["utilization"][-1] <= 1 and device["temperature_c"][-1] is None
        assert told["at"] == sorted(told["at"]) and abs(told["at"][-1] - time.time()) < 30
        assert server.client.get("/api/system/history", params={"since": told["at"][-1] + 3600}).json()["at"] == []

    def test_a_bad_since_is_named(self, server: Server) -> None:
        for bad in ("-1", "yesterday", "1e300"):
            answer = server.client.get("/api/system/history", params={"since": bad})
            assert answer.status_code == 422 and "since" in answer.json()["errors"][0]["field"]

    def test_works_fast_while_a_picture_is_made(self, server: Server) -> None:
        begun = time.time()
        job = server.generate(steps=60, num_outputs=8)
        server.wait_for(job, seconds=60)
        at = server.client.get("/api/system/history", params={"since": begun}).json()["at"]
        assert at and at[0] - begun < 2.0, "the first look came at once, not at the end of a pause of 5 s"

    def test_the_log_says_that_the_monitor_started(self, server: Server) -> None:
        assert "GPUMonitor started" in server.log_path.read_text()
