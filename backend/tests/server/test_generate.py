"""The first trip through the API: ask, follow, look, delete, restore."""

from __future__ import annotations

import hashlib
import time

import pytest
from serving import Server


class TestTrip:
    def test_pictures_from_words(self, server: Server) -> None:
        wanted = {"prompt": "a red dragon", "num_outputs": 2, "seed": 7, "steps": 4, "guidance_scale": 2.5}
        answer = server.client.post("/api/generate/text-to-image", json=wanted)
        assert answer.status_code == 202
        accepted = answer.json()
        assert accepted["status"] in {"queued", "running"}
        server.wait_for(accepted["job_id"], "completed")
        done = server.client.get(f"/api/generate/{accepted['job_id']}").json()
        assert done["status"] == "completed"
        assert done["progress"] == 1.0
        assert done["error"] is None
        assert [image["seed"] for image in done["images"]] == [7, 8]
        image = done["images"][0]
        assert (image["width"], image["height"]) == (256, 256)
        assert image["recipe"]["steps"] == 4
        file = server.client.get(image["url"])
        assert file.headers["content-type"] == "image/png"
        assert file.content.startswith(b"\x89PNG")
        assert hashlib.sha256(file.content).hexdigest() == image["sha256"]
        assert len(file.content) == image["bytes"]
        assert server.client.get(image["thumbnail_url"]).headers["content-type"] == "image/webp"

    def test_the_gallery_shows_the_newest_first(self, server: Server) -> None:
        first = server.wait_for(server.generate("first picture"))["images"][0]["id"]
        second = server.wait_for(server.generate("second picture"))["images"][0]["id"]
        ids = [image["id"] for image in server.client.get("/api/gallery").json()["items"]]
        assert ids.index(second) < ids.index(first)

    def test_gallery_pages_are_complete_and_do_not_repeat(self, server: Server) -> None:
        server.wait_for(server.generate("pages", num_outputs=5))
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = server.client.get("/api/gallery", params=params).json()
            seen += [image["id"] for image in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        everything = [image["id"] for image in server.client.get("/api/gallery", params={"limit": 200}).json()["items"]]
        assert seen == everything
        assert len(seen) == len(set(seen))

    def test_the_whole_gallery_says_how_many_it_holds(self, server: Server) -> None:
        server.wait_for(server.generate("counted", num_outputs=3))
        everything = server.client.get("/api/gallery", params={"limit": 200}).json()
        assert everything["next_cursor"] is None
        first = server.client.get("/api/gallery", params={"limit": 2}).json()
        assert first["total"] == everything["total"] == len(everything["items"])
        server.client.delete(f"/api/gallery/{everything['items'][0]['id']}")
        assert server.client.get("/api/gallery").json()["total"] == first["total"] - 1
        for params in ({"cursor": first["next_cursor"]}, {"q": "counted"}, {"model": "creatures"}):
            assert server.client.get("/api/gallery", params=params).json()["total"] is None

    def test_search_finds_words_and_takes_wildcards_literally(self, server: Server) -> None:
        server.wait_for(server.generate("a heliotrope 100% newt"))
        found = server.client.get("/api/gallery", params={"q": "NEWT heliotrope"}).json()["items"]
        assert [image["prompt"] for image in found] == ["a heliotrope 100% newt"]
        assert server.client.get("/api/gallery", params={"q": "helio%newt"}).json()["items"] == []

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("éteint", True),
            ("ÉTEINT", True),
            ("ox", True),
            ("by ox", True),
            ('"volcan"', True),
            ("volcan OR nothing", False),
            ("volc*", False),
            ('vol"can', False),
            ("prompt:volcan", False),
            ("volcan\0éteint", True),
            ("xo", False),
        ],
    )
    def test_search_takes_parts_of_words_and_every_sign(self, server: Server, words: str, found: bool) -> None:
        prompt = 'the "volcan" éteint, by fox'
        server.wait_for(server.generate(prompt))
        items = server.client.get("/api/gallery", params={"q": words}).json()["items"]
        assert (prompt in {image["prompt"] for image in items}) is found

    def test_search_follows_deletion_and_restoring(self, server: Server) -> None:
        image = server.wait_for(server.generate("a quagga at dusk"))["images"][0]
        found = {"q": "quagga"}
        server.client.delete(f"/api/gallery/{image['id']}")
        assert server.client.get("/api/gallery", params=found).json()["items"] == []
        server.client.post(f"/api/gallery/{image['id']}/restore")
        assert [one["id"] for one in server.client.get("/api/gallery", params=found).json()["items"]] == [image["id"]]

    def test_without_a_seed_each_request_draws_one(self, server: Server) -> None:
        seeds = {server.wait_for(server.generate())["images"][0]["seed"] for _ in range(3)}
        assert len(seeds) == 3

    def test_a_download_has_a_file_name(self, server: Server) -> None:
        image = server.wait_for(server.generate(seed=5))["images"][0]
        header = server.client.get(image["url"], params={"download": 1}).headers["content-disposition"]
        assert header.startswith("attachment")
        assert "atelier-5-" in header


