"""Every place where a picture comes in, as a function from its bytes to the answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from tests.hostile.pictures import PNG
from tests.hostile.wire import Answer, Wire, form

Door = Callable[[Wire, bytes], Answer]


def _form(path: str, field: str, texts: dict[str, str], others: dict[str, bytes] | None = None) -> Door:
    def send(wire: Wire, picture: bytes) -> Answer:
        files = {name: (f"{name}.png", data, "image/png") for name, data in {**(others or {}), field: picture}.items()}
        body, media = form(texts, files)
        return wire.ask("POST", path, body, {"Content-Type": media})

    return send


def _json(path: str, make: Callable[[str], dict[str, object]]) -> Door:
    def send(wire: Wire, picture: bytes) -> Answer:
        body = json.dumps(make(base64.b64encode(picture).decode())).encode()
        return wire.ask("POST", path, body, {"Content-Type": "application/json"})

    return send


def _raw(wire: Wire, picture: bytes) -> Answer:
    return wire.ask("POST", "/api/inputs", picture, {"Content-Type": "image/png"})


_PLAIN = base64.b64encode(PNG).decode()
SMALL = {"prompt": "a cat", "steps": 1, "width": 256, "height": 256}

DOORS: dict[str, Door] = {
    "/api/inputs": _form("/api/inputs", "file", {}),
    "/api/inputs raw": _raw,
    "/api/inputs mask": _form("/api/inputs?mask=true", "file", {}),
    "/api/generate/settings": _form("/api/generate/settings", "file", {}),
    "/generar-imagen-imagen": _form("/generar-imagen-imagen", "imagen", {"texto": "un gato"}),
    "/v1/images/edits image": _form("/v1/images/edits", "image", {"prompt": "a cat"}),
    "/v1/images/edits mask": _form("/v1/images/edits", "mask", {"prompt": "a cat"}, {"image": PNG}),
    "/v1/images/variations": _form("/v1/images/variations", "image", {}),
    "/sdapi img2img": _json("/sdapi/v1/img2img", lambda one: {**SMALL, "init_images": [one]}),
    "/sdapi img2img data URL": _json(
        "/sdapi/v1/img2img", lambda one: {**SMALL, "init_images": [f"data:image/png;base64,{one}"]}
    ),
    "/sdapi img2img mask": _json("/sdapi/v1/img2img", lambda one: {**SMALL, "init_images": [_PLAIN], "mask": one}),
}
