"""What people ask of `lore` about creatures, and what it answers: one function for each kind of request.

Each returns (what the user says, the answer, facts for the evaluation). The system's words, tools and turns are put
around them by `grammar`.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from embedded.creatures.captions import Traits, sample_traits

from .manners import as_typed
from .phrases import (
    LANGUAGES,
    Phrase,
    colour_word,
    english_prompt,
    feature_keys,
    feature_words,
    looks,
    render,
    sample_phrase,
)
from .stories import Story, sample_name


@dataclass
class Exchange:
    """One question and its answer."""

    asked: str
    answer: str
    kind: str
    lang: str = "en"
    traits: Traits | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def to_json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def pick_language(rng: random.Random) -> str:
    return rng.choices(LANGUAGES, (0.5, 0.25, 0.25))[0]


def _creature(rng: random.Random, held_out: bool) -> Traits:
    """Sometimes without its colour, always without background, which is the picture's."""
    traits = sample_traits(rng, held_out)
    bare = Traits(**{**traits.__dict__, "background": None})
    return Traits(**{**bare.__dict__, "colour": None}) if rng.random() < 0.04 and not held_out else bare


_NAME = {
    "en": ("Name {it}", "Give me a name for {it}", "What is a good name for {it}", "Suggest a name for {it}",
           "I need a name for {it}", "What shall I call {it}", "Find a name for {it}", "{it}: name",
           "A name for {it}, please", "How would you call {it}", "Please name this creature: {it}",
           "Invent a name for {it}"),
    "fr": ("Nomme {it}", "Donne-moi un nom pour {it}", "Quel nom pour {it}", "Propose un nom pour {it}",
           "Trouve un nom pour {it}", "Comment appeler {it}", "Un nom pour {it}, s'il te plaît",
           "Il me faut un nom pour {it}", "Invente un nom pour {it}"),
    "es": ("Nombra {it}", "Dame un nombre para {it}", "Qué nombre le pongo a {it}", "Sugiere un nombre para {it}",
           "Busca un nombre para {it}", "Cómo llamar a {it}", "Un nombre para {it}, por favor",
           "Necesito un nombre para {it}", "Inventa un nombre para {it}"),
}  # fmt: skip
_DESCRIBE = {
    "en": ("Describe {it}", "Write a description of {it}", "Tell me about {it}", "What is {it} like",
           "Give a description of {it}", "Describe this creature: {it}", "Say something about {it}"),
    "fr": ("Décris {it}", "Écris une description d'{it}", "Parle-moi d'{it}", "Donne une description d'{it}",
           "Décris cette créature : {it}", "Dis quelque chose sur {it}"),
    "es": ("Describe {it}", "Escribe una descripción de {it}", "Háblame de {it}", "Da una descripción de {it}",
           "Describe esta criatura: {it}", "Di algo sobre {it}"),
}  # fmt: skip
_BOTH = {
    "en": ("Name and describe {it}", "Give a name and a description for {it}", "{it}: name and description",
           "Write an entry about {it}", "Invent {it} with a name and a description", "Make a card for {it}"),
    "fr": ("Nomme et décris {it}", "Donne un nom et une description pour {it}", "{it} : nom et description",
           "Fais une fiche pour {it}"),
    "es": ("Nombra y describe {it}", "Da un nombre y una descripción para {it}", "{it}: nombre y descripción",
           "Haz una ficha para {it}"),
}  # fmt: skip
_LONG = {
    "en": (" in detail", " at length", ". Make it long", " in a few sentences", " in one paragraph"),
    "fr": (" en détail", " longuement", " en quelques phrases", " en un paragraphe"),
    "es": (" en detalle", " con detalle", " en unas frases", " en un párrafo"),
}
_SHORT = {
    "en": (" in one sentence", " briefly", ", short", ""),
    "fr": (" en une phrase", " brièvement", ", court", ""),
    "es": (" en una frase", " brevemente", ", corto", ""),
}
_AS_JSON = {
    "en": (" as JSON", ". Answer in JSON", ". JSON only", " in JSON format", ". Reply with a JSON object"),
    "fr": (" en JSON", ". Réponds en JSON", ". JSON seulement", " au format JSON"),
    "es": (" en JSON", ". Responde en JSON", ". Solo JSON", " en formato JSON"),
}
_KEYS = {
    "en": (" as JSON with the keys {k}", ". Answer with JSON: {k}", " in JSON with {k}"),
    "fr": (" en JSON avec les clés {k}", ". Réponds en JSON : {k}"),
    "es": (" en JSON con las claves {k}", ". Responde en JSON: {k}"),
}
_IN_LANGUAGE = {"en": " in English", "fr": " in French", "es": " in Spanish"}


