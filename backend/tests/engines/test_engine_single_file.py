"""Checkpoints in one file: the same pictures as from the folder, what is refused, and what is shipped beside them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_checkpoints
import tiny_models
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders import single_file_utils
from engines import checkpoint_files
from engines.diffusers_image import DiffusersImage, load
from engines.engine import LoadFailed
from engines.protocol import TextToImage
from engines.safetensors_file import read_header
from engines.single_file import TRAINED_ON_ZEROS, clip_tokenizer
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

SHIPPED = checkpoint_files.LAYOUTS
OPTIONS = {"threads": 1, "device": "cpu"}
WIDER = 48
"""The second text encoder is another width than the first: by that diffusers tells them apart."""


def build_sdxl(folder: Path) -> Path:
    torch.manual_seed(0)
    words, narrow = clip_tokenizer(), tiny_models.text_config(49408)
    wide = CLIPTextConfig(**{**narrow.to_dict(), "hidden_size": WIDER, "projection_dim": WIDER})
    pipe = StableDiffusionXLPipeline(
        vae=tiny_models.autoencoder(),
        text_encoder=CLIPTextModel(narrow),
        text_encoder_2=CLIPTextModelWithProjection(wide),
        tokenizer=words,
        tokenizer_2=clip_tokenizer("tokenizer_2"),
        unet=tiny_models.unet(
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDER,
            cross_attention_dim=tiny_models.TEXT_WIDTH + WIDER,
        ),
        scheduler=EulerDiscreteScheduler(**tiny_models.BETAS, steps_offset=1, timestep_spacing="leading"),
        add_watermarker=False,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def build_sd2(folder: Path) -> Path:
    torch.manual_seed(0)
    width = tiny_checkpoints.OPEN_CLIP_ALONE
    config = {**tiny_models.text_config(49408).to_dict(), "hidden_size": width, "hidden_act": "gelu"}
    pipe = StableDiffusionPipeline(
        vae=tiny_models.autoencoder(),
        text_encoder=CLIPTextModel(CLIPTextConfig(**config)),
        tokenizer=clip_tokenizer("tokenizer", TRAINED_ON_ZEROS),
        unet=tiny_models.unet(attention_head_dim=(2, 4), use_linear_projection=True, cross_attention_dim=width),
        scheduler=DDIMScheduler(**tiny_models.BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def build_sd3(folder: Path) -> Path:
    """3.5 medium's kind: normed queries and keys, a second attention in its first layer."""
    torch.manual_seed(0)
    narrow = tiny_models.text_config(49408)
    wide = CLIPTextConfig(**{**narrow.to_dict(), "hidden_size": WIDER, "projection_dim": WIDER})
    vae = {"scale": 1.5305, "shift_factor": 0.0609, "use_quant_conv": False, "use_post_quant_conv": False}
    pipe = StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=32,
            patch_size=2,
            in_channels=16,
            out_channels=16,
            num_layers=2,
            attention_head_dim=checkpoint_files.HEAD_WIDTH,
            num_attention_heads=1,
            joint_attention_dim=96,
            caption_projection_dim=64,
            pooled_projection_dim=tiny_models.TEXT_WIDTH + WIDER,
            pos_embed_max_size=24,
            qk_norm="rms_norm",
            dual_attention_layers=(0,),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=tiny_models.autoencoder(16, **vae),
        text_encoder=CLIPTextModelWithProjection(narrow),
        tokenizer=clip_tokenizer(),
        text_encoder_2=CLIPTextModelWithProjection(wide),
        tokenizer_2=clip_tokenizer("tokenizer_2"),
        text_encoder_3=None,
        tokenizer_3=None,
    )
    torch.nn.init.eye_(pipe.text_encoder.text_projection.weight)  # which the file of SD 3 has not
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


BUILDERS = {"sd15": tiny_models.build_sd, "sd2": build_sd2, "sdxl": build_sdxl, "sd3": build_sd3}
WITH_FLUX = {**BUILDERS, "flux": tiny_models.build_flux_dev}
FLUX_WIDTH = {3072: tiny_models.TEXT_WIDTH}
"""diffusers' converter has the width of FLUX as a number."""


class Quiet:
    cancelled = False

    def report(self, progress: object) -> None:
        pass


