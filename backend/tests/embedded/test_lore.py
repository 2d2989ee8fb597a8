"""The shipped chat model and the grammar it learned from. Runs in the image engine's environment:

cd backend && python -m pytest tests/embedded/test_lore.py
"""

import json
import math
import os
import random
import re
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from embedded.creatures.captions import HELD_OUT, parse
from embedded.lore import evaluate
from embedded.lore.dataset import CONTEXT, batches, encode
from embedded.lore.exchanges import prompted, translated
from embedded.lore.grammar import TRANSLATE_SYSTEM, sample_talk
from embedded.lore.phrases import LANGUAGES, looks, render, sample_phrase
from embedded.lore.stories import Story, name_fits, sample_name
from embedded.lore.template import Talk, segments
from safetensors import safe_open
from transformers import AutoTokenizer

MODEL = Path(__file__).parents[2] / "embedded" / "models" / "lore"


SAMPLE = 6


def figures_of_card() -> dict[str, tuple[int, int]]:
    """(right, asked) of each figure of the model's card, of what was trained on and of the pairs held out together."""
    row = re.compile(r"^\| ([a-z][^|]*) \| (\d+) of (\d+) \| (?:(\d+) of (\d+))? ?\|$", re.MULTILINE)
    rows = row.findall((MODEL / "README.md").read_text())
    return {figure: (int(a) + int(c or 0), int(b) + int(d or 0)) for figure, a, b, c, d in rows}


def fewest(asked: int, right: int, of: int) -> float:
    """How many right answers of `asked` are still no less than the card's `right` in `of`: two standard deviations of
    both samples below (Laplace's rule keeps a figure without a failure from being promised without one)."""
    share = (right + 1) / (of + 2)
    return asked * (share - 2 * math.sqrt(share * (1 - share) * (1 / asked + 1 / of)))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL)


class TestGrammar:
    def test_the_english_is_what_creatures_reads(self):
        rng = random.Random(1)
        for _ in range(400):
            phrase = sample_phrase(rng)
            assert parse(render(phrase, "en")) == phrase.traits

    def test_a_phrase_is_the_same_in_every_language(self):
        """Two phrases that differ in English differ in French and Spanish too: a translation has one right answer."""
        rng, seen = random.Random(2), {lang: {} for lang in LANGUAGES}
        for _ in range(6000):
            phrase = sample_phrase(rng)
            said = {lang: render(phrase, lang) for lang in LANGUAGES}
            for lang in ("fr", "es"):
                assert seen[lang].setdefault(said[lang], said["en"]) == said["en"], said

    @pytest.mark.parametrize(
        ("lang", "said"),
        [
            ("en", "a spotted blue octopus with a tail and a hat"),
            ("fr", "une pieuvre bleue tachetée avec une queue et un chapeau"),
            ("es", "un pulpo azul moteado con una cola y un sombrero"),
        ],
    )
    def test_gender_and_order(self, lang, said):
        traits = parse("a spotted blue octopus with a tail and a hat")
        assert looks(traits, lang) == said

    def test_names_are_as_the_creature_service_wants_them(self):
        rng = random.Random(3)
        for _ in range(500):
            traits = sample_phrase(rng).traits
            name = sample_name(traits.species, traits.colour, rng)
            assert 4 <= len(name) <= 12 and name.isalpha() and name_fits(name, traits)

    def test_a_description_names_everything_in_every_language(self):
        rng = random.Random(4)
        for _ in range(200):
            traits = sample_phrase(rng).traits
            story = Story(traits, "Pyrodrake", rng)
            for lang in LANGUAGES:
                assert looks(traits, lang) in story.text(lang) and story.text(lang) in story.text(lang, long=True)

    def test_held_out_pairs_are_never_trained_on(self):
        rng = random.Random(5)
        for _ in range(2000):
            traits = sample_talk(rng).facts.get("traits")
            assert traits is None or (traits.species, traits.colour) not in HELD_OUT
        held = [prompted(rng, True).traits for _ in range(50)] + [translated(rng, True).traits for _ in range(50)]
        assert all((traits.species, traits.colour) in HELD_OUT for traits in held)


