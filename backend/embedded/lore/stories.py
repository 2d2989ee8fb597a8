"""What `lore` says about a creature: invented names, and descriptions whose sentences stand in three languages."""

import random

from embedded.creatures.captions import Traits

from .phrases import feature_keys, is_feminine, looks

_BEGINNINGS = {
    "red": ("Pyr", "Ember", "Scar", "Blaz", "Rub"),
    "orange": ("Amb", "Tang", "Cindr", "Mang", "Rust"),
    "yellow": ("Sol", "Volt", "Gild", "Lumi", "Zest"),
    "green": ("Verd", "Moss", "Ivy", "Leaf", "Jad"),
    "blue": ("Aqu", "Cobal", "Tide", "Azur", "Mar"),
    "purple": ("Viol", "Nox", "Amyth", "Plum", "Umbr"),
    "pink": ("Ros", "Blush", "Coral", "Peon", "Flam"),
    "white": ("Niv", "Frost", "Pal", "Snow", "Alb"),
}
_ENDINGS = {
    "dragon": ("drake", "wyrm", "saur", "dracon"),
    "slime": ("blob", "ooze", "gloop", "jelly"),
    "bird": ("wing", "chirp", "avis", "beak"),
    "cat": ("purr", "lynx", "felis", "claw"),
    "fish": ("fin", "gill", "pike", "ray"),
    "golem": ("lith", "gol", "stone", "brick"),
    "ghost": ("wraith", "shade", "boo", "spook"),
    "octopus": ("squid", "tacle", "pod", "kraken"),
}
_MIDDLES = ("", "", "o", "a", "i", "en", "ar", "u")


def sample_name(species: str | None, colour: str | None, rng: random.Random) -> str:
    """One invented word of 4 to 12 letters: the beginning says the colour, the ending the species."""
    while True:
        beginning = rng.choice(_BEGINNINGS[colour or rng.choice(tuple(_BEGINNINGS))])
        name = beginning + rng.choice(_MIDDLES) + rng.choice(_ENDINGS[species or rng.choice(tuple(_ENDINGS))])
        if len(name) <= 12:
            return name


def name_fits(name: str, traits: Traits) -> bool:
    """Whether a name is made as `sample_name` makes them for this creature."""
    begins = not traits.colour or any(name.startswith(one) for one in _BEGINNINGS[traits.colour])
    return begins and any(name.endswith(one) for one in _ENDINGS[traits.species])


_HABITATS = {
    "dragon": (("in high caves", "dans de hautes grottes", "en cuevas altas"),
               ("near volcanoes", "près des volcans", "cerca de los volcanes"),
               ("on steep cliffs", "sur des falaises", "en los acantilados")),
    "slime": (("in damp cellars", "dans des caves humides", "en sótanos húmedos"),
              ("under old bridges", "sous de vieux ponts", "bajo puentes viejos"),
              ("in swamps", "dans les marais", "en los pantanos")),
    "bird": (("in tall trees", "dans de grands arbres", "en árboles altos"),
             ("on rooftops", "sur les toits", "en los tejados"),
             ("above the hills", "au-dessus des collines", "sobre las colinas")),
    "cat": (("in quiet villages", "dans des villages calmes", "en pueblos tranquilos"),
            ("on warm walls", "sur des murs chauds", "en muros cálidos"),
            ("in the old town", "dans la vieille ville", "en la ciudad vieja")),
    "fish": (("in clear rivers", "dans des rivières claires", "en ríos claros"),
             ("in the deep sea", "dans la mer profonde", "en el mar profundo"),
             ("in mountain lakes", "dans des lacs de montagne", "en lagos de montaña")),
    "golem": (("in ruined castles", "dans des châteaux en ruine", "en castillos en ruinas"),
              ("in stone quarries", "dans des carrières de pierre", "en canteras de piedra"),
              ("in forgotten temples", "dans des temples oubliés", "en templos olvidados")),
    "ghost": (("in empty houses", "dans des maisons vides", "en casas vacías"),
              ("in foggy forests", "dans des forêts brumeuses", "en bosques con niebla"),
              ("in old towers", "dans de vieilles tours", "en torres viejas")),
    "octopus": (("in coral reefs", "dans des récifs de corail", "en arrecifes de coral"),
                ("in sunken ships", "dans des navires coulés", "en barcos hundidos"),
                ("in dark waters", "dans des eaux sombres", "en aguas oscuras")),
}  # fmt: skip
# French begins with {p}: Il or Elle.
_HABITS = (
    ("It likes to sleep all day.", "{p} aime dormir toute la journée.", "Le gusta dormir todo el día."),
    ("It collects shiny stones.", "{p} collectionne les pierres brillantes.", "Colecciona piedras brillantes."),
    ("It only eats at night.", "{p} ne mange que la nuit.", "Solo come de noche."),
    ("It is shy but kind.", "{p} est timide mais aimable.", "Es tímido pero amable."),
    ("It protects its friends.", "{p} protège ses amis.", "Protege a sus amigos."),
    ("It hums when it is happy.", "{p} chantonne quand tout va bien.", "Tararea cuando está contento."),
    ("It can see in the dark.", "{p} voit dans le noir.", "Puede ver en la oscuridad."),
    ("It never forgets a face.", "{p} n'oublie jamais un visage.", "Nunca olvida una cara."),
)
_ABOUT = {
    "wings": ("Its wings carry it far.", "Ses ailes le portent loin.", "Sus alas lo llevan lejos."),
    "horns": ("Its horns are very strong.", "Ses cornes sont très solides.", "Sus cuernos son muy fuertes."),
    "tail": ("It keeps its balance with its tail.", "Sa queue lui donne l'équilibre.", "Su cola le da equilibrio."),
    "hat": ("It never takes off its hat.", "{p} n'ôte jamais son chapeau.", "Nunca se quita el sombrero."),
    "bow": ("Its bow was a gift.", "Son nœud était un cadeau.", "Su lazo fue un regalo."),
    "glasses": ("Its glasses are for reading.", "Ses lunettes servent à lire.", "Sus gafas son para leer."),
    "scarf": ("Its scarf keeps it warm.", "Son écharpe lui tient chaud.", "Su bufanda lo abriga."),
    "halo": ("Its halo shines at night.", "Son auréole brille la nuit.", "Su aureola brilla de noche."),
}
_FIRST = (
    "{name} is {looks} that lives {where}.",
    "{name} est {looks} qui vit {where}.",
    "{name} es {looks} que vive {where}.",
)
_TONGUES = ("en", "fr", "es")


class Story:
    """The description of one creature, the same in every language: `text("fr")`, `text("en", long=True)`."""

    def __init__(self, traits: Traits, name: str, rng: random.Random):
        self.traits, self.name = traits, name
        self._habitat = rng.choice(_HABITATS[traits.species])
        self._habits = rng.sample(_HABITS, 2)
        keys = feature_keys(traits)
        self._about = _ABOUT[rng.choice(keys)] if keys else None

    def text(self, lang: str, long: bool = False) -> str:
        """One sentence, or three or four."""
        tongue = _TONGUES.index(lang)
        first = _FIRST[tongue].format(name=self.name, looks=looks(self.traits, lang), where=self._habitat[tongue])
        if not long:
            return first
        pronoun = "Elle" if is_feminine(self.traits.species, lang) else "Il"
        more = [one[tongue].format(p=pronoun) for one in ([self._about] if self._about else []) + self._habits]
        return " ".join([first, *more])
