"""What starts the servers of the chat engines, and why one did not start: pure functions of the engines' modules."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines import transformers_chat, vllm_chat
from engines.engine import LoadFailed

QWEN = {
    "openai_socket": "/run/w.v1", "task": "chat", "served": "qwen|Qwen/Qwen3-VL-30B-A3B-Instruct", "dtype": "bfloat16",
    "max_model_len": 32768, "kv_cache_bytes": 13_000_000_000, "memory_bytes": 78 * 10**9, "device_bytes": 150 * 10**9,
    "tool_parser": "hermes", "reasoning_parser": "qwen3", "images": 4,
}  # fmt: skip
MODEL = Path("/models/qwen")


def value(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


class TestVLLM:
    def test_a_model_that_sees_and_calls_tools(self) -> None:
        command = vllm_chat.command(MODEL, QWEN, on_gpu=True)
        names = command[command.index("--served-model-name") + 1 :][:2]
        assert names == ["qwen", "Qwen/Qwen3-VL-30B-A3B-Instruct"]
        assert value(command, "--uds") == "/run/w.v1"
        assert value(command, "--max-model-len") == "32768"
        assert value(command, "--gpu-memory-utilization") == "0.520"
        assert value(command, "--kv-cache-memory-bytes") == "13000000000"
        assert value(command, "--limit-mm-per-prompt") == '{"image": 4, "video": 0, "audio": 0}'
        assert value(command, "--tool-call-parser") == "hermes" and "--enable-auto-tool-choice" in command
        assert value(command, "--reasoning-parser") == "qwen3"
        assert "--enable-sleep-mode" in command

    def test_one_that_thinks_only_when_it_is_told_to(self) -> None:
        command = vllm_chat.command(MODEL, QWEN | {"thinks": False}, on_gpu=False)
        assert value(command, "--default-chat-template-kwargs") == '{"enable_thinking": false}'
        assert "--default-chat-template-kwargs" not in vllm_chat.command(MODEL, QWEN, on_gpu=False)

    def test_over_several_devices(self) -> None:
        command = vllm_chat.command(MODEL, QWEN | {"tensor_parallel": 4}, on_gpu=True)
        assert value(command, "--tensor-parallel-size") == "4"
        assert value(command, "--mm-encoder-tp-mode") == "data"

    def test_on_the_processor_it_neither_sleeps_nor_compiles(self) -> None:
        command = vllm_chat.command(MODEL, QWEN, on_gpu=False)
        assert "--enable-sleep-mode" not in command and "--gpu-memory-utilization" not in command
        assert "--enforce-eager" in command
        env = vllm_chat.environment({"threads": 2}, on_gpu=False)
        assert (env["VLLM_TARGET_DEVICE"], env["OMP_NUM_THREADS"]) == ("cpu", "2")
        assert "VLLM_SERVER_DEV_MODE" not in env

    def test_an_embedding_model_and_adapters(self) -> None:
        command = vllm_chat.command(MODEL, {"openai_socket": "/s", "task": "embed", "loras": "a=/x|b=/y"}, on_gpu=False)
        assert value(command, "--runner") == "pooling"
        assert command[-3:] == ["--lora-modules", "a=/x", "b=/y"]

    @pytest.mark.parametrize("on_gpu", [True, False])
    def test_never_runs_foreign_code_nor_tells_anybody(self, on_gpu: bool) -> None:
        command, env = vllm_chat.command(MODEL, QWEN, on_gpu=on_gpu), vllm_chat.environment(QWEN, on_gpu=on_gpu)
        assert not {"--trust-remote-code", "--trust-request-chat-template", "--allowed-local-media-path"} & set(command)
        assert "--host" not in command and "--port" not in command
        assert {env["VLLM_NO_USAGE_STATS"], env["DO_NOT_TRACK"], env["HF_HUB_OFFLINE"]} == {"1"}

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "chat_no_memory"),
            (
                "ValueError: Free memory on device cuda:0 (1/80 GiB) is less than desired GPU memory utilization",
                "chat_no_memory",
            ),
            ("ValueError: No available memory for the cache blocks. Try increasing", "chat_no_memory"),
            ("the estimated maximum model length is 1024. Try increasing", "chat_cache_small"),
            ("User-specified max_model_len (9999) is greater than the derived max_model_len", "chat_context_long"),
            ("Total number of attention heads (30) must be divisible by tensor parallel size (4).", "chat_spread"),
            ("Model architectures ['XForCausalLM'] are not supported for now.", "chat_architecture"),
            ("KeyError: invalid tool call parser: abc (chose from { hermes })", "chat_parser"),
            ("safetensors_rust.SafetensorError: Error while deserializing header", "chat_damaged"),
        ],
    )
    def test_a_failed_start_is_explained(self, line: str, sentence: str) -> None:
        failure = vllm_chat.explain(("INFO starting", line, "(EngineCore pid=1) Traceback follows"))
        assert isinstance(failure, LoadFailed)
        assert failure.sentence == sentence and failure.hint

    def test_what_nobody_knows_is_not_guessed(self) -> None:
        assert vllm_chat.explain(("INFO starting", "RuntimeError: something new")) is None


class TestTransformers:
    def test_its_server_listens_on_the_socket_alone(self) -> None:
        command = transformers_chat.command(MODEL, QWEN, "cpu")
        assert value(command, "--uds") == "/run/w.v1"
        assert [command[i + 1] for i, part in enumerate(command) if part == "--name"] == QWEN["served"].split("|")
        assert value(command, "--max-model-len") == "32768"
