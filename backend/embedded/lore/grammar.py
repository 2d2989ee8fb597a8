"""Whole conversations with `lore`: requests, refusals, tools, thoughts and several turns, drawn from one seed.

python -m embedded.lore.grammar        # prints a few
"""

import random
from typing import Any

from .exchanges import (
    Exchange,
    described,
    entry,
    named,
    pick_language,
    prompted,
    service_translation,
    to_json,
    translated,
    wish,
)
from .manners import CAN_ONLY, DRAWN, NO_TOOL, invented_word, small_talk, strange_question, strange_thing
from .phrases import LANGUAGES, Phrase, english_prompt, looks, render, sample_phrase
from .stories import Story, sample_name
from .template import Talk

# The creature service's words (`atelier.creatures.remote_names`) and those of prompt translation
# (`atelier.images.translation`): a test holds them equal.
NAME_SYSTEM = (
    'You name imaginary creatures. Answer with strict JSON and nothing else: {"name": "…"}. '
    "The name is one invented word of 4 to 12 letters, easy to say, and no name that exists already."
)
TRANSLATE_SYSTEM = (
    "Translate the prompt of a picture into English. Answer with strict JSON and nothing else: "
    '{"prompt": "…"}. Keep what is English already. If you cannot translate it, answer {"prompt": null}.'
)
_RARITIES = ("F", "E", "D", "C", "B", "A", "S", "S+")
_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant that answers briefly.",
    "You name creatures.",
    "You are lore.",
    "Be kind and brief.",
    "Tu es un assistant utile.",
    "Eres un asistente útil.",
)
_JSON_SYSTEMS = ("Answer in JSON.", "You answer with JSON only.", "You name creatures. Answer in JSON.",
"Réponds en JSON.", "Responde en JSON.")  # fmt: skip


def _creature_service(rng: random.Random, held_out: bool) -> Talk:
    phrase = sample_phrase(rng, held_out)
    traits = phrase.traits
    seen = render(phrase, rng.choice(LANGUAGES)) if rng.random() < 0.5 else english_prompt(traits)
    species, colour = traits.species, traits.colour
    if rng.random() < 0.12 and not held_out:
        seen, species, colour = f"picture {rng.randint(0, 999)} of the collection", None, None
    elif rng.random() < 0.1 and not held_out:
        seen, species, colour = strange_thing(pick_language(rng), rng), None, None
    asked = f"It looks like this: {seen}. Its rarity is {rng.choice(_RARITIES)} (F common, S+ rarest)."
    answer = to_json({"name": sample_name(species, colour, rng)})
    return _talk(Exchange(asked, answer, "service_name", "en", traits if species else None), NAME_SYSTEM)


def _translation_service(rng: random.Random, held_out: bool) -> Talk:
    if held_out or rng.random() < 0.62:
        return _talk(service_translation(rng, held_out), TRANSLATE_SYSTEM)
    source = rng.choices(LANGUAGES, (0.2, 0.4, 0.4))[0]
    asked = _strange_prompt(source, rng) if rng.random() < 0.7 else strange_question(source, rng)
    return _talk(Exchange(asked, to_json({"prompt": None}), "service_unknown", source), TRANSLATE_SYSTEM)


def _strange_prompt(lang: str, rng: random.Random) -> str:
    """A picture's prompt with something in it that is not of this grammar."""
    phrase = sample_phrase(rng)
    said, strange = render(phrase, lang), strange_thing(lang, rng)
    form = rng.randrange(4)
    if form == 0:
        return f"{said}, {strange}"
    if form == 1:
        words = said.split(" ")
        at = rng.randrange(1, len(words))
        return " ".join(
            [*words[:at], invented_word(rng) if rng.random() < 0.5 else strange.split(" ")[-1], *words[at + 1 :]]
        )
    link = {"en": " with ", "fr": " avec ", "es": " con "}[lang]
    return said + link + strange if form == 2 else strange + link + strange_thing(lang, rng)


