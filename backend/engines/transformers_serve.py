"""`transformers serve` for one model, on a Unix socket: what `engines.transformers_chat` starts.

    python -m engines.transformers_serve models/qwen --uds /tmp/w.v1 --name qwen --device cpu --dtype auto

The library's own server, with what OpenAI's clients expect and it does not do itself: the names that requests use
for the model (it would tell its folder), usage and `[DONE]` at the end of a stream, errors in OpenAI's shape, vLLM's
`/tokenize` and `/detokenize`, a limit on the context, answers that end before a stop word, sampling when a temperature
is given, pictures decoded by Pillow, which a build of torchvision for another device cannot, and only where a request
brings them. Fields that it does not know are dropped, as it drops those that it knows and does not support.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import logging
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from transformers import image_processing_backends
from transformers.cli.serve import Serve
from transformers.cli.serving.chat_completion import ChatCompletionHandler
from transformers.cli.serving.completion import CompletionHandler
from transformers.cli.serving.response import ResponseHandler

from engines.protocol import KEEP_ALIVE_SECONDS
from engines.stop_words import Stopping

Resolve = Callable[[dict[str, Any]], tuple[str, Any, Any]]
Build = Callable[..., Any]
STREAMS = ("/v1/chat/completions", "/v1/completions")
MOST_CHARACTERS_PER_TOKEN = 16
MOST_STOPS, LONGEST_STOP = 4, 32
"""Of the words that end a generation. The library compares each with every token of the vocabulary, which takes minutes
for long ones; `Stopping` cuts answers at all of them."""


class UnixServe(Serve):
    """Serves on a socket; everything else as the library does."""

    def __init__(self, model: str, uds: str, names: list[str], max_model_len: int, **settings: Any) -> None:
        self._uds, self.names, self.max_model_len = uds, names, max_model_len
        super().__init__(model, non_blocking=True, **settings)

    def start_server(self) -> None:
        """Called at the end of the library's constructor."""
        app = self.server.config.app
        _add_errors(app)
        _add_tokens(app, self)
        for handler in (self._chat_handler, self._completion_handler, self._response_handler):
            handler._resolve_model = self._renamed(handler._resolve_model)
            handler._build_generation_config = _sampling(handler._build_generation_config)
        logging.getLogger("uvicorn.access").disabled = True
        self.server.config.app = _Names(app, self)
        self.server.config.uds = self._uds
        self.server.config.timeout_keep_alive = KEEP_ALIVE_SECONDS
        self.server.run()

    def _renamed(self, resolve: Resolve) -> Resolve:
        """Answers tell the name of the model, not its folder."""

        def renamed(body: dict[str, Any]) -> tuple[str, Any, Any]:
            _, model, processor = resolve(body)
            return self.names[0], model, processor

        return renamed

    @property
    def loaded(self) -> tuple[Any, Any]:
        """(model, tokenizer)"""
        manager = self._model_manager
        model, processor = manager.load_model_and_processor(manager.process_model_name(manager.force_model))
        return model, getattr(processor, "tokenizer", processor)

    def limit(self) -> int:
        model, _ = self.loaded
        config = getattr(model.config, "text_config", model.config)
        made_for = getattr(config, "max_position_embeddings", None) or self.max_model_len
        return min(self.max_model_len or made_for, made_for)


def _sampling(build: Build) -> Build:
    """The library leaves it to the model's own settings whether anything is sampled at all."""

    def sampling(body: dict[str, Any], *arguments: Any, **more: Any) -> Any:
        config = build(body, *arguments, **more)
        if body.get("temperature") or (body.get("temperature") is None and body.get("top_p")):
            config.do_sample = True
        return config

    return sampling


# ── names and limits: what a request says, as the library wants it ────────────


def _fields(handler: type) -> frozenset[str]:
    return frozenset(getattr(handler._valid_params_class, "__mutable_keys__", ()))


FIELDS = {
    "/v1/chat/completions": _fields(ChatCompletionHandler),
    "/v1/completions": _fields(CompletionHandler),
    "/v1/responses": _fields(ResponseHandler),
}


