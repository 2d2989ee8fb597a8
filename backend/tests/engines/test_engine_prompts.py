"""What CLIP is told: weights, parts, long prompts, skipped layers, words that come and go; on tiny real encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines import clip_prompts
from engines.diffusers_image import DiffusersImage, load
from engines.image_composition import _Others
from engines.prompt_syntax import Prompt
from engines.protocol import TextToImage
from PIL import Image

PLAIN = "a blue dragon, spotted"
LONG = ", ".join(["a blue dragon with a long tail"] * 7)  # the tiny tokenizer makes a token of every letter


class Quiet:
    cancelled = False

    def report(self, progress: object) -> None:
        pass


@pytest.fixture(scope="module")
def sd(tiny_sd: Path) -> DiffusersImage:
    engine = load(tiny_sd, {"threads": 1, "device": "cpu", "batch": 2})
    # A trained encoder's output has a mean; that of random weights has none.
    torch.nn.init.constant_(engine._pipe.text_encoder.final_layer_norm.bias, 0.3)
    return engine


@pytest.fixture(scope="module")
def sdxl(tiny_sdxl: Path) -> DiffusersImage:
    return load(tiny_sdxl, {"threads": 1, "device": "cpu"})


def task(output: Path | str = ".", **changes: object) -> TextToImage:
    settings: dict = {"prompt": PLAIN, "negative_prompt": "", "seeds": [7], "steps": 4, "guidance_scale": 3.0}
    return TextToImage(
        task_id="t", output_dir=str(output), width=32, height=32, preview_every=0, **{**settings, **changes}
    )


def read(engine: DiffusersImage, **changes: object) -> Any:
    return engine._prompts.reading(engine._pipe, task(**changes))


def embeds(engine: DiffusersImage, **changes: object) -> torch.Tensor:
    return read(engine, **changes).variants[0]["prompt_embeds"]


def picture(engine: DiffusersImage, output: Path, **changes: object) -> np.ndarray:
    output.mkdir(exist_ok=True)
    engine.run(task(output, **changes), Quiet())
    return np.asarray(Image.open(output / "0.png"))


class TestWeights:
    def test_every_token_has_its_weight_and_the_mean_stays(self, sd: DiffusersImage) -> None:
        plain, weighted = embeds(sd), embeds(sd, prompt="a (blue:1.5) dragon, spotted")
        ratio = (weighted / plain)[0].median(dim=-1).values
        scale = ratio[0]  # the begin has weight one: what it was multiplied by brought the mean back
        weights = (ratio / scale).round(decimals=3)
        assert weights[1] == 1 and (weights[2:6] == 1.5).all() and (weights[6:] == 1).all()  # a|blue|…
        assert float(weighted.mean()) == pytest.approx(float(plain.mean()), rel=1e-4) and scale < 1

    def test_the_same_words_without_weight_are_what_the_pipeline_reads(self, sd: DiffusersImage, sdxl) -> None:
        for engine in (sd, sdxl):
            pipe = engine._pipe
            with torch.no_grad():
                states, pooled = clip_prompts.encode(pipe, pipe.device, Prompt(PLAIN).segments(0, 1), 0)
            own = read(engine).variants[0]
            assert torch.equal(states, own["prompt_embeds"])
            assert pooled is None or torch.equal(pooled, own["pooled_prompt_embeds"])

    def test_an_escaped_bracket_is_a_bracket(self, sd: DiffusersImage) -> None:
        pipe = sd._pipe
        expected = pipe.encode_prompt("a (blue) dragon", "cpu", 1, False)[0]
        assert torch.equal(embeds(sd, prompt=r"a \(blue\) dragon", guidance_scale=1.0), expected)

    def test_a_mean_of_nothing_is_left_alone(self) -> None:
        states = torch.randn(77, 32, generator=torch.Generator().manual_seed(0))
        states -= states.mean()
        weighted = clip_prompts._weighted(states, [1.0] + [2.0] * 76)
        assert torch.equal(weighted[1:], 2 * states[1:])

    def test_pictures_differ_and_repeat(self, sd: DiffusersImage, tmp_path: Path) -> None:
        plain, weighted = (
            picture(sd, tmp_path / "a"),
            picture(sd, tmp_path / "b", prompt="a (blue:1.8) dragon, spotted"),
        )
        again = picture(sd, tmp_path / "c", prompt="a (blue:1.8) dragon, spotted")
        assert (weighted == again).all() and (plain != weighted).any()
        assert (picture(sd, tmp_path / "d") == plain).all()

    def test_sdxl_weighs_for_both_encoders_and_pools_the_words(self, sdxl, tmp_path: Path) -> None:
        plain, weighted = read(sdxl).variants[0], read(sdxl, prompt="a (blue:1.5) dragon, spotted").variants[0]
        for half in (slice(0, 32), slice(32, 64)):
            assert not torch.equal(plain["prompt_embeds"][..., half], weighted["prompt_embeds"][..., half])
        assert torch.equal(plain["pooled_prompt_embeds"], weighted["pooled_prompt_embeds"])
        assert not weighted["negative_prompt_embeds"].any()  # as this model zeroes an empty one
        picture(sdxl, tmp_path, prompt="a (blue:1.5) dragon BREAK snow", negative_prompt="wings")


class TestAnd:
    """Prompts side by side, in guidance."""

    @pytest.mark.parametrize("name", ["sd", "sdxl"])
    def test_halves_of_a_prompt_are_the_prompt(self, name: str, request, tmp_path: Path) -> None:
        engine = request.getfixturevalue(name)

        def drawn(prompt: str, **changes: object) -> np.ndarray:
            return picture(engine, tmp_path / "p", prompt=prompt, **changes).astype(int)

        fox, hen, both = drawn("a fox"), drawn("a hen"), drawn("a fox AND a hen")
        assert abs(drawn("a fox :0.5 AND a fox : .5") - fox).max() <= 1
        assert abs(drawn("a fox AND a hen:0") - fox).max() <= 1 and abs(drawn("a fox:0 AND a hen") - hen).max() <= 1
        assert abs(both - fox).max() > 1 < abs(both - hen).max()
        assert abs(drawn("a hen AND a fox") - both).max() <= 1, "no order"
        assert (drawn("a fox AND a hen") == both).all() and (drawn("a fox") == fox).all(), "and no trace"
        assert (drawn("a fox AND a hen", seeds=[7, 8]) - both).max() <= 1

    def test_it_is_the_sum_that_was_published(self, sd: DiffusersImage, tmp_path: Path) -> None:
        """One step of the denoiser, worked out by hand from what it says to each prompt."""
        pipe, seen = sd._pipe, []
        handle = pipe.unet.register_forward_hook(lambda _unet, given, answer: seen.append((given[0], answer[0])))
        changes = {"steps": 1, "scheduler": "euler", "negative_prompt": "wings"}
        try:
            picture(sd, tmp_path, prompt="a fox", **changes)
            picture(sd, tmp_path, prompt="a hen", **changes)
            hook = _Others(pipe, read(sd, prompt="a fox:0.7 AND a hen:-0.4", **changes), 1)
        finally:
            handle.remove()
        (sample, fox), (_, hen) = seen
        words = read(sd, prompt="a fox", **changes).variants[0]
        both = torch.cat([words["negative_prompt_embeds"], words["prompt_embeds"]])
        timestep = pipe.scheduler.timesteps[0]
        with torch.no_grad():
            answer = hook(pipe.unet, (sample, timestep), {"encoder_hidden_states": both, "return_dict": False}, (fox,))
        nothing = fox[:1]
        expected = nothing + 0.7 * (fox[1:] - nothing) - 0.4 * (hen[1:] - nothing)
        assert torch.equal(answer[0][:1], nothing) and torch.allclose(answer[0][1:], expected, atol=1e-5)

    def test_words_that_come_and_go_in_one_of_them(self, sd: DiffusersImage, tmp_path: Path) -> None:
        def drawn(prompt: str) -> np.ndarray:
            return picture(sd, tmp_path / "p", prompt=prompt).astype(int)

        turned = drawn("a fox AND a [hen:cat:0.5]")
        assert abs(turned - drawn("a fox AND a hen")).max() > 0 < abs(turned - drawn("a fox AND a cat")).max()
        assert abs(drawn("a fox AND a [hen:cat:0]") - drawn("a fox AND a cat")).max() <= 1

    @pytest.mark.parametrize(
        ("prompt", "guidance", "noted"),
        [
            ("a fox AND a hen", 3.0, []),
            ("a fox AND a hen", 1.0, ["prompt_and_ignored"]),
            (" AND ".join("abcdefghi"), 3.0, ["prompt_and_ignored"]),
            ("a fox and ANDALUSIA", 1.0, []),
        ],
    )
    def test_where_it_is_a_word_the_recipe_says_so(
        self, sd: DiffusersImage, tmp_path: Path, prompt: str, guidance: float, noted: list[str]
    ) -> None:
        recipe = sd.run(task(tmp_path, prompt=prompt, steps=1, guidance_scale=guidance), Quiet()).files[0].recipe
        assert recipe.get("notes", []) == noted


class TestParts:
    def test_a_long_prompt_is_read_to_its_end(self, sd: DiffusersImage) -> None:
        long = embeds(sd, prompt=LONG)
        assert (
            long.shape[1] == 77 * 3 and read(sd, prompt=LONG).variants[0]["negative_prompt_embeds"].shape == long.shape
        )
        assert not torch.equal(embeds(sd, prompt=LONG + " red"), long)

    def test_break_begins_a_part(self, sd: DiffusersImage) -> None:
        both = embeds(sd, prompt="a blue dragon BREAK in snow", guidance_scale=1.0)
        for at, words in enumerate(("a blue dragon", "in snow")):
            alone = embeds(sd, prompt=words, guidance_scale=1.0)
            assert (both[:, 77 * at : 77 * (at + 1)] - alone).abs().max() < 1e-5

    def test_a_part_ends_at_a_comma_when_one_is_near(self, sd: DiffusersImage) -> None:
        pipe = sd._pipe
        parts = clip_prompts._parts(pipe, pipe.tokenizer, Prompt(LONG).segments(0, 1))
        ends = [pipe.tokenizer.decode([part[-1][0]]).strip() for part in parts]
        assert ends[:-1] == [","] * (len(parts) - 1) and all(len(part) <= 75 for part in parts)
        assert [token for part in parts for token, _ in part] == pipe.tokenizer(
            LONG, add_special_tokens=False
        ).input_ids
        unbroken = clip_prompts._parts(pipe, pipe.tokenizer, Prompt("x" * 200).segments(0, 1))
        assert [len(part) for part in unbroken] == [75, 75, 50]


class TestSkippedLayers:
    def test_sd(self, sd: DiffusersImage) -> None:
        pipe = sd._pipe
        ids = pipe.tokenizer(PLAIN, padding="max_length", max_length=77, return_tensors="pt").input_ids
        with torch.no_grad():
            states = pipe.text_encoder(ids, output_hidden_states=True).hidden_states
            expected = pipe.text_encoder.final_layer_norm(states[-2])
        assert torch.allclose(embeds(sd, clip_skip=1), expected, atol=1e-6)
        assert not torch.equal(embeds(sd, clip_skip=1), embeds(sd))

    def test_sdxl(self, sdxl: DiffusersImage) -> None:
        pipe = sdxl._pipe
        ids = pipe.tokenizer(PLAIN, padding="max_length", max_length=77, return_tensors="pt").input_ids
        with torch.no_grad():
            states = pipe.text_encoder(ids, output_hidden_states=True).hidden_states
        assert torch.allclose(embeds(sdxl, clip_skip=1)[..., :32], states[-3], atol=1e-6)


class TestSchedules:
    def test_which_words_at_which_step(self, sd: DiffusersImage) -> None:
        reading = read(sd, prompt="a [red:blue:0.5] dragon")
        assert reading.by_step == (0, 0, 1, 1) and len(reading.variants) == 2
        assert torch.equal(reading.variants[1]["prompt_embeds"], embeds(sd, prompt="a blue dragon"))
        assert [bool(reading.changes(step, 4, 1)) for step in range(4)] == [False, True, False, False]
        assert read(sd, prompt="a [red|blue] dragon").by_step == (0, 1, 0, 1)

    def test_the_picture_turns_at_its_step(self, sd: DiffusersImage, tmp_path: Path) -> None:
        def drawn(prompt: str, **changes: object) -> np.ndarray:
            return picture(sd, tmp_path / "p", prompt=prompt, **changes)

        red, blue = drawn("a red dragon"), drawn("a blue dragon")
        turned = drawn("a [red:blue:0.5] dragon")
        assert (turned != red).any() and (turned != blue).any()
        assert (drawn("a [red:blue:0] dragon") == blue).all() and (drawn("a [red:blue:99] dragon") == red).all()

    def test_two_pictures_at_once(self, sd: DiffusersImage, tmp_path: Path) -> None:
        alone = picture(sd, tmp_path / "a", prompt="a [red:blue:2] dragon")
        together = picture(sd, tmp_path / "b", prompt="a [red:blue:2] dragon", seeds=[7, 8])
        assert abs(alone.astype(int) - together.astype(int)).max() <= 1

    def test_sdxl_changes_the_pooled_words_too(self, sdxl: DiffusersImage, tmp_path: Path) -> None:
        changes = read(sdxl, prompt="a [red:blue:0.5] dragon").changes(1, 4, 2)
        assert changes["add_text_embeds"].shape == (4, 32) and changes["prompt_embeds"].shape == (4, 77, 64)
        picture(sdxl, tmp_path, prompt="a [red:blue:0.5] dragon")
