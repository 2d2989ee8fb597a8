"""What the fake chat server answers, per route: whole or as a stream of events. Pure.

Words come from the last message and the seed; a schema (of a tool or an answer) is filled with the smallest value that
fits it. A token is a word where it is counted, and a byte where it is numbered (/tokenize).
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote

CREATED = 1_700_000_000
WORDS = ("ember", "moss", "river", "stone", "cloud", "leaf", "spark", "tide", "fern", "frost", "dune", "glow")
DIMENSIONS = 8
IMAGE_TOKENS = 16


class Breaks(Exception):
    """The connection is to be closed in the middle."""


class Bad(Exception):
    """A request that gets an error, in vLLM's shape: `code` is a number."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param = status, message, kind, param

    def answer(self) -> Answer:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.status}
        return Answer({"error": error}, status=self.status)


@dataclass
class Steering:
    """How a request wants to be served; seconds, counts of words, -1 = never."""

    tokens: int = 8
    delay: float = 0.0
    first_delay: float = 0.0
    reasoning: int = 0
    status: int = 0
    tool: int = 0
    computes: int = 0
    error_after: int = -1
    break_after: int = -1
    die_after: int = -1
    stop_after: int = -1
    hang_after: int = -1
    exit_after: int = -1
    say: str = ""

    @classmethod
    def of(cls, body: dict[str, Any], settings: dict[str, Any]) -> Steering:
        said = {name: settings[name] for name in ("tokens", "delay_ms", "first_delay_ms") if name in settings}
        words = [word for word in last_text(body).split() if word.startswith("fake:")]
        said |= dict(word.removeprefix("fake:").partition("=")[::2] for word in words)
        said |= body["fake"] if isinstance(body.get("fake"), dict) else {}
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in said.items():
            if name in ("delay_ms", "first_delay_ms"):
                values[name.removesuffix("_ms")] = float(value) / 1000
            elif name == "say":
                values[name] = unquote(value)
            elif name in known:
                values[name] = int(value)
        return cls(**values)


@dataclass
class Event:
    bytes: bytes
    is_word: bool = False


@dataclass
class Answer:
    """`words`: so many are counted, for the pace of an answer that is sent as a whole."""

    body: Any
    status: int = 200
    stream: Iterator[Event] | None = None
    words: int = 0
    text: str = ""
    empty: bool = False
    steering: Steering = field(default_factory=Steering)


