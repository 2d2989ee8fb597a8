"""Pictures made from pictures: what is left open is decided by the picture that they start from."""

from __future__ import annotations

import io
from typing import Any

import pytest
from atelier.images.asking import like
from atelier.models.families import image_limits
from atelier.models.schemas import ImageDefaults
from PIL import Image
from serving import Server

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
