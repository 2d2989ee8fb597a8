"""One creature said in English, French and Spanish, word for word: the parallel grammar behind every task of `lore`.

The English is that of `creatures.captions`, so that whatever is translated or rewritten is a prompt `creatures` was
trained on. Pure standard library.
"""

import random
from dataclasses import dataclass

from embedded.creatures.captions import COLOURS, PARTS, Traits, plain_caption, sample_traits

LANGUAGES = ("en", "fr", "es")

# (word, feminine). English has no gender.
_SPECIES = {
    "fr": {
        "dragon": ("dragon", False),
        "slime": ("slime", False),
        "bird": ("oiseau", False),
        "cat": ("chat", False),
        "fish": ("poisson", False),
        "golem": ("golem", False),
        "ghost": ("fantôme", False),
        "octopus": ("pieuvre", True),
    },
    "es": {
        "dragon": ("dragón", False),
        "slime": ("slime", False),
        "bird": ("pájaro", False),
        "cat": ("gato", False),
        "fish": ("pez", False),
        "golem": ("gólem", False),
        "ghost": ("fantasma", False),
        "octopus": ("pulpo", False),
    },
}
# (masculine, feminine)
_COLOURS = {
    "fr": {
        "red": ("rouge", "rouge"),
        "orange": ("orange", "orange"),
        "yellow": ("jaune", "jaune"),
        "green": ("vert", "verte"),
        "blue": ("bleu", "bleue"),
        "purple": ("violet", "violette"),
        "pink": ("rose", "rose"),
        "white": ("blanc", "blanche"),
        "grey": ("gris", "grise"),
        "black": ("noir", "noire"),
    },
    "es": {
        "red": ("rojo", "roja"),
        "orange": ("naranja", "naranja"),
        "yellow": ("amarillo", "amarilla"),
        "green": ("verde", "verde"),
        "blue": ("azul", "azul"),
        "purple": ("morado", "morada"),
        "pink": ("rosa", "rosa"),
        "white": ("blanco", "blanca"),
        "grey": ("gris", "gris"),
        "black": ("negro", "negra"),
    },
}
_PATTERNS = {
    "fr": {"spotted": ("tacheté", "tachetée"), "striped": ("rayé", "rayée")},
    "es": {"spotted": ("moteado", "moteada"), "striped": ("rayado", "rayada")},
}
# (article or determiner, word)
_FEATURES = {
    "en": {
        "wings": ("", "wings"),
        "horns": ("", "horns"),
        "tail": ("a ", "tail"),
        "hat": ("a ", "hat"),
        "bow": ("a ", "bow"),
        "glasses": ("", "glasses"),
        "scarf": ("a ", "scarf"),
        "halo": ("a ", "halo"),
    },
    "fr": {
        "wings": ("des ", "ailes"),
        "horns": ("des ", "cornes"),
        "tail": ("une ", "queue"),
        "hat": ("un ", "chapeau"),
        "bow": ("un ", "nœud"),
        "glasses": ("des ", "lunettes"),
        "scarf": ("une ", "écharpe"),
        "halo": ("une ", "auréole"),
    },
    "es": {
        "wings": ("", "alas"),
        "horns": ("", "cuernos"),
        "tail": ("una ", "cola"),
        "hat": ("un ", "sombrero"),
        "bow": ("un ", "lazo"),
        "glasses": ("", "gafas"),
        "scarf": ("una ", "bufanda"),
        "halo": ("una ", "aureola"),
    },
}
_AND = {"en": " and ", "fr": " et ", "es": " y "}
# Openings: English stands as in `creatures.captions`; {c} is the noun with its adjectives, without article.
_OPENINGS = {
    "en": ("", "a cute {c}", "a small {c}", "a happy {c}", "a cartoon {c}", "a drawing of a {c}", "a picture of a {c}",
           "an illustration of a {c}"),
    "fr": ("", "un mignon {c}|une mignonne {c}", "un petit {c}|une petite {c}", "un joyeux {c}|une joyeuse {c}",
           "un {c} de dessin animé|une {c} de dessin animé", "un dessin d'un {c}|un dessin d'une {c}",
           "une image d'un {c}|une image d'une {c}", "une illustration d'un {c}|une illustration d'une {c}"),
    "es": ("", "un lindo {c}", "un pequeño {c}", "un alegre {c}", "un {c} de dibujos animados", "un dibujo de un {c}",
           "una imagen de un {c}", "una ilustración de un {c}"),
}  # fmt: skip


@dataclass(frozen=True)
class Phrase:
    """What is said and how: `style` 0 to 4 as in `render`, `opening` an index of `_OPENINGS` (0: the bare article)."""

    traits: Traits
    style: int
    opening: int
    has: tuple[str, ...]


def feature_keys(traits: Traits) -> tuple[str, ...]:
    """`("wings", "hat")`: the parts in their order, then the accessory."""
    keys = [part for part in PARTS if getattr(traits, part)]
    return tuple(keys + ([traits.accessory] if traits.accessory != "none" else []))


