"""/v1 under attack: bodies made to break an engine, clients that are slow on purpose, more requests than there is room
for. Nothing takes long, nothing is a 5xx, and afterwards an ordinary request is answered by the same engine.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from atelier.chat.picture_checks import MOST_BYTES, MOST_SIDE
from chat_models import add_chat_model
from serving import Server
from tests.hostile.bombs import bombs, header, saved

HELLO = [{"role": "user", "content": "Hello"}]
CAP = 64
PATTERNS = [
    *("(a+)+b", "(a*)*c", "([a-z]+)*$", "(a|aa)+$" * 80, "a{1000000}"),
    *("[", "(" * 200, "(?P<x", "x" * 300, "(.*)+" * 9),
]
ADDRESSES = ("http://169.254.169.254/", "file:///etc/passwd", "gopher://x", "//x", "data:text/html,x", 5, None)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bodies")
    sockets = tmp_path_factory.mktemp("s")
    with Server(folder / "data", CHAT_LIMIT=str(CAP), CHAT_LIMIT_EACH=str(CAP), XDG_RUNTIME_DIR=str(sockets)) as server:
        add_chat_model(server, folder)
        assert ask(server, body()).status_code == 200
        yield server


def body(**more: Any) -> dict[str, Any]:
    return {"model": "echo", "messages": HELLO, **more}


def ask(server: Server, content: dict[str, Any] | bytes, path: str = "/v1/chat/completions") -> httpx2.Response:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return server.client.post(path, content=raw, headers={"content-type": "application/json"})


def nested(depth: int, leaf: Any = None) -> Any:
    value = leaf if leaf is not None else {"type": "string"}
    for _ in range(depth):
        value = {"type": "object", "properties": {"a": value}}
    return value


def formats(schema: Any) -> list[dict[str, Any]]:
    """The same schema through every door that takes one."""
    function = {"type": "function", "function": {"name": "f", "parameters": schema}}
    return [
        body(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}),
        body(tools=[function]),
        body(structured_outputs={"json": schema}),
        body(output_config={"format": {"type": "json_schema", "schema": schema}}),
    ]


def bodies() -> Iterator[dict[str, Any] | bytes]:
    schemas: list[Any] = [
        *(nested(depth) for depth in (33, 40, 100, 300)),
        *({"type": "string", "pattern": pattern} for pattern in PATTERNS),
        {"patternProperties": {"(a+)+$": {}}},
        {"enum": ["x" * 100_000]},
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "http://127.0.0.1/x"},
        {"pattern": 5, "type": {}},
        {"properties": [], "type": []},
        [],
        "x",
    ]
    for schema in schemas:
        yield from formats(schema)
    for pattern in PATTERNS:
        yield body(structured_outputs={"regex": pattern})
        yield body(guided_regex=pattern)
    loops = ("{% for a in range(10**9) %}x{% endfor %}", "{{ 'a' * 10**9 }}", "{{ ''.__class__.__mro__ }}")
    for template in loops:
        yield body(chat_template=template)
        yield body(chat_template_kwargs={"chat_template": template})
        yield body(chat_template_kwargs={"enable_thinking": template * 9})
        yield body(messages=[{"role": "user", "content": template}])
        yield body(messages=[{"role": template, "content": "x"}])
    for number in (-1, 17, 10**9, 1.5, "9", True, [], {}, float("inf")):
        for field in ("n", "best_of", "top_logprobs", "logprobs", "min_tokens"):
            yield body(**{field: number})
    for field, value in {
        "stop": ["x"] * 10_000,
        "logit_bias": {str(one): 1 for one in range(100_000)},
        "tools": [{"type": "function", "function": {"name": "f"}}] * 10_000,
        "prompt_embeds": "A" * 100_000,
        "mm_processor_kwargs": {"num_crops": 10**9},
        "media_io_kwargs": {"video": {"num_frames": 10**9}},
        "allowed_token_ids": list(range(100_000)),
        "bad_words": ["x"] * 100_000,
        "kv_transfer_params": {"remote_host": "127.0.0.1"},
        "vllm_xargs": {"a": "b"},
        "cache_salt": "x",
        "request_id": "x",
        "priority": -(10**9),
        "documents": [{}] * 1000,
        "logits_processors": ["os.system"],
        "guided_grammar": "root ::= root",
        "structural_tag": "{}",
        "truncate_prompt_tokens": 10**30,
        "metadata": {"a": "x" * 100_000},
        "mcp_servers": [{"url": "http://127.0.0.1"}],
        "data_parallel_rank": 7,
        "use_beam_search": True,
        "messages": [HELLO[0]] * 100_000,
        "stream_options": [1, 2],
        "tool_choice": {"type": "x" * 1000},
        "user": "x" * 100_000,
    }.items():
        yield body(**{field: value})
    for choice in ({"type": {}}, [], ["required"], {"type": "function", "function": []}, 5, {}):
        yield body(tools=[{"type": "function", "function": {"name": "f"}}, {"function": 5}], tool_choice=choice)
    for part in ("image_url", "video_url", "audio_url", "input_audio", "file", "image_embeds", "image"):
        for address in ADDRESSES:
            yield body(messages=[{"role": "user", "content": [{"type": part, part: {"url": address}}]}])
    yield from (b"[" * n for n in (10, 1000, 100_000))
    yield from (b'{"a":' * n for n in (10, 1000, 100_000))
    yield from (b"", b"null", b"{}", b"\x00", b"\xff\xfe{}", b'{"model":"echo"', b'{"model":{"a":1}}', b'{"model":[]}')
    yield b'{"model":"echo","messages":[{"role":"user","content":"\\ud800"}]}'
    yield b'{"model":"echo","messages":[{"role":"user","content":"x"}],"temperature":NaN}'
    yield b'{"model":"echo","n":1,"n":999,"messages":[{"role":"user","content":"x"}]}'
    yield b'{"model":"echo","chat_template":null,"chat_template":"{{ 1 }}","messages":[]}'


def test_three_hundred_bodies(chat: Server) -> None:
    before, count, taken = pids(chat), 0, Counter()
    paths = ("/v1/chat/completions", "/v1/messages")
    for path, content in ((path, content) for content in bodies() for path in paths):
        try:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        except (ValueError, RecursionError):
            continue
        begun = time.monotonic()
        answer = ask(chat, raw, path)
        took = time.monotonic() - begun
        assert answer.status_code < 500, (raw[:300], answer.text)
        assert took < 2, (took, raw[:300])
        taken[answer.status_code] += 1
        count += 1
    assert count >= 300
    assert taken[400] > 200, taken
    assert ask(chat, body()).status_code == 200
    assert pids(chat) == before


def with_parts(*parts: Any) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}])


def as_part(raw: bytes, kind: str = "png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"}}


INSIDE = "http://169.254.169.254/latest/meta-data/"
SMUGGLED = [
    # Without a type an engine guesses it, and with a uuid it does not look at the type.
    {"image_url": INSIDE}, {"image_url": {"url": INSIDE}}, {"audio_url": INSIDE}, {"video_url": {"url": INSIDE}},
    {"type": None, "image_url": INSIDE}, {"type": "text", "text": "x", "uuid": "1", "image_url": INSIDE},
    {"type": "text", "text": "x", "uuid": "1", "video_url": INSIDE}, {"type": ["image_url"], "image_url": INSIDE},
    {"type": "prompt_embeds", "data": "gASVAA=="}, {"type": "audio_embeds", "audio_embeds": "gASVAA=="},
    {"type": "video_embeds", "video_embeds": "gASVAA=="}, {"type": "image_pil", "image_pil": "x"},
    {"type": "tool_result", "tool_use_id": "1", "content": [{"image_url": INSIDE}]},
    {"type": "document", "source": {"type": "url", "url": INSIDE}}, {"type": "container_upload", "file_id": "x"},
]  # fmt: skip


def test_parts_that_are_not_what_they_seem(chat: Server) -> None:
    for part in SMUGGLED:
        answer = ask(chat, with_parts(part))
        assert answer.status_code == 400, (part, answer.text)
        tool = {"type": "function_call_output", "call_id": "1", "output": [part]}
        answer = ask(chat, {"model": "echo", "input": [tool]}, "/v1/responses")
        assert answer.status_code == 400, (part, answer.text)
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
    assert ask(chat, with_parts(thinking)).status_code == 200, "what has nothing to fetch passes"


# Their headers are honest: what is wrong with them is found by whoever decodes the first frame.
HONEST_HEADERS = {
    *("the header alone", "a wrong sum", "an animated PNG", "an animated WebP", "half a JPEG"),
    "a GIF of ten thousand frames",
}


def test_pictures_that_would_fill_an_engine(chat: Server) -> None:
    for name, raw in bombs().items():
        if name in HONEST_HEADERS:
            continue
        begun = time.monotonic()
        answer = ask(chat, with_parts(as_part(raw)))
        assert answer.status_code == 400, (name, answer.text)
        assert time.monotonic() - begun < 2, name
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(raw).decode()}
        answer = ask(chat, with_parts({"type": "image", "source": source}), "/v1/messages")
        assert answer.status_code == 400 and answer.json()["type"] == "error", (name, answer.text)


@pytest.mark.parametrize(
    ("raw", "is_taken"),
    [
        (header(10_000, 5_000), True),
        (header(10_001, 5_000), False),
        (header(MOST_SIDE, 1), True),
        (header(MOST_SIDE + 1, 1), False),
        (header(1, 1).ljust(MOST_BYTES, b"x"), True),
        (header(1, 1).ljust(MOST_BYTES + 1, b"x"), False),
        (saved("JPEG"), True),
        (saved("WEBP"), True),
        (saved("WEBP", lossless=True), True),
        (saved("GIF"), True),
        (saved("JPEG")[:2] + b"\xff\xe0\0\x10" + bytes(14) + saved("JPEG")[2:], True),
        (saved("GIF")[:13].replace(b"\x40\0\x40\0", b"\1\0\1\0"), False),
        (b"\xff\xd8" + b"\xff" * 1_000_000, False),
        (b"\xff\xd8\xff\xe0\0\2" + b"\xff\xe0\0\2" * 1_000_000, False),
        (b"GIF89a\1\0\1\0\0\0\0\x21\xfe" + b"\1a" * 1_000_000, False),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else "",
)
def test_pictures_at_their_limits(chat: Server, raw: bytes, is_taken: bool) -> None:
    answer = ask(chat, with_parts(as_part(raw)))
    assert answer.status_code == (200 if is_taken else 400), answer.text
    assert is_taken or answer.json()["error"]["code"] == "picture_refused"


def test_data_urls_that_are_none(chat: Server) -> None:
    data = base64.b64encode(header(1, 1)).decode()
    urls = [f"data:image/png,{data}", f"data:image/png;x=1;base64,{data}", "data:image/png;base64,"]
    urls += [f"data:image/png;base64,{one}" for one in (f"{data[:20]}\n{data[20:]}", f"{data}=", f"{data[:-1]}*")]
    for url in urls:
        answer = ask(chat, with_parts({"type": "image_url", "image_url": {"url": url}}))
        assert answer.status_code == 400, (url, answer.text)


def test_texts_that_would_occupy_an_engine(chat: Server) -> None:
    """Where nothing keeps an engine from making tokens of all of a text, ten million characters ended it."""
    text = "hello " * 100_000
    cut = {"truncate_prompt_tokens": 10}
    for path, content in (
        ("/tokenize", {"prompt": text}),
        ("/v1/tokenize", body(messages=[{"role": "user", "content": text}])),
        ("/v1/completions", {"prompt": ["short", text], **cut}),
        ("/v1/chat/completions", body(messages=[{"role": "user", "content": text}], **cut)),
        ("/v1/responses", {"input": [{"role": "user", "content": text}], "truncation": "auto"}),
    ):
        answer = ask(chat, {"model": "echo", **content}, path)
        assert answer.status_code == 400 and "read whole" in answer.text, (path, answer.text)
    many = b'{"model":"echo","messages":[],"user":[' + b"{}," * 1_000_000 + b"1]}"
    assert "values" in ask(chat, many).text, "it is refused before seconds go into reading it"
    picture = with_parts(as_part(header(1, 1).ljust(700_000, b"x")))
    assert ask(chat, {**picture, **cut}).status_code == 200, "a picture is no text"
    assert ask(chat, {"model": "echo", "prompt": text[:1000]}, "/tokenize").status_code == 200


def pids(server: Server) -> set[int]:
    return {worker["pid"] for worker in server.client.get("/api/system").json()["workers"]}


def test_slow_clients_are_hung_up_on(chat: Server) -> None:
    """500 sockets, one byte every five seconds: all closed within half a minute, the others served meanwhile."""
    port = int(chat.url.rpartition(":")[2])

    async def drip(number: int) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = time.monotonic()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5000\r\n\r\n{"
        data = head if number % 2 else b"POST /v1/chat"
        with_patience = begun + 40
        try:
            writer.write(data)
            while time.monotonic() < with_patience:
                try:
                    async with asyncio.timeout(5):
                        if not await reader.read(1):
                            break
                except TimeoutError:
                    writer.write(b"x")
                    await writer.drain()
        except OSError:
            pass
        writer.close()
        return time.monotonic() - begun

    async def attack() -> tuple[list[float], list[float]]:
        drips = [asyncio.create_task(drip(number)) for number in range(500)]
        await asyncio.sleep(2)
        served = []
        for _ in range(5):
            begun = time.monotonic()
            assert (await asyncio.to_thread(ask, chat, body(fake={"tokens": 1}))).status_code == 200
            served.append(time.monotonic() - begun)
        return await asyncio.gather(*drips), served

    closed, served = asyncio.run(attack())
    assert max(closed) < 30, max(closed)
    assert max(served) < 2, served


def test_five_thousand_at_once(chat: Server) -> None:
    """No more than the cap is taken; everybody else hears 429 and when to come again."""
    port = int(chat.url.rpartition(":")[2])
    raw = json.dumps(body(fake={"tokens": 4, "delay_ms": 200})).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(raw)}\r\n\r\n".encode()
    connecting = asyncio.Semaphore(400)

    async def one() -> tuple[int, bytes]:
        async with connecting:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + raw)
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return int(answer.split()[1]), answer

    async def burst() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*(one() for _ in range(5000)))

    answers = asyncio.run(burst())
    counted = Counter(status for status, _ in answers)
    assert set(counted) == {200, 429}, counted
    assert counted[200] >= CAP
    assert all(b"\r\nretry-after: 1\r\n" in answer for status, answer in answers if status == 429)
    assert ask(chat, body()).status_code == 200
    assert Path(chat.log_path).read_text().count("http.unexpected") == 0
