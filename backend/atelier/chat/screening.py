"""What a request may ask of an engine: looked over once, before anything is sent.

An engine's server is made for people who trust each other. Here strangers call: what would let them run templates,
name files and addresses, choose backends or make one request cost like a thousand is refused by its field's name, and a
field that nobody has looked at is dropped. `FIELDS` is the whole list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from atelier.chat import picture_checks
from atelier.errors import BadRequest
from atelier.runtime.abilities import ABILITIES, OF_ANSWERS_KEPT, TOKENIZE
from atelier.said import Said

if TYPE_CHECKING:
    from atelier.chat.targets import Target

MOST_CHOICES = 16
MOST_LOGPROBS = 20
MOST_STOPS = 16
MOST_PROMPTS = 256
MOST_INPUTS = 2048
MOST_MESSAGES = 8192
MOST_TOOLS = 128
MOST_BIASES = 1024
MOST_WORDS_OF_A_NAME = 256
SCHEMA_BYTES, SCHEMA_DEPTH = 64 * 1024, 32
PATTERN_LENGTH = 256
MOST_TOKENS = 1_000_000
MOST_READ_WHOLE = 500_000
"""Characters of one text that an engine makes tokens of before anything of it is left out. Ten times as many keep it
from answering anybody, until it is taken for hung."""
FEW_BYTES, MOST_VALUES = 1024 * 1024, 1_000_000
"""Of a body that is larger than a few bytes, estimated by its signs: a text of ten million characters has fewer."""

Body = dict[str, Any]
Check = Callable[[str, Any], None]

# A repeated group that holds a repetition itself: what makes a matcher take for ever.
_NESTED = re.compile(r"\((?:[^()\\]|\\.)*[*+}](?:[^()\\]|\\.)*\)\s*[*+{]")


class InvalidJSON(BadRequest):
    status = 400
    code = "invalid_json"


def parsed(raw: bytes) -> Body:
    """The request's JSON object. Raises BadRequest, and before it is read for what would take seconds to read."""
    if len(raw) > FEW_BYTES and sum(map(raw.count, (b",", b":", b"[", b"{"))) > MOST_VALUES:
        words = Said(f"The body holds more than {MOST_VALUES} values.", "chat.too_many_values", most=MOST_VALUES)
        raise BadRequest(words, field="body", hint="Send less at once.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        words = Said("The body is not valid JSON.", "invalid_json")
        raise InvalidJSON(words, field="body", hint="Send a JSON object.") from None
    if body.__class__ is not dict:
        words = Said("The body is no JSON object.", "chat.no_object")
        raise InvalidJSON(words, field="body", hint='Send a JSON object such as {"model": …}.')
    return body


def encoded(value: Any, field: str = "body") -> bytes:
    """As JSON. Raises BadRequest for what is nested deeper than anybody needs."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        words = Said(f"{field} is nested too deep.", "chat.too_deep", name=field, most=200)
        raise BadRequest(words, field=field, hint="Send something flatter.") from None


# ── checks of one field ───────────────────────────────────────────────────────


def _no(field: str) -> BadRequest:
    words = Said(f"{field} is not taken by this Atelier.", "chat.field_refused", name=field)
    return BadRequest(words, field=field, hint="Leave it out.")


def _too_much(field: str, what: str, most: int) -> BadRequest:
    words = Said(f"{field} may have {most} {what} at most.", "chat.too_much", name=field, most=most)
    return BadRequest(words, field=field, hint="Send less at once.")


def _wrong(field: str, wanted: str) -> BadRequest:
    words = Said(f"{field} must be {wanted}.", "chat.wrong_kind", name=field, wanted=wanted)
    return BadRequest(words, field=field, hint="Correct it.")


def _refuse(field: str, value: Any) -> None:
    if value is not None:
        raise _no(field)


def _whole(most: int, least: int = 0) -> Check:
    def check(field: str, value: Any) -> None:
        if value is None:
            return
        if value.__class__ is not int or not least <= value <= most:
            words = Said(
                f"{field} must be a whole number from {least} to {most}.",
                "chat.range",
                name=field,
                low=least,
                high=most,
            )
            raise BadRequest(words, field=field, hint="Correct it.")

    return check


def _logprobs(field: str, value: Any) -> None:
    if value.__class__ is not bool:
        _whole(MOST_LOGPROBS)(field, value)


def _listed(most: int, what: str) -> Check:
    def check(field: str, value: Any) -> None:
        if value.__class__ is list and len(value) > most:
            raise _too_much(field, what, most)

    return check


def _stop(field: str, value: Any) -> None:
    stops = value if value.__class__ is list else [value]
    if len(stops) > MOST_STOPS or any(one.__class__ is str and len(one) > MOST_WORDS_OF_A_NAME for one in stops):
        raise _too_much(field, f"entries of {MOST_WORDS_OF_A_NAME} characters", MOST_STOPS)


def _bias(field: str, value: Any) -> None:
    if value is None:
        return
    if value.__class__ is not dict:
        raise _wrong(field, "an object")
    if len(value) > MOST_BIASES:
        raise _too_much(field, "entries", MOST_BIASES)


def _prompt(field: str, value: Any) -> None:
    # A list of numbers is one prompt, made of tokens.
    if value.__class__ is list and len(value) > MOST_PROMPTS and value[0].__class__ is not int:
        raise _too_much(field, "prompts", MOST_PROMPTS)


def _input(field: str, value: Any) -> None:
    if value.__class__ is list and len(value) > MOST_INPUTS and value[0].__class__ is not int:
        raise _too_much(field, "entries", MOST_INPUTS)


def _label(field: str, value: Any) -> None:
    if value is not None and (value.__class__ is not str or len(value) > 4096):
        raise _wrong(field, "a text")


def _flat(field: str, value: Any) -> None:
    """Words and numbers about a request, that nobody acts on."""
    if value is not None and (value.__class__ is not dict or len(value) > 64 or len(encoded(value, field)) > 65536):
        raise _wrong(field, "a small object")


def _schema(field: str, value: Any) -> None:
    """A JSON schema: of bounded size and depth, and its patterns such that matching ends."""
    if value is None or value.__class__ is bool:
        return
    if value.__class__ is str and len(value) <= SCHEMA_BYTES:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise _wrong(field, "a JSON schema") from None
    if value.__class__ is not dict:
        raise _wrong(field, "an object")
    if len(encoded(value, field)) > SCHEMA_BYTES:
        raise _too_much(field, "bytes", SCHEMA_BYTES)
    # Each with what it is: a schema, a map from names to schemas, or data that may look like either.
    level: list[tuple[Any, str]] = [(value, "schema")]
    for _ in range(2 * SCHEMA_DEPTH):
        inner: list[tuple[Any, str]] = []
        for one, kind in level:
            if one.__class__ is list:
                inner.extend((each, kind) for each in one)
            elif kind == "schema":
                _one_schema(field, one)
                inner.extend((each, _KINDS.get(name, "schema")) for name, each in one.items())
            elif kind == "map":
                inner.extend((each, "schema") for each in one.values())
            else:
                inner.extend((each, "data") for each in one.values())
        level = [(one, kind) for one, kind in inner if one.__class__ in (dict, list)]
        if not level:
            _no_endless_reference(field, value)
            return
    words = Said(f"{field} is nested more than {SCHEMA_DEPTH} deep.", "chat.too_deep", name=field, most=SCHEMA_DEPTH)
    raise BadRequest(words, field=field, hint="Send a flatter schema.")


_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_KINDS = {**dict.fromkeys(_MAPS, "map"), **dict.fromkeys(("enum", "const", "default", "examples"), "data")}
_TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}


def _one_schema(field: str, schema: Body) -> None:
    """The words of one schema that engines are known to fall over."""
    if "pattern" in schema:
        _pattern(field, schema["pattern"])
    reference, types = schema.get("$ref", "#"), schema.get("type", [])
    if reference.__class__ is not str or not reference.startswith("#"):
        raise _wrong(f"{field}.$ref", "a place in the schema itself")
    types = types if types.__class__ is list else [types]
    if not all(one.__class__ is str and one in _TYPES for one in types):
        raise _wrong(f"{field}.type", "a type of JSON schema, or a list of them")
    for name in _MAPS:
        if name in schema and schema[name].__class__ is not dict:
            raise _wrong(f"{field}.{name}", "an object")
    for name in schema.get("patternProperties", {}):
        _pattern(field, name)


_ONLY_REFERS = {"$ref", "$defs", "definitions", "$schema", "$id", "title", "description"}


def _no_endless_reference(field: str, schema: Body) -> None:
    """A definition that is nothing but a way back to itself: what expands references never ends."""
    seen: set[str] = set()
    at: Any = schema
    while at.__class__ is dict and at.get("$ref").__class__ is str and at.keys() <= _ONLY_REFERS:
        if at["$ref"] in seen:
            raise _wrong(field, "a schema whose references end")
        seen.add(at["$ref"])
        found: Any = schema
        for step in at["$ref"].lstrip("#/").split("/"):
            found = found.get(step) if step and found.__class__ is dict else found
        at = found
        if at is schema:
            raise _wrong(field, "a schema whose references end")


def _pattern(field: str, value: Any) -> None:
    if value.__class__ is not str:
        raise _wrong(field, "a text")
    if len(value) > PATTERN_LENGTH:
        raise _too_much(f"{field} pattern", "characters", PATTERN_LENGTH)
    counts = [int(one) for one in re.findall(r"\{(\d{1,9})", value)] + [
        int(n) for n in re.findall(r",(\d{1,9})\}", value)
    ]
    if _NESTED.search(value) or any(count > 1000 for count in counts) or re.search(r"\{\d{10}", value):
        raise _wrong(f"{field} pattern", "without repetitions inside repetitions, and repeat 1000 times at most")
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError):
        raise _wrong(f"{field} pattern", "a regular expression") from None


def _tools(field: str, value: Any) -> None:
    if value is None:
        return
    if value.__class__ is not list:
        raise _wrong(field, "a list")
    if len(value) > MOST_TOOLS:
        raise _too_much(field, "tools", MOST_TOOLS)
    for at, tool in enumerate(value):
        if tool.__class__ is not dict:
            raise _wrong(f"{field}.{at}", "an object")
        inner = tool.get("function", tool)
        if inner.__class__ is not dict:
            raise _wrong(f"{field}.{at}.function", "an object")
        for name in ("parameters", "input_schema", "schema"):
            if inner.get(name) is not None:
                _schema(f"{field}.{at}.{name}", inner[name])


def _functions(field: str, value: Any) -> None:
    """What came before tools: engines say nothing of it and answer as if it had not been asked."""
    if value:
        words = Said(f"{field} is not taken by this Atelier.", "chat.field_refused", name=field)
        raise BadRequest(words, field=field, hint="Send them as tools.")


def _choice(field: str, value: Any) -> None:
    if value.__class__ is dict and value.get("function", value).__class__ is not dict:
        raise _wrong(f"{field}.function", "an object")
    if value is not None and value.__class__ not in (str, dict):
        raise _wrong(field, "a word or an object")


def _format(field: str, value: Any) -> None:
    if value is None:
        return
    if value.__class__ is not dict:
        raise _wrong(field, "an object")
    if value.get("type") not in ("text", "json_object", "json_schema"):
        raise _wrong(f"{field}.type", "text, json_object or json_schema")
    if value["type"] == "json_schema":
        inner = value.get("json_schema", value)
        if inner.__class__ is not dict:
            raise _wrong(f"{field}.json_schema", "an object")
        _schema(f"{field}.json_schema.schema", inner.get("schema"))


def _text_format(field: str, value: Any) -> None:
    """Of /v1/responses: `text.format`, flat."""
    if value is not None and value.__class__ is not dict:
        raise _wrong(field, "an object")
    if value:
        _format(f"{field}.format", value.get("format"))


def _output_config(field: str, value: Any) -> None:
    """Of Anthropic's API: how much is thought, and `format`, the shape of the answer."""
    if value is not None and value.__class__ is not dict:
        raise _wrong(field, "an object")
    inner = value.get("format") if value else None
    if inner is not None and inner.__class__ is not dict:
        raise _wrong(f"{field}.format", "an object")
    if inner:
        _schema(f"{field}.format.schema", inner.get("schema"))


def _structured(field: str, value: Any) -> None:
    """vLLM's own: a schema, a choice or a small pattern; no grammar, no choice of backend."""
    if value is None:
        return
    if value.__class__ is not dict:
        raise _wrong(field, "an object")
    for name, inner in value.items():
        if inner is None:
            continue
        match name:
            case "json":
                _schema(f"{field}.json", inner)
            case "regex":
                _pattern(f"{field}.regex", inner)
            case "choice":
                if inner.__class__ is not list or not all(one.__class__ is str for one in inner):
                    raise _wrong(f"{field}.choice", "a list of texts")
                _listed(MOST_BIASES, "entries")(f"{field}.choice", inner)
            case "json_object":
                pass
            case _:
                raise _no(f"{field}.{name}")


_TEMPLATE_WORDS = frozenset({"enable_thinking", "thinking", "reasoning_effort", "thinking_budget"})


def _template_words(field: str, value: Any) -> None:
    """A template's switches: those of models that think, and nothing that a template could be made to run."""
    if value is None:
        return
    if value.__class__ is not dict:
        raise _wrong(field, "an object")
    for name, inner in value.items():
        if name not in _TEMPLATE_WORDS:
            raise _no(f"{field}.{name[:40]}")
        if inner.__class__ not in (bool, int, str) or len(str(inner)) > 32:
            raise _wrong(f"{field}.{name}", "a switch, a number or a word")


_PLAIN = (
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p top_k min_p seed user "
    "presence_penalty frequency_penalty repetition_penalty parallel_tool_calls reasoning_effort reasoning "
    "include_reasoning store service_tier safety_identifier prompt_cache_key prompt_cache_retention verbosity echo "
    "suffix ignore_eos skip_special_tokens spaces_between_special_tokens include_stop_str_in_output "
    "add_generation_prompt continue_final_message add_special_tokens return_token_strs return_token_ids dimensions "
    "encoding_format truncate_prompt_tokens system thinking instructions background include truncation "
    "previous_response_id max_output_tokens input_tokens tokens token_ids modalities anthropic_version "
    "include_obfuscation conversation"
)
_REFUSED = (
    "chat_template mm_processor_kwargs media_io_kwargs prompt_embeds kv_transfer_params vllm_xargs allowed_token_ids "
    "bad_words logits_processors logits_processor_args guided_json guided_regex guided_choice guided_grammar "
    "guided_decoding_backend guided_whitespace_pattern structural_tag documents use_beam_search length_penalty "
    "request_id priority data_parallel_rank cache_salt extra_args multi_modal_data mm_uuids prompt_logprobs "
    "custom_params lora_path trust_remote_code truncation_side ec_transfer_params repetition_detection "
    "enable_response_messages previous_input_messages"
)
FIELDS: dict[str, Check | None] = {
    **dict.fromkeys(_PLAIN.split()),
    **dict.fromkeys(_REFUSED.split(), _refuse),
    "n": _whole(MOST_CHOICES, 1),
    "best_of": _whole(MOST_CHOICES, 1),
    "logprobs": _logprobs,
    "top_logprobs": _whole(MOST_LOGPROBS),
    "min_tokens": _whole(MOST_TOKENS),
    "max_tool_calls": _whole(MOST_TOOLS),
    "stop": _stop,
    "stop_sequences": _stop,
    "stop_token_ids": _listed(MOST_STOPS, "entries"),
    "logit_bias": _bias,
    "prompt": _prompt,
    "input": _input,
    "tools": _tools,
    "functions": _functions,
    "tool_choice": _choice,
    "function_call": _label,
    "response_format": _format,
    "text": _text_format,
    "output_config": _output_config,
    "structured_outputs": _structured,
    "chat_template_kwargs": _template_words,
    "metadata": _flat,
    "client_metadata": _flat,
    "prompt_cache_options": _flat,
    "mcp_servers": _refuse,
    "prediction": _refuse,
    "audio": _refuse,
    "web_search_options": _refuse,
}
_SIMPLE = frozenset(_PLAIN.split())


def refuse_what_it_lacks(path: str, body: Body, target: Target) -> None:
    """Raises BadRequest for what the model's engine cannot do, before it is tried."""
    able = ABILITIES.get(target.spec.engine)
    if able is None:
        return
    if path not in able.routes_of(target.task):
        raise _not_its_route(path, target)
    if field := able.lacks(body):
        engine = target.spec.engine
        if field in OF_ANSWERS_KEPT:
            text = f"{field} is not taken: the engine {engine} keeps no answers."
            words = Said(text, "chat.keeps_no_answers", name=field, engine=engine)
            raise BadRequest(words, field=field, hint="Leave it out, and send all that was said before as input.")
        words = Said(
            f"{field} is more than the engine {engine} can do.", "chat.engine_lacks", name=field, engine=engine
        )
        raise BadRequest(words, field=field, hint="Leave it out, or choose another engine in the model's load options.")


def _not_its_route(path: str, target: Target) -> BadRequest:
    kinds = {kind for kind in ("chat", "embed") for engine in ABILITIES.values() if path in engine.routes_of(kind)}
    if target.task not in kinds and len(kinds) == 1:
        (kind,) = kinds
        text = f"{path} is not for {target.name}: no model of the kind {target.task} answers it."
        words = Said(text, "chat.other_kind", path=path, model=target.name, task=target.task, kind=kind)
        return BadRequest(words, field="model", hint=f"Choose a model of the kind {kind}.")
    text = f"{path} is not for {target.name}: its engine has no such route for a model of the kind {target.task}."
    words = Said(text, "chat.no_such_route", path=path, model=target.name, task=target.task)
    return BadRequest(words, field="model", hint="Choose another model, or another engine in its load options.")


def _is_read_whole(path: str, body: Body) -> bool:
    """Whether no limit of the context keeps an engine from making tokens of all that the request says."""
    return (
        path == TOKENIZE
        or body.get("truncate_prompt_tokens") is not None
        or body.get("truncation") not in (None, "disabled")
    )


def _characters(value: Any) -> int:
    """Of all texts in it; pictures are none."""
    if value.__class__ is str:
        return len(value)
    if value.__class__ is list:
        return sum(map(_characters, value))
    if value.__class__ is dict:
        return sum(_characters(inner) for name, inner in value.items() if name not in _NO_TEXT)
    return 0


_NO_TEXT = frozenset({"image_url", "source"})


def refuse_what_takes_too_long(path: str, body: Body) -> None:
    """Raises BadRequest for a text that would occupy the whole engine."""
    if not _is_read_whole(path, body):
        return
    name = next((one for one in ("messages", "input", "prompt") if one in body), "")
    given = body.get(name)
    is_list_of_texts = given.__class__ is list and given and given[0].__class__ is str
    if (max(map(_characters, given)) if is_list_of_texts else _characters(given)) > MOST_READ_WHOLE:
        words = Said(
            f"A text of more than {MOST_READ_WHOLE} characters is not read whole.",
            "chat.text_too_long",
            most=MOST_READ_WHOLE,
        )
        raise BadRequest(words, field=name, hint="Send it in parts.")


def _is_to_think(body: Body, target: Target) -> bool:
    """Whether a request in Anthropic's words asks for thought: engines take its budget, and leave the model's template
    as it is, which may be off."""
    wanted = body["thinking"]
    kind = wanted.get("type") if wanted.__class__ is dict else None
    return target.reasons and kind in ("enabled", "adaptive") and body.get("chat_template_kwargs") is None


def _holds_to_schemas(body: Body) -> bool:
    """Whether `body` was changed: a tool that must be called is called with what its schema asks for, unless the
    request says otherwise. vLLM holds only `strict` tools to their schemas, and whoever forces one (LangChain does for
    structured output) counts on its fields."""
    choice = body.get("tool_choice")
    kind = choice.get("type") if choice.__class__ is dict else choice
    tools = body.get("tools")
    if kind.__class__ is not str or kind not in _FORCED or tools.__class__ is not list:
        return False
    changed = False
    for tool in tools:
        inner = tool.get("function", tool)
        has_schema = "input_schema" in tool or tool.get("type") == "function"
        if has_schema and inner.get("strict") is None:
            inner["strict"] = changed = True
    return changed


_FORCED = frozenset({"required", "any", "function", "tool"})
_PICTURES = frozenset({"image_url", "input_image", "image"})
_TEXTS = frozenset(
    ("text", "input_text", "output_text", "reasoning_text", "summary_text", "refusal", "thinking", "redacted_thinking")
    + ("tool_use", "tool_result")
)
"""Kinds of parts that have nothing to fetch and nothing to decode."""


class Seen:
    """The pictures of one request, counted."""

    __slots__ = ("_count", "_target")

    def __init__(self, target: Target) -> None:
        self._target, self._count = target, 0

    def one_more(self, field: str) -> None:
        """Raises BadRequest where the model takes none, or no more."""
        most, name = self._target.pictures, self._target.name
        self._count += 1
        if most == 0:
            words = Said(f"{name} sees no pictures.", "chat.sees_nothing", model=name)
            raise BadRequest(words, field=field, hint="Choose a model that does: GET /v1/models says which.")
        if self._count > most:
            words = Said(
                f"{name} takes {most} pictures in one request at most.", "chat.pictures", model=name, most=most
            )
            raise BadRequest(words, field=field, hint="Send fewer, or allow more in the model's load options.")


class Screen:
    """Looks requests over. `fetch` brings a picture from an address (`atelier.remote`); None: none are fetched."""

    def __init__(self, pictures: Pictures | None = None) -> None:
        self._pictures = pictures

    async def look_over(self, path: str, body: Body, target: Target) -> bool:
        """Whether `body` was changed: what nobody knows is dropped, pictures from addresses stand in it. Raises
        BadRequest."""
        refuse_what_it_lacks(path, body, target)
        refuse_what_takes_too_long(path, body)
        changed = False
        if not body.keys() <= _SIMPLE:
            for field in list(body):
                if field in _SIMPLE:
                    continue
                if field not in FIELDS:
                    if not (field == "fake" and target.spec.engine == "fake"):
                        del body[field]
                        changed = True
                elif (check := FIELDS[field]) is not None:
                    check(field, body[field])
        if "thinking" in body and _is_to_think(body, target):
            body["chat_template_kwargs"], changed = dict.fromkeys(("enable_thinking", "thinking"), True), True
        if "tool_choice" in body:
            changed = _holds_to_schemas(body) or changed
        name = "messages" if "messages" in body else "input"
        turns = body.get(name)
        if turns.__class__ is list:
            if len(turns) > MOST_MESSAGES:
                raise _too_much(name, "messages", MOST_MESSAGES)
            seen = Seen(target)
            for turn in turns:
                if turn.__class__ is dict:
                    for holder in ("content", "output"):  # what a tool answered may have parts as well
                        if turn.get(holder).__class__ is list:
                            changed = await self._parts(f"{name}.{holder}", turn[holder], seen) or changed
                elif name == "messages":
                    raise _wrong(name, "a list of objects")
        elif name == "messages" and name in body:
            raise _wrong(name, "a list")
        return changed

    async def _parts(self, field: str, parts: list[Any], seen: Seen) -> bool:
        changed = False
        for part in parts:
            if part.__class__ is not dict:
                raise _wrong(field, "a text or a list of objects")
            kind = part.get("type")
            if kind.__class__ is not str:  # engines guess what it is, by whatever else is in it
                raise _wrong(f"{field}.type", "a text")
            if kind in _PICTURES:
                seen.one_more(field)
                changed = await self._picture(field, kind, part) or changed
            elif kind not in _TEXTS:
                words = Said(f"Parts of the type {kind[:40]} are not taken.", "chat.part_refused", kind=kind[:40])
                raise BadRequest(words, field=field, hint="Send text and pictures.")
            elif kind == "tool_result" and part.get("content").__class__ is list:
                changed = await self._parts(field, part["content"], seen) or changed
            for inner in ("mm_processor_kwargs", "image_pil", "uuid"):
                if part.get(inner) is not None:
                    raise _no(f"{field}.{inner}")
        return changed

    async def _picture(self, field: str, kind: str, part: Body) -> bool:
        """The picture of a part as a data URL; whether the part was changed for that."""
        if kind == "image":  # Anthropic's
            source = part.get("source")
            if source.__class__ is not dict:
                raise _wrong(f"{field}.source", "an object")
            if source.get("type") == "base64":
                picture_checks.check_data(f"{field}.source.data", source.get("data"))
                return False
            if source.get("type") != "url":
                raise _no(f"{field}.source.type")
            media, data = (await self._fetched(field, source.get("url"))).removeprefix("data:").split(";base64,", 1)
            part["source"] = {"type": "base64", "media_type": media, "data": data}
            return True
        holder = part.get("image_url")
        url = holder.get("url") if holder.__class__ is dict else holder
        if url.__class__ is str and url[:11].lower() == "data:image/":
            picture_checks.check_data_url(f"{field}.image_url", url)
            return False
        fetched = await self._fetched(field, url)
        if holder.__class__ is dict:
            holder["url"] = fetched
        else:
            part["image_url"] = fetched
        return True

    async def _fetched(self, field: str, url: Any) -> str:
        if url.__class__ is not str:
            raise _wrong(f"{field}.image_url", "a data URL")
        if not re.match(r"https?://", url, re.IGNORECASE) or self._pictures is None:
            words = Said("A picture must be given as a data URL.", "chat.picture_address")
            raise BadRequest(words, field=f"{field}.image_url", hint="data:image/png;base64,…")
        fetched = await self._pictures(url)
        picture_checks.check_data_url(f"{field}.image_url", fetched)
        return fetched


Pictures = Callable[[str], Any]
"""From an address to a data URL. Raises RemoteRefused."""
