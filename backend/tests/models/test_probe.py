"""What a folder or file holds, told from headers: every kind that is known, and clear words for all others."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import pytest
from atelier.config import BACKEND
from atelier.models.probe import ModelNotRecognised, probe
from atelier.models.registry import columns_of
from tests.models.weights import ESRGAN, Shapes, diffusers_folder, safetensors, transformers_folder, write

LAST, V = {"timestep_spacing": "trailing"}, {"prediction_type": "v_prediction"}
LORA = {768: "sd15", 1024: "sd2", 2048: "sdxl"}


class TestFolders:
    def test_the_shipped_model(self) -> None:
        found = probe(BACKEND / "embedded" / "models" / "creatures")
        assert (found.task, found.type, found.family, found.engine) == (
            "image",
            "base_model",
            "sd15",
            "diffusers_image",
        )
        assert found.pipeline == "StableDiffusionPipeline"
        assert 5_000_000 < found.parameters < 8_000_000 and found.dtype == "F16"
        assert found.size_bytes == pytest.approx(2 * found.parameters, rel=0.1)

    @pytest.mark.parametrize(
        ("pipeline", "width", "task", "family"),
        [
            ("StableDiffusionPipeline", 768, "image", "sd15"),
            ("StableDiffusionPipeline", 1024, "image", "sd2"),
            ("StableDiffusionXLPipeline", 2048, "image", "sdxl"),
            ("StableDiffusion3Pipeline", None, "image", "sd3"),
            ("FluxPipeline", None, "image", "flux"),
            ("StableDiffusionInpaintPipeline", 1024, "image", "sd2"),
            ("StableDiffusionXLInpaintPipeline", 2048, "image", "sdxl"),
            ("LatentConsistencyModelPipeline", 768, "image", "sd15"),
            ("FluxKontextPipeline", None, "image", "flux"),
            ("FluxFillPipeline", None, "image", "flux"),
            ("StableVideoDiffusionPipeline", None, "video", "svd"),
        ],
    )
    def test_diffusers(self, tmp_path: Path, pipeline: str, width: int | None, task: str, family: str) -> None:
        found = probe(diffusers_folder(tmp_path / "m", pipeline, unet={"cross_attention_dim": width}))
        assert (found.task, found.family, found.parameters, found.dtype) == (task, family, 35, "F16")
        assert found.engine == "diffusers_image"

    @pytest.mark.parametrize(
        ("pipeline", "part", "config", "distilled"),
        [
            ("StableDiffusionXLPipeline", "scheduler", {"_class_name": "EulerDiscreteScheduler"}, ""),
            (
                "StableDiffusionXLPipeline",
                "scheduler",
                {"_class_name": "EulerAncestralDiscreteScheduler", **LAST},
                "turbo",
            ),
            ("StableDiffusionXLPipeline", "scheduler", {"_class_name": "EulerDiscreteScheduler", **LAST, **V}, ""),
            ("StableDiffusionXLPipeline", "scheduler", {"_class_name": "LCMScheduler"}, "lcm"),
            ("LatentConsistencyModelPipeline", "scheduler", {}, "lcm"),
            ("FluxPipeline", "transformer", {"guidance_embeds": False}, "schnell"),
            ("FluxPipeline", "transformer", {"guidance_embeds": True}, ""),
        ],
    )
    def test_few_steps_are_told_by_the_folder(
        self, tmp_path: Path, pipeline: str, part: str, config: dict, distilled: str
    ) -> None:
        folder = diffusers_folder(tmp_path / "m", pipeline)
        write(folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json"), config)
        found = probe(folder)
        defaults = columns_of(found)["defaults"]
        assert found.distilled == distilled and (defaults["steps"] == 4) == bool(distilled)
        assert (defaults["guidance_scale"] == 0) == (distilled in ("turbo", "schnell"))
        assert (defaults["width"] == 512) == (distilled == "turbo" or pipeline.startswith("Latent"))

    def test_a_video_model_that_no_engine_runs(self, tmp_path: Path) -> None:
        found = probe(diffusers_folder(tmp_path / "m", "WanPipeline"))
        assert (found.task, found.family, found.engine) == ("video", "wan", None)

    def test_a_half_precision_copy_is_not_counted_twice(self, tmp_path: Path) -> None:
        folder = diffusers_folder(tmp_path, "FluxPipeline", dtype="F32")
        alone = probe(folder)
        write(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors", safetensors({"a": (4, 8), "b": (3,)}))
        assert probe(folder) == alone
        (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
        assert (probe(folder).parameters, probe(folder).dtype) == (35, "F16")

    @pytest.mark.parametrize(
        ("architecture", "config", "task", "sees"),
        [
            ("Qwen3ForCausalLM", {}, "chat", False),
            ("Qwen3VLForConditionalGeneration", {"vision_config": {}}, "chat", True),
            ("CanaryForConditionalGeneration", {}, "transcribe", False),
            ("WhisperForConditionalGeneration", {}, "transcribe", False),
        ],
    )
    def test_transformers(self, tmp_path: Path, architecture: str, config: dict, task: str, sees: bool) -> None:
        found = probe(transformers_folder(tmp_path, architecture, **config))
        assert (found.task, found.sees, found.family, found.pipeline) == (task, sees, "qwen3", architecture)
        assert (found.parameters, found.dtype) == (110, "BF16")

    def test_sentence_transformers(self, tmp_path: Path) -> None:
        write(transformers_folder(tmp_path, "BertModel") / "modules.json", b"[]")
        assert probe(tmp_path).task == "embed"

    def test_pyannote(self, tmp_path: Path) -> None:
        write(tmp_path / "config.yaml", b"pipeline:\n  name: pyannote.audio.pipelines.SpeakerDiarization\n")
        found = probe(tmp_path)
        assert (found.task, found.family) == ("diarize", "pyannote") and found.notes

    def test_peft(self, tmp_path: Path) -> None:
        name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight"
        write(tmp_path / "adapter_config.json", {"base_model_name_or_path": "stabilityai/sdxl"})
        write(tmp_path / "adapter_model.safetensors", safetensors({name: (4, 2048)}))
        found = probe(tmp_path)
        assert (found.type, found.family, found.base) == ("lora", "sdxl", "stabilityai/sdxl")

    @pytest.mark.parametrize(
        ("around", "place", "known"),
        [
            ("Qwen3ForCausalLM", "model.layers", True),
            ("Qwen3VLForConditionalGeneration", "model.language_model.layers", True),
            ("WhisperForConditionalGeneration", "model.encoder.layers", False),
            (None, "model.layers", False),
        ],
    )
    def test_peft_without_a_task(self, tmp_path: Path, around: str | None, place: str, known: bool) -> None:
        """As `save_pretrained` writes one where nobody gave `task_type`."""
        mapping = around and {"base_model_class": around, "parent_library": "transformers"}
        write(tmp_path / "adapter_config.json", {"task_type": None, "auto_mapping": mapping})
        name = f"base_model.model.{place}.0.self_attn.q_proj.lora_A.weight"
        write(tmp_path / "adapter_model.safetensors", safetensors({name: (4, 32)}))
        if known:
            assert (probe(tmp_path).task, probe(tmp_path).type) == ("chat", "lora")
            return
        with pytest.raises(ModelNotRecognised, match="not for a model that Atelier knows"):
            probe(tmp_path)

    def test_a_folder_around_one_file(self, tmp_path: Path) -> None:
        write(tmp_path / "x.safetensors", safetensors({"model.diffusion_model.joint_blocks.0.x": (2, 2)}))
        assert probe(tmp_path).family == "sd3"


class TestFiles:
    @pytest.mark.parametrize("width", LORA)
    @pytest.mark.parametrize(
        "name",
        [
            "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight",
            "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora.down.weight",
        ],
    )
    def test_loras_by_the_width_of_the_text(self, tmp_path: Path, name: str, width: int) -> None:
        other = name.replace("down.weight", "up.weight").replace("lora_A", "lora_B")
        data = safetensors({other: (320, 4), name: (4, width)}, metadata={"ss_sd_model_name": "base.safetensors"})
        found = probe(write(tmp_path / "x.safetensors", data))
        assert (found.type, found.family, found.base) == ("lora", LORA[width], "base.safetensors")

    @pytest.mark.parametrize(
        ("name", "family"),
        [
            ("lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "sdxl"),
            ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "flux"),
            ("transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight", "flux"),
            ("lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight", "sd3"),
            ("transformer.transformer_blocks.0.attn.to_k.lora_A.weight", "sd3"),
        ],
    )
    def test_loras_by_their_blocks(self, tmp_path: Path, name: str, family: str) -> None:
        assert probe(write(tmp_path / "x.safetensors", safetensors({name: (4, 64)}))).family == family

    @pytest.mark.parametrize(
        ("names", "family"),
        [
            ({"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768)}, "sd15"),
            ({"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024)}, "sd2"),
            ({"conditioner.embedders.1.model.x": (2,), "model.diffusion_model.x": (2,)}, "sdxl"),
            ({"model.diffusion_model.joint_blocks.0.x": (2,)}, "sd3"),
            ({"double_blocks.0.img_attn.qkv.weight": (2,)}, "flux"),
        ],
    )
    def test_checkpoints(self, tmp_path: Path, names: Shapes, family: str) -> None:
        found = probe(write(tmp_path / "x.safetensors", safetensors(names)))
        assert (found.type, found.family, found.pipeline) == ("base_model", family, "single_file")

    def test_flux_without_guidance_is_schnell(self, tmp_path: Path) -> None:
        names = {
            "double_blocks.0.img_attn.norm.query_norm.scale": (128,),
            "img_in.weight": (3072, 64),
            "txt_in.weight": (3072, 4096),
            "vector_in.in_layer.weight": (3072, 768),
            "final_layer.linear.weight": (64, 3072),
        }
        assert probe(write(tmp_path / "x.safetensors", safetensors(names))).distilled == "schnell"
        dev = {**names, "guidance_in.in_layer.weight": (3072, 256)}
        assert probe(write(tmp_path / "x.safetensors", safetensors(dev))).distilled == ""

    @pytest.mark.parametrize(
        ("names", "code"),
        [
            ({"double_blocks.0.img_mlp.0.weight.absmax": (2,)}, "probe.file_packed"),
            ({"double_blocks.0.x": (2,), "img_in.weight": (3072, 128)}, "probe.file_other_inputs"),
        ],
    )
    def test_checkpoints_that_are_not_run(self, tmp_path: Path, names: Shapes, code: str) -> None:
        with pytest.raises(ModelNotRecognised) as refused:
            probe(write(tmp_path / "x.safetensors", safetensors(names)))
        assert refused.value.message.code == code

    def test_gguf(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotRecognised, match="is a GGUF file"):
            probe(write(tmp_path / "flux1-dev-Q4.gguf", b"GGUF"))

    @pytest.mark.parametrize(
        "names", [{"encoder.x": (2,)}, {"model.diffusion_model.x": (2,)}, {"x.lora_A.weight": (2, 3)}]
    )
    def test_others_are_not_guessed(self, tmp_path: Path, names: Shapes) -> None:
        with pytest.raises(ModelNotRecognised) as refused:
            probe(write(tmp_path / "x.safetensors", safetensors(names)))
        assert refused.value.field == "path" and refused.value.hint


class TestEmbedding:
    @pytest.mark.parametrize(
        ("shapes", "family"),
        [
            ({"emb_params": (8, 768)}, "sd15"),
            ({"<cat-toy>": (768,)}, "sd15"),
            ({"emb_params": (1, 1024)}, "sd2"),
            ({"clip_l": (2, 768), "clip_g": (2, 1280)}, "sdxl"),
        ],
    )
    def test_by_the_width_of_its_vectors(self, tmp_path: Path, shapes: Shapes, family: str) -> None:
        found = probe(write(tmp_path / "x.safetensors", safetensors(shapes)))
        assert (found.task, found.type, found.family, found.engine) == ("image", "embedding", family, None)

    @pytest.mark.parametrize(
        "shapes", [{"a": (76, 768)}, {"a": (8, 4096)}, {"a": (8, 768), "b": (8, 768)}, {"a": (2, 2, 768)}]
    )
    def test_something_else(self, tmp_path: Path, shapes: Shapes) -> None:
        with pytest.raises(ModelNotRecognised):
            probe(write(tmp_path / "x.safetensors", safetensors(shapes)))


class TestUpscaler:
    @pytest.mark.parametrize("prefix", ["", "module."])
    def test_by_the_names_of_its_tensors(self, tmp_path: Path, prefix: str) -> None:
        shapes = {prefix + name: shape for name, shape in ESRGAN.items()}
        found = probe(write(tmp_path / "4x.safetensors", safetensors(shapes)))
        assert (found.task, found.type, found.family, found.engine) == ("image", "upscaler", "esrgan", None)
        assert found.parameters == 8 * 27 + 32 * 9

    def test_the_usual_pickle_is_told_how_to_come_in(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotRecognised, match="4x.pth is a PyTorch pickle") as refused:
            probe(write(tmp_path / "4x.pth", b"PK"))
        assert (
            "doc/models.md" in str(refused.value.hint)
            and "Converting" in (BACKEND.parent / "doc" / "models.md").read_text()
        )


class Canary:
    """Leaves a mark when anybody unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


