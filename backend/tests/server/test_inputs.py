"""Uploaded pictures: taken in as what they are, kept as what we wrote, let go when nobody needs them."""

from __future__ import annotations

import base64
import hashlib
import io
import sqlite3
import time
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from serving import Server

ORIENTATION = 0x0112


def picture(size: tuple[int, int] = (40, 30), form: str = "PNG", mode: str = "RGB", **how: Any) -> bytes:
    """A picture with a red left half."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, form, **how)
    return buffer.getvalue()


def upload(server: Server, data: bytes, name: str = "a.png", **params: Any) -> Any:
    return server.client.post("/api/inputs", files={"file": (name, data)}, params=params)


def kept(server: Server, answer: Any) -> Image.Image:
    assert answer.status_code == 201, answer.text
    return Image.open(io.BytesIO(server.client.get(answer.json()["url"]).content))


class TestTakingIn:
    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
    def test_a_picture_is_kept_as_png(self, server: Server, form: str) -> None:
        answer = upload(server, picture(form=form), name="wrong.gif")
        image = kept(server, answer)
        out = answer.json()
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (40, 30))
        assert (out["width"], out["height"]) == (40, 30)
        file = server.client.get(out["url"])
        assert file.headers["content-type"] == "image/png"
        assert hashlib.sha256(file.content).hexdigest() == out["sha256"]
        assert len(file.content) == out["bytes"]
        assert server.client.get(f"/api/inputs/{out['id']}").json() == out

    def test_the_body_may_be_the_picture(self, server: Server) -> None:
        data = picture((44, 30))
        answer = server.client.post("/api/inputs", content=data, headers={"content-type": "image/png"})
        assert answer.status_code == 201
        assert upload(server, data).json()["id"] == answer.json()["id"], "the same picture twice is one input"

    def test_json_may_hold_it(self, server: Server) -> None:
        written = base64.b64encode(picture((41, 20))).decode()
        answer = server.client.post("/api/inputs", json={"url": f"data:image/png;base64,{written}"})
        assert (answer.status_code, answer.json()["width"], answer.json()["height"]) == (201, 41, 20)

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"url": 5}', b'{"file": "x"}', b'{"url": "data:,!"}'])
    def test_json_without_one(self, server: Server, body: bytes) -> None:
        answer = server.client.post("/api/inputs", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")

    def test_it_stands_upright(self, server: Server) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = 6  # to be turned a quarter to the right
        image = kept(server, upload(server, picture(form="JPEG", exif=exif, quality=95)))
        assert image.size == (30, 40)
        assert image.getpixel((15, 2))[0] > 200, "the red half is on top"
        assert image.getpixel((15, 38))[2] > 200

    def test_what_it_said_of_itself_is_gone(self, server: Server) -> None:
        texts = PngInfo()
        texts.add_text("parameters", "where I live")
        exif = Image.Exif()
        exif[0x010F] = "camera of mine"
        answer = upload(server, picture((50, 30), pnginfo=texts, exif=exif))
        content = server.client.get(answer.json()["url"]).content
        assert b"where I live" not in content and b"camera" not in content
        assert kept(server, answer).info == {}

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
    def test_every_kind_of_pixel(self, server: Server, mode: str) -> None:
        if mode == "I;16":
            buffer = io.BytesIO()
            Image.new("I;16", (40, 30), 0x8000).save(buffer, "PNG")
            image = kept(server, upload(server, buffer.getvalue()))
            assert image.getpixel((5, 5)) == (128, 128, 128)
            return
        image = kept(server, upload(server, picture(mode=mode, form="JPEG" if mode == "CMYK" else "PNG")))
        assert (image.mode, image.size) == ("RGB", (40, 30))

    def test_what_is_transparent_becomes_white_and_in_masks_black(self, server: Server) -> None:
        buffer = io.BytesIO()
        Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(buffer, "PNG")
        assert kept(server, upload(server, buffer.getvalue())).getpixel((3, 3)) == (255, 255, 255)
        mask = kept(server, upload(server, buffer.getvalue(), mask=True))
        assert (mask.mode, mask.getpixel((3, 3))) == ("L", 0)

    def test_half_transparent_is_half_white(self, server: Server) -> None:
        buffer = io.BytesIO()
        Image.new("RGBA", (20, 700), (255, 0, 0, 128)).save(buffer, "PNG")
        image = kept(server, upload(server, buffer.getvalue()))
        assert {image.getpixel((3, y)) for y in (0, 255, 256, 699)} == {(255, 127, 127)}

    def test_a_name_is_never_a_path(self, server: Server) -> None:
        before = sorted(server.data_dir.parent.rglob("*"))
        for name in ("../../evil.png", "/etc/passwd", "..\\x.png", "a\0b.png", "%2e%2e%2fx", "x" * 5000, "CON", "."):
            assert upload(server, picture(), name=name).status_code in {201, 400}, name
        after = [path for path in sorted(server.data_dir.parent.rglob("*")) if path not in before]
        assert [path.parent.name for path in after if path.suffix == ".png"] in (["inputs"], [])


class TestRefusals:
    def test_no_file(self, server: Server) -> None:
        answer = server.client.post("/api/inputs", files={"picture": ("a.png", picture())})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "file"

    def test_a_field_is_no_file(self, server: Server) -> None:
        answer = server.client.post("/api/inputs", data={"file": "text"}, files={"other": ("a.png", b"x")})
        assert answer.status_code == 422

    def test_many_parts(self, server: Server) -> None:
        answer = server.client.post("/api/inputs", files=[("file", ("a.png", b"x"))] * 3)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_form")

    def test_it_is_gone(self, server: Server) -> None:
        for path in ("", "/file"):
            answer = server.client.get(f"/api/inputs/inp_{'0' * 20}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "input_not_found")
        assert server.client.get("/api/inputs/..%2f..%2fatelier.db/file").status_code == 404


class TestLettingGo:
    def test_it_can_be_removed(self, server: Server) -> None:
        out = upload(server, picture((60, 31))).json()
        assert server.client.delete(f"/api/inputs/{out['id']}").status_code == 204
        assert server.client.get(out["url"]).status_code == 404
        assert not (server.data_dir / "inputs" / f"{out['id']}.png").exists()
        assert server.client.delete(f"/api/inputs/{out['id']}").status_code == 404

    def test_a_job_that_waits_keeps_it(self, server: Server) -> None:
        out = upload(server, picture((61, 31))).json()
        busy = server.generate(steps=200, num_outputs=8)
        wanted = {"prompt": "a cat", "image": out["id"]}
        job_id = server.client.post("/api/generate/image-to-image", json=wanted).json()["job_id"]
        answer = server.client.delete(f"/api/inputs/{out['id']}")
        assert (answer.status_code, answer.json()["said"]["code"]) == (409, "input.needed")
        for one in (job_id, busy):
            server.client.delete(f"/api/jobs/{one}")
            server.wait_for(one)
        assert server.client.delete(f"/api/inputs/{out['id']}").status_code == 204

    def test_a_grid_that_waits_keeps_it(self, server: Server) -> None:
        out = upload(server, picture((61, 33))).json()
        wanted = {"request": {"prompt": "a cat", "steps": 200}, "start": {"image": out["id"]}}
        axis = {"field": "seed", "values": list(range(8))}
        job_id = server.client.post("/api/grids", json={**wanted, "x": axis}).json()["job_id"]
        assert server.client.delete(f"/api/inputs/{out['id']}").status_code == 409
        server.client.delete(f"/api/jobs/{job_id}")
        server.wait_for(job_id)
        assert server.client.delete(f"/api/inputs/{out['id']}").status_code == 204

    def test_the_sweep_takes_what_nobody_names(self, own_server: Any) -> None:
        server = own_server()
        unused, named = (upload(server, picture((62 + n, 31))).json() for n in range(2))
        wanted = {"prompt": "a cat", "image": named["id"]}
        job_id = server.client.post("/api/generate/image-to-image", json=wanted).json()["job_id"]
        assert server.wait_for(job_id)["status"] == "completed"
        server.stop()
        with sqlite3.connect(server.data_dir / "atelier.db") as database:
            database.execute("UPDATE inputs SET used_at = '2020-01-01 00:00:00.000000'")
        database.close()
        folder = server.data_dir / "inputs"
        for name in (f"inp_{'1' * 20}.part", f"inp_{'2' * 20}.new.png"):
            (folder / name).write_bytes(b"half")
        server.start()
        deadline = time.monotonic() + 30
        while len(list(folder.iterdir())) > 1:
            assert time.monotonic() < deadline, list(folder.iterdir())
            time.sleep(0.05)
        assert [path.name for path in folder.iterdir()] == [f"{named['id']}.png"]
        assert server.client.get(f"/api/inputs/{unused['id']}").status_code == 404
        assert server.client.get(named["url"]).status_code == 200
