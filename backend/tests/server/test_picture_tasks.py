"""Pictures made from pictures: what is left open is decided by the picture that they start from."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from atelier.images.asking import like
from atelier.models.families import image_limits
from atelier.models.schemas import ImageDefaults
from PIL import Image
from serving import Server
from tests.models.weights import ESRGAN, diffusers_folder, safetensors, write

SDXL = ImageDefaults(steps=30, guidance_scale=6.0, width=1024, height=1024)


def upload(server: Server, size: tuple[int, int], colour: str = "teal", **params: Any) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    answer = server.client.post("/api/inputs", files={"file": ("a.png", buffer.getvalue())}, params=params)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def ask(server: Server, task: str, **wanted: Any) -> Any:
    return server.client.post(f"/api/generate/{task}", json=wanted)


def made(server: Server, task: str, **wanted: Any) -> dict[str, Any]:
    """The job, completed."""
    answer = ask(server, task, **wanted)
    assert answer.status_code == 202, answer.text
    job = server.wait_for(answer.json()["job_id"])
    assert job["status"] == "completed", job["error"]
    return job


@pytest.mark.parametrize(
    ("size", "result"),
    [
        ((1024, 1024), (1024, 1024)),
        ((1000, 700), (1024, 704)),
        ((4000, 3000), (1152, 896)),
        ((100, 100), (1024, 1024)),
        ((2048, 256), (2048, 256)),
        ((9000, 300), (2048, 256)),
    ],
)
def test_a_result_is_like_its_picture(size: tuple[int, int], result: tuple[int, int]) -> None:
    limits = image_limits("sdxl")
    assert like(*size, SDXL, limits) == result
    for side in result:
        assert limits.min_side <= side <= limits.max_side and side % limits.multiple == 0


class TestImageToImage:
    def test_from_an_upload(self, server: Server) -> None:
        image = upload(server, (640, 480))
        job = made(server, "image-to-image", prompt="a cat", image=image, strength=0.3, fit="pad", num_outputs=2)
        resolved = job["request"]["resolved"]
        assert resolved["task"] == "image_to_image"
        first = job["images"][0]
        assert (first["width"], first["height"]) == (320, 256)
        assert (first["recipe"]["image"], first["recipe"]["strength"], first["recipe"]["fit"]) == (image, 0.3, "pad")
        assert (first["kind"], first["parent_id"]) == ("image", None)

    def test_from_the_gallery(self, server: Server) -> None:
        parent = server.wait_for(server.generate("a fox"))["images"][0]
        child = made(server, "image-to-image", prompt="a cat", image=parent["id"])["images"][0]
        assert child["parent_id"] == parent["id"]
        assert (child["width"], child["height"]) == (256, 256)

    def test_one_side_is_enough(self, server: Server) -> None:
        image = upload(server, (300, 200))
        out = made(server, "image-to-image", prompt="a cat", image=image, width=384)["images"][0]
        assert (out["width"], out["height"]) == (384, 256)

    @pytest.mark.parametrize("image", [f"img_{'0' * 20}", f"inp_{'0' * 20}"])
    def test_a_picture_that_is_not_there(self, server: Server, image: str) -> None:
        answer = ask(server, "image-to-image", prompt="a cat", image=image)
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["field"] == "image"

    @pytest.mark.parametrize("image", ["../../etc/passwd", "inp_", "img_" + "g" * 20, "", "http://127.0.0.1/x.png"])
    def test_a_picture_that_is_no_id(self, server: Server, image: str) -> None:
        answer = ask(server, "image-to-image", prompt="a cat", image=image)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "image")

    def test_a_picture_in_the_trash_is_still_started_from(self, server: Server) -> None:
        parent = server.wait_for(server.generate("a fox"))["images"][0]
        busy = server.generate(steps=60)
        job_id = ask(server, "image-to-image", prompt="a cat", image=parent["id"]).json()["job_id"]
        server.client.delete(f"/api/gallery/{parent['id']}")
        assert server.wait_for(job_id)["status"] == "completed"
        server.wait_for(busy)
        assert ask(server, "image-to-image", prompt="a cat", image=parent["id"]).status_code == 404

    def test_a_jpeg_of_the_gallery_is_written_anew_for_the_engine(self, server: Server) -> None:
        parent = server.wait_for(server.generate("a fox", format="jpeg"))["images"][0]
        buffer = io.BytesIO()
        Image.new("RGB", (256, 256), "red").save(buffer, "JPEG")
        (server.data_dir / "images" / parent["job_id"] / "0.jpeg").write_bytes(buffer.getvalue())
        assert made(server, "image-to-image", prompt="a cat", image=parent["id"])["images"]


def half_mask(server: Server, size: tuple[int, int] = (256, 256), white: bool = True, **params: Any) -> str:
    image = Image.new("L", size, 0)
    if white:
        image.paste(255, (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    answer = server.client.post("/api/inputs", files={"file": ("m.png", buffer.getvalue())}, params=params)
    return answer.json()["id"]


class TestInpaint:
    def test_under_a_mask(self, server: Server) -> None:
        image, mask = upload(server, (256, 256)), half_mask(server, (128, 128), mask=True)
        job = made(server, "inpaint", prompt="a hat", image=image, mask=mask, only_masked=True, fill="blur")
        recipe = job["images"][0]["recipe"]
        assert recipe["task"] == "inpaint"
        assert (recipe["mask"], recipe["only_masked"], recipe["fill"], recipe["mask_blur"]) == (mask, True, "blur", 4)

    def test_a_picture_may_be_the_mask(self, server: Server) -> None:
        image = server.wait_for(server.generate("a fox"))["images"][0]["id"]
        assert made(server, "inpaint", prompt="a hat", image=image, mask=half_mask(server))["images"]
        assert made(server, "inpaint", prompt="a hat", image=image, mask=image, invert_mask=True)["images"]

    def test_nothing_to_paint(self, server: Server) -> None:
        image, mask = upload(server, (256, 256)), half_mask(server, white=False)
        answer = ask(server, "inpaint", prompt="a hat", image=image, mask=mask)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "mask")
        assert made(server, "inpaint", prompt="a hat", image=image, mask=mask, invert_mask=True)["images"]

    def test_a_mask_of_another_shape(self, server: Server) -> None:
        answer = ask(
            server, "inpaint", prompt="x", image=upload(server, (256, 256)), mask=half_mask(server, (256, 200))
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["said"]["code"] == "request.mask_shape"

    def test_a_mask_that_is_not_there(self, server: Server) -> None:
        answer = ask(server, "inpaint", prompt="x", image=upload(server, (256, 256)), mask=f"inp_{'0' * 20}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "mask")


class TestOutpaint:
    def test_it_grows(self, server: Server) -> None:
        image = upload(server, (256, 256))
        job = made(server, "outpaint", prompt="a wide meadow", image=image, left=30, right=34, feather=8)
        assert (job["images"][0]["width"], job["images"][0]["height"]) == (320, 256)

    def test_it_grows_to_what_the_model_can_make(self, server: Server) -> None:
        image = upload(server, (250, 256))
        resolved = made(server, "outpaint", prompt="a meadow", image=image, left=10)["request"]["resolved"]
        assert (resolved["width"], resolved["left"], resolved["right"]) == (320, 70, 0)
        assert (resolved["height"], resolved["top"], resolved["bottom"]) == (256, 0, 0)

    @pytest.mark.parametrize(("more", "field"), [({}, "left"), ({"top": 129}, "top"), ({"left": 2049}, "left")])
    def test_what_cannot_be(self, server: Server, more: dict[str, int], field: str) -> None:
        answer = ask(server, "outpaint", prompt="x", image=upload(server, (256, 256)), **more)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)

    def test_its_size_is_not_to_be_said(self, server: Server) -> None:
        answer = ask(server, "outpaint", prompt="x", image=upload(server, (256, 256)), left=64, width=512)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "width")


class TestUpscale:
    def test_beyond_what_the_model_draws_in_one_piece(self, server: Server) -> None:
        parent = server.wait_for(server.generate("a fox in the snow"))["images"][0]
        job = made(server, "upscale", image=parent["id"], scale=2)
        large = job["images"][0]
        assert (large["width"], large["height"], large["parent_id"]) == (512, 512, parent["id"])
        assert large["prompt"] == job["title"] == "a fox in the snow", "it keeps its own words"
        assert large["recipe"]["strength"] == 0, "a model of small pictures would draw its motif twice"

    def test_an_upload_has_no_words(self, server: Server) -> None:
        job = made(server, "upscale", image=upload(server, (300, 200)), scale=1.5, strength=0)
        assert (job["images"][0]["prompt"], job["title"]) == ("", "Upscale")
        assert (job["images"][0]["width"], job["images"][0]["height"]) == (448, 320)

    @pytest.mark.parametrize(
        ("side", "scale", "status"), [(1024, 4, 202), (1040, 4, 422), (1024, 1, 422), (64, 5, 422)]
    )
    def test_limits(self, server: Server, side: int, scale: float, status: int) -> None:
        answer = ask(server, "upscale", image=upload(server, (side, 64)), scale=scale)
        assert answer.status_code == status
        if status == 202:
            server.client.delete(f"/api/jobs/{answer.json()['job_id']}")
        else:
            assert answer.json()["errors"][0]["field"] == "scale"


@pytest.fixture
def without_svd(server: Server) -> Iterator[None]:
    """The server is as it was, once the test is over."""
    yield
    for worker in server.client.get("/api/system").json()["workers"]:
        if worker["model"] == "svd":
            server.client.post(f"/api/system/workers/{worker['id']}/stop")
    assert server.client.delete("/api/models/svd").is_success


@pytest.mark.usefixtures("without_svd")
class TestVideo:
    def test_videos_from_a_picture(self, server: Server, tmp_path: Path) -> None:
        folder = diffusers_folder(tmp_path / "svd", "StableVideoDiffusionPipeline", unet={"num_frames": 25})
        model = server.client.post("/api/models/import", json={"path": str(folder), "key": "svd"}).json()
        assert model["defaults"]["frames"] == 25
        assert [(one["id"], one["width"], one["height"]) for one in model["presets"]] == [
            ("tall", 576, 1024),
            ("wide", 1024, 576),
        ]
        parent = server.wait_for(server.generate("a fox"))["images"][0]
        for image, size in ((parent["id"], (1024, 576)), (upload(server, (200, 300)), (576, 1024))):
            job = made(server, "image-to-video", model="svd", image=image, num_outputs=2, fps=5, steps=2, seed=3)
            video = job["images"][1]
            assert (video["kind"], video["format"], video["seed"]) == ("video", "mp4", 4)
            assert (video["width"], video["height"]) == size
            assert (video["frames"], video["fps"], video["duration_seconds"]) == (25, 5.0, 5.0)
            assert video["parent_id"] == (parent["id"] if image == parent["id"] else None)
        self.parts_of_it_can_be_had(server, video)
        answer = ask(server, "image-to-image", prompt="a cat", image=video["id"])
        assert answer.json()["said"]["code"] == "input.is_video"
        assert ask(server, "image-to-image", prompt="a cat", image=parent["id"], model="svd").status_code == 404
        assert ask(server, "image-to-video", image=parent["id"], model="creatures").status_code == 404
        webp = made(server, "image-to-video", model="svd", image=parent["id"], steps=2, format="webp")["images"][0]
        assert server.client.get(webp["url"]).headers["content-type"] == "image/webp"
        assert server.client.get(webp["thumbnail_url"]).headers["content-type"] == "image/webp"

    @staticmethod
    def parts_of_it_can_be_had(server: Server, video: dict[str, Any]) -> None:
        whole = server.client.get(video["url"])
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        part = server.client.get(video["url"], headers={"Range": "bytes=100-199"})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
        assert part.content == whole.content[100:200]
        assert server.client.get(video["url"], headers={"Range": f"bytes={10**9}-"}).status_code == 416
        begun = time.monotonic()
        many = "bytes=" + ",".join(f"{n}-" for n in range(5000))
        answer = server.client.get(video["url"], headers={"Range": many})
        assert answer.status_code in {200, 400, 416, 431} and time.monotonic() - begun < 5
        name = server.client.get(video["url"], params={"download": 1}).headers["content-disposition"]
        assert name.endswith('.mp4"')


class TestVariations:
    def test_they_share_the_seed_and_count_subseeds(self, server: Server) -> None:
        wanted = {"prompt": "a fox", "seed": 5, "subseed": 9, "subseed_strength": 0.1, "num_outputs": 3}
        job = made(server, "text-to-image", **wanted)
        resolved = job["request"]["resolved"]
        assert (resolved["seeds"], resolved["subseeds"]) == ([5, 5, 5], [9, 10, 11])
        assert [image["seed"] for image in job["images"]] == [5, 5, 5]
        assert job["images"][0]["recipe"]["subseed_strength"] == 0.1

    def test_without_a_strength_there_are_none(self, server: Server) -> None:
        resolved = made(server, "text-to-image", prompt="a fox", seed=5, subseed=9, num_outputs=2)["request"][
            "resolved"
        ]
        assert resolved["seeds"] == [5, 6] and "subseeds" not in resolved

    def test_a_second_pass(self, server: Server) -> None:
        image = upload(server, (256, 320))
        for task, more in (("text-to-image", {"height": 320}), ("image-to-image", {"image": image})):
            job = made(server, task, prompt="a fox", steps=7, hires={"scale": 1.5, "upscaler": "latent"}, **more)
            hires = job["request"]["resolved"]["hires"]
            assert hires == {"width": 384, "height": 512, "steps": 7, "strength": 0.5, "upscaler": "latent"}

    def test_a_second_pass_has_a_sampler_of_its_own(self, server: Server) -> None:
        job = made(server, "text-to-image", prompt="a fox", scheduler="euler", hires={"scheduler": "heun_karras"})
        assert job["request"]["resolved"]["hires"]["scheduler"] == "heun_karras"
        answer = ask(server, "text-to-image", prompt="a fox", hires={"scheduler": "flow_heun"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "hires.scheduler")

    def test_what_a_sampler_is_told(self, server: Server) -> None:
        told = {"scheduler": "ddim", "sampler_settings": {"eta": 0.5, "s_churn": None}, "quality": 60}
        resolved = made(server, "text-to-image", prompt="a fox", **told)["request"]["resolved"]
        assert resolved["sampler_settings"] == {"eta": 0.5} and "quality" not in resolved, "a PNG has none"
        for wrong in ({"scheduler": "euler_a"}, {"scheduler": "ddim"}):
            answer = ask(server, "text-to-image", prompt="a fox", sampler_settings={"s_churn": 2}, **wrong)
            problem = answer.json()
            assert (answer.status_code, problem["errors"][0]["field"]) == (422, "sampler_settings.s_churn")
            assert "euler, " in problem["hint"]
        listed = {one["id"]: one["settings"] for one in server.client.get("/api/schedulers").json()["items"]}
        assert listed["ddim"] == ["eta"] and "s_churn" in listed["euler_karras"] and listed["euler_a"] == []

    def test_by_a_model_that_enlarges(self, server: Server, tmp_path: Path) -> None:
        file = write(tmp_path / "4x-Fine.safetensors", safetensors(ESRGAN))
        answer = server.client.post("/api/models/import", json={"path": str(file)})
        assert answer.status_code == 201, answer.text
        model = answer.json()
        assert (model["type"], model["family"], model["runnable"], model["available"]) == (
            "upscaler",
            "esrgan",
            False,
            True,
        )
        assert model["bytes_needed"] > 2**30, "with a tile of it at work"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        told = {"upscaler": model["key"], "upscaler_sha256": digest}

        job = made(server, "text-to-image", prompt="a fox", hires={"upscaler": "4X-FINE"})
        assert job["images"][0]["recipe"]["hires"].items() >= told.items()
        first = job["images"][0]["id"]
        again = server.client.get(f"/api/gallery/{first}/settings").json()
        assert again["settings"]["hires"]["upscaler"] == model["key"] and again["missing"] == []
        job = made(server, "upscale", image=upload(server, (64, 64)), upscaler=model["key"], strength=0)
        assert job["images"][0]["recipe"]["start"].items() >= told.items()
        for task, more, field in (
            ("text-to-image", {"hires": {"upscaler": "R-ESRGAN"}}, "hires.upscaler"),
            ("upscale", {"image": upload(server, (64, 64)), "upscaler": "latent"}, "upscaler"),
        ):
            answer = ask(server, task, prompt="a fox", **more)
            problem = answer.json()
            assert (problem["code"], problem["errors"][0]["field"]) == ("upscaler_not_found", field)
            assert answer.status_code == 422 and model["key"] in problem["hint"] and "lanczos" in problem["hint"]
        file.unlink()
        answer = ask(server, "text-to-image", prompt="a fox", hires={"upscaler": model["key"]})
        assert (answer.status_code, "missing" in answer.json()["detail"]) == (404, True)
        assert server.client.delete(f"/api/models/{model['key']}").status_code == 200
        again = server.client.get(f"/api/gallery/{first}/settings").json()
        assert again["missing"] == [{"kind": "upscaler", "name": model["key"]}]

    @pytest.mark.parametrize("scale", [1, 4.1, "NaN"])
    def test_its_limits(self, server: Server, scale: Any) -> None:
        answer = ask(server, "text-to-image", prompt="a fox", hires={"scale": scale})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "hires.scale")

    def test_not_with_a_mask(self, server: Server) -> None:
        image, mask = upload(server, (256, 256)), half_mask(server)
        answer = ask(server, "inpaint", prompt="a hat", image=image, mask=mask, hires={})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "hires")
