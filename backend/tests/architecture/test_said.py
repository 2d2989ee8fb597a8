"""Everything that the server says to a person can be said in English, French and Spanish.

The sentences' codes are found in the code itself; their words stand in the dashboard, in `i18n/said/<language>.json`.
A test here fails when somebody adds a sentence without its words, or an error without a sentence.
"""

from __future__ import annotations

import ast
import functools
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import atelier
import pytest
from atelier.errors import AtelierError
from atelier.problems import _CODES
from atelier.runtime import building, exits, waiting
from atelier.runtime.environments import Environments
from atelier.tables import JobKind

BACKEND = Path(__file__).resolve().parents[2]
WORDS = BACKEND.parent / "frontend" / "src" / "i18n" / "said"
LANGUAGES = ("en", "fr", "es")
SLOT = re.compile(r"{{\s*(\w+)")

# Errors whose code stands for many sentences: whoever raises one says which, with `Said(text, code, …)`.
MANY = {
    "validation_failed", "conflict", "unavailable", "model_not_recognised", "environment_build_failed",
    "worker_start_failed", "worker_died", "not_enough_memory",
}  # fmt: skip
ENGINES = tuple(path.stem for path in sorted((BACKEND / "engines").glob("*.py")) if path.stem != "fake")
ENGINE_ERRORS = {"LoadFailed", "RunFailed", "EngineError"}
# Raised with their sentence first, and always with a hint: what may go right later, and what no honest hub offers.
HUB_ERRORS = {"Trouble", "Refused"}
# `code` and `sentence` say which, `hint` has its own place, the others are no values of the sentence.
NO_VALUES = {"code", "sentence", "hint", "field", "log_tail", "crash", "out_of_memory", "retry_after", "message"}


class Sentence(NamedTuple):
    """Something that can be said: where, its code, and which values come with it (None: more than can be seen)."""

    place: str
    code: str
    values: set[str] | None
    has_hint: bool = False


def words(language: str) -> dict[str, dict[str, str]]:
    """`worker.killed` -> its `text` (or `text_one`, `text_other`) and perhaps a `hint`."""

    def flat(tree: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, str]]]:
        for key, value in tree.items():
            if all(isinstance(text, str) for text in value.values()):
                yield path + key, value
            else:
                yield from flat(value, f"{path}{key}.")

    return dict(flat(json.loads((WORDS / f"{language}.json").read_text()), ""))


@functools.cache
def trees(package: str) -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in sorted((BACKEND / package).rglob("*.py"))]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node


