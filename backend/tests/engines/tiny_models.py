"""Builds tiny random pipelines of the real classes, with a byte-level tokenizer made here: no network, a second each.

python tests/engines/tiny_models.py FOLDER [NAME…]        writes FOLDER/tiny-NAME, all of BUILDERS unless named
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLTemporalDecoder,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    PNDMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    StableVideoDiffusionPipeline,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
TEXT_WIDTH = 32


def tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's byte-level BPE without a single merge: every byte is a token, once inside a word and once at its end."""
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(letter) for letter in letters] + [chr(256 + i) for i in range(256 - len(letters))]
    words = [*characters, *(character + "</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(str(folder), model_max_length=77)


def text_config(vocabulary: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=TEXT_WIDTH,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )


def t5_tokenizer() -> T5Tokenizer:
    """Unigrams of one letter each: anything can be read, nothing means anything."""
    letters = [chr(code) for code in range(33, 127)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *((letter, -3.0) for letter in letters)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=32)


def t5() -> T5EncoderModel:
    config = T5Config(vocab_size=128, d_model=TEXT_WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=4)
    return T5EncoderModel(config)


def autoencoder(channels: int = 4, scale: float = 0.18215, **more: object) -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        block_out_channels=(16, 32),
        latent_channels=channels,
        norm_num_groups=8,
        scaling_factor=scale,
        **more,
    )


def unet(channels: int = 4, **more: object) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=channels,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        **{"attention_head_dim": 8, "cross_attention_dim": TEXT_WIDTH, **more},
    )


def _sd(
    folder: Path, seed: int, cls: type = StableDiffusionPipeline, scheduler: object = None, **of_unet: object
) -> Path:
    torch.manual_seed(seed)
    words = tokenizer(folder / "tokenizer")
    pipe = cls(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config(len(words))),
        tokenizer=words,
        unet=unet(**of_unet),
        scheduler=scheduler or PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def build_sd(folder: Path, seed: int = 0) -> Path:
    return _sd(folder, seed)


def build_sd2(folder: Path, seed: int = 0) -> Path:
    """Predicts v, as SD 2.x does at 768."""
    return _sd(folder, seed, scheduler=DDIMScheduler(**BETAS, prediction_type="v_prediction", set_alpha_to_one=False))


def build_sd_inpaint(folder: Path, seed: int = 0) -> Path:
    """A UNet that sees the latents, the mask and the masked picture: nine channels."""
    return _sd(folder, seed, StableDiffusionInpaintPipeline, channels=9)


def build_lcm(folder: Path, seed: int = 0) -> Path:
    """The guidance scale is an input of its UNet."""
    scheduler = LCMScheduler(**BETAS, original_inference_steps=50)
    return _sd(folder, seed, LatentConsistencyModelPipeline, scheduler, time_cond_proj_dim=16)


def _sdxl(
    folder: Path, seed: int, scheduler: object = None, cls: type = StableDiffusionXLPipeline, refines: bool = False,
    channels: int = 4,
) -> Path:  # fmt: skip
    torch.manual_seed(seed)
    words = tokenizer(folder / "tokenizer_2")
    more = {"requires_aesthetics_score": True} if refines else {}
    pipe = cls(
        vae=autoencoder(),
        text_encoder=None if refines else CLIPTextModel(text_config(len(words))),
        text_encoder_2=CLIPTextModelWithProjection(text_config(len(words))),
        tokenizer=None if refines else words,
        tokenizer_2=words,
        unet=unet(
            channels,
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=(5 if refines else 6) * 8 + TEXT_WIDTH,
            cross_attention_dim=(1 if refines else 2) * TEXT_WIDTH,
        ),
        scheduler=scheduler or EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="leading"),
        force_zeros_for_empty_prompt=not refines,
        add_watermarker=False,
        **more,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def build_sdxl(folder: Path, seed: int = 0) -> Path:
    return _sdxl(folder, seed)


def build_turbo(folder: Path, seed: int = 0) -> Path:
    """SDXL Turbo: the same parts, a scheduler for one to four steps, no guidance."""
    return _sdxl(folder, seed, EulerAncestralDiscreteScheduler(**BETAS, timestep_spacing="trailing"))


def narrow_text_config(vocabulary: int, layers: int) -> CLIPTextConfig:
    return CLIPTextConfig(**{**text_config(vocabulary).to_dict(), "num_hidden_layers": layers})