def sample_phrase(rng: random.Random, held_out: bool = False) -> Phrase:
    """Colour or background are left open now and then, as people do."""
    traits = sample_traits(rng, held_out)
    background = None if rng.random() < 0.25 else traits.background
    colour = None if rng.random() < 0.05 and not held_out else traits.colour
    traits = Traits(**{**traits.__dict__, "background": background, "colour": colour})
    has = list(feature_keys(traits))
    if rng.random() < 0.4:
        return Phrase(traits, 4, 0, tuple(has))
    rng.shuffle(has)
    return Phrase(traits, rng.randrange(4), rng.choice((0, 0, *range(8))), tuple(has))


def species_word(species: str, lang: str) -> str:
    return species if lang == "en" else _SPECIES[lang][species][0]


def is_feminine(species: str, lang: str) -> bool:
    return lang != "en" and _SPECIES[lang][species][1]


def colour_word(colour: str, lang: str, feminine: bool = False) -> str:
    return colour if lang == "en" else _COLOURS[lang][colour][feminine]


def feature_words(key: str, lang: str, article: bool = True) -> str:
    before, word = _FEATURES[lang][key]
    return before + word if article else word


def joined(words: list[str], lang: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])}{_AND[lang]}{words[-1]}"


def core(traits: Traits, lang: str) -> str:
    """The noun and its adjectives: `spotted red dragon`, `dragon rouge tacheté`."""
    colour, pattern = traits.colour, traits.pattern if traits.pattern != "plain" else None
    if lang == "en":
        return " ".join([*([pattern] if pattern else []), *([colour] if colour else []), traits.species])
    word, feminine = _SPECIES[lang][traits.species]
    adjectives = [_COLOURS[lang][colour][feminine]] if colour else []
    adjectives += [_PATTERNS[lang][pattern][feminine]] if pattern else []
    return " ".join([word, *adjectives])


def with_article(traits: Traits, lang: str) -> str:
    """`an orange cat`, `une pieuvre bleue`, `un gato azul`."""
    words = core(traits, lang)
    if lang == "en":
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
    return f"{'une' if is_feminine(traits.species, 'fr') and lang == 'fr' else 'un'} {words}"


def looks(traits: Traits, lang: str) -> str:
    """The creature without its background: `a red dragon with wings and a hat`."""
    has = [feature_words(key, lang) for key in feature_keys(traits)]
    link = {"en": " with ", "fr": " avec ", "es": " con "}[lang]
    return with_article(traits, lang) + (link + joined(has, lang) if has else "")


def english_prompt(traits: Traits) -> str:
    """The canonical prompt for `creatures`."""
    return plain_caption(traits)


def _opened(phrase: Phrase, lang: str) -> str:
    if phrase.opening == 0:
        return with_article(phrase.traits, lang)
    forms = _OPENINGS[lang][phrase.opening].split("|")
    return forms[-1 if is_feminine(phrase.traits.species, lang) else 0].format(c=core(phrase.traits, lang))


_PLACE = {
    "en": ("{b} background", " in front of a {b} background", ", {b} background", " on a {b} background"),
    "fr": ("fond {b}", " devant un fond {b}", ", fond {b}", " sur un fond {b}"),
    "es": ("fondo {b}", " delante de un fondo {b}", ", fondo {b}", " sobre un fondo {b}"),
}
_WITH = {"en": (" with ", " wearing "), "fr": (" avec ", " portant "), "es": (" con ", " que lleva ")}
_IT_HAS = {"en": ", it has ", "fr": ", il a |, elle a ", "es": ", tiene "}


def render(phrase: Phrase, lang: str) -> str:
    """Styles: 0 words with commas; 1 place first; 2 place in commas; 3 what it wears apart; 4 the plain sentence."""
    traits, style = phrase.traits, phrase.style
    background = colour_word(traits.background, lang) if traits.background else None
    place = _PLACE[lang][min(style, 3)].format(b=background) if background else ""
    has = [feature_words(key, lang, article=style != 0) for key in phrase.has]
    if style == 0:
        return ", ".join([core(traits, lang), *has] + ([place] if place else []))
    opened, (link, wearing) = _opened(phrase, lang), _WITH[lang]
    if style == 1:
        forms = _IT_HAS[lang].split("|")
        it_has = forms[-1 if is_feminine(traits.species, lang) else 0]
        return opened + place + (it_has + joined(has, lang) if has else "")
    if style == 2:
        return opened + place + ("," + link + joined(has, lang) if has else "")
    if style == 3:
        worn = [word for key, word in zip(phrase.has, has, strict=True) if key not in PARTS]
        grown = [word for key, word in zip(phrase.has, has, strict=True) if key in PARTS]
        return opened + (link + joined(grown, lang) if grown else "") + (wearing + worn[0] if worn else "") + place
    return opened + (link + joined(has, lang) if has else "") + place


def every_colour() -> tuple[str, ...]:
    return tuple(COLOURS)