def _it(traits: Traits, lang: str, rng: random.Random) -> str:
    """The creature as people write it: `a red cat with wings`, or only `red cat with wings`."""
    said = looks(traits, lang)
    return said.split(" ", 1)[1] if lang != "fr" and rng.random() < 0.15 else said


def named(rng: random.Random, held_out: bool = False, as_json: bool | None = None) -> Exchange:
    """A name alone: `Pyrodrake`, or `{"name": "Pyrodrake"}` when JSON is asked for."""
    lang, traits = pick_language(rng), _creature(rng, held_out)
    name = sample_name(traits.species, traits.colour, rng)
    as_json = rng.random() < 0.5 if as_json is None else as_json
    asked = rng.choice(_NAME[lang]).format(it=_it(traits, lang, rng)) + (rng.choice(_AS_JSON[lang]) if as_json else "")
    answer = to_json({"name": name}) if as_json else name
    return Exchange(as_typed(asked, lang, rng), answer, "name", lang, traits, {"json": as_json})


def described(rng: random.Random, held_out: bool = False) -> Exchange:
    """A description in words, short or long, now and then in another language than the question's."""
    lang, traits = pick_language(rng), _creature(rng, held_out)
    story = Story(traits, sample_name(traits.species, traits.colour, rng), rng)
    long = rng.random() < 0.4
    asked = rng.choice(_DESCRIBE[lang] + _BOTH[lang]).format(it=_it(traits, lang, rng))
    asked += rng.choice((_LONG if long else _SHORT)[lang])
    spoken = lang
    if lang == "en" and rng.random() < 0.12:
        spoken = rng.choice(LANGUAGES)
        asked += _IN_LANGUAGE[spoken]
    return Exchange(as_typed(asked, lang, rng), story.text(spoken, long), "description", spoken, traits, {"long": long})


def entry(rng: random.Random, held_out: bool = False) -> Exchange:
    """JSON with a name and a description, or with the keys that the question lists."""
    lang, traits = pick_language(rng), _creature(rng, held_out)
    name = sample_name(traits.species, traits.colour, rng)
    story, long = Story(traits, name, rng), rng.random() < 0.25
    asked = rng.choice(_BOTH[lang]).format(it=_it(traits, lang, rng)) + (rng.choice(_LONG[lang]) if long else "")
    values = {
        "name": name,
        "description": story.text(lang, long),
        "species": traits.species,
        "colour": traits.colour,
        "features": list(feature_keys(traits)),
        "pattern": traits.pattern,
    }
    keys = ["name", "description"]
    if rng.random() < 0.4:
        keys = rng.sample(tuple(values), rng.randint(1, 5))
        quoted = [f'"{key}"' for key in keys] if rng.random() < 0.3 else keys
        asked += rng.choice(_KEYS[lang]).format(k=", ".join(quoted))
    else:
        asked += rng.choice(_AS_JSON[lang])
    answer = to_json({key: values[key] for key in keys})
    return Exchange(as_typed(asked, lang, rng), answer, "entry", lang, traits, {"keys": keys})


_WISH = {
    "en": (
        "I would like {it}",
        "I want {it}",
        "There is {it}",
        "Imagine {it}",
        "{it}",
        "My creature is {it}",
        "Please show {it}",
    ),
    "fr": (
        "J'aimerais {it}",
        "Je veux {it}",
        "Il y a {it}",
        "Imagine {it}",
        "{it}",
        "Ma créature est {it}",
        "Montre {it}",
    ),
    "es": (
        "Me gustaría {it}",
        "Quiero {it}",
        "Hay {it}",
        "Imagina {it}",
        "{it}",
        "Mi criatura es {it}",
        "Muestra {it}",
    ),
}
_MORE = {
    "en": ("It has {f}", "With {f}, please", "Give it {f}", "And {f}"),
    "fr": ("Il a {f}", "Avec {f}, s'il te plaît", "Ajoute {f}", "Et {f}"),
    "es": ("Tiene {f}", "Con {f}, por favor", "Ponle {f}", "Y {f}"),
}
_BEHIND = {
    "en": ("The background is {b}", "On {b}", "{b} background", "Behind it everything is {b}"),
    "fr": ("Le fond est {b}", "Sur fond {b}", "Fond {b}", "Derrière, tout est {b}"),
    "es": ("El fondo es {b}", "Sobre fondo {b}", "Fondo {b}", "Detrás todo es {b}"),
}
_MAKE_PROMPT = {
    "en": ("Make a prompt for {it}", "Write a prompt: {it}", "Write a picture prompt for {it}",
           "Turn this into a prompt: {it}", "Improve this prompt: {it}", "Prompt for {it}",
           "Rewrite as a prompt: {it}", "I need an image prompt: {it}"),
    "fr": ("Fais un prompt pour {it}", "Écris un prompt : {it}", "Transforme en prompt : {it}",
           "Améliore ce prompt : {it}", "Prompt pour {it}", "Écris un prompt d'image pour {it}"),
    "es": ("Haz un prompt para {it}", "Escribe un prompt: {it}", "Convierte en prompt: {it}",
           "Mejora este prompt: {it}", "Prompt para {it}", "Escribe un prompt de imagen para {it}"),
}  # fmt: skip