def build_turbo_deep(folder: Path, seed: int = 0) -> Path:
    """SDXL Turbo with all of its layers (12 and 32 in its text encoders, 70 attention blocks in its UNet, its decoder's
    four levels), each a thirtieth as wide: what is left of its time is what calling so many layers takes, as on a GPU
    that is done with each of them before the next is called."""
    torch.manual_seed(seed)
    words = tokenizer(folder / "tokenizer_2")
    narrow = (16, 24, 40)
    pipe = StableDiffusionXLPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 16, 16, 16),
            layers_per_block=2,
            norm_num_groups=8,
            scaling_factor=0.13025,
        ),
        text_encoder=CLIPTextModel(narrow_text_config(len(words), 12)),
        text_encoder_2=CLIPTextModelWithProjection(narrow_text_config(len(words), 32)),
        tokenizer=words,
        tokenizer_2=words,
        unet=UNet2DConditionModel(
            sample_size=64,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=narrow,
            layers_per_block=2,
            norm_num_groups=8,
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(2, 3, 5),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + TEXT_WIDTH,
            cross_attention_dim=2 * TEXT_WIDTH,
        ),
        scheduler=EulerAncestralDiscreteScheduler(**BETAS, timestep_spacing="trailing"),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def build_refiner(folder: Path, seed: int = 0) -> Path:
    """SDXL's second model: one text encoder, an aesthetic score, and pictures to start from only."""
    return _sdxl(folder, seed, cls=StableDiffusionXLImg2ImgPipeline, refines=True)


def build_sdxl_inpaint(folder: Path, seed: int = 0) -> Path:
    return _sdxl(folder, seed, cls=StableDiffusionXLInpaintPipeline, channels=9)


def build_sd3(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    words = tokenizer(folder / "tokenizer")
    pipe = StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=32,
            patch_size=2,
            in_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=2 * TEXT_WIDTH,
            caption_projection_dim=32,
            pooled_projection_dim=2 * TEXT_WIDTH,
            out_channels=16,
            pos_embed_max_size=64,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(16, scale=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=CLIPTextModelWithProjection(text_config(len(words))),
        tokenizer=words,
        text_encoder_2=CLIPTextModelWithProjection(text_config(len(words))),
        tokenizer_2=words,
        text_encoder_3=None,  # as it is often run: the T5 of SD 3 may be left out
        tokenizer_3=None,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def _flux(folder: Path, seed: int, cls: type, guided: bool, channels: int = 64) -> Path:
    torch.manual_seed(seed)
    words = tokenizer(folder / "tokenizer")
    pipe = cls(
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=channels,
            out_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=TEXT_WIDTH,
            pooled_projection_dim=TEXT_WIDTH,
            guidance_embeds=guided,
            axes_dims_rope=(4, 4, 8),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0 if guided else 1.0, use_dynamic_shifting=guided),
        vae=autoencoder(16, scale=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=CLIPTextModel(text_config(len(words))),
        tokenizer=words,
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def build_flux_dev(folder: Path, seed: int = 0) -> Path:
    return _flux(folder, seed, FluxPipeline, guided=True)


def build_flux_schnell(folder: Path, seed: int = 0) -> Path:
    """Takes no guidance scale, and moves no noise schedule."""
    return _flux(folder, seed, FluxPipeline, guided=False)


def build_kontext(folder: Path, seed: int = 0) -> Path:
    return _flux(folder, seed, FluxKontextPipeline, guided=True)


def build_fill(folder: Path, seed: int = 0) -> Path:
    """Sees the latents (16 channels of 2 × 2 patches), the masked picture's, and the mask (8 × 8 pixels of each)."""
    return _flux(folder, seed, FluxFillPipeline, guided=True, channels=64 + 64 + 4 * 2 * 2)


def build_pixart(folder: Path, seed: int = 0) -> Path:
    """Of a family that has no entry of its own in `image_families`: its call is given words."""
    torch.manual_seed(seed)
    pipe = PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5(),
        vae=autoencoder(),
        transformer=PixArtTransformer2DModel(
            sample_size=8,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=3,
            cross_attention_dim=24,
            caption_channels=TEXT_WIDTH,
            use_additional_conditions=False,
        ),
        scheduler=DDIMScheduler(**BETAS),
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def build_svd(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    eyes = CLIPVisionConfig(
        hidden_size=TEXT_WIDTH,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        projection_dim=TEXT_WIDTH,
        image_size=224,
        patch_size=56,
    )
    pipe = StableVideoDiffusionPipeline(
        vae=AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            block_out_channels=(32, 32),
            layers_per_block=1,
        ),
        image_encoder=CLIPVisionModelWithProjection(eyes),
        unet=UNetSpatioTemporalConditionModel(
            sample_size=32,
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            block_out_channels=(32, 64),
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=24,
            layers_per_block=1,
            cross_attention_dim=TEXT_WIDTH,
            num_attention_heads=(2, 4),
            num_frames=6,
        ),
        scheduler=EulerDiscreteScheduler(
            **BETAS, prediction_type="v_prediction", timestep_type="continuous", timestep_spacing="leading",
            use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, steps_offset=1, interpolation_type="linear",
        ),
        feature_extractor=CLIPImageProcessorPil(),
    )  # fmt: skip
    pipe.save_pretrained(folder, safe_serialization=True)
    for name in ("model_index.json", "feature_extractor/preprocessor_config.json"):  # as models are published
        path = folder / name
        path.write_text(path.read_text().replace("CLIPImageProcessorPil", "CLIPImageProcessor"))
    return folder


BUILDERS = {name.removeprefix("build_"): build for name, build in globals().items() if name.startswith("build_")}

if __name__ == "__main__":
    target = Path(sys.argv[1])
    for name in sys.argv[2:] or BUILDERS:
        print(BUILDERS[name](target / f"tiny-{name}"))
