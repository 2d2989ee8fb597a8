"""The chat template of `lore`, and the same in Python for training.

Turns as ChatML; tools as short signatures in the system turn, calls and answers in Hermes's tags (`--tool-call-parser
hermes`), thoughts in `<think>` as Qwen3 has them (`--reasoning-parser qwen3`), only when `enable_thinking` is true.
"""

import json
from dataclasses import dataclass, field
from typing import Any

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")

JINJA = """\
{%- macro words(content) -%}
{%- if content is string -%}{{ content }}
{%- elif content -%}{%- for part in content -%}{{ part.text if part.text is defined else '' }}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- set first = messages and messages[0].role in ('system', 'developer') -%}
{%- if first or tools -%}
{{- '<|im_start|>system\\n' -}}
{%- if first -%}{{ words(messages[0].content) }}{%- endif -%}
{%- if tools -%}
{{- '\\n\\nTools:' if first else 'Tools:' -}}
{%- for tool in tools -%}
{%- set made = tool.function if tool.function is defined else tool -%}
{%- set takes = made.parameters if made.parameters is defined and made.parameters else {} -%}
{{- '\\n- ' + made.name + '(' -}}
{%- for name, kind in (takes.properties or {}).items() -%}
{{- name -}}{{- '' if name in (takes.required or []) else '?' -}}{{- ', ' if not loop.last else '' -}}
{%- endfor -%}
{{- ')' -}}
{%- if made.description -%}{{ ': ' + made.description }}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if loop.first and first -%}
{%- elif message.role == 'tool' -%}
{{- '<|im_start|>user\\n<tool_response>\\n' + words(message.content) + '\\n</tool_response><|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>' + message.role + '\\n' + words(message.content) -}}
{%- for call in (message.tool_calls or []) -%}
{%- set made = call.function if call.function is defined else call -%}
{{- '\\n' if message.content or not loop.first else '' -}}
{{- '<tool_call>\\n{"name": "' + made.name + '", "arguments": ' -}}
{{- made.arguments if made.arguments is string else made.arguments | tojson -}}
{{- '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if not enable_thinking -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{%- endif -%}
"""


@dataclass
class Talk:
    """One conversation. `messages` as OpenAI writes them; an assistant's may have a `thought`, shown for the last."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)
    thinking: bool = False
    kind: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def tool_call(name: str, arguments: dict[str, Any]) -> str:
    """What the model writes to call a tool."""
    said = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{said}\n</tool_call>"


def _signature(tool: dict[str, Any]) -> str:
    made = tool["function"]
    takes = made["parameters"]
    names = [name if name in takes.get("required", []) else f"{name}?" for name in takes["properties"]]
    return f"\n- {made['name']}({', '.join(names)}): {made['description']}"


def _said(message: dict[str, Any]) -> str:
    text = message.get("content") or ""
    for call in message.get("tool_calls", []):
        made = call["function"]
        text += ("\n" if text else "") + tool_call(made["name"], made["arguments"])
    return text


NOT, REST, ALL = 0, 1, 2  # what of a segment is learnt: nothing, all but its first token, everything


def segments(talk: Talk) -> list[tuple[str, int]]:
    """The conversation as training sees it: (text, what of it is learnt). The texts' sum is what `JINJA` gives, with
    the model's last answer and its `<|im_end|>` behind it. Earlier answers stand without the mark that says whether to
    think, so that their first token would teach the wrong thing."""
    messages, parts = list(talk.messages), []
    system = messages.pop(0)["content"] if messages[0]["role"] == "system" else ""
    if talk.tools:
        system += ("\n\n" if system else "") + "Tools:" + "".join(_signature(tool) for tool in talk.tools)
    if system:
        parts.append((f"<|im_start|>system\n{system}<|im_end|>\n", NOT))
    for at, message in enumerate(messages):
        last = at == len(messages) - 1
        if message["role"] == "assistant":
            thought = "<think>\n\n</think>\n\n" if last and not talk.thinking else ""
            parts.append((f"<|im_start|>assistant\n{thought}", NOT))
            if last and talk.thinking:
                parts.append((f"<think>\n{message['thought']}\n</think>\n\n", ALL))
            parts += [(f"{_said(message)}<|im_end|>", ALL if last else REST), ("\n", NOT)]
        elif message["role"] == "tool":
            parts.append(
                (f"<|im_start|>user\n<tool_response>\n{message['content']}\n</tool_response><|im_end|>\n", NOT)
            )
        else:
            parts.append((f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n", NOT))
    return parts[:-1]