def wish(traits: Traits, lang: str, rng: random.Random) -> str:
    """A creature told in several sentences, in any order."""
    keys = list(feature_keys(traits))
    rng.shuffle(keys)
    now = keys[: rng.randint(0, len(keys))]
    shown = Traits(
        traits.species,
        traits.colour,
        None,
        pattern=traits.pattern,
        accessory=next((key for key in now if key == traits.accessory), "none"),
        **{part: part in now for part in ("wings", "horns", "tail")},
    )
    rest = [rng.choice(_MORE[lang]).format(f=feature_words(key, lang)) for key in keys if key not in now]
    if traits.background:
        rest.append(rng.choice(_BEHIND[lang]).format(b=colour_word(traits.background, lang)))
        rng.shuffle(rest)
    return ". ".join([rng.choice(_WISH[lang]).format(it=looks(shown, lang)), *rest])


def prompted(rng: random.Random, held_out: bool = False) -> Exchange:
    """Anything about one creature becomes the plain English prompt."""
    lang, phrase = pick_language(rng), sample_phrase(rng, held_out)
    told = render(phrase, lang) if rng.random() < 0.4 else wish(phrase.traits, lang, rng)
    asked = rng.choice(_MAKE_PROMPT[lang]).format(it=told)
    return Exchange(as_typed(asked, lang, rng), english_prompt(phrase.traits), "prompt", lang, phrase.traits)


_TRANSLATE = {
    "en": ("Translate to English: {it}", "Translate into English: {it}", "English: {it}", "In English: {it}"),
    "fr": ("Translate to French: {it}", "Traduis en français : {it}", "Translate into French: {it}", "In French: {it}"),
    "es": (
        "Translate to Spanish: {it}",
        "Traduce al español: {it}",
        "Translate into Spanish: {it}",
        "In Spanish: {it}",
    ),
}
_TRANSLATE_ENGLISH = ("Traduis en anglais : {it}", "Traduce al inglés: {it}")
_PLAIN = str.maketrans("éèêâàçôûùîïóáíúñœÉ", "eeeaacouuiioaiun?E".replace("?", "œ"))


def roughly(text: str, rng: random.Random) -> str:
    """As people type: now and then without accents, with a capital, with a full stop."""
    if rng.random() < 0.15:
        text = text.translate(_PLAIN)
    if rng.random() < 0.2:
        text = text[0].upper() + text[1:]
    return text + rng.choice(("", "", "", ".")) if rng.random() < 0.3 else text


def translated(rng: random.Random, held_out: bool = False) -> Exchange:
    """A prompt from one of the languages into another, mostly into English."""
    phrase = sample_phrase(rng, held_out)
    source, target = rng.choice(
        (("fr", "en"), ("es", "en"), ("fr", "en"), ("es", "en"), ("en", "fr"), ("en", "es"), ("fr", "es"))
    )
    words = _TRANSLATE[target] + (_TRANSLATE_ENGLISH if target == "en" else ())
    asked = rng.choice(words).format(it=roughly(render(phrase, source), rng))
    return Exchange(asked, render(phrase, target), "translation", target, phrase.traits)


def service_translation(rng: random.Random, held_out: bool = False) -> Exchange:
    """What Atelier's prompt translation asks, with its own system words: JSON, the prompt in English."""
    phrase = sample_phrase(rng, held_out)
    source = rng.choices(LANGUAGES, (0.15, 0.425, 0.425))[0]
    asked, answer = roughly(render(phrase, source), rng), render(phrase, "en")
    return Exchange(asked, to_json({"prompt": answer}), "service_translation", source, phrase.traits)


def phrase_of(traits: Traits) -> Phrase:
    """The plain sentence about a creature."""
    return Phrase(traits, 4, 0, feature_keys(traits))
