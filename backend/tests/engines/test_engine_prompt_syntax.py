"""What A1111's syntax says: every case worked out by hand."""

from __future__ import annotations

import pytest
from engines.prompt_syntax import BREAK, MAX_WEIGHT, Prompt, side_by_side


def said(text: str, step: int = 0, steps: int = 10) -> list[tuple[str, float]]:
    return [(segment.text, round(segment.weight, 4)) for segment in Prompt(text).segments(step, steps)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a fox", [("a fox", 1.0)]),
        ("", []),
        ("a (red) fox", [("a ", 1.0), ("red", 1.1), (" fox", 1.0)]),
        ("a ((red)) fox", [("a ", 1.0), ("red", 1.21), (" fox", 1.0)]),
        ("a (red:1.3) fox", [("a ", 1.0), ("red", 1.3), (" fox", 1.0)]),
        ("a (red: 0.5 ) fox", [("a ", 1.0), ("red", 0.5), (" fox", 1.0)]),
        ("(red:-1)", [("red", -1.0)]),
        ("(red:.5)", [("red", 0.5)]),
        ("a [red] fox", [("a ", 1.0), ("red", 0.9091), (" fox", 1.0)]),
        ("[[red]]", [("red", 0.8264)]),
        ("(a (b:2) c:1.5)", [("a ", 1.5), ("b", 3.0), (" c", 1.5)]),
        ("([red])", [("red", 1.0)]),
        (r"a \(red\) fox", [("a (red) fox", 1.0)]),
        (r"\[x\] \\ y", [(r"[x] \ y", 1.0)]),
        ("a (red fox", [("a ", 1.0), ("red fox", 1.1)]),
        ("a [red fox", [("a ", 1.0), ("red fox", 0.9091)]),
        ("a red) fox]", [("a red) fox]", 1.0)]),
        ("time 12:30 (at noon:1.2)", [("time 12:30 ", 1.0), ("at noon", 1.2)]),
        ("(12:30 o'clock)", [("12:30 o'clock", 1.1)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("[a:b]", [("a:b", 0.9091)]),
        ("()", []),
        ("a BREAK b", [("a", 1.0), (BREAK, 1.0), ("b", 1.0)]),
        ("(a BREAK b:2)", [("a", 2.0), (BREAK, 1.0), ("b", 2.0)]),
        ("BREAKFAST", [("BREAKFAST", 1.0)]),
        ("a AND b", [("a AND b", 1.0)]),
        ("(x:99999)", [("x", MAX_WEIGHT)]),
    ],
)
def test_weights(text: str, expected: list[tuple[str, float]]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "by_step"),
    [
        ("[a:b:0.5]", "aaaaabbbbb"),
        ("[a:b:3]", "aaabbbbbbb"),
        ("[a:b:0.25]", "aabbbbbbbb"),
        ("[a:0.5]", "-----aaaaa"),
        ("[a::0.5]", "aaaaa-----"),
        ("[a|b]", "ababababab"),
        ("[a|b|c]", "abcabcabca"),
        ("[a|]", "a-a-a-a-a-"),
        ("[[a:b:2]:c:0.5]", "aabbbccccc"),
    ],
)
def test_schedules(text: str, by_step: str) -> None:
    assert "".join("".join(word for word, _ in said(text, step)) or "-" for step in range(10)) == by_step
    assert Prompt(text).scheduled and not Prompt(text).plain


def test_a_schedule_within_a_weight_and_a_weight_within_a_schedule() -> None:
    assert said("([a:b:0.5]:2)", 0) == [("a", 2.0)]
    assert said("([a:b:0.5]:2)", 9) == [("b", 2.0)]
    assert said("[(a:1.5):b:0.5] c", 0) == [("a", 1.5), (" c", 1.0)]


@pytest.mark.parametrize("text", ["", "a fox", "a: fox, 12:30", "naïve 龍", "a) fox]", "a \\ fox"])
def test_plain(text: str) -> None:
    assert Prompt(text).plain and Prompt(text).words() == text


@pytest.mark.parametrize("text", ["(a)", "a [b]", r"\(a\)", "a BREAK b", "[a|b]"])
def test_not_plain(text: str) -> None:
    assert not Prompt(text).plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a (red:1.3) fox", "a red fox"),
        ("a fox (in snow)", "a fox (in snow)"),
        ("a BREAK b", "a b"),
        ("[a:b:0.5] c", "b c"),
        (r"\(a\)", "(a)"),
    ],
)
def test_words_for_models_without_weights(text: str, words: str) -> None:
    assert Prompt(text).words() == words


@pytest.mark.parametrize(
    "text", ["(" * 2000, "[" * 2000, "[a:" * 600, "(a|b:" * 400, ")" * 2000, "\\" * 1999, "[" * 900 + "|" + "]" * 900]
)
def test_nothing_is_too_deep(text: str) -> None:
    prompt = Prompt(text)
    prompt.segments(0, 20)
    prompt.words()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a fox", [("a fox", 1.0)]),
        ("a fox :0.5", [("a fox :0.5", 1.0)]),
        ("a fox AND a hen", [("a fox", 1.0), ("a hen", 1.0)]),
        ("a (red:1.2) fox:.5 AND a hen : -2 ", [("a (red:1.2) fox", 0.5), ("a hen", -2.0)]),
        ("a fox AND a hen: brown", [("a fox", 1.0), ("a hen: brown", 1.0)]),
        ("a fox AND", [("a fox", 1.0), ("", 1.0)]),
        ("ANDROID and SAND", [("ANDROID and SAND", 1.0)]),
        ("a AND b:99", [("a", 1.0), ("b", MAX_WEIGHT)]),
    ],
)
def test_prompts_side_by_side(text: str, expected: list[tuple[str, float]]) -> None:
    assert side_by_side(text) == expected