_DRAW = {
    "en": ("Draw {it}", "Make a picture of {it}", "Generate an image of {it}", "Can you draw {it}", "Paint {it}",
           "Show me {it}", "I want a picture of {it}", "Create an image: {it}", "Please draw me {it}"),
    "fr": ("Dessine {it}", "Fais une image d'{it}", "Peux-tu dessiner {it}", "Montre-moi {it}", "Crée une image : {it}",
           "Dessine-moi {it}"),
    "es": ("Dibuja {it}", "Haz una imagen de {it}", "Puedes dibujar {it}", "Muéstrame {it}", "Crea una imagen: {it}",
           "Dibújame {it}"),
}  # fmt: skip
_PICTURE_TOOLS = (
    "make_picture",
    "draw_picture",
    "generate_image",
    "create_image",
    "draw",
    "text_to_image",
    "image",
    "paint",
)
_PICTURE_WORDS = ("Draws a picture.", "Makes a picture from a prompt.", "Generate an image from text",
"Create an image.", "Make a picture of a creature.", "Draws what the prompt says")  # fmt: skip
_PROMPT_WORDS = ("prompt", "prompt", "description", "text")
_CITIES = ("Paris", "London", "Madrid", "Tokyo", "Berlin", "Rome", "Lisbon", "Boston", "Oslo", "Lima",
"San Francisco", "New York", "Lyon", "Cairo", "Sydney", "Toronto", "Dublin", "Vienna", "Prague", "Seville")  # fmt: skip
_WEATHER = ("What is the weather in {c}", "What's the weather like in {c}", "How is the weather in {c} today",
            "Tell me the weather in {c}", "Weather in {c}", "Quel temps fait-il à {c}", "Qué tiempo hace en {c}",
            "Is it raining in {c}", "What is the temperature in {c}")  # fmt: skip
_WEATHER_TOOLS = ("get_weather", "weather", "get_current_weather", "current_weather")


def _tool(name: str, words: str, takes: list[str], required: int) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": words,
            "parameters": {
                "type": "object",
                "properties": {one: {"type": "string"} for one in takes},
                "required": takes[:required],
            },
        },
    }


def _picture_tool(rng: random.Random) -> dict[str, Any]:
    takes = [rng.choice(_PROMPT_WORDS)] + (["size"] if rng.random() < 0.2 else [])
    return _tool(rng.choice(_PICTURE_TOOLS), rng.choice(_PICTURE_WORDS), takes, 1)


def _weather_tool(rng: random.Random) -> dict[str, Any]:
    takes = [rng.choice(("city", "location", "place"))] + (["unit"] if rng.random() < 0.3 else [])
    words = rng.choice(("Get the weather.", "Get the current weather in a given city", "The weather somewhere."))
    return _tool(rng.choice(_WEATHER_TOOLS), words, takes, 1)


def _tools(rng: random.Random) -> list[dict[str, Any]]:
    tools = [_picture_tool(rng)] if rng.random() < 0.75 else []
    if rng.random() < 0.45 or not tools:
        tools.append(_weather_tool(rng))
    rng.shuffle(tools)
    return tools


def _takes(tool: dict[str, Any]) -> str:
    return tool["function"]["parameters"]["required"][0]


def _called(
    asked: str, tool: dict[str, Any], value: str, result: str, answer: str, rng: random.Random
) -> list[dict[str, Any]]:
    call = {"function": {"name": tool["function"]["name"], "arguments": {_takes(tool): value}}}
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    if rng.random() < 0.35:
        messages += [{"role": "tool", "content": result}, {"role": "assistant", "content": answer}]
    return messages


def _with_tools(rng: random.Random, held_out: bool, known: float = 0.7) -> Talk:
    """Calls when the tool fits, words when it does not. `known`: share of cities that are of the list."""
    tools, lang = _tools(rng), pick_language(rng)
    tool = rng.choice(tools)
    facts: dict[str, Any] = {"tool": None}
    if not held_out and rng.random() < 0.3:
        drawn = any("weather" not in one["function"]["name"] for one in tools)
        one = rng.choice((named, described, _small, _strange) if drawn else (named, _small, _strange, _cannot_draw))(
            rng
        )
        return Talk(_turn(one), tools, kind="tool_unneeded", facts=facts)
    if "weather" in tool["function"]["name"]:
        city = rng.choice(_CITIES) if rng.random() < known else invented_word(rng).capitalize()
        asked = rng.choice(_WEATHER).format(c=city) + rng.choice(("?", "", "?"))
        degrees = f"{rng.randint(-9, 39)} °C"
        messages = _called(asked, tool, city, to_json({"temperature": degrees}), f"{city}: {degrees}.", rng)
        value = city
    else:
        phrase = sample_phrase(rng, held_out)
        it = render(phrase, lang) if phrase.style and rng.random() < 0.6 else looks(phrase.traits, lang)
        it = it if rng.random() < 0.8 else wish(phrase.traits, lang, rng)
        value = _prompt_said(phrase, it)
        answer = DRAWN[lang].format(looks=looks(phrase.traits, lang))
        result = rng.choice(('{"ok": true}', "done", "image 1", '{"url": "/files/1.png"}', "ok"))
        messages = _called(rng.choice(_DRAW[lang]).format(it=it), tool, value, result, answer, rng)
    answered = messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls")
    facts = {"tool": None if answered else tool["function"]["name"], "arguments": {_takes(tool): value}}
    return Talk(messages, tools, kind="tool_answer" if answered else "tool", facts=facts)


