"""A pipeline's weights in one file, under the names of A1111's checkpoints: the reverse of how diffusers reads them.

The names are those of CompVis' and Stability's own code, as `convert_diffusers_to_original_stable_diffusion.py` and its
sibling for SDXL in diffusers' scripts write them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

State = dict[str, torch.Tensor]
OPEN_CLIP_ALONE = 40
"""The width of the tiny Stable Diffusion 2's text encoder, by which it is told from 1.5's."""

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
OUTER = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


SD3_BLOCK = {
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn2.to_out.0": "x_block.attn2.proj",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
SD3_OUTER = {
    "pos_embed.pos_embed": "pos_embed",
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "proj_out": "final_layer.linear",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
}


def build_sd3_checkpoint(pipe: Any, file: Path) -> Path:
    """In the names of Stability's sd3-ref, with both CLIPs, as `sd3_medium_incl_clips` is published."""
    state = _prefixed("model.diffusion_model.", _sd3(pipe.transformer))
    state |= _prefixed("first_stage_model.", _vae(pipe.vae))
    for name, encoder in (("clip_l", pipe.text_encoder), ("clip_g", pipe.text_encoder_2)):
        state |= _prefixed(f"text_encoders.{name}.transformer.", encoder.state_dict())
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, file)
    return file


def _sd3(transformer: Any) -> State:
    own, made = transformer.state_dict(), {}
    last = f"transformer_blocks.{transformer.config.num_layers - 1}.norm1_context.linear."
    for name, tensor in own.items():
        if name.startswith(("norm_out.linear.", last)):  # shift and scale stand the other way round there
            tensor = torch.cat(list(reversed(tensor.chunk(2, dim=0))))
        if not (found := re.match(r"transformer_blocks\.(\d+)\.(.*)", name)):
            made[SD3_OUTER.get(name) or _renamed(name, SD3_OUTER)] = tensor
            continue
        block, rest = f"joint_blocks.{found[1]}", found[2]
        for first, place in (
            ("attn.to_q", "x_block.attn"), ("attn.add_q_proj", "context_block.attn"), ("attn2.to_q", "x_block.attn2")
        ):  # fmt: skip
            if rest.startswith(f"{first}."):
                three = [own[name.replace("q_proj", f"{k}_proj").replace("to_q", f"to_{k}")] for k in "qkv"]
                made[f"{block}.{place}.qkv.{rest.rpartition('.')[2]}"] = torch.cat(three)
        if (renamed := _renamed(rest, SD3_BLOCK)) != rest:
            made[f"{block}.{renamed}"] = tensor
    return made


FLUX_BLOCK = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
FLUX_SINGLE = {
    "norm.linear": "modulation.lin",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
    "proj_out": "linear2",
}
FLUX_OUTER = {
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "context_embedder": "txt_in",
    "x_embedder": "img_in",
    "proj_out": "final_layer.linear",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
}


def build_flux_checkpoint(pipe: Any, file: Path, *, whole: bool = False) -> Path:
    """In the names of Black Forest Labs' own code, as `flux1-dev.safetensors` is published: the denoiser alone.
    `whole`: all in one, as ComfyUI has it, with the autoencoder and CLIP."""
    state = _flux(pipe.transformer)
    if whole:
        state = _prefixed("model.diffusion_model.", state) | _prefixed("vae.", _vae(pipe.vae))
        clip = {f"text_model.{name}": tensor for name, tensor in pipe.text_encoder.state_dict().items()}
        state |= _prefixed("text_encoders.clip_l.transformer.", clip)
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, file)
    return file


def _flux(transformer: Any) -> State:
    own, made = transformer.state_dict(), {}
    for name, tensor in own.items():
        kind = name.rpartition(".")[2]
        if name.startswith("norm_out.linear."):  # shift and scale stand the other way round there
            tensor = torch.cat(list(reversed(tensor.chunk(2, dim=0))))
        if not (found := re.match(r"(single_)?transformer_blocks\.(\d+)\.(.*)", name)):
            made[_renamed(name, FLUX_OUTER)] = tensor
            continue
        block, rest = f"{'single' if found[1] else 'double'}_blocks.{found[2]}", found[3]
        for first, place in (("attn.to_q.", "img_attn"), ("attn.add_q_proj.", "txt_attn")):
            if rest.startswith(first):
                parts = [own[name.replace("q_proj", f"{k}_proj").replace("to_q", f"to_{k}")] for k in "qkv"]
                if found[1]:
                    parts.append(own[name.replace("attn.to_q", "proj_mlp")])
                made[f"{block}.linear1.{kind}" if found[1] else f"{block}.{place}.qkv.{kind}"] = torch.cat(parts)
        if (renamed := _renamed(rest, FLUX_SINGLE if found[1] else FLUX_BLOCK)) != rest:
            made[f"{block}.{renamed.replace('_norm.weight', '_norm.scale')}"] = tensor
    return made