def last_text(body: dict[str, Any]) -> str:
    """What was said last, as far as it is text."""
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return _text_of(messages[-1].get("content"))
    given = body.get("input", body.get("prompt", ""))
    if isinstance(given, list) and given and isinstance(given[-1], dict):
        return _text_of(given[-1].get("content"))
    return given if isinstance(given, str) else ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _images_in(body: dict[str, Any]) -> int:
    messages = body.get("messages", body.get("input", []))
    contents = [m.get("content") for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
    parts = [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]
    return sum(part.get("type") in ("image_url", "input_image", "image") for part in parts)


def _sse(value: Any, name: str = "", *, word: bool = False) -> Event:
    head = f"event: {name}\n" if name else ""
    return Event(f"{head}data: {json.dumps(value)}\n\n".encode(), word)


DONE = Event(b"data: [DONE]\n\n")


# ── what is said ──────────────────────────────────────────────────────────────


@dataclass
class Said:
    """One choice: words of reasoning, words of the answer (with their spaces), or calls of tools."""

    reasoning: list[str]
    words: list[str]
    calls: list[dict[str, Any]]
    finish: str
    logprobs: list[float] | None = None

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def count(self) -> int:
        return len(self.words) + len(self.reasoning) + sum(len(call["arguments"].split()) for call in self.calls)


def _pick(body: dict[str, Any], index: int, count: int) -> list[str]:
    seed = f"{last_text(body)}|{body.get('seed')}|{index}"
    digest = hashlib.sha256(seed.encode()).digest()
    return [("" if i == 0 else " ") + WORDS[digest[i % 32] % len(WORDS)] for i in range(count)]


def _say(body: dict[str, Any], index: int, steering: Steering) -> Said:
    named = (body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    limit = next((value for value in named if value is not None), None)
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise Bad(400, "max_tokens must be at least 1, got " + str(limit), param="max_tokens")
    reasoning = _pick({**body, "seed": "reasoning"}, index, steering.reasoning)
    if calls := _calls(body, steering):
        return Said(reasoning, [], calls, "tool_calls")
    schema = _schema_asked(body)
    if schema is not None:
        return Said(reasoning, [json.dumps(example(schema))], [], "stop")
    words = [steering.say] if steering.say else _pick(body, index, steering.tokens)
    if pictures := _images_in(body):
        words = [f"I see {pictures} picture{'s' * (pictures > 1)}:", *(" " + word.strip() for word in words)]
    finish = "stop"
    if isinstance(limit, int) and len(words) > limit:
        words, finish = words[:limit], "length"
    words = _stopped(words, body.get("stop", body.get("stop_sequences")))
    return Said(reasoning, words, [], finish, [-0.25] * len(words))


def _stopped(words: list[str], stop: Any) -> list[str]:
    text = "".join(words)
    stops = [stop] if isinstance(stop, str) else stop or []
    end = min((at for each in stops if (at := text.find(each)) >= 0), default=len(text))
    kept: list[str] = []
    for word in words:
        if end <= 0:
            break
        kept.append(word[:end])
        end -= len(word)
    return kept


def _schema_asked(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    match wanted.get("type"):
        case "json_object":
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case "json_schema":
            return wanted.get("schema") or wanted.get("json_schema", {}).get("schema", {})
    return None


def _calls(body: dict[str, Any], steering: Steering) -> list[dict[str, Any]]:
    tools = [tool.get("function", tool) for tool in body.get("tools") or []]
    choice = body.get("tool_choice", "auto")
    named = choice.get("function", choice).get("name") if isinstance(choice, dict) else None
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if not tools or kind == "none":
        return []
    if named is None and kind not in ("required", "any") and not steering.tool:
        return []
    chosen = next((tool for tool in tools if tool["name"] == named), None if named else tools[0])
    if chosen is None:
        raise Bad(400, f"the tool {named!r} is not among the tools", param="tool_choice")
    schema = chosen.get("parameters") or chosen.get("input_schema") or {}
    # As vLLM: what must be called is held to its schema where it is `strict`, and else says what it likes.
    given = example(schema) if chosen.get("strict") or steering.tool else {"text": WORDS[0]}
    call_id = "call_" + hashlib.sha256(chosen["name"].encode()).hexdigest()[:12]
    return [{"id": call_id, "name": chosen["name"], "arguments": json.dumps(given)}]


def example(schema: dict[str, Any]) -> Any:
    """A small value that fits a JSON schema, as far as schemas of tools and answers go."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return example(schema[union][0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: example(inner) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [example(schema.get("items", {}))] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
    return WORDS[0]


def _prompt_tokens(body: dict[str, Any], settings: dict[str, Any]) -> int:
    messages = body.get("messages", body.get("input", body.get("prompt", "")))
    texts = [_text_of(m.get("content")) if isinstance(m, dict) else str(m) for m in messages] if isinstance(
        messages, list
    ) else [str(messages)]  # fmt: skip
    count = sum(len(text.split()) for text in texts) + IMAGE_TOKENS * _images_in(body)
    most = int(settings.get("max_model_len", 4096))
    if count > most:
        raise Bad(
            400, f"This model's maximum context length is {most} tokens, the prompt has {count}.", param="messages"
        )
    return count


def _id(prefix: str, body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, default=str)
    return prefix + hashlib.sha256(text.encode()).hexdigest()[:24]


# ── chat/completions and completions ──────────────────────────────────────────


def _choices(body: dict[str, Any], steering: Steering) -> list[Said]:
    n = body.get("n") or 1
    if not isinstance(n, int) or n < 1:
        raise Bad(400, "n must be at least 1", param="n")
    return [_say(body, index, steering) for index in range(n)]


def _usage(prompt: int, said: list[Said]) -> dict[str, Any]:
    done = sum(one.count for one in said)
    return {"prompt_tokens": prompt, "completion_tokens": done, "total_tokens": prompt + done}


def chat(body: dict[str, Any], name: str, settings: dict[str, Any], _path: str) -> Answer:
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise Bad(400, "messages: Field required", param="messages")
    steering = Steering.of(body, settings)
    prompt, said = _prompt_tokens(body, settings), _choices(body, steering)
    head = {"id": _id("chatcmpl-", body), "created": CREATED, "model": name}
    usage = _usage(prompt, said)
    if body.get("stream"):
        return Answer(None, stream=_chat_events(body, head, said, usage))
    choices = [
        {
            "index": index,
            "message": _message(one),
            "finish_reason": one.finish,
            "logprobs": _logprobs(body, one.words) if body.get("logprobs") else None,
        }
        for index, one in enumerate(said)
    ]
    whole = head | {"object": "chat.completion", "choices": choices, "usage": usage}
    return Answer(whole, words=sum(one.count for one in said))


def _message(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text if said.words else None}
    if said.reasoning:
        message["reasoning"] = "".join(said.reasoning)
    message["tool_calls"] = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in said.calls
    ]
    return message


def _logprobs(body: dict[str, Any], words: list[str]) -> dict[str, Any]:
    most = body.get("top_logprobs") or 0
    return {"content": [_logprob(word) | {"top_logprobs": [_logprob(word)] * min(1, most)} for word in words]}


def _logprob(word: str) -> dict[str, Any]:
    return {"token": word, "bytes": list(word.encode()), "logprob": -0.25}


def _chat_events(
    body: dict[str, Any], head: dict[str, Any], said: list[Said], usage: dict[str, Any]
) -> Iterator[Event]:
    wants_usage = (body.get("stream_options") or {}).get("include_usage", False)
    head = head | {"object": "chat.completion.chunk"}

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, *, word: str | None = None) -> Event:
        logprobs = _logprobs(body, [word]) if word is not None and body.get("logprobs") else None
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return _sse(head | {"choices": [choice]}, word=word is not None)

    for index, one in enumerate(said):
        yield chunk(index, {"role": "assistant", "content": ""})
        for word in one.reasoning:
            yield chunk(index, {"reasoning": word}, word=word)
        for word in one.words:
            yield chunk(index, {"content": word}, word=word)
        for number, call in enumerate(one.calls):
            function = {"name": call["name"], "arguments": ""}
            start = {"index": number, "id": call["id"], "type": "function", "function": function}
            yield chunk(index, {"tool_calls": [start]})
            middle = len(call["arguments"]) // 2
            for part in (call["arguments"][:middle], call["arguments"][middle:]):
                yield chunk(index, {"tool_calls": [{"index": number, "function": {"arguments": part}}]}, word=part)
        yield chunk(index, {}, one.finish)
    if wants_usage:
        yield _sse(head | {"choices": [], "usage": usage})
    yield DONE


def completions(body: dict[str, Any], name: str, settings: dict[str, Any], _path: str) -> Answer:
    if not body.get("prompt"):
        raise Bad(400, "prompt: Field required", param="prompt")
    steering = Steering.of(body, settings)
    prompt, said = _prompt_tokens(body, settings), _choices(body, steering)
    head = {"id": _id("cmpl-", body), "object": "text_completion", "created": CREATED, "model": name}
    usage = _usage(prompt, said)
    if not body.get("stream"):
        echo = str(body["prompt"]) if body.get("echo") else ""
        choices = [
            {"index": i, "text": echo + one.text, "finish_reason": one.finish, "logprobs": None}
            for i, one in enumerate(said)
        ]
        return Answer(head | {"choices": choices, "usage": usage}, words=sum(one.count for one in said))

    def events() -> Iterator[Event]:
        for i, one in enumerate(said):
            for place, word in enumerate(one.words):
                finish = one.finish if place + 1 == len(one.words) else None
                yield _sse(head | {"choices": [{"index": i, "text": word, "finish_reason": finish}]}, word=True)
        if (body.get("stream_options") or {}).get("include_usage"):
            yield _sse(head | {"choices": [], "usage": usage})
        yield DONE

    return Answer(None, stream=events())


# ── responses ─────────────────────────────────────────────────────────────────

_kept: dict[str, dict[str, Any]] = {}


def responses(body: dict[str, Any], name: str, settings: dict[str, Any], _path: str) -> Answer:
    if not body.get("input"):
        raise Bad(400, "input: Field required", param="input")
    said = _say(body, 0, Steering.of(body, settings))
    prompt = _prompt_tokens(body, settings)
    whole = {
        "id": _id("resp_", body), "object": "response", "created_at": CREATED, "model": name, "status": "completed",
        "output": _output(said), "parallel_tool_calls": True, "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []), "error": None, "incomplete_details": None,
        "usage": {
            "input_tokens": prompt, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": said.count,
            "output_tokens_details": {"reasoning_tokens": len(said.reasoning)}, "total_tokens": prompt + said.count,
        },
    }  # fmt: skip
    _kept[whole["id"]] = whole
    return Answer(None, stream=_response_events(whole, said)) if body.get("stream") else Answer(whole, words=said.count)


def _output(said: Said) -> list[dict[str, Any]]:
    if said.calls:
        return [
            {"type": "function_call", "id": "fc_1", "call_id": call["id"], "name": call["name"],
             "arguments": call["arguments"], "status": "completed"}
            for call in said.calls
        ]  # fmt: skip
    content = [{"type": "output_text", "text": said.text, "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    if not said.reasoning:
        return [message]
    thought = [{"type": "reasoning_text", "text": "".join(said.reasoning)}]
    return [{"type": "reasoning", "id": "rs_1", "summary": [], "content": thought}, message]


def _response_events(whole: dict[str, Any], said: Said) -> Iterator[Event]:
    numbers = iter(range(1_000_000))

    def event(kind: str, *, word: bool = False, **values: Any) -> Event:
        return _sse({"type": kind, "sequence_number": next(numbers), **values}, kind, word=word)

    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(whole["output"]):
        yield event("response.output_item.added", output_index=index, item=item | {"status": "in_progress"})
        if item["type"] == "message":
            place = {"item_id": item["id"], "output_index": index, "content_index": 0}
            empty = {"type": "output_text", "text": "", "annotations": []}
            yield event("response.content_part.added", part=empty, **place)
            for word in said.words:
                yield event("response.output_text.delta", delta=word, logprobs=[], word=True, **place)
            yield event("response.output_text.done", text=said.text, logprobs=[], **place)
            yield event("response.content_part.done", part=item["content"][0], **place)
        elif item["type"] == "function_call":
            place = {"item_id": item["id"], "output_index": index}
            yield event("response.function_call_arguments.delta", delta=item["arguments"], word=True, **place)
            yield event("response.function_call_arguments.done", arguments=item["arguments"], **place)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=whole)


def response_by_id(_body: dict[str, Any], _name: str, _settings: dict[str, Any], path: str) -> Answer:
    found = _kept.get(path.removeprefix("/v1/responses/").partition("/")[0].partition("?")[0])
    if found is None:
        raise Bad(404, "Response with that id not found.", "invalid_request_error", "response_id")
    return Answer(found)


# ── messages (Anthropic's) ────────────────────────────────────────────────────


def messages(body: dict[str, Any], name: str, settings: dict[str, Any], _path: str) -> Answer:
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise Bad(400, "messages: Field required", param="messages")
    said = _say(body, 0, Steering.of(body, settings))
    prompt = _prompt_tokens(body, settings)
    reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
    content: list[dict[str, Any]] = [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": json.loads(call["arguments"])}
        for call in said.calls
    ] or [{"type": "text", "text": said.text}]
    whole = {
        "id": _id("msg_", body), "type": "message", "role": "assistant", "model": name, "content": content,
        "stop_reason": reasons[said.finish], "stop_sequence": None,
        "usage": {"input_tokens": prompt, "output_tokens": said.count},
    }  # fmt: skip
    return Answer(None, stream=_message_events(whole, said)) if body.get("stream") else Answer(whole, words=said.count)


def _message_events(whole: dict[str, Any], said: Said) -> Iterator[Event]:
    def event(kind: str, *, word: bool = False, **values: Any) -> Event:
        return _sse({"type": kind, **values}, kind, word=word)

    yield event("message_start", message=whole | {"content": [], "stop_reason": None})
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for piece in said.words:
                yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece}, word=True)
        else:
            yield event("content_block_start", index=index, content_block=block | {"input": {}})
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            yield event("content_block_delta", index=index, delta=delta, word=True)
        yield event("content_block_stop", index=index)
    ends = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=ends, usage={"output_tokens": said.count})
    yield event("message_stop")


def count_tokens(body: dict[str, Any], _name: str, settings: dict[str, Any], _path: str) -> Answer:
    return Answer({"input_tokens": _prompt_tokens(body, settings)})


# ── tokens and embeddings ─────────────────────────────────────────────────────


def tokenize(body: dict[str, Any], _name: str, settings: dict[str, Any], _path: str) -> Answer:
    texts = (
        [_text_of(m.get("content")) for m in body["messages"]] if "messages" in body else [str(body.get("prompt", ""))]
    )
    tokens = list("\n".join(texts).encode())
    strings = [chr(token) for token in tokens] if body.get("return_token_strs") else None
    limit = int(settings.get("max_model_len", 4096))
    return Answer({"count": len(tokens), "max_model_len": limit, "tokens": tokens, "token_strs": strings})


def detokenize(body: dict[str, Any], _name: str, _settings: dict[str, Any], _path: str) -> Answer:
    try:
        return Answer({"prompt": bytes(body["tokens"]).decode(errors="replace")})
    except (KeyError, TypeError, ValueError) as error:
        raise Bad(400, "tokens: a list of numbers from 0 to 255", param="tokens") from error


def embeddings(body: dict[str, Any], name: str, _settings: dict[str, Any], _path: str) -> Answer:
    given = body.get("input")
    if not given:
        raise Bad(400, "input: Field required", param="input")
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    data = []
    for index, text in enumerate(inputs):
        vector = _vector(str(text), body.get("dimensions") or DIMENSIONS)
        packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        value = packed if body.get("encoding_format") == "base64" else vector
        data.append({"object": "embedding", "index": index, "embedding": value})
    count = sum(len(str(text).split()) for text in inputs)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return Answer({"object": "list", "model": name, "data": data, "usage": usage})


def _vector(text: str, dimensions: int) -> list[float]:
    """Of length one; like texts are no nearer than unlike ones."""
    digest = hashlib.shake_256(text.encode()).digest(dimensions)
    values = [byte - 127.5 for byte in digest]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


Make = Callable[[dict[str, Any], str, dict[str, Any], str], Answer]

# (method, path or beginning of one, task of the servers that have it or None for all, what makes the answer)
ROUTES: tuple[tuple[str, str, str | None, Make], ...] = (
    ("POST", "/v1/chat/completions", "chat", chat),
    ("POST", "/v1/completions", "chat", completions),
    ("POST", "/v1/responses", "chat", responses),
    ("POST", "/v1/messages", "chat", messages),
    ("POST", "/v1/messages/count_tokens", "chat", count_tokens),
    ("POST", "/v1/embeddings", "embed", embeddings),
    ("POST", "/tokenize", None, tokenize),
    ("POST", "/detokenize", None, detokenize),
    ("GET", "/v1/responses/", "chat", response_by_id),
    ("POST", "/v1/responses/", "chat", response_by_id),
)