class Refused(Exception):
    def __init__(self, status: int, message: str, param: str | None = None, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        self.status, self.param, self.kind = status, param, kind


class _Names:
    """ASGI around the library's application: rewrites the body of a request once, and ends streams with `[DONE]`."""

    def __init__(self, app: Any, serve: UnixServe) -> None:
        self._app, self._serve = app, serve

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path")
        if scope["type"] != "http" or scope["method"] != "POST" or path not in FIELDS:
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            wanted = self._rewritten(path, body)
        except Refused as refused:
            await _error(refused.status, str(refused), refused.param, refused.kind)(scope, receive, send)
            return
        words = wanted.pop("stop", [])
        if short := [word for word in words if len(word) <= LONGEST_STOP][:MOST_STOPS]:
            wanted["stop"] = short
        raw = json.dumps(wanted).encode()
        headers = [(k, v) for k, v in scope["headers"] if k not in (b"content-length", b"transfer-encoding")]
        scope = {**scope, "headers": [*headers, (b"content-length", str(len(raw)).encode())]}
        given = False

        async def replay() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": raw, "more_body": False}

        if wanted["stream"] and path in STREAMS:
            send = _Ending(send, bool((json.loads(body).get("stream_options") or {}).get("include_usage"))).send
        if words:
            send = Stopping(send, words).send
        await self._app(scope, replay, send)

    def _rewritten(self, path: str, body: bytes) -> dict[str, Any]:
        try:
            wanted = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"the body is not JSON: {error}") from error
        if not isinstance(wanted, dict):
            raise Refused(400, "the body is not a JSON object")
        name = wanted.get("model")
        if name is not None and name not in self._serve.names:
            raise Refused(404, f"The model `{name}` does not exist.", "model", "NotFoundError")
        needed = {"/v1/chat/completions": "messages", "/v1/completions": "prompt", "/v1/responses": "input"}[path]
        if not wanted.get(needed):
            raise Refused(400, f"{needed} is required", needed)
        wanted = {key: value for key, value in wanted.items() if key in FIELDS[path] and value is not None}
        wanted["model"] = self._serve._model_manager.force_model
        wanted["stream"] = wanted.get("stream") is True
        if isinstance(stop := wanted.get("stop", []), str):
            wanted["stop"] = stop = [stop]
        if not isinstance(stop, list) or not all(isinstance(word, str) for word in stop):
            raise Refused(400, "stop must be a text or a list of texts", "stop")
        if isinstance(wanted.get("logit_bias"), dict):
            wanted["logit_bias"] = {token: float(value) for token, value in wanted["logit_bias"].items()}
        self._bound(path, wanted)
        return wanted

    def _bound(self, path: str, wanted: dict[str, Any]) -> None:
        """Answers end where the context does."""
        field = {"/v1/responses": "max_output_tokens"}.get(path, "max_tokens")
        asked = wanted.pop("max_completion_tokens", None) or wanted.get(field)
        if asked is not None and (not isinstance(asked, int) or isinstance(asked, bool) or asked < 1):
            raise Refused(400, f"{field} must be at least 1", field)
        if (characters := _characters(wanted)) > MOST_CHARACTERS_PER_TOKEN * self._serve.limit():
            # As vLLM: what cannot fit is not made into tokens first, which takes long and answers nobody meanwhile.
            words = f"This model's maximum context length is {self._serve.limit()} tokens; the prompt has {characters}"
            raise Refused(400, f"{words} characters.", "messages" if "messages" in wanted else field)
        length = self._length(path, wanted)
        room = self._serve.limit() - length
        if room < 1:
            words = f"This model's maximum context length is {self._serve.limit()} tokens; the prompt has {length}."
            raise Refused(400, words, "messages" if "messages" in wanted else field)
        wanted[field] = min(asked or room, room)

    def _length(self, path: str, wanted: dict[str, Any]) -> int:
        _, tokenizer = self._serve.loaded
        if path == "/v1/completions" and isinstance(wanted["prompt"], str):
            return len(tokenizer(wanted["prompt"])["input_ids"])
        if "messages" not in wanted:
            given = wanted.get("input", "")
            if isinstance(given, list):  # pictures are not counted here: as text they would be thousands of tokens
                plain = [{**i, "content": _text(i.get("content"))} for i in given if isinstance(i, dict)]
                given = json.dumps(plain)
            return len(tokenizer(str(given))["input_ids"])
        try:
            return len(_templated(tokenizer, wanted["messages"], wanted.get("tools")))
        except Exception as error:  # the model's template decides what it takes, and says so in its own exceptions
            raise Refused(400, f"the model's template does not take these messages: {error}", "messages") from error