def _prompt_said(phrase: Phrase, it: str) -> str:
    """The prompt of what was really said: `looks` leaves the background out, wishes and captions keep it."""
    traits = phrase.traits
    named_place = any(
        word in it.lower() for word in ("background", "fond", "behind", "derri", "detr", ". on ", "sur fond")
    )
    if traits.background and not named_place:
        traits = type(traits)(**{**traits.__dict__, "background": None})
    return english_prompt(traits)


def _small(rng: random.Random) -> Exchange:
    lang = pick_language(rng)
    asked, answer = small_talk(lang, rng)
    return Exchange(asked, answer, "manners", lang)


def _strange(rng: random.Random) -> Exchange:
    lang = pick_language(rng)
    return Exchange(strange_question(lang, rng), CAN_ONLY[lang], "refusal", lang)


def _cannot_draw(rng: random.Random, held_out: bool = False) -> Exchange:
    lang, phrase = pick_language(rng), sample_phrase(rng, held_out)
    it = render(phrase, lang) if phrase.style else looks(phrase.traits, lang)
    answer = NO_TOOL[lang].format(prompt=_prompt_said(phrase, it))
    return Exchange(rng.choice(_DRAW[lang]).format(it=it), answer, "cannot_draw", lang, phrase.traits)


def _turn(one: Exchange) -> list[dict[str, Any]]:
    return [{"role": "user", "content": one.asked}, {"role": "assistant", "content": one.answer}]


def _talk(one: Exchange, system: str = "", earlier: list[dict[str, Any]] | None = None) -> Talk:
    messages = ([{"role": "system", "content": system}] if system else []) + (earlier or []) + _turn(one)
    return Talk(messages, kind=one.kind, facts={"lang": one.lang, "traits": one.traits, **one.facts})


_AGAIN = {"en": ("Another one", "Another name", "One more", "Give me another"), "fr": ("Un autre", "Encore un",
"Un autre nom"),
          "es": ("Otro", "Otro nombre", "Uno más")}  # fmt: skip
_NOW_IN = {
    "en": ("Now in English", "In English please", "Translate that to English"),
    "fr": ("Now in French", "En français", "Traduis en français"),
    "es": ("Now in Spanish", "En español", "Traduce al español"),
}
_LONGER = {
    "en": ("Longer", "Tell me more", "More details"),
    "fr": ("Plus long", "Dis-m'en plus"),
    "es": ("Más largo", "Cuéntame más"),
}


def _followed(rng: random.Random, held_out: bool) -> Talk:
    """A second question about the first answer: another name, another language, more of it."""
    way = rng.randrange(3)
    if way == 0:
        first = named(rng, held_out)
        name = sample_name(first.traits.species, first.traits.colour, rng)
        asked, answer = rng.choice(_AGAIN[first.lang]), to_json({"name": name}) if first.facts["json"] else name
        kind, lang, traits = "name", first.lang, first.traits
    else:
        traits = sample_phrase(rng, held_out).traits
        name = sample_name(traits.species, traits.colour, rng)
        story, lang = Story(traits, name, rng), pick_language(rng)
        first = described(rng, held_out)
        words = looks(traits, lang)
        asks = {"en": "Describe {it}", "fr": "Décris {it}", "es": "Describe {it}"}[lang].format(it=words)
        first = Exchange(asks, story.text(lang), "description", lang, traits)
        kind = "description"
        if way == 1:
            lang = rng.choice([one for one in LANGUAGES if one != lang])
            asked, answer = rng.choice(_NOW_IN[lang]), story.text(lang)
        else:
            asked, answer = rng.choice(_LONGER[lang]), story.text(lang, long=True)
    return _talk(Exchange(asked, answer, kind, lang, traits, {"json": answer[0] == "{"}), earlier=_turn(first))