class TestRefusals:
    @pytest.mark.parametrize("name", ["model.safetensors", "model.Safetensors", "model.bin", "model"])
    @pytest.mark.parametrize("wrapped", ["raw", "zip", "gzip"])
    def test_a_pickle_under_any_name(self, tmp_path: Path, name: str, wrapped: str) -> None:
        data = pickle.dumps(Canary(tmp_path / "mark"))
        if wrapped == "gzip":
            data = gzip.compress(data)
        if wrapped == "zip":
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                archive.writestr("archive/data.pkl", data)
            data = buffer.getvalue()
        with pytest.raises(ModelNotRecognised, match="safetensors"):
            probe(write(tmp_path / "file" / name, data))
        write(tmp_path / "folder" / "config.json", {"architectures": ["XForCausalLM"]})
        with pytest.raises(ModelNotRecognised, match="safetensors"):
            probe(write(tmp_path / "folder" / name, data).parent)
        assert not (tmp_path / "mark").exists()

    @pytest.mark.parametrize(
        ("files", "words"),
        [
            ({}, "no model_index.json"),
            ({"model_index.json": b"{"}, "cannot be read"),
            ({"model_index.json": b"[]"}, "no JSON object"),
            ({"model_index.json": b"[" * 100_000}, "cannot be read"),
            ({"model_index.json": b'{"_class_name": ["my", "Pipeline"]}'}, "does not run the pipeline"),
            ({"model_index.json": b'{"_class_name": "FluxPipeline"}'}, "no safetensors weights"),
            (
                {"config.json": b'{"architectures": ["BertForMaskedLM"]}', "m.safetensors": safetensors({"a": (1,)})},
                "Bert",
            ),
            ({"config.json": b"{}", "m.safetensors": safetensors({"a": (1,)})}, "leaves out"),
            ({"adapter_config.json": b"{}", "adapter_model.bin": b"x"}, "no adapter_model.safetensors"),
        ],
    )
    def test_say_what_is_wrong(self, tmp_path: Path, files: dict[str, bytes], words: str) -> None:
        for name, content in files.items():
            write(tmp_path / name, content)
        with pytest.raises(ModelNotRecognised, match=words) as refused:
            probe(tmp_path)
        assert refused.value.hint and str(tmp_path.parent) not in refused.value.message

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotRecognised, match="nothing at 'gone'"):
            probe(tmp_path / "gone")