def _characters(value: Any) -> int:
    """Of all texts in it, without pictures."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(inner) for name, inner in value.items() if name != "image_url")
    return sum(map(_characters, value)) if isinstance(value, list) else 0


class _Ending:
    """The end of a stream: usage in an event of its own and only where it was asked for, then `[DONE]`. The library
    writes whole events, and tells the usage in the one that has the reason of the end."""

    def __init__(self, send: Any, wants_usage: bool) -> None:
        self._send, self._wants = send, wants_usage
        self._usage: bytes = b""
        self._is_stream = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._is_stream = any(v.startswith(b"text/event-stream") for k, v in message["headers"])
        elif self._is_stream:
            body = message.get("body", b"")
            if b'"usage":' in body:
                body = self._without_usage(body)
            if not message.get("more_body"):
                body += (self._usage if self._wants else b"") + b"data: [DONE]\n\n"
            message = {**message, "body": body}
        await self._send(message)

    def _without_usage(self, body: bytes) -> bytes:
        events = []
        for event in body.split(b"\n\n"):
            if b'"usage":' in event:
                chunk = json.loads(event.removeprefix(b"data: "))
                usage = chunk.pop("usage")
                event = b"data: " + json.dumps(chunk).encode()
                self._usage = b"data: " + json.dumps({**chunk, "choices": [], "usage": usage}).encode() + b"\n\n"
            events.append(event)
        return b"\n\n".join(events)


def _templated(tokenizer: Any, messages: list[Any], tools: Any = None) -> list[int]:
    """The tokens of a conversation, its pictures left out."""
    plain = [{**m, "content": _text(m.get("content"))} for m in messages if isinstance(m, dict)]
    found = tokenizer.apply_chat_template(plain, tools=tools, add_generation_prompt=True, tokenize=True)
    return list(found["input_ids"] if hasattr(found, "keys") else found)


def _text(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def picture_of(url: Any, timeout: float | None = None) -> Any:
    """The picture in a data URL as a tensor, uint8 of 3 × height × width. Raises HTTPException for anything else: what
    the library would take for an address or a path is none here."""
    from PIL import Image, ImageOps
    from torchvision.transforms.v2.functional import pil_to_tensor

    try:
        head, _, data = url.partition(",")
        if not head.startswith("data:image/"):
            raise ValueError("no data URL")
        with Image.open(io.BytesIO(base64.b64decode(data)), formats=PICTURES) as image:
            return pil_to_tensor(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # a decoder raises what it likes
        raise HTTPException(400, f"a picture cannot be read: {error}") from error


PICTURES = ("PNG", "JPEG", "WEBP", "GIF")
image_processing_backends.load_image_as_tensor = picture_of


# ── errors, tokens ────────────────────────────────────────────────────────────


def _error(status: int, message: str, param: str | None = None, kind: str = "BadRequestError") -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": status}}, status)


def _add_errors(app: Any) -> None:
    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _error(400, str(error.errors()[0].get("msg", "invalid request")))

    @app.exception_handler(Exception)
    async def _failed(_request: Request, error: Exception) -> JSONResponse:
        return _error(500, f"the engine failed: {type(error).__name__}", kind="InternalServerError")


def _add_tokens(app: Any, serve: UnixServe) -> None:
    app.router.routes = [route for route in app.router.routes if getattr(route, "path", "") not in _OTHERS]

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        shown = {"object": "model", "created": 0, "owned_by": "transformers", "max_model_len": serve.limit()}
        return {"object": "list", "data": [{"id": name, **shown} for name in serve.names]}

    @app.post("/tokenize")
    def tokenize(body: dict[str, Any]) -> Any:
        _, tokenizer = serve.loaded
        try:
            if "messages" in body:
                tokens = _templated(tokenizer, body["messages"], body.get("tools"))
            else:
                tokens = tokenizer(str(body["prompt"]), add_special_tokens=body.get("add_special_tokens", True))[
                    "input_ids"
                ]
        except Exception as error:  # the tokenizer decides what it takes
            return _error(400, f"this cannot be tokenized: {error}")
        strings = tokenizer.convert_ids_to_tokens(tokens) if body.get("return_token_strs") else None
        return {"count": len(tokens), "max_model_len": serve.limit(), "tokens": tokens, "token_strs": strings}

    @app.post("/detokenize")
    def detokenize(body: dict[str, Any]) -> Any:
        _, tokenizer = serve.loaded
        try:
            return {"prompt": tokenizer.decode([int(token) for token in body["tokens"]])}
        except Exception as error:  # as above
            return _error(400, f"tokens: {error}", "tokens")


# Loading, unloading and listing other models is not this server's to do.
_OTHERS = frozenset({"/v1/models", "/load_model", "/reset", "/v1/systemone", "/v1/audio/transcriptions"})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engines.transformers_serve")
    parser.add_argument("model")
    parser.add_argument("--uds", required=True)
    parser.add_argument("--name", action="append", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--max-model-len", type=int, default=0)
    given = parser.parse_args()
    UnixServe(given.model, given.uds, given.name, given.max_model_len, device=given.device, dtype=given.dtype)


if __name__ == "__main__":
    main()
