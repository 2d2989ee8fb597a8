"""The system page's API: figures of the last minutes, dependencies, endpoints, and the admin's status."""

from __future__ import annotations

import json
import time

import pytest
from atelier.dialects import dialect_of
from atelier.runtime.devices import Driver
from atelier.shapes import DeviceOut, DeviceProcessOut
from atelier.system.status import gpu_out
from serving import Server
from tests.launching import BACKEND


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

    def test_the_log_says_that_registry_and_monitor_are_there(self, server: Server) -> None:
        log = server.log_path.read_text()
        assert "ModelRegistry configured" in log and "GPUMonitor started" in log


class TestStatus:
    """The contract of the gateway that Atelier replaces (requirements, R3)."""

    def test_everything_stands_where_its_clients_look(self, server: Server) -> None:
        status = server.client.get("/api/admin/status").json()
        assert {"gpu", "dependencies", "models", "cpu", "ram"} <= set(status)
        assert status["gpu"]["devices"] == [], "the processor is no GPU"
        assert status["dependencies"]
        for one in status["dependencies"]:
            assert {"name", "version", "cuda", "details"} <= set(one) and one["version"][0].isdigit()
            assert {"cuda_runtime", "cudnn", "cuda_available"} <= set(one["details"])
        model = next(one for one in status["models"] if one["key"] == "creatures")
        assert model["state"] in {"idle", "loading", "ready"} and model["download"] is None
        assert 0 <= status["cpu"]["percent"] <= 100 and status["cpu"]["cores"] >= 1
        assert 0 < status["ram"]["used"] < status["ram"]["total"]

    def test_a_model_that_works_is_ready(self, server: Server) -> None:
        server.wait_for(server.generate())
        models = server.client.get("/api/admin/status").json()["models"]
        assert [one["state"] for one in models if one["key"] == "creatures"] == ["ready"]

    def test_gpus_by_name_total_used_load_temperature_and_power(self) -> None:
        process = DeviceProcessOut(pid=7, name="python", bytes=5, worker_id="w-1", model="qwen")
        values = {"total_bytes": 10, "used_bytes": 4, "budget_bytes": 9, "leased_bytes": 3, "utilization": 0.633}
        unknown = ("power_limit_w", "clock_mhz", "memory_clock_mhz", "pcie_generation", "pcie_lanes", "ecc_errors")
        values |= dict.fromkeys(unknown) | {"problem": None, "brakes": [], "shares_memory": False}
        values |= {"temperature_c": 61.0, "power_w": 212.5, "processes": [process]}
        gpu = DeviceOut(index=1, kind="cuda", name="NVIDIA H200", **values)
        out = gpu_out([gpu, DeviceOut(index=0, kind="cpu", name="CPU", **values)], Driver("580.95.05", (13, 0)))
        assert (out.driver, out.cuda) == ("580.95.05", "13.0")
        (device,) = out.model_dump()["devices"]
        expected = {"name": "NVIDIA H200", "total": 10, "used": 4, "load": 63.3, "temperature": 61.0, "power": 212.5}
        assert {name: device[name] for name in expected} == expected
        assert device["processes"][0]["model"] == "qwen"

    def test_is_the_administrators(self, own_server) -> None:
        locked = own_server(ATELIER_TOKEN="0123456789abcdef0123")
        assert locked.client.get("/api/admin/status").status_code == 401


class TestDependencies:
    def test_are_the_same_as_in_the_status(self, server: Server) -> None:
        items = server.client.get("/api/system/dependencies").json()["items"]
        assert items == server.client.get("/api/admin/status").json()["dependencies"]
        assert any(one["environment"] == "server" and one["name"] == "fastapi" for one in items)


class TestEndpoints:
    @pytest.mark.parametrize("language", ["en", "fr", "es"])
    def test_every_group_has_a_name_on_the_page(self, server: Server, language: str) -> None:
        words = json.loads((BACKEND.parent / f"frontend/src/i18n/{language}.json").read_text())
        told = server.client.get("/api/system/endpoints").json()["items"]
        groups = {one["tag"] if one["dialect"] == "atelier" else one["dialect"] for one in told}
        assert groups <= set(words["machine"]["groups"])

    def test_every_route_of_the_api_is_listed_with_its_full_address(self, server: Server) -> None:
        told = server.client.get("/api/system/endpoints").json()
        document = server.client.get("/openapi.json").json()
        listed = {(one["method"], one["path"]) for one in told["items"]}
        described = {(method.upper(), path) for path, of in document["paths"].items() for method in of}
        assert listed == described | {("WS", "/api/live")}
        assert all(one["summary"] for one in told["items"]), "an endpoint that does not say what it is for"
        by_path = {one["path"]: one for one in told["items"]}
        assert by_path["/health"]["url"] == f"{server.url}/health"
        assert by_path["/api/live"]["url"] == f"{server.url.replace('http', 'ws')}/api/live"
        assert told["docs_url"] == f"{server.url}/docs" and server.client.get("/docs").status_code == 200

    def test_addresses_are_those_that_callers_use(self, own_server) -> None:
        running = own_server(ADVERTISED_HOSTS="studio.lan,10.0.0.7")
        port = running.url.rpartition(":")[2]
        told = running.client.get("/api/system/endpoints", headers={"Host": f"studio.lan:{port}"}).json()
        assert told["base_urls"] == [f"http://studio.lan:{port}", f"http://10.0.0.7:{port}"]
        assert told["items"][0]["url"].startswith(f"http://studio.lan:{port}/")
        without = running.client.get("/api/system/endpoints", headers={"Host": "studio.lan"}).json()
        assert without["base_urls"][0] == "http://studio.lan"

    def test_dialects(self) -> None:
        expected = {
            "/v1/chat/completions": "openai",
            "/v1/generate": "creatures",
            "/sdapi/v1/txt2img": "automatic1111",
            "/generar-imagen-texto": "imagen",
            "/api/gallery": "atelier",
        }
        assert {path: dialect_of(path) for path in expected} == expected