class TestTemplate:
    def test_engines_render_what_training_saw(self, tokenizer):
        rng = random.Random(6)
        for _ in range(300):
            talk = sample_talk(rng)
            asked = [{k: v for k, v in message.items() if k != "thought"} for message in talk.messages[:-1]]
            prompt = tokenizer.apply_chat_template(
                asked,
                tools=talk.tools or None,
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=talk.thinking,
            )
            assert "".join(text for text, _ in segments(talk)).startswith(prompt)
            ids, learnt = encode(talk, tokenizer.backend_tokenizer)
            begun = tokenizer(prompt, add_special_tokens=False).input_ids
            assert ids[: len(begun)] == begun and all(learnt[len(begun) :]), "as an engine's tokens are"

    def test_what_other_clients_send(self, tokenizer):
        """Content in parts, a developer's turn, arguments as text, a tool without a description."""
        tool = {"type": "function", "function": {"name": "draw", "parameters": {"properties": {"prompt": {}}}}}
        call = {"id": "1", "type": "function", "function": {"name": "draw", "arguments": '{"prompt": "a cat"}'}}
        messages = [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Draw "}, {"type": "text", "text": "a cat"}]},
            {"role": "assistant", "content": None, "tool_calls": [call, call]},
            {"role": "tool", "content": "done", "tool_call_id": "1"},
        ]
        text = tokenizer.apply_chat_template(messages, tools=[tool], tokenize=False, add_generation_prompt=True)
        said = '<tool_call>\n{"name": "draw", "arguments": {"prompt": "a cat"}}\n</tool_call>'
        assert text == (
            "<|im_start|>system\nBe brief.\n\nTools:\n- draw(prompt?)<|im_end|>\n"
            "<|im_start|>user\nDraw a cat<|im_end|>\n"
            f"<|im_start|>assistant\n{said}\n{said}<|im_end|>\n"
            "<|im_start|>user\n<tool_response>\ndone\n</tool_response><|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n"
        )

    def test_batches_are_the_same_each_time_and_keep_their_size(self, tokenizer):
        made = [list(islice(batches(9, tokenizer.backend_tokenizer, 2048), 5)) for _ in range(2)]
        for (ids, learnt), (again, _) in zip(*made, strict=True):
            assert torch.equal(ids, again) and ids.shape == learnt.shape and ids.numel() <= 2048 and learnt.any()


class TestModel:
    def test_it_is_small_and_has_room_for_a_conversation(self):
        weights = MODEL / "model.safetensors"
        assert weights.stat().st_size < 12_000_000
        with safe_open(weights, "pt") as file:
            assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118
        config = json.loads((MODEL / "config.json").read_text())
        assert config["architectures"] == ["Qwen3ForCausalLM"] and config["max_position_embeddings"] == CONTEXT

    def test_every_figure_of_its_card_holds(self):
        """Each on a sample of its own, short of the card's by no more than such a sample may be."""
        speaker, card = evaluate.Speaker(MODEL), figures_of_card()
        found = [*evaluate.judge_by_hand(speaker).items(), *evaluate.judge_thoughts(speaker, SAMPLE, 78).items()]
        for held_out in (False, True):
            found += evaluate.judge(speaker, evaluate.gather(SAMPLE, 77, held_out)).items()
        figures: dict[str, list[int]] = {}
        for figure, (right, asked) in found:
            before = figures.get(figure, [0, 0])
            figures[figure] = [before[0] + right, before[1] + asked]
        assert figures.keys() == card.keys()
        for figure, (right, asked) in figures.items():
            assert right >= fewest(asked, *card[figure]), (figure, right, asked, card[figure])

    def test_what_atelier_asks_of_it(self):
        speaker = evaluate.Speaker(MODEL)
        asked = [
            Talk([{"role": "system", "content": TRANSLATE_SYSTEM}, {"role": "user", "content": text}, {}])
            for text in (
                "un dragon rouge avec des ailes sur un fond bleu",
                "un gato verde con un sombrero sobre un fondo rosa",
                "un château au coucher du soleil",
            )
        ]
        assert speaker.answers(asked) == [
            '{"prompt": "a red dragon with wings on a blue background"}',
            '{"prompt": "a green cat with a hat on a pink background"}',
            '{"prompt": null}',
        ]
