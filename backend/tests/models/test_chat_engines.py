"""Which engine runs a chat model, with which options: pure functions and small files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from atelier.config import RuntimeSettings
from atelier.models.anatomy import read_anatomy
from atelier.models.catalogue import Catalogue
from atelier.models.chat_engines import ChatEngines, Processor, choose
from atelier.models.chat_loading import dtype_of, engine_options, goes_without, held_as, setup_of
from atelier.models.chat_presets import PRESETS, Preset, preset_of
from atelier.models.estimate import SPARE_TOKENS, parts
from atelier.models.learning import Learning
from atelier.models.outlines import Outlines
from atelier.models.remedies import ideas, saves
from atelier.models.schemas import LoadOptions
from atelier.models.sizing import Sizing
from atelier.runtime.abilities import ABILITIES, CHAT
from atelier.runtime.engines import ENGINES, EngineName
from atelier.runtime.gpu import Device
from atelier.tables import ModelRow

GIB = 1024**3
H200 = Device(0, "cuda", "NVIDIA H200", 139 * GIB, 130 * GIB, capability=(9, 0))
OLD = Device(0, "cuda", "Tesla P40", 24 * GIB, 22 * GIB, capability=(6, 1))
CPU = Device(0, "cpu", "CPU", 32 * GIB, 22 * GIB)
NEW_CPU, OLD_CPU = Processor("x86_64", frozenset({"avx2", "fma", "sse"})), Processor("x86_64", frozenset({"sse"}))
ARM = Processor("aarch64", frozenset({"avx2", "fma"}))


def everything(_environment: str) -> bool:
    return True


class TestChoice:
    @pytest.mark.parametrize(
        ("device", "processor", "engine", "reason"),
        [
            (H200, OLD_CPU, EngineName.VLLM_CHAT, "chat_engine.gpu"),
            (OLD, NEW_CPU, EngineName.TRANSFORMERS_CHAT, "chat_engine.gpu_old"),
            (CPU, NEW_CPU, EngineName.VLLM_CPU_CHAT, "chat_engine.cpu"),
            (CPU, OLD_CPU, EngineName.TRANSFORMERS_CHAT, "chat_engine.cpu_old"),
            (CPU, ARM, EngineName.TRANSFORMERS_CHAT, "chat_engine.cpu_old"),
        ],
    )
    def test_goes_by_the_machine(self, device: Device, processor: Processor, engine: EngineName, reason: str) -> None:
        choice = choose("chat", None, [device], processor, everything)
        assert (choice.engine, choice.reason.code) == (engine, reason)

    def test_where_the_best_cannot_be_set_up_another_is(self) -> None:
        def broken(name: str) -> bool:
            return name == "chat-cpu"

        choice = choose("chat", None, [CPU], NEW_CPU, lambda _: False, broken)
        assert choice.engine is EngineName.TRANSFORMERS_CHAT
        assert "not set up" in choice.reason
        assert choose("chat", None, [CPU], NEW_CPU, lambda _: False, lambda _: True).engine is EngineName.VLLM_CPU_CHAT

    def test_somebody_may_choose(self) -> None:
        choice = choose("chat", "transformers_chat", [H200], NEW_CPU, everything)
        assert choice.engine is EngineName.TRANSFORMERS_CHAT
        assert choice.reason.code == "chat_engine.wanted"

    def test_what_is_set_up_serves_until_the_better_one_is(self) -> None:
        choice = choose("chat", None, [CPU], NEW_CPU, lambda name: name == "chat-transformers")
        assert choice.engine is EngineName.TRANSFORMERS_CHAT
        assert choice.reason == "transformers: vLLM (CPU) would suit this machine, but is not set up."

    def test_with_nothing_set_up_it_is_the_best(self) -> None:
        assert choose("chat", None, [CPU], NEW_CPU, lambda _: False).engine is EngineName.VLLM_CPU_CHAT

    def test_embeddings_take_vllm(self) -> None:
        none = choose("embed", None, [CPU], ARM, everything)
        assert none.engine is None and none.reason.code == "chat_engine.no_embeddings"
        only = choose("embed", None, [CPU], NEW_CPU, lambda name: name == "chat-transformers")
        assert only.engine is EngineName.VLLM_CPU_CHAT

    def test_every_choice_is_an_engine_of_that_task(self) -> None:
        for task in ("chat", "embed"):
            for device in (H200, OLD, CPU):
                for processor in (NEW_CPU, OLD_CPU, ARM):
                    engine = choose(task, None, [device], processor, everything).engine
                    assert engine is None or task in ENGINES[engine].tasks
                    assert engine is None or engine in ABILITIES

    def test_the_environments_that_may_be_needed(self) -> None:
        assert ChatEngines([H200], everything).environments() == ("chat", "chat-transformers")
        assert ChatEngines([CPU], everything, fake=True).environments() == ()


class TestAbilities:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"n": 2}, "n"),
            ({"best_of": 2}, "best_of"),
            ({"logprobs": True}, "logprobs"),
            ({"top_logprobs": 2}, "top_logprobs"),
            ({"echo": True}, "echo"),
            ({"suffix": "x"}, "suffix"),
            ({"min_tokens": 9}, "min_tokens"),
            ({"structured_outputs": {"choice": ["a"]}}, "structured_outputs"),
            ({"response_format": {"type": "json_object"}}, "response_format"),
            ({"tools": [{}], "tool_choice": "required"}, "tool_choice"),
            ({"tools": [{}], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
            ({"text": {"format": {"type": "json_schema"}}}, "text"),
            ({"output_config": {"format": {"type": "json_schema"}}}, "output_config"),
            ({"tools": [{}]}, None),
            ({"tools": [{}], "tool_choice": "none"}, None),
            ({"n": 1, "logit_bias": {"5": 1}, "response_format": {"type": "text"}}, None),
        ],
    )
    def test_what_transformers_lacks_is_named(self, body: dict[str, object], field: str | None) -> None:
        assert ABILITIES[EngineName.TRANSFORMERS_CHAT].lacks(body) == field
        assert ABILITIES[EngineName.VLLM_CHAT].lacks(body) is None

    @pytest.mark.parametrize("engine", [EngineName.VLLM_CHAT, EngineName.TRANSFORMERS_CHAT])
    def test_what_only_an_engine_that_keeps_answers_understands(self, engine: EngineName) -> None:
        for body in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}):
            assert ABILITIES[engine].lacks(body) == next(iter(body))
            assert ABILITIES[EngineName.FAKE].lacks(body) is None
        assert ABILITIES[engine].lacks({"background": False, "store": True, "text": {"verbosity": "low"}}) is None

    def test_a_route_that_it_does_not_have(self) -> None:
        able = ABILITIES[EngineName.TRANSFORMERS_CHAT]
        assert CHAT in able.routes_of("chat") and "/v1/messages" not in able.routes_of("chat")
        assert able.routes_of("embed") == frozenset()


def folder(tmp_path: Path, template: str | None, **config: object) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["Qwen3ForCausalLM"], **config}))
    if template is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    return tmp_path


class TestPresets:
    def test_a_family_that_was_taught_tools(self, tmp_path: Path) -> None:
        template = "{% if tools %}<tool_call>{% endif %}"
        assert preset_of(folder(tmp_path, template), "qwen3", sees=False) == Preset("hermes", None, None)
        (tmp_path / "chat_template.jinja").write_text(template + "<think>")
        assert preset_of(tmp_path, "qwen3", sees=False) == Preset("hermes", "qwen3", None), "the file of its own counts"

    def test_one_that_thinks_only_when_it_is_told_to(self, tmp_path: Path) -> None:
        template = "<think>{% if not enable_thinking %}</think>{% endif %}"
        assert preset_of(folder(tmp_path, template), "qwen3", sees=False) == Preset(None, "qwen3", None, thinks=False)

    def test_one_without_a_template_and_one_of_no_family(self, tmp_path: Path) -> None:
        assert preset_of(folder(tmp_path, None), "qwen3", sees=False) == Preset()
        assert preset_of(folder(tmp_path, "<tool_call>"), "unheard_of", sees=False) == Preset()

    def test_pictures_are_for_those_that_see(self, tmp_path: Path) -> None:
        path = folder(tmp_path, "<tool_call>")
        assert preset_of(path, "qwen3_vl_moe", sees=True) == Preset("hermes", None, 4)
        assert preset_of(path, "qwen3_vl_moe", sees=False).images is None

    def test_every_parser_has_its_mark(self) -> None:
        named = {
            parser
            for family in PRESETS["families"].values()
            for kind, parser in family.items()
            if kind in ("tool_parser", "reasoning_parser")
        }
        assert named == set(PRESETS["marks"])


class TestLoading:
    def anatomy(self, tmp_path: Path, **config: object) -> object:
        path = folder(tmp_path, "x", hidden_size=64, num_hidden_layers=2, num_attention_heads=4, head_dim=32, **config)
        return read_anatomy(path, task="chat", parameters=10**6, stored_bits=16)

    def test_the_context_is_what_was_asked_for_within_what_it_was_made_for(self, tmp_path: Path) -> None:
        anatomy = self.anatomy(tmp_path, max_position_embeddings=2048, num_key_value_heads=2)
        choice = choose("chat", None, [CPU], NEW_CPU, everything)
        for asked, got in ((None, 2048), (512, 512), (10**6, 2048)):
            setup = setup_of(["m", "", "o/m"], anatomy, LoadOptions(context=asked), Preset(), choice)
            assert (setup.context, setup.names) == (got, ("m", "o/m"))

    def test_options_override_the_family(self, tmp_path: Path) -> None:
        anatomy = self.anatomy(tmp_path, vision_config={})
        choice = choose("chat", None, [H200], NEW_CPU, everything)
        usual = Preset("hermes", "qwen3", 4)
        setup = setup_of(["m"], anatomy, LoadOptions(), usual, choice)
        assert (setup.tool_parser, setup.reasoning_parser, setup.images) == ("hermes", "qwen3", 4)
        options = LoadOptions(tool_parser="none", reasoning_parser="deepseek_r1", images=1)
        setup = setup_of(["m"], anatomy, options, usual, choice)
        assert (setup.tool_parser, setup.reasoning_parser, setup.images) == (None, "deepseek_r1", 1)

    def test_the_cache_of_keys_and_values_counts(self, tmp_path: Path) -> None:
        anatomy = self.anatomy(tmp_path, max_position_embeddings=2048, num_key_value_heads=2)
        choice = choose("chat", None, [H200], NEW_CPU, everything)
        setup = setup_of(["m"], anatomy, LoadOptions(sequences=8), Preset(), choice)
        sized = parts(anatomy, setup.work, kind="cuda", dtype="bfloat16", engine="vllm_chat")
        assert sized.cache == 2 * 2 * 2 * 32 * 2 * (2048 * 8 + SPARE_TOKENS), (
            "keys and values, layers, heads, width, bytes, tokens, requests"
        )
        chosen = engine_options(setup, "chat", "bfloat16", sized, LoadOptions(), [H200], 1)
        assert chosen["kv_cache_bytes"] == sized.cache
        assert chosen["device_bytes"] == H200.total_bytes
        assert "tensor_parallel" not in chosen

    @pytest.mark.parametrize(
        ("key", "gib", "context", "sequences"),
        [("qwen", 141, 32768, 4), ("qwen", 80, 32768, 1), ("qwen3-4b", 16, 8192, 1), ("qwen", 24, 32768, 4)],
    )
    def test_what_nobody_chose_is_made_to_fit(self, key: str, gib: int, context: int, sequences: int) -> None:
        """The last does not fit at all: then nothing is made smaller for it."""
        device = replace(H200, total_bytes=gib * GIB, budget_bytes=int(0.94 * gib * GIB))
        sizing = Sizing(Learning(None), [device], RuntimeSettings(), ChatEngines([device], everything))
        row = Outlines(Catalogue(), sizing).of_catalogue(key)
        assert row is not None
        setup = sizing.chat_setup(row)
        assert (setup.context, setup.sequences) == (context, sequences)
        assert setup.usual_work == setup.work
        asked = sizing.chat_setup(row, LoadOptions(context=16384, sequences=3))
        assert (asked.context, asked.sequences) == (16384, 3), "what somebody chose stays"
        assert asked.usual_work == setup.work
        fits = sizing.need(row).spec.bytes_needed <= device.budget_bytes
        assert fits == (gib != 24)

    def test_over_two_gpus_the_flags_follow_the_lease(self, tmp_path: Path) -> None:
        self.anatomy(tmp_path, max_position_embeddings=8192, num_key_value_heads=2)
        small = replace(H200, index=1, total_bytes=80 * GIB, budget_bytes=76 * GIB)
        facts = {"family": "llama", "dtype": "BF16", "parameters": 30 * 10**9, "size_bytes": 60 * 10**9}
        row = ModelRow(id="m", key="m", task="chat", path=str(tmp_path), pinned=False, load_options={}, **facts)
        sizing = Sizing(Learning(None), [H200, small], RuntimeSettings(), ChatEngines([H200, small], everything))
        one, two = (sizing.need(row, options=LoadOptions(gpu_device_ids=ids)) for ids in ([1], [0, 1]))
        flags = dict(two.spec.options)
        assert (two.spec.engine, two.spec.devices, two.spec.spread) == ("vllm_chat", (0, 1), 2)
        assert flags["tensor_parallel"] == 2 and flags["device_bytes"] == 80 * GIB, "the smaller device counts"
        assert flags["memory_bytes"] == two.parts.total and flags["kv_cache_bytes"] == two.parts.cache
        assert one.spec.spread == 1 and "tensor_parallel" not in dict(one.spec.options)
        assert two.parts.weights * 2 == pytest.approx(one.parts.weights) and two.parts.cache * 2 == one.parts.cache
        [spread] = next(ladder for ladder in ideas(one, LoadOptions(), [H200, small]) if ladder[0].id == "more_devices")
        assert spread.change == {"gpu_device_ids": [0, 1]} and saves(one, two) == one.parts.total - two.parts.total

    @pytest.mark.parametrize(
        ("engine", "kind", "came_so", "held", "lacks"),
        [
            (EngineName.VLLM_CHAT, "cuda", 0, ("fp8", "fp8"), []),
            (EngineName.VLLM_CHAT, "cuda", 9, ("none", "fp8"), ["model"]),
            (EngineName.VLLM_CPU_CHAT, "cpu", 0, ("none", "fp8"), ["cpu"]),
            (EngineName.TRANSFORMERS_CHAT, "cuda", 0, ("none", "none"), ["engine", "engine"]),
        ],
    )
    def test_8_bits_where_the_engine_can(
        self, tmp_path: Path, engine: EngineName, kind: str, came_so: int, held: tuple[str, str], lacks: list[str]
    ) -> None:
        anatomy = replace(self.anatomy(tmp_path), quantized_bytes=came_so)
        wanted = LoadOptions(quantization="fp8", kv_cache="fp8")
        assert tuple(held_as(engine, anatomy, wanted).values()) == held
        assert [one.why for one in goes_without(engine, kind, anatomy, wanted)] == lacks
        assert goes_without(engine, kind, anatomy, LoadOptions()) == []

    def test_the_type_of_the_weights(self) -> None:
        assert dtype_of("BF16", None, LoadOptions()) == "bfloat16"
        assert dtype_of("F32", None, LoadOptions()) == "float32"
        assert dtype_of("F32", "bfloat16", LoadOptions()) == "bfloat16"
        assert dtype_of("BF16", "float16", LoadOptions(dtype="float32")) == "float32"

    @pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float16"), ((8, 0), "bfloat16"), (None, "bfloat16")])
    def test_a_gpu_before_ampere_computes_in_float16(self, capability: tuple[int, int] | None, dtype: str) -> None:
        """vLLM refuses bfloat16 there; PyTorch emulates it."""
        device = replace(H200, name="T4", capability=capability)
        sizing = Sizing(Learning(None), [device], RuntimeSettings(), ChatEngines([device], everything))
        outlines = Outlines(Catalogue(), sizing)
        chat, picture = (outlines.of_catalogue(key) for key in ("qwen3-1.7b", "stable-diffusion-xl"))
        assert chat is not None and picture is not None
        assert dict(sizing.need(chat, options=LoadOptions(chat_engine="vllm_chat")).spec.options)["dtype"] == dtype
        assert sizing.need(picture).dtype == dtype
