"""What each chat engine can do, so that what it cannot is said before it is tried. Plain data.

The contract tests (`tests/chat_engines/test_promises.py`) hold this table against the engines themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atelier.runtime.engines import EngineName

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
TOKENIZE, DETOKENIZE = "/tokenize", "/detokenize"
OF_ANSWERS_KEPT = ("previous_response_id", "conversation", "background")
"""Fields of /v1/responses that only an engine which remembers its answers understands."""


@dataclass(frozen=True)
class Abilities:
    """`routes`: of a chat model; `embed_routes`: of an embedding model (none: it runs none).

    `tool_choices`: how tools may be asked for; `auto` needs a tool parser as well. `many`: `n` above 1. `schema`: an
    answer that is held to a JSON schema. `around`: the words around an answer of /v1/completions, and a least length.
    `remembers`: answers of /v1/responses, which the next request may go on from by their ids. `sees`: pictures in a
    request, for a model that sees. `adapts`: LoRAs are loaded with a model and answer by their own names. `sleeps`: its
    weights can be put aside. `fp8_weights`, `fp8_cache`: it loads weights, or keeps keys and values, in 8 bits.
    `reserves`: the memory of all requests that it may serve at once is taken when it loads.
    """

    routes: frozenset[str]
    embed_routes: frozenset[str] = frozenset()
    tool_choices: frozenset[str] = frozenset()
    many: bool = False
    schema: bool = False
    around: bool = False
    remembers: bool = False
    logprobs: bool = False
    logit_bias: bool = False
    seed: bool = False
    stop: bool = False
    sees: bool = False
    adapts: bool = False
    sleeps: bool = False
    fp8_weights: bool = False
    fp8_cache: bool = False
    reserves: bool = False

    def routes_of(self, task: str) -> frozenset[str]:
        return self.embed_routes if task == "embed" else self.routes

    def lacks(self, body: Mapping[str, Any]) -> str | None:
        """The first field of a request that this engine would ignore or refuse."""
        for field, (ability, is_asked) in _ASKED.items():
            if field in body and is_asked(body[field]) and not getattr(self, ability):
                return field
        return None if not body.get("tools") or self._calls(body.get("tool_choice", "auto")) else "tool_choice"

    def _calls(self, choice: Any) -> bool:
        """Whether tools may be asked for in this way."""
        named = "named" if isinstance(choice, dict) else choice if isinstance(choice, str) else None
        return named in (None, "none") or named in self.tool_choices


def _format_in(value: Any) -> Any:
    """OpenAI's /v1/responses and Anthropic's API have the shape of an answer one level deeper."""
    return value.get("format") if isinstance(value, dict) else None


def _is_shaped(wanted: Any) -> bool:
    return isinstance(wanted, dict) and wanted.get("type") not in (None, "text")


def _is_several(number: Any) -> bool:
    return number not in (None, 0, 1)


def _is_format_shaped(value: Any) -> bool:
    return _is_shaped(_format_in(value))


_ASKED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "n": ("many", _is_several),
    "best_of": ("many", _is_several),
    "logprobs": ("logprobs", bool),
    "top_logprobs": ("logprobs", bool),
    "echo": ("around", bool),
    "suffix": ("around", bool),
    "min_tokens": ("around", bool),
    "structured_outputs": ("schema", bool),
    "logit_bias": ("logit_bias", bool),
    "response_format": ("schema", _is_shaped),
    "text": ("schema", _is_format_shaped),
    "output_config": ("schema", _is_format_shaped),
    **dict.fromkeys(OF_ANSWERS_KEPT, ("remembers", bool)),
}
"""Fields of a request, each with the ability that it takes and whether its value asks for that. Looked at for every
request of /v1."""

_ALL = frozenset({CHAT, COMPLETIONS, RESPONSES, MESSAGES, COUNT_TOKENS, TOKENIZE, DETOKENIZE})
_VLLM = Abilities(
    routes=_ALL,
    embed_routes=frozenset({EMBEDDINGS, TOKENIZE, DETOKENIZE}),
    tool_choices=frozenset({"auto", "required", "named"}),
    many=True,
    schema=True,
    around=True,
    logprobs=True,
    logit_bias=True,
    seed=True,
    stop=True,
    sees=True,
    adapts=True,
    fp8_cache=True,
    reserves=True,
)
_ON_GPU = {"sleeps": True, "fp8_weights": True}

ABILITIES: dict[str, Abilities] = {
    EngineName.VLLM_CHAT: Abilities(**{**vars(_VLLM), **_ON_GPU}),
    EngineName.VLLM_CPU_CHAT: _VLLM,
    EngineName.TRANSFORMERS_CHAT: Abilities(
        routes=frozenset({CHAT, COMPLETIONS, RESPONSES, TOKENIZE, DETOKENIZE}),
        tool_choices=frozenset({"auto"}),
        logit_bias=True,
        seed=True,
        stop=True,
        sees=True,
    ),
    EngineName.FAKE: Abilities(**{**vars(_VLLM), **_ON_GPU, "remembers": True}),
}

assert set(ABILITIES) <= set(EngineName)