def text_of(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def values_of(call: ast.Call) -> set[str] | None:
    given = keywords(call)
    return None if None in given else {str(name) for name in given} - NO_VALUES


def variants(node: ast.expr) -> list[str]:
    """The codes that an expression may be: a literal, or an f-string whose slots are filled below."""
    if (literal := text_of(node)) is not None:
        return [literal]
    if isinstance(node, ast.JoinedStr):
        shape = "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
        return FILLED[shape]
    return []


# f-strings that name a code, and what they can become.
FILLED = {
    "worker.*": [],  # `exits`, below
    "build.*": [f"build.{code}" for _, code, _, _ in building.REASONS],
    "environment.*": [f"environment.{state}" for state in ("failed", "building", "soon", "missing")],
    "engine.*": [],  # `remote_code`, below
    "request.*_unfit": ["request.width_unfit", "request.height_unfit"],
}


@functools.cache
def error_classes() -> dict[str, str]:
    """Name -> code of every error that the server has."""
    for module in pkgutil.walk_packages(atelier.__path__, "atelier."):
        if module.name != "atelier.__main__":
            importlib.import_module(module.name)
    found: dict[str, str] = {}
    pending = [AtelierError]
    while pending:
        kind = pending.pop()
        found[kind.__name__] = kind.code
        # Other tests in this process may have errors of their own.
        pending += [one for one in kind.__subclasses__() if one.__module__.startswith("atelier.")]
    return found


def said_in_the_server() -> Iterator[Sentence]:
    for path, tree in trees("atelier"):
        with_hint = {id(call.args[0]) for _, call in calls(tree) if call.args and "hint" in keywords(call)}
        for name, call in calls(tree):
            place = f"{path.relative_to(BACKEND)}:{call.lineno}"
            if name == "Said" and len(call.args) == 2:
                for code in variants(call.args[1]):
                    yield Sentence(place, code, values_of(call), id(call) in with_hint)
            elif name == "Failed" and (code := text_of(keywords(call).get("code"))):
                yield Sentence(place, f"engine.{code}", set(), "hint" in keywords(call))
            elif name in {"Problem", "told"} and (code := text_of(keywords(call).get("code") or first(call))):
                if name == "Problem" or code in error_classes().values():
                    yield Sentence(place, code, None, name == "told" or "hint" in keywords(call))


def first(call: ast.Call) -> ast.expr | None:
    return call.args[0] if call.args else None


def causes_of_exits() -> Iterator[Sentence]:
    causes = [
        *(exits.ExitCause(code, message, hint) for _, code, message, hint in exits.COMPLAINTS),
        *(exits.classify(None, number, (), "busy") for number in [*exits.SIGNALS, 62]),
        *(exits.classify(code, None, (), "loading") for code in (0, 3, None)),
        *(make(1.0) for make in (exits.silent, exits.stuck, exits.cancel_ignored)),
        exits.nonsense("x"), exits.start_too_slow(1.0, "loading"), exits.stopped(), exits.forkserver_lost(),
        exits.mistake(), exits.hung_up(), exits.not_woken("x"), exits.not_parked(),
    ]  # fmt: skip
    for cause in causes:
        values = getattr(cause.message, "params", None)
        seen = None if values is None else set(values)
        yield Sentence("runtime/exits.py", f"worker.{cause.code}", seen, bool(cause.hint))


def said_by_engines() -> Iterator[Sentence]:
    for name in ENGINES:
        path = BACKEND / "engines" / f"{name}.py"
        for kind, call in calls(ast.parse(path.read_text())):
            given, place = keywords(call), f"engines/{name}.py:{call.lineno}"
            if kind in ENGINE_ERRORS and call.args:
                code = text_of(given.get("sentence")) or text_of(call.args[0])
                assert code, f"{place}: an engine's error without a code that can be read, or a sentence"
                yield Sentence(place, f"engine.{code}", values_of(call), len(call.args) > 2)
            elif kind in HUB_ERRORS and (code := text_of(first(call))) and code != "stopped":
                yield Sentence(place, f"engine.{code}", values_of(call), True)
            elif kind == "Asked":
                params = call.args[2] if len(call.args) > 2 else ast.Dict(keys=[], values=[])
                values = {text_of(key) or "" for key in params.keys if key} if isinstance(params, ast.Dict) else set()
                yield Sentence(place, f"engine.{text_of(call.args[1])}", values, True)
            elif kind == "Failed" and (code := text_of(given.get("sentence")) or text_of(given.get("code"))):
                params = given.get("params")
                values = {text_of(key) or "" for key in params.keys if key} if isinstance(params, ast.Dict) else set()
                yield Sentence(place, f"engine.{code}", values, "hint" in given)


def own_words() -> Iterator[Sentence]:
    """What is no sentence of an error: states, titles, names."""
    yield from (Sentence("errors", code, set()) for code in {*error_classes().values()} - MANY)
    yield from (Sentence("problems", code, {"status"}) for code in {*_CODES.values(), "http_error"})
    yield from (Sentence("front", code, set(), True) for code in front_codes())
    yield from (Sentence("waiting", f"doing.{word}", set()) for word in [*waiting.DOING.values(), waiting.PINNED])
    yield from (Sentence("exits", f"phase.{phase}", set()) for phase in exits.WHILE)
    yield from (Sentence("tables", f"title.{kind}", None) for kind in JobKind if kind is not JobKind.IMAGE_GENERATE)
    names = Environments(Path("/nonexistent"), BACKEND / "requirements").names()
    yield from (Sentence("engines", f"engine_name.{name}", set()) for name in names)
    cards = [json.loads(path.read_text()) for path in sorted((BACKEND / "embedded/models").glob("*/atelier.json"))]
    offers = json.loads((BACKEND / "atelier/models/catalogue.json").read_text())
    described = [*cards, *(offers if isinstance(offers, list) else offers["models"])]
    yield from (Sentence("described", f"about.{one['key'].replace('.', '_')}", set()) for one in described)


def front_codes() -> set[str]:
    nodes = [
        node
        for name in ("front", "hosts")
        for node in ast.walk(ast.parse((BACKEND / f"atelier/{name}.py").read_text()))
    ]
    tuples = [node.elts for node in nodes if isinstance(node, ast.Tuple) and len(node.elts) > 3]
    return {code for status, word, *_ in tuples if isinstance(status, ast.Constant) and (code := text_of(word))}


# JSON Schema's word for a limit -> pydantic's word for breaking it.
LIMITS = {
    "minimum": ["greater_than_equal"], "maximum": ["less_than_equal"], "exclusiveMinimum": ["greater_than"],
    "exclusiveMaximum": ["less_than"], "multipleOf": ["multiple_of"], "minLength": ["string_too_short"],
    "maxLength": ["string_too_long"], "pattern": ["string_pattern_mismatch"], "minItems": ["too_short"],
    "maxItems": ["too_long"], "required": ["missing"], "enum": ["literal_error", "enum"], "const": ["literal_error"],
    "additionalProperties": ["extra_forbidden"], "maxProperties": ["too_long"], "propertyNames": ["string_too_long"],
}  # fmt: skip
TYPES = {
    "string": ["string_type", "string_unicode"], "integer": ["int_type", "int_parsing", "int_from_float"],
    "number": ["float_type", "float_parsing", "finite_number"], "boolean": ["bool_type", "bool_parsing"],
    "array": ["list_type"], "object": ["model_attributes_type"], "null": [],
}  # fmt: skip
NO_LIMITS = {
    "title", "description", "default", "examples", "anyOf", "items", "properties", "$ref", "type", "format", "name",
    "in", "schema", "content", "contentMediaType",
}  # fmt: skip


def mistakes_in(schema: Any, known: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """What can be wrong with a value of this schema, in pydantic's words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from mistakes_in(known[name], known, seen | {name})
    if isinstance(schema.get("type"), str):
        yield from TYPES[schema["type"]]
    for word in schema:
        assert word in LIMITS or word in NO_LIMITS, f"what does pydantic call a mistake against {word!r}?"
        yield from LIMITS.get(word, [])
    inner = [*schema.get("anyOf", []), *schema.get("properties", {}).values(), schema.get("items")]
    for part in inner:
        if part:
            yield from mistakes_in(part, known, seen)


def mistakes_in_requests() -> Iterator[Sentence]:
    document = openapi()
    known = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            bodies = [kind["schema"] for kind in route.get("requestBody", {}).get("content", {}).values()]
            for schema in [*bodies, *(parameter["schema"] for parameter in route.get("parameters", []))]:
                for mistake in mistakes_in(schema, known, set()):
                    yield Sentence(f"{method} {path}", f"field.{mistake}", None)
    for path, tree in trees("atelier"):
        for name, call in calls(tree):
            if name == "PydanticCustomError":
                yield Sentence(f"{path.name}:{call.lineno}", f"field.{text_of(call.args[0])}", None)
            assert name != "ValueError" or not is_validator(tree, call), f"{path.name}:{call.lineno}: say which error"


def is_validator(tree: ast.AST, call: ast.Call) -> bool:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    around = [one for one in functions if one.lineno <= call.lineno <= (one.end_lineno or 0)]
    return any("validator" in ast.dump(decorator) for one in around for decorator in one.decorator_list)


@functools.cache
def openapi() -> dict[str, Any]:
    """As it is committed: that it is current is a test of `test_rules`, and to make it takes seconds."""
    return json.loads((BACKEND.parent / "frontend" / "openapi.json").read_text())


def everything() -> list[Sentence]:
    sources = (said_in_the_server, causes_of_exits, said_by_engines, own_words, mistakes_in_requests)
    return [sentence for source in sources for sentence in source()]


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    return everything()


def test_they_are_found(sentences: list[Sentence]) -> None:
    """A floor: a search that finds nothing would pass everything else."""
    codes = {sentence.code for sentence in sentences}
    assert len(codes) > 180
    for some in (
        "worker.killed",
        "build.disk_full",
        "waiting.memory_held",
        "engine.unsafe_code",
        "field.string_too_long",
    ):
        assert some in codes


@pytest.mark.parametrize("language", LANGUAGES)
class TestLanguage:
    def test_every_sentence_has_words(self, sentences: list[Sentence], language: str) -> None:
        there = words(language)
        missing = {f"{one.code} ({one.place})" for one in sentences if not is_said(there.get(one.code, {}))}
        assert not missing, f"add to frontend/src/i18n/said/{language}.json: {sorted(missing)}"

    def test_every_next_step_has_words(self, sentences: list[Sentence], language: str) -> None:
        there = words(language)
        missing = {
            f"{one.code} ({one.place})" for one in sentences if one.has_hint and "hint" not in there.get(one.code, {})
        }
        assert not missing, f"a hint is missing in frontend/src/i18n/said/{language}.json: {sorted(missing)}"

    def test_slots_are_filled(self, sentences: list[Sentence], language: str) -> None:
        there = words(language)
        wrong = set()
        for sentence in sentences:
            if sentence.values is not None and sentence.place != "errors":
                slots = {slot for text in there.get(sentence.code, {}).values() for slot in SLOT.findall(text)}
                wrong |= {f"{sentence.code}: {slot} ({sentence.place})" for slot in slots - sentence.values}
        assert not wrong, sorted(wrong)

    def test_nothing_is_left_over(self, sentences: list[Sentence], language: str) -> None:
        codes = {sentence.code for sentence in sentences} | {f"engine.{name}" for name in ("load_failed", "refused")}
        spare = {code for code in words(language) if code not in codes and not code.startswith(("field.", "side."))}
        assert not spare, f"nobody says this any more: {sorted(spare)}"


def is_said(entry: dict[str, str]) -> bool:
    return bool(entry.get("text")) or bool(entry.get("text_one") and entry.get("text_other"))


def test_every_error_says_which_sentence_it_is() -> None:
    """An error of a code with many sentences is raised with a `Said`, or with a message that came from one."""
    classes, plain = error_classes(), []
    for path, tree in trees("atelier"):
        for name, call in calls(tree):
            many = name in classes and (classes[name] in MANY or name == "AtelierError")
            if many and call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
                plain.append(f"{path.relative_to(BACKEND)}:{call.lineno}")
    assert not plain, f"write Said(text, code, …) instead of plain text: {plain}"


def test_everything_else_that_is_told_is_a_sentence() -> None:
    """Progress, waiting, states: words that somebody reads are a `Said`, or have a code of their own."""
    codes, plain = set(error_classes().values()), []
    for path, tree in trees("atelier"):
        for name, call in calls(tree):
            if name in TELLING and not {text_of(argument) for argument in call.args} & codes:
                given = [*call.args, keywords(call).get("message")]
                if any(is_prose(argument) for argument in given):
                    plain.append(f"{path.relative_to(BACKEND)}:{call.lineno}")
    assert not plain, f"write Said(text, code, …) instead of plain text: {plain}"


TELLING = {"told", "waits", "tell", "progress", "_say", "_failed", "_failure", "WaitingOut", "CheckOut", "ErrorOut"}


def is_prose(node: ast.expr | None) -> bool:
    if isinstance(node, ast.JoinedStr):
        return True
    text = text_of(node)
    return text is not None and " " in text


def test_functions_of_clients_have_names_of_their_own() -> None:
    document = openapi()
    names = [route["operationId"] for methods in document["paths"].values() for route in methods.values()]
    assert len(names) == len(set(names)) > 10