class TestIdempotency:
    def ask(self, server: Server, key: str, **body: object) -> object:
        return server.client.post("/api/generate/text-to-image", json=body, headers={"Idempotency-Key": key})

    def test_the_same_key_gives_the_same_job(self, server: Server) -> None:
        first = self.ask(server, "one", prompt="a cat").json()["job_id"]
        again = self.ask(server, "one", prompt="a cat").json()["job_id"]
        assert first == again
        server.wait_for(first)
        assert self.ask(server, "one", prompt="a cat").json()["job_id"] == first
        assert len(server.client.get(f"/api/jobs/{first}").json()["images"]) == 1

    def test_the_same_key_for_something_else_is_refused(self, server: Server) -> None:
        self.ask(server, "two", prompt="a cat")
        answer = self.ask(server, "two", prompt="a dog")
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["field"] == "header.idempotency-key"

    def test_two_tasks_that_take_the_same_fields_are_not_the_same(self, server: Server) -> None:
        image = server.wait_for(server.generate())["images"][0]["id"]
        body, headers = {"prompt": "a cat", "image": image}, {"Idempotency-Key": "three"}
        first = server.client.post("/api/generate/image-to-image", json=body, headers=headers)
        assert first.status_code == 202
        again = server.client.post("/api/generate/image-to-image", json=body, headers=headers)
        assert again.json()["job_id"] == first.json()["job_id"]
        other = server.client.post("/api/generate/upscale", json=body, headers=headers)
        assert other.status_code == 409 and other.json()["errors"][0]["field"] == "header.idempotency-key"


class TestDeletion:
    def test_a_deleted_picture_can_be_restored(self, server: Server) -> None:
        image = server.wait_for(server.generate())["images"][0]
        gone = server.client.delete(f"/api/gallery/{image['id']}").json()
        assert gone["id"] == image["id"]
        assert gone["restorable_until"] > gone["deleted_at"]
        for path in ("", "/file", "/thumbnail"):
            answer = server.client.get(f"/api/gallery/{image['id']}{path}")
            assert answer.status_code == 404
            assert answer.json()["code"] == "image_not_found"
        assert server.client.delete(f"/api/gallery/{image['id']}").status_code == 404
        assert server.client.post(f"/api/gallery/{image['id']}/restore").json() == image
        assert server.client.get(image["url"]).status_code == 200

    def test_a_restored_picture_keeps_its_place(self, server: Server) -> None:
        ids = [server.wait_for(server.generate())["images"][0]["id"] for _ in range(2)]
        server.client.delete(f"/api/gallery/{ids[0]}")
        server.client.post(f"/api/gallery/{ids[0]}/restore")
        listed = [image["id"] for image in server.client.get("/api/gallery").json()["items"]]
        assert listed.index(ids[1]) < listed.index(ids[0])