_THOUGHTS = {
    "name": "The user wants a name for {it}.",
    "description": "The user wants a description of {it}.",
    "entry": "The user wants an entry in JSON about {it}.",
    "prompt": "The user wants a prompt for {it}.",
    "translation": "The user wants a translation about {it}.",
    "manners": "The user makes small talk.",
    "refusal": "This is nothing I know. I must say so.",
    "cannot_draw": "The user wants a picture of {it}. I have no tool for it.",
}


def _thought(one: Exchange) -> str:
    it = looks(one.traits, "en") if one.traits else ""
    languages = {"en": "English", "fr": "French", "es": "Spanish"}
    return _THOUGHTS[one.kind].format(it=it) + f" I answer in {languages[one.lang]}."


_ASKS = ((named, 14), (described, 14), (entry, 12), (prompted, 10), (translated, 12))


def _ask(rng: random.Random, held_out: bool) -> Exchange:
    """One request of any kind; held-out ones are about creatures only."""
    if held_out or rng.random() < 0.74:
        makers, weights = zip(*_ASKS, strict=True)
        return rng.choices(makers, weights)[0](rng, held_out)
    kind = rng.random()
    if kind < 0.22:
        return _small(rng)
    return _cannot_draw(rng, held_out) if kind < 0.4 else _strange(rng)


def _plain(rng: random.Random, held_out: bool) -> Talk:
    """One to three unrelated requests, with or without a system turn; JSON when the system says so."""
    if rng.random() < 0.12:
        if not held_out and rng.random() < 0.3:
            one = _strange(rng)
            one.answer = to_json({"error": one.answer})
            return _talk(one, rng.choice(_JSON_SYSTEMS))
        one = named(rng, held_out, as_json=False)
        one.answer, one.facts["json"] = to_json({"name": one.answer}), True
        return _talk(one, rng.choice(_JSON_SYSTEMS))
    system = rng.choice(_SYSTEMS) if rng.random() < 0.35 else ""
    earlier = [turn for _ in range(rng.choices((0, 1, 2, 4), (75, 15, 7, 3))[0]) for turn in _turn(_ask(rng, False))]
    one = _ask(rng, held_out)
    talk = _talk(one, system, earlier)
    if rng.random() < 0.08:
        talk.thinking, talk.messages[-1]["thought"] = True, _thought(one)
    return talk


_KINDS = ((_plain, 58), (_creature_service, 8), (_translation_service, 15), (_with_tools, 14), (_followed, 6))


def sample_talk(rng: random.Random, held_out: bool = False) -> Talk:
    """One conversation; its last question is about a pair of species and colour held out, or not, as asked."""
    makers, weights = zip(*_KINDS, strict=True)
    return rng.choices(makers, weights)[0](rng, held_out)


def _keyed(rng: random.Random, held_out: bool) -> Talk:
    while True:
        one = entry(rng, held_out)
        if one.facts["keys"] != ["name", "description"]:
            return _talk(one)


def _free_translation(rng: random.Random, held_out: bool) -> Talk:
    return _talk(translated(rng, held_out))


# What has to be copied from the question: learnt last and least of all.
_COPYING = ((lambda rng, held_out: _with_tools(rng, held_out, known=0.25), 45), (_keyed, 30), (_free_translation, 25))


def sample_copying(rng: random.Random, held_out: bool = False) -> Talk:
    """One conversation whose answer takes words over from the question: a city, keys in their order, a prompt."""
    makers, weights = zip(*_COPYING, strict=True)
    return rng.choices(makers, weights)[0](rng, held_out)


def main() -> None:
    from .template import segments

    generator = random.Random(0)
    for _ in range(24):
        talk = sample_talk(generator)
        print(f"--- {talk.kind}\n" + "".join(text for text, _learnt in segments(talk)))


if __name__ == "__main__":
    main()