def drawn(engine: DiffusersImage, output: Path) -> str:
    task = TextToImage(
        task_id="t",
        output_dir=str(output),
        prompt="a blue dragon, sitting",
        negative_prompt="blurry",
        seeds=[7],
        steps=3,
        guidance_scale=3.0,
        width=32,
        height=32,
        preview_every=0,
    )
    file = engine.run(task, Quiet()).files[0]
    return hashlib.sha256(Image.open(output / file.path).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, Path]]]:
    """Folder and file of a tiny model of each family, and layouts of their size in the place of the real ones."""
    folder = tmp_path_factory.mktemp("checkpoints")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_models, "tokenizer", lambda _folder: clip_tokenizer())
        converter = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers.__code__
        narrow = converter.replace(co_consts=tuple(FLUX_WIDTH.get(one, one) for one in converter.co_consts))
        patch.setattr(single_file_utils.convert_flux_transformer_checkpoint_to_diffusers, "__code__", narrow)
        for family, build in WITH_FLUX.items():
            model = build(folder / family)
            without = {"text_encoder_3": None, "tokenizer_3": None} if family == "sd3" else {}
            pipe = DiffusionPipeline.from_pretrained(str(model), **without)
            file = tiny_checkpoints.build_checkpoint(pipe, folder / f"{family}.safetensors")
            found[family] = (model, file)
            for config in model.rglob("*.json"):
                if "tokenizer" not in config.parent.name:
                    target = folder / "layouts" / family / config.relative_to(model)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(config, target)
        patch.setattr(checkpoint_files, "LAYOUTS", folder / "layouts")
        patch.setitem(checkpoint_files.CROSS_ATTENTION, tiny_models.TEXT_WIDTH, "sd15")
        patch.setitem(checkpoint_files.CROSS_ATTENTION, tiny_checkpoints.OPEN_CLIP_ALONE, "sd2")
        yield found


@pytest.mark.parametrize("family", BUILDERS)
def test_the_same_picture_as_from_its_folder(made, tmp_path: Path, family: str) -> None:
    folder, file = made[family]
    engine, single = load(folder, OPTIONS), load(file, OPTIONS)
    assert drawn(single, tmp_path) == drawn(engine, tmp_path)
    assert single.weights_bytes == engine.weights_bytes


def test_it_is_parked_and_woken(made, tmp_path: Path) -> None:
    engine = load(made["sd15"][1], OPTIONS)
    before = drawn(engine, tmp_path)
    engine.park()
    engine.wake()
    assert drawn(engine, tmp_path) == before


def test_the_recipe_names_the_file_and_its_hash(made, tmp_path: Path) -> None:
    file = made["sd15"][1]
    engine = load(file, OPTIONS)
    drawn(engine, tmp_path)
    assert engine._model_name == "sd15"
    assert engine._model_hash.result() == hashlib.sha256(file.read_bytes()).hexdigest()


def test_its_weights_can_be_quantised(made, tmp_path: Path) -> None:
    plain, small = load(made["sd15"][1], OPTIONS), load(made["sd15"][1], {**OPTIONS, "quantization": "int8"})
    assert small.weights_bytes < plain.weights_bytes
    assert drawn(small, tmp_path) != drawn(plain, tmp_path)


def test_stable_diffusion_3_says_of_itself_how_large_it_is(made) -> None:
    layout = checkpoint_files.layout_of(read_header(made["sd3"][1]))
    assert layout.denoiser["dual_attention_layers"] == (0,) and layout.denoiser["qk_norm"] == "rms_norm"
    assert (layout.denoiser["num_layers"], layout.denoiser["pos_embed_max_size"]) == (2, 24)


def test_stable_diffusion_3_without_one_of_its_clips(made, tmp_path: Path) -> None:
    state = {name: one for name, one in load_file(made["sd3"][1]).items() if ".clip_g." not in name}
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(LoadFailed, match="text_encoder_2 cannot be found"):
        load(tmp_path / "half.safetensors", OPTIONS)


@pytest.mark.parametrize("answer", [-3.0, 0.5])
def test_stable_diffusion_2_is_asked_what_it_predicts(made, tmp_path: Path, answer: float) -> None:
    """By what it makes of nothing but noise: here its last layer alone decides that."""
    state = load_file(made["sd2"][1])
    state["model.diffusion_model.out.2.weight"].zero_()
    state["model.diffusion_model.out.2.bias"].fill_(answer)
    save_file(state, tmp_path / "two.safetensors")
    engine = load(tmp_path / "two.safetensors", OPTIONS)
    assert engine._pipe.scheduler.config.prediction_type == ("v_prediction" if answer < -1 else "epsilon")


