"""How often `lore` does what it was asked: the figures of its card.

    cd backend && python -m embedded.lore.evaluate embedded/models/lore --count 60

Requests come from the grammar with seeds that training never used, and a second time about the pairs of species and
colour that were held out. Questions about anything else are written by hand, none of them made by the grammar.
"""

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from embedded.creatures.captions import Traits
from embedded.creatures.training import one_thread

from .grammar import TRANSLATE_SYSTEM, sample_talk
from .manners import CAN_ONLY, is_small_talk
from .phrases import feature_keys, looks
from .stories import name_fits
from .template import Talk, tool_call

# Names and descriptions are drawn as people would draw them; where one answer is right, the likeliest is taken.
TEMPERATURE = {"name": 0.7, "service_name": 0.7, "description": 0.7, "entry": 0.7}
_BATCH = 24
ELSEWHERE = (
    "What is the tallest mountain on Earth?", "Can you recommend a good restaurant?",
    "Write a haiku about autumn leaves.", "How many legs does a centipede have?", "def fibonacci(n):",
    "My printer does not work. What should I do?", "What's your opinion on climate change?",
    "Give me a recipe for pancakes", "Who won the world cup in 1998?", "Please summarise this article for me.",
    "Is it going to rain tomorrow?", "Solve x^2 + 3x = 10", "Quelle heure est-il à Montréal ?",
    "Donne-moi une recette de crêpes", "Comment réparer une fuite d'eau ?", "Qui était Victor Hugo ?",
    "Écris une lettre de motivation", "Combien de jours dans une année bissextile ?", "¿Quién pintó el Guernica?",
    "¿Cuántos planetas hay?", "Dame una receta de tortilla", "¿Cómo llego al aeropuerto?",
    "Escribe una carta a mi jefe", "¿Qué significa la palabra efímero?",
)  # fmt: skip
UNKNOWN_PROMPTS = (
    "un château au coucher du soleil", "une femme avec un parapluie rouge", "un vieux moulin sous la neige",
    "portrait d'un astronaute, lumière douce", "un dragon rouge qui joue du piano", "deux chats bleus dans un jardin",
    "une ville futuriste la nuit", "un renard roux dans la forêt", "una casa en la montaña", "retrato de una anciana",
    "un caballero con armadura", "un gato azul montando en bicicleta", "el mar al amanecer, óleo",
    "una nave espacial sobre Madrid", "un perro blanco con alas", "a castle at sunset, oil painting",
    "cinematic photo of an old car", "ein roter Drache mit Flügeln", "赤いドラゴン", "una calle vacía bajo la lluvia",
)  # fmt: skip


class Speaker:
    """The model with its tokenizer: whole batches of conversations at a time."""

    def __init__(self, folder: Path):
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokens = 0

    @torch.no_grad()
    def answers(self, talks: list[Talk], temperature: float = 0.0, limit: int = 160) -> list[str]:
        """What comes after each conversation's last but one turn; the end mark is left out, tags are not."""
        said = []
        for at in range(0, len(talks), _BATCH):
            prompts = [self._prompt(talk) for talk in talks[at : at + _BATCH]]
            given = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
            how = (
                {"do_sample": True, "temperature": temperature, "top_p": 0.95} if temperature else {"do_sample": False}
            )
            made = self.model.generate(**given, max_new_tokens=limit, **how)[:, given["input_ids"].shape[1] :]
            self.tokens += int((made != self.tokenizer.pad_token_id).sum())
            said += [text.strip() for text in self.tokenizer.batch_decode(made, skip_special_tokens=True)]
        return said

    def _prompt(self, talk: Talk) -> str:
        return self.tokenizer.apply_chat_template(
            [{key: value for key, value in message.items() if key != "thought"} for message in talk.messages[:-1]],
            tools=talk.tools or None,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=talk.thinking,
        )