class TestJobs:
    def test_a_running_job_is_cancelled_and_leaves_nothing(self, server: Server) -> None:
        job_id = server.generate(steps=200, num_outputs=8)
        server.wait_for(job_id, "running")
        answer = server.client.delete(f"/api/jobs/{job_id}")
        assert answer.status_code == 200
        job = server.wait_for(job_id, "cancelled", seconds=10)
        assert job["images"] == []
        assert not (server.data_dir / "images" / job_id).exists()
        assert not (server.data_dir / "staging" / job_id).exists()

    def test_cancelling_twice_is_no_error(self, server: Server) -> None:
        job_id = server.generate(steps=200)
        assert server.client.delete(f"/api/jobs/{job_id}").status_code == 200
        assert server.client.delete(f"/api/jobs/{job_id}").status_code == 200
        server.wait_for(job_id, "cancelled")

    def test_a_waiting_job_knows_its_place(self, server: Server) -> None:
        ids = [server.generate(steps=200) for _ in range(3)]
        server.wait_for(ids[0], "running")
        positions = [server.client.get(f"/api/jobs/{job_id}").json()["position"] for job_id in ids]
        assert positions == [None, 1, 2]
        waiting = server.client.get(f"/api/jobs/{ids[2]}").json()["waiting"]
        assert waiting["reason"] == "queue"
        for job_id in reversed(ids):
            server.client.delete(f"/api/jobs/{job_id}")
        for job_id in ids:
            server.wait_for(job_id, "cancelled")

    def test_a_cancelled_job_can_be_tried_again(self, server: Server) -> None:
        job_id = server.generate("a red dragon fake:step:5")  # long enough to be stopped in time
        server.client.delete(f"/api/jobs/{job_id}")
        server.wait_for(job_id, "cancelled")
        assert server.client.post(f"/api/jobs/{job_id}/retry").status_code == 202
        job = server.wait_for(job_id, "completed")
        assert len(job["images"]) == 1

    def test_a_completed_job_cannot_be_tried_again(self, server: Server) -> None:
        job_id = server.generate()
        server.wait_for(job_id)
        answer = server.client.post(f"/api/jobs/{job_id}/retry")
        assert answer.status_code == 409
        assert "completed" in answer.json()["detail"]

    def test_removing_an_ended_job_keeps_its_pictures(self, server: Server) -> None:
        job_id = server.generate()
        image = server.wait_for(job_id)["images"][0]
        server.client.delete(f"/api/jobs/{job_id}")
        assert server.client.get(f"/api/jobs/{job_id}").status_code == 404
        assert job_id not in [job["id"] for job in server.client.get("/api/jobs").json()["items"]]
        assert server.client.get(image["url"]).status_code == 200

    def test_the_list_filters_and_pages(self, server: Server) -> None:
        for _ in range(3):
            server.wait_for(server.generate())
        page = server.client.get("/api/jobs", params={"status": "completed", "limit": 2}).json()
        assert len(page["items"]) == 2
        rest = server.client.get("/api/jobs", params={"status": "completed", "cursor": page["next_cursor"]}).json()
        ids = [job["id"] for job in page["items"] + rest["items"]]
        assert len(ids) == len(set(ids))
        assert server.client.get("/api/jobs", params={"kind": "environment.build"}).json()["items"] == []

    def test_a_full_queue_answers_429(self, own_server: object) -> None:
        server = own_server(ATELIER_QUEUE_LIMIT="3", ATELIER_FAKE_STEP_SECONDS="0.2")  # type: ignore[operator]
        answers = [server.client.post("/api/generate/text-to-image", json={"prompt": "x"}) for _ in range(8)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert {answer.status_code for answer in answers} == {202, 429}
        assert int(refused[0].headers["retry-after"]) > 0
        assert refused[0].json()["code"] == "queue_full"

    def test_everything_is_still_there_after_a_restart(self, own_server: object, tmp_path: object) -> None:
        server = own_server()  # type: ignore[operator]
        image = server.wait_for(server.generate("kept"))["images"][0]
        waiting = server.generate("goes on", steps=100)
        assert server.stop() == 0
        server.start()
        assert server.client.get(f"/api/gallery/{image['id']}").json() == image
        assert server.wait_for(waiting, "completed")["attempt"] >= 1
        assert server.stop() == 0


class TestSystem:
    def test_overview(self, server: Server) -> None:
        server.wait_for(server.generate())
        overview = server.client.get("/api/system").json()
        device = overview["devices"][0]
        assert 0 < device["leased_bytes"] <= device["budget_bytes"] <= device["total_bytes"]
        assert overview["workers"][0]["state"] in {"ready", "busy"}
        assert overview["workers"][0]["device"] == f"{device['kind']}:{device['index']}"
        assert [one["name"] for one in overview["environments"]] == ["hub"]

    def test_stopping_a_worker_frees_its_memory(self, server: Server) -> None:
        server.wait_for(server.generate())
        workers = server.client.get("/api/system").json()["workers"]
        assert "creatures" in {worker["model"] for worker in workers}
        for worker in workers:
            assert server.client.post(f"/api/system/workers/{worker['id']}/stop").json()["state"] == "stopped"
        deadline = time.monotonic() + 10
        while server.client.get("/api/system").json()["devices"][0]["leased_bytes"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.client.get("/api/system").json()["devices"][0]["leased_bytes"] == 0
        assert server.client.post(f"/api/system/workers/{worker['id']}/stop").status_code == 404

    def test_models_and_schedulers(self, server: Server) -> None:
        models = server.client.get("/api/models/").json()["items"]
        assert [model["key"] for model in models] == ["creatures", "lore"]
        assert all(model["available"] and model["runnable"] for model in models)
        assert any(item["id"] == "euler" for item in server.client.get("/api/schedulers").json()["items"])

    def test_unknown_environment(self, server: Server) -> None:
        answer = server.client.post("/api/system/environments/nonsense/build")
        assert answer.status_code == 404
        assert answer.json()["code"] == "environment_not_found"