def build_checkpoint(pipe: Any, file: Path) -> Path:
    if "Flux" in type(pipe).__name__:
        return build_flux_checkpoint(pipe, file)
    if hasattr(pipe, "transformer"):
        return build_sd3_checkpoint(pipe, file)
    wide, narrow = hasattr(pipe, "text_encoder_2"), pipe.unet.config.cross_attention_dim
    state = _prefixed("model.diffusion_model.", _unet(pipe.unet)) | _prefixed("first_stage_model.", _vae(pipe.vae))
    clip = {f"text_model.{name}": tensor for name, tensor in pipe.text_encoder.state_dict().items()}
    if wide:
        state |= _prefixed("conditioner.embedders.0.transformer.", clip)
        state |= _prefixed("conditioner.embedders.1.model.", _open_clip(pipe.text_encoder_2.state_dict()))
    elif narrow == OPEN_CLIP_ALONE:
        state |= _prefixed("cond_stage_model.model.", _open_clip(pipe.text_encoder.state_dict()))
    else:
        state |= _prefixed("cond_stage_model.transformer.", clip)
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, file)
    return file


def _prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _renamed(name: str, names: dict[str, str], within: str = "") -> str:
    for own, theirs in names.items():
        if name.startswith(f"{within}{own}."):
            return f"{within}{theirs}.{name.removeprefix(f'{within}{own}.')}"
    return name


def _unet(unet: Any) -> State:
    layers = unet.config.layers_per_block + 1

    def place(name: str) -> str:
        if found := re.match(
            r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name
        ):
            way, block, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
            first = 1 if way == "down" else 0
            side = "input_blocks" if way == "down" else "output_blocks"
            if kind == "downsamplers":
                return f"{side}.{layers * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
            if kind == "upsamplers":
                behind = 2 if hasattr(unet.up_blocks[block], "attentions") else 1
                return f"{side}.{layers * (block + 1) - 1}.{behind}.{rest}"
            at = layers * block + number + first
            return f"{side}.{at}.1.{rest}" if kind == "attentions" else f"{side}.{at}.0.{_renamed(rest, RESNET)}"
        if found := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name):
            if found[1] == "attentions":
                return f"middle_block.1.{found[3]}"
            return f"middle_block.{2 * int(found[2])}.{_renamed(found[3], RESNET)}"
        return _renamed(name, OUTER)

    return {place(name): tensor for name, tensor in unet.state_dict().items()}


def _vae(vae: Any) -> State:
    blocks = len(vae.config.block_out_channels)
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}

    def place(name: str) -> str:
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", name)
        name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", name)
        if found := re.match(r"(\w+)\.mid_block\.attentions\.0\.(.*)", name):
            return f"{found[1]}.mid.attn_1.{_renamed(found[2], attention)}"
        return name

    def shaped(name: str, tensor: torch.Tensor) -> torch.Tensor:
        is_matrix = "mid_block.attentions" in name and name.endswith("weight") and tensor.ndim == 2
        return tensor[:, :, None, None] if is_matrix else tensor

    return {place(name): shaped(name, tensor) for name, tensor in vae.state_dict().items()}


def _open_clip(state: State) -> State:
    made: State = {"logit_scale": torch.ones(())}
    for name, tensor in state.items():
        plain = name.removeprefix("text_model.")
        if found := re.match(r"encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", plain):
            prefix = f"transformer.resblocks.{found[1]}"
            if found[2] == "self_attn.q_proj":
                three = [state[name.replace("q_proj", f"{one}_proj")] for one in "qkv"]
                made[f"{prefix}.attn.in_proj_{found[3]}"] = torch.cat(three)
            elif not found[2].startswith(("self_attn.k", "self_attn.v")):
                made[f"{prefix}.{OPEN_CLIP[found[2]]}.{found[3]}"] = tensor
        elif plain == "text_projection.weight":
            made["text_projection"] = tensor.T
        elif plain == "embeddings.position_embedding.weight":
            made["positional_embedding"] = tensor
        elif plain == "embeddings.token_embedding.weight":
            made["token_embedding.weight"] = tensor
        elif plain.startswith("final_layer_norm."):
            made[plain.replace("final_layer_norm", "ln_final")] = tensor
    return made