def parsed(text: str) -> dict[str, Any] | None:
    """The JSON object that the whole answer is, or None."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_name(text: Any, traits: Traits | None) -> bool:
    return (
        isinstance(text, str)
        and re.fullmatch(r"[A-Z][a-z]{3,11}", text) is not None
        and (traits is None or name_fits(text, traits))
    )


def _named(said: str, talk: Talk) -> dict[str, bool]:
    facts, value = talk.facts, parsed(said)
    figures = {"json": value is not None and set(value) == {"name"}} if facts["json"] else {}
    return figures | {"name": _is_name(value.get("name") if value else said, facts["traits"])}


def _service_named(said: str, talk: Talk) -> dict[str, bool]:
    value = parsed(said)
    name = value.get("name") if value else None
    return {"json": value is not None and set(value) == {"name"}, "name": _is_name(name, talk.facts["traits"])}


def _described(said: str, talk: Talk) -> dict[str, bool]:
    traits, lang = talk.facts["traits"], talk.facts["lang"]
    name = said.split(" ", 1)[0]
    return {"description": f" {looks(traits, lang)} " in said, "name": _is_name(name, traits)}


def _entered(said: str, talk: Talk) -> dict[str, bool]:
    traits, keys, value = talk.facts["traits"], talk.facts["keys"], parsed(said)
    right = {"json": value is not None, "keys": value is not None and list(value) == keys}
    if value is None:
        return right
    wanted = {
        "species": traits.species,
        "colour": traits.colour,
        "pattern": traits.pattern,
        "features": list(feature_keys(traits)),
    }
    right |= {"attributes": all(value.get(key) == wanted[key] for key in keys if key in wanted)}
    if "description" in keys:
        right["description"] = f" {looks(traits, talk.facts['lang'])} " in str(value.get("description"))
    return right | ({"name": _is_name(value.get("name"), traits)} if "name" in keys else {})


def _exact(figure: str) -> Callable[[str, Talk], dict[str, bool]]:
    return lambda said, talk: {figure: said == talk.messages[-1]["content"]}


def _called(said: str, talk: Talk) -> dict[str, bool]:
    return {"tool": said == tool_call(talk.facts["tool"], talk.facts["arguments"])}


_JUDGES: dict[str, Callable[[str, Talk], dict[str, bool]]] = {
    "name": _named,
    "service_name": _service_named,
    "description": _described,
    "entry": _entered,
    "prompt": _exact("prompt"),
    "translation": _exact("translation"),
    "service_translation": _exact("translation for Atelier"),
    "service_unknown": _exact("says that it cannot translate"),
    "tool": _called,
    "tool_unneeded": lambda said, _talk: {"no tool where none is needed": "<tool_call>" not in said},
    "tool_answer": _exact("answer after a tool"),
    "refusal": _exact("refusal"),
    "cannot_draw": _exact("cannot draw without a tool"),
    "manners": lambda said, talk: {"manners": is_small_talk(said, talk.facts["lang"])},
}


def gather(count: int, seed: int, held_out: bool, kinds: set[str] | None = None) -> dict[str, list[Talk]]:
    """`count` conversations of each kind that comes up, or of `kinds`; thoughtful ones are left to their own figure."""
    rng, found = random.Random(seed), defaultdict(list)
    for _ in range(count * 400):
        talk = sample_talk(rng, held_out)
        if not talk.thinking and talk.kind in (kinds or _JUDGES) and len(found[talk.kind]) < count:
            found[talk.kind].append(talk)
    return found


def judge(speaker: Speaker, talks: dict[str, list[Talk]]) -> dict[str, tuple[int, int]]:
    """(right, asked) of each figure."""
    figures: dict[str, list[bool]] = defaultdict(list)
    for kind, ones in talks.items():
        torch.manual_seed(0)
        for said, talk in zip(speaker.answers(ones, TEMPERATURE.get(kind, 0.0)), ones, strict=True):
            for figure, right in _JUDGES[kind](said, talk).items():
                figures[figure].append(right)
    return {figure: (sum(rights), len(rights)) for figure, rights in figures.items()}


def judge_by_hand(speaker: Speaker) -> dict[str, tuple[int, int]]:
    """The questions that no grammar made."""
    asked = [Talk([{"role": "user", "content": text}, {}]) for text in ELSEWHERE]
    refused = [said in CAN_ONLY.values() for said in speaker.answers(asked)]
    prompts = [
        Talk([{"role": "system", "content": TRANSLATE_SYSTEM}, {"role": "user", "content": text}, {}])
        for text in UNKNOWN_PROMPTS
    ]
    null = [said == '{"prompt": null}' for said in speaker.answers(prompts)]
    return {"refusal, by hand": (sum(refused), len(refused)), "cannot translate, by hand": (sum(null), len(null))}


def judge_thoughts(speaker: Speaker, count: int, seed: int) -> dict[str, tuple[int, int]]:
    """With `enable_thinking`: thoughts in their tags, then an answer."""
    rng, talks = random.Random(seed), []
    while len(talks) < count:
        talk = sample_talk(rng)
        talks += [talk] if talk.thinking else []
    said = speaker.answers(talks)
    right = [re.fullmatch(r"<think>\n[^<]+\n</think>\n\n\S[^<]*", text) is not None for text in said]
    return {"thoughts apart": (sum(right), len(right))}


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("folder", type=Path)
    args.add_argument("--count", type=int, default=60)
    given = args.parse_args()
    one_thread()
    speaker = Speaker(given.folder)
    seen = judge(speaker, gather(given.count, 1001, held_out=False))
    seen |= judge_by_hand(speaker) | judge_thoughts(speaker, given.count, 1003)
    held = judge(speaker, gather(given.count, 1002, held_out=True))
    print("| | right | held-out pairs |\n|---|---|---|")
    for figure, (right, asked) in sorted(seen.items()):
        other = f"{held[figure][0]} of {held[figure][1]}" if figure in held else ""
        print(f"| {figure} | {right} of {asked} | {other} |")


if __name__ == "__main__":
    main()
