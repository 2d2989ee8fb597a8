"""Rarity, names and the reading of what chat models answer: no server, no model."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from atelier.config import BadSetting, CreatureSettings, read_settings
from atelier.creatures.limit import MinuteLimit, RateLimited
from atelier.creatures.name_reader import MAX_ANSWER, read_name
from atelier.creatures.names import local_name
from atelier.creatures.pictures import FolderPictures, NoPicture
from atelier.creatures.rarity import WEIGHTS, draw_rarity
from atelier.creatures.schemas import creatures_body


class TestRarity:
    def test_each_step_is_rarer(self) -> None:
        assert list(WEIGHTS) == ["F", "E", "D", "C", "B", "A", "S", "S+"]
        weights = list(WEIGHTS.values())
        assert weights == sorted(weights, reverse=True) and len(set(weights)) == 8
        assert sum(weights) == 1000

    def test_a_seed_gives_the_same_row(self) -> None:
        assert [draw_rarity(Random(7)) for _ in range(3)] == [draw_rarity(Random(7)) for _ in range(3)]

    def test_the_draw_keeps_to_the_weights(self) -> None:
        random, draws = Random(1), 40_000
        seen = Counter(draw_rarity(random) for _ in range(draws))
        for rarity, weight in WEIGHTS.items():
            expected = draws * weight / 1000
            assert abs(seen[rarity] - expected) < 4 * expected**0.5, rarity


class TestLocalNames:
    def test_the_same_seed_is_the_same_name(self) -> None:
        assert local_name("pkm_A") == local_name("pkm_A")

    def test_they_are_names_and_differ(self) -> None:
        names = {local_name(f"pkm_{at}") for at in range(500)}
        assert len(names) > 200
        assert all(name.isalpha() and name[0].isupper() and 4 <= len(name) <= 16 for name in names)


FOUND = [
    ('{"name": "Flamara"}', "Flamara"),
    ('  {"name":"Flamara"}\n', "Flamara"),
    ('{"name": "Flamara"', "Flamara"),
    ('{"name": "Flamara', "Flamara"),
    ('{"name": "Flamara"}}', "Flamara"),
    ('{{"name": "Flamara"}}', "Flamara"),
    ('{{ "name" : "Flamara" }', "Flamara"),
    ('"name": "Flamara"}', "Flamara"),
    ('```json\n{"name": "Flamara"}\n```', "Flamara"),
    ('```\n{"name": "Flamara"\n```', "Flamara"),
    ('Sure! Here it is: {"name": "Flamara"} Hope you like it.', "Flamara"),
    ('{"pokemon": {"name": "Flamara", "type": "fire"}}', "Flamara"),
    ('[{"name": "Flamara"}]', "Flamara"),
    ('{"NAME": "Flamara"}', "Flamara"),
    ("{'name': 'Flamara'}", "Flamara"),
    ("{name: Flamara}", "Flamara"),
    ("name: Flamara", "Flamara"),
    ("Name = “Flamara”", "Flamara"),
    ('The name is "Flamara".', "Flamara"),
    ("I would call it **Flamara**!", "Flamara"),
    ("Flamara", "Flamara"),
    ("**Flamara**", "Flamara"),
    ('"Flamara"', "Flamara"),
    ('<think>Maybe {"name": "Draft"}?</think>{"name": "Flamara"}', "Flamara"),
    ('{"name": "name"} or rather {"name": "Flamara"}', "Flamara"),
    ('{"name": "Ni\\u00f1alux"}', "Niñalux"),
    ('{"name": "  Mister   Flame "}', "Mister Flame"),
    ('{"name": "Flam-O\'Ra"}', "Flam-O'Ra"),
    ("It says: call it `Flamara`", "Flamara"),
    ('{"name": "Flamara", "why": "because of {braces}"}', "Flamara"),
]

NOT_FOUND = [
    "", "   ", "{}", "[]", "null", '{"name": ""}', '{"name": null}', '{"name": 7}', '{"name": "name"}',
    '{"name": "Name"}',     '{"name": "<name>"}', '{"name": {}}', '{"name": "…"}', '{"name": "' + "x" * 33 + '"}',
    '{"title": "Flamara"}',
    "I am sorry, but I cannot help with that request.", '{"name": "\\u0000\\u0001"}', '{"name": "a/../../etc"}',
    '{"name": "<script>alert(1)</script>"}', "name", "Name:", '{"name', '{"name":', '{"name": "', "{" * 2000,
    '{"a":' * 3000, "<think>name: Draft",
]  # fmt: skip


class TestReader:
    @pytest.mark.parametrize(("answer", "name"), FOUND)
    def test_it_finds_the_name(self, answer: str, name: str) -> None:
        found = read_name(answer)
        assert found and found[0] == name

    @pytest.mark.parametrize("answer", NOT_FOUND, ids=lambda text: text[:30])
    def test_it_finds_none(self, answer: str) -> None:
        assert read_name(answer) is None

    def test_every_cut_of_an_answer_gives_a_part_of_the_name_or_none(self) -> None:
        answer = '```json\n{{"name": "Flamara"}}\n```'
        for end in range(len(answer)):
            if found := read_name(answer[:end]):
                assert "Flamara".startswith(found[0]), answer[:end]

    @pytest.mark.parametrize("piece", ["{", '{"name":', "name: ", "*a", '"', "<think>", "be '", "{ {", "\n{"])
    def test_a_long_answer_takes_no_time(self, piece: str) -> None:
        begun = time.process_time()
        read_name(piece * (2 * MAX_ANSWER // len(piece)))
        assert time.process_time() - begun < 2


class TestFolder:
    def settings(self, folder: Path, **more: object) -> CreatureSettings:
        return CreatureSettings(images_dir=folder, **more)  # type: ignore[arg-type]

    async def test_the_six_of_the_repository(self) -> None:
        pictures = FolderPictures(CreatureSettings(), Random(3))
        seen = {(await pictures.draw()).png for _ in range(60)}
        assert len(seen) == 6

    async def test_what_is_no_png_of_the_folder_is_never_read(self, tmp_path: Path) -> None:
        folder, outside = tmp_path / "pictures", tmp_path / "secret.png"
        folder.mkdir()
        outside.write_bytes(b"\x89PNG\r\n\x1a\nsecret")
        (folder / "image_00.png").symlink_to(outside)
        (folder / "image_01.png").write_bytes(b"GIF89a")
        (folder / "image_02.png").mkdir()
        with pytest.raises(NoPicture):
            await FolderPictures(self.settings(folder), Random(1)).draw()
        (folder / "image_05.png").write_bytes(b"\x89PNG\r\n\x1a\nfine")
        assert (await FolderPictures(self.settings(folder), Random(1)).draw()).png.endswith(b"fine")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("POKEMON_IMAGE_PATTERN", "../{:02d}.png"),
            ("POKEMON_IMAGE_PATTERN", "/etc/{}"),
            ("POKEMON_IMAGE_PATTERN", "image.png"),
            ("POKEMON_IMAGE_PATTERN", "{0.__class__}"),
            ("POKEMON_IMAGE_PATTERN", "{}{}"),
            ("POKEMON_IMAGE_PATTERN", "{:99999999999d}"),
            ("POKEMON_MIN_INDEX", "6"),
            ("POKEMON_MAX_INDEX", "-1"),
            ("POKEMON_GENERATION_BACKEND", "dalle"),
            ("POKEMON_NAME_BACKEND", "x"),
            ("POKEMON_RATE_LIMIT_PER_MIN", "-1"),
            ("SDXL_STEPS", "0"),
            ("OPENAI_BASE_URL", "file:///etc/passwd"),
            ("OPENAI_TIMEOUT", "0"),
            ("REDIS_URL", "http://x"),
            ("TLS_CERT_FILE", "/nonexistent/cert.pem"),
        ],
    )
    def test_settings_that_cannot_be(self, name: str, value: str) -> None:
        with pytest.raises(BadSetting, match=name):
            read_settings({name: value})


class TestLimit:
    def test_the_next_is_refused_with_a_time(self) -> None:
        limit = MinuteLimit(3)
        for _ in range(3):
            limit.count_or_raise("a")
        with pytest.raises(RateLimited) as caught:
            limit.count_or_raise("a")
        assert 1 <= caught.value.retry_after <= 61
        limit.count_or_raise("b")

    def test_zero_is_no_limit(self) -> None:
        limit = MinuteLimit(0)
        for _ in range(1000):
            limit.count_or_raise("a")


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "UNAUTHORIZED"), (429, "RATE_LIMITED"), (500, "GENERATION_FAILED"), (503, "GENERATION_FAILED")],
)
def test_errors_have_their_codes(status: int, code: str) -> None:
    problem = {"status": status, "code": "whatever", "detail": "words"}
    assert creatures_body(problem) == {"code": code, "message": "words"}