@pytest.mark.parametrize("family", ["sd15", "sd2", "sdxl"])
def test_models_that_predict_v_say_so_by_a_tensor(made, tmp_path: Path, family: str) -> None:
    state = load_file(made[family][1]) | {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    save_file(state, tmp_path / "v.safetensors")
    config = load(tmp_path / "v.safetensors", OPTIONS)._pipe.scheduler.config
    assert (config.prediction_type, config.rescale_betas_zero_snr) == ("v_prediction", True)


def test_a_denoiser_that_sees_a_mask(made, tmp_path: Path) -> None:
    state = load_file(made["sd15"][1])
    first = f"{checkpoint_files.DENOISER}{checkpoint_files.FIRST_CONVOLUTION}"
    narrow = state[first]
    state[first] = torch.zeros(narrow.shape[0], 9, 3, 3)
    save_file(state, tmp_path / "inpaint.safetensors")
    pipe = load(tmp_path / "inpaint.safetensors", OPTIONS)._pipe
    assert type(pipe).__name__ == "StableDiffusionInpaintPipeline"
    assert pipe.unet.config.in_channels == 9


class TestLent:
    """FLUX's files hold the denoiser alone, most often: what they lack, another model of the family lends."""

    def test_the_denoiser_alone(self, made, tmp_path: Path) -> None:
        folder, file = made["flux"]
        single = load(file, {**OPTIONS, "parts_from": str(folder)})
        assert drawn(single, tmp_path) == drawn(load(folder, OPTIONS), tmp_path)
        assert single.weights_bytes == load(folder, OPTIONS).weights_bytes
        single.park()
        single.wake()
        assert drawn(single, tmp_path) == drawn(load(folder, OPTIONS), tmp_path)

    def test_another_model_lends_no_schedule(self, made, tmp_path: Path) -> None:
        """FLUX dev moves its noise schedule with the picture's size, schnell does not: the file's kind counts."""
        folder, file = made["flux"]
        schnell = tiny_models.build_flux_schnell(tmp_path / "schnell")
        for part in ("text_encoder", "text_encoder_2", "vae"):  # which all models of the family share
            shutil.copytree(folder / part, schnell / part, dirs_exist_ok=True)
        lent = load(file, {**OPTIONS, "parts_from": str(schnell)})
        assert drawn(lent, tmp_path) == drawn(load(folder, OPTIONS), tmp_path)
        other = tiny_checkpoints.build_checkpoint(
            DiffusionPipeline.from_pretrained(str(schnell)), tmp_path / "fast.safetensors"
        )
        engine = load(other, {**OPTIONS, "parts_from": str(folder)})
        assert not engine._pipe.transformer.config.guidance_embeds
        assert drawn(engine, tmp_path) == drawn(load(schnell, OPTIONS), tmp_path)

    def test_all_in_one_takes_t5_alone(self, made, tmp_path: Path) -> None:
        folder, _ = made["flux"]
        pipe = DiffusionPipeline.from_pretrained(str(folder))
        with torch.no_grad():  # so that it shows whose are used
            pipe.vae.decoder.conv_out.bias.add_(0.5)
            pipe.text_encoder.final_layer_norm.bias.add_(0.5)
        pipe.save_pretrained(tmp_path / "changed")
        file = tiny_checkpoints.build_flux_checkpoint(pipe, tmp_path / "whole.safetensors", whole=True)
        assert checkpoint_files.layout_of(read_header(file)).lent == ("text_encoder_2", "tokenizer_2")
        single = load(file, {**OPTIONS, "parts_from": str(folder)})
        assert drawn(single, tmp_path) == drawn(load(tmp_path / "changed", OPTIONS), tmp_path)

    def test_eight_bits_with_scales(self, made, tmp_path: Path) -> None:
        folder, file = made["flux"]
        state, scale = load_file(file), torch.tensor(0.25)
        name = "double_blocks.0.img_mlp.0"
        state[f"{name}.weight"] = (state[f"{name}.weight"] / scale).to(torch.float8_e4m3fn)
        state["scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
        save_file(state | {f"{name}.scale_weight": scale}, tmp_path / "eight.safetensors")
        engine = load(tmp_path / "eight.safetensors", {**OPTIONS, "parts_from": str(folder)})
        read = engine._pipe.transformer.transformer_blocks[0].ff.net[0].proj.weight
        assert torch.equal(read, state[f"{name}.weight"].float() * scale)
        assert len(drawn(engine, tmp_path)) == 64

    def test_kontext_is_known_by_its_name(self, made, tmp_path: Path) -> None:
        folder, file = made["flux"]
        shutil.copy(file, tmp_path / "flux1-Kontext-dev.safetensors")
        engine = load(tmp_path / "flux1-Kontext-dev.safetensors", {**OPTIONS, "parts_from": str(folder)})
        assert type(engine._pipe).__name__ == "FluxKontextPipeline"

    def test_fill_is_known_by_what_it_sees(self, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        of_tiny_latents = 64 + 64 + 4 * 2 * 2
        monkeypatch.setitem(checkpoint_files.PIPELINES, ("flux", of_tiny_latents), "FluxFillPipeline")
        pipe = DiffusionPipeline.from_pretrained(str(tiny_models.build_fill(tmp_path / "fill")))
        file = tiny_checkpoints.build_checkpoint(pipe, tmp_path / "fill.safetensors")
        engine = load(file, {**OPTIONS, "parts_from": str(made["flux"][0])})
        assert type(engine._pipe).__name__ == "FluxFillPipeline"
        assert engine._pipe.transformer.config.out_channels == 64

    def test_stable_diffusion_3_5_without_its_encoders(self, made, tmp_path: Path) -> None:
        """As 3.5 is published in one file. A whole file can lend, too."""
        folder, whole = made["sd3"]
        state = {name: one for name, one in load_file(whole).items() if not name.startswith("text_encoders.")}
        save_file(state, tmp_path / "half.safetensors")
        expected = drawn(load(folder, OPTIONS), tmp_path)
        for lender in (folder, whole):
            engine = load(tmp_path / "half.safetensors", {**OPTIONS, "parts_from": str(lender)})
            assert drawn(engine, tmp_path) == expected

    def test_without_an_autoencoder(self, made, tmp_path: Path) -> None:
        folder, whole = made["sd15"]
        state = {name: one for name, one in load_file(whole).items() if not name.startswith("first_stage_model.")}
        save_file(state, tmp_path / "half.safetensors")
        engine = load(tmp_path / "half.safetensors", {**OPTIONS, "parts_from": str(folder)})
        assert drawn(engine, tmp_path) == drawn(load(folder, OPTIONS), tmp_path)

    def test_a_lender_that_lacks_it_too(self, made, tmp_path: Path) -> None:
        folder = shutil.copytree(made["flux"][0], tmp_path / "poor")
        index = json.loads((folder / "model_index.json").read_text())
        index["text_encoder_2"] = [None, None]
        (folder / "model_index.json").write_text(json.dumps(index))
        with pytest.raises(LoadFailed, match="poor has no text_encoder_2 to lend"):
            load(made["flux"][1], {**OPTIONS, "parts_from": str(folder)})

    def test_packed_weights_are_refused(self, made, tmp_path: Path) -> None:
        state = load_file(made["flux"][1]) | {"double_blocks.0.img_mlp.0.weight.absmax": torch.zeros(1)}
        save_file(state, tmp_path / "nf4.safetensors")
        with pytest.raises(LoadFailed) as refused:
            load(tmp_path / "nf4.safetensors", {**OPTIONS, "parts_from": str(made["flux"][0])})
        assert refused.value.code == "checkpoint_unknown"


class TestRefused:
    @pytest.mark.parametrize("part", ["first_stage_model.", "cond_stage_model."])
    def test_a_part_is_missing(self, made, tmp_path: Path, part: str) -> None:
        state = {name: one for name, one in load_file(made["sd15"][1]).items() if not name.startswith(part)}
        save_file(state, tmp_path / "half.safetensors")
        with pytest.raises(LoadFailed, match="a part of a model only") as refused:
            load(tmp_path / "half.safetensors", OPTIONS)
        assert refused.value.code == "checkpoint_incomplete"

    def test_a_denoiser_without_blocks(self, made, tmp_path: Path) -> None:
        state = {name: one for name, one in load_file(made["flux"][1]).items() if not name.startswith("single_blocks.")}
        save_file(state, tmp_path / "torn.safetensors")
        with pytest.raises(LoadFailed) as refused:
            load(tmp_path / "torn.safetensors", {**OPTIONS, "parts_from": str(made["flux"][0])})
        assert refused.value.code == "model_damaged"

    def test_some_weights_are_missing(self, made, tmp_path: Path) -> None:
        state = load_file(made["sd15"][1])
        del state["model.diffusion_model.out.2.weight"]
        save_file(state, tmp_path / "torn.safetensors")
        with pytest.raises(LoadFailed) as refused:
            load(tmp_path / "torn.safetensors", OPTIONS)
        assert refused.value.code == "model_damaged"

    def test_another_model(self, tmp_path: Path) -> None:
        depth = {"double_blocks.0.x": torch.zeros(1), "img_in.weight": torch.zeros(8, 128)}
        save_file(depth, tmp_path / "depth.safetensors")
        with pytest.raises(LoadFailed) as refused:
            load(tmp_path / "depth.safetensors", OPTIONS)
        assert refused.value.code == "checkpoint_unknown"

    def test_a_pickle(self, tmp_path: Path) -> None:
        (tmp_path / "model.ckpt").write_bytes(b"\x80\x04K\x01.")
        with pytest.raises(LoadFailed) as refused:
            load(tmp_path / "model.ckpt", OPTIONS)
        assert refused.value.code == "unsafe_model"

    def test_a_renamed_pickle(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(b"\x80\x04K\x01.")
        with pytest.raises(LoadFailed) as refused:
            load(tmp_path / "model.safetensors", OPTIONS)
        assert refused.value.code == "model_damaged"


class TestShipped:
    """The sizes are those of the published weights."""

    @pytest.mark.parametrize(
        ("part", "cls", "parameters"),
        [
            ("sd15/unet", UNet2DConditionModel, 859_520_964),
            ("sd15/vae", AutoencoderKL, 83_653_863),
            ("sd2/unet", UNet2DConditionModel, 865_910_724),
            ("sd3/transformer", SD3Transformer2DModel, 2_028_328_000),
            ("sd3/vae", AutoencoderKL, 83_819_683),
            ("flux/transformer", FluxTransformer2DModel, 11_901_408_320),
            ("flux/vae", AutoencoderKL, 83_819_683),
            ("sdxl/unet", UNet2DConditionModel, 2_567_463_684),
            ("sdxl/vae", AutoencoderKL, 83_653_863),
        ],
    )
    def test_parts(self, part: str, cls: type, parameters: int) -> None:
        with torch.device("meta"):
            made = cls.from_config(json.loads((SHIPPED / part / "config.json").read_text()))
        assert sum(tensor.numel() for tensor in made.parameters()) == parameters

    @pytest.mark.parametrize(
        ("part", "cls", "parameters"),
        [
            ("sd15/text_encoder", CLIPTextModel, 123_060_480),
            ("flux/text_encoder", CLIPTextModel, 123_060_480),
            ("sd2/text_encoder", CLIPTextModel, 340_387_840),
            ("sd3/text_encoder", CLIPTextModelWithProjection, 123_650_304),
            ("sd3/text_encoder_2", CLIPTextModelWithProjection, 694_659_840),
            ("sdxl/text_encoder", CLIPTextModel, 123_060_480),
            ("sdxl/text_encoder_2", CLIPTextModelWithProjection, 694_659_840),
        ],
    )
    def test_text_encoders(self, part: str, cls: type, parameters: int) -> None:
        with torch.device("meta"):
            made = cls(CLIPTextConfig.from_pretrained(str(SHIPPED / part)))
        assert sum(tensor.numel() for tensor in made.parameters()) == parameters

    def test_clips_tokens(self) -> None:
        read = clip_tokenizer()
        assert len(read) == 49408
        # The example of OpenAI's own notebook, "hello world!", and a word of several tokens.
        assert read("hello world!").input_ids == [49406, 3306, 1002, 256, 49407]
        assert read("A PHOTO of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
        assert clip_tokenizer("tokenizer_2").pad_token_id == 0
        assert read.pad_token_id == 49407
