"""What starts the servers of the chat engines, and why one did not start: pure functions of the engines' modules."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from atelier.chat.upstream import IDLE_SECONDS
from engines import openai_child, transformers_chat, vllm_chat
from engines.engine import LoadFailed, RunFailed
from engines.openai_child import OpenAIChild, UnixConnection
from engines.protocol import Parked
from engines.stop_words import Stopping, StopWords

QWEN = {
    "openai_socket": "/run/w.v1", "task": "chat", "served": "qwen|Qwen/Qwen3-VL-30B-A3B-Instruct", "dtype": "bfloat16",
    "max_model_len": 32768, "kv_cache_bytes": 13_000_000_000, "memory_bytes": 78 * 10**9, "device_bytes": 150 * 10**9,
    "tool_parser": "hermes", "reasoning_parser": "qwen3", "images": 4,
}  # fmt: skip
MODEL = Path("/models/qwen")
GIB = 1024**3
HERE = {"PYTHONPATH": str(Path(vllm_chat.__file__).parents[1])}


def value(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


class TestVLLM:
    def test_a_model_that_sees_and_calls_tools(self) -> None:
        command = vllm_chat.command(MODEL, QWEN, on_gpu=True)
        names = command[command.index("--served-model-name") + 1 :][:2]
        assert names == ["qwen", "Qwen/Qwen3-VL-30B-A3B-Instruct"]
        assert value(command, "--uds") == "/run/w.v1"
        assert value(command, "--max-model-len") == "32768"
        assert value(command, "--gpu-memory-utilization") == "0.087", "vLLM is not to refuse over an estimate"
        assert value(command, "--kv-cache-memory-bytes") == "13000000000"
        assert value(command, "--limit-mm-per-prompt") == '{"image": 4, "video": 0, "audio": 0}'
        assert value(command, "--tool-call-parser") == "hermes" and "--enable-auto-tool-choice" in command
        assert value(command, "--reasoning-parser") == "qwen3"
        assert "--enable-sleep-mode" in command

    def test_one_that_thinks_only_when_it_is_told_to(self) -> None:
        command = vllm_chat.command(MODEL, QWEN | {"thinks": False}, on_gpu=False)
        assert value(command, "--default-chat-template-kwargs") == '{"enable_thinking": false}'
        assert "--default-chat-template-kwargs" not in vllm_chat.command(MODEL, QWEN, on_gpu=False)

    def test_in_8_bits(self, tmp_path: Path) -> None:
        wanted = QWEN | {"quantization": "fp8", "kv_cache": "fp8"}
        command = vllm_chat.command(tmp_path, wanted, on_gpu=True)
        assert (value(command, "--quantization"), value(command, "--kv-cache-dtype")) == ("fp8", "fp8")
        assert not vllm_chat.left_out(wanted, vllm_chat.why_not_fp8(tmp_path, on_gpu=True))
        on_cpu = vllm_chat.command(tmp_path, wanted, on_gpu=False)
        assert "--quantization" not in on_cpu and value(on_cpu, "--kv-cache-dtype") == "fp8"
        assert not {"--quantization", "--kv-cache-dtype"} & set(vllm_chat.command(tmp_path, QWEN, on_gpu=True))
        (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
        assert "--quantization" not in vllm_chat.command(tmp_path, wanted, on_gpu=True), "it came quantised"

    def test_without_a_compiler_for_cuda_nothing_that_needs_one_is_taken(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The container has none: FlashInfer's sampler would end vLLM while it starts."""
        for name in ("CUDA_HOME", "CUDA_PATH", "CXX"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        without = vllm_chat.environment({}, on_gpu=True)
        assert (without["VLLM_USE_FLASHINFER_SAMPLER"], without["VLLM_USE_DEEP_GEMM"]) == ("0", "0")
        for name in ("nvcc", "ninja", "c++"):
            (tmp_path / name).touch(mode=0o755)
        assert "VLLM_USE_FLASHINFER_SAMPLER" not in vllm_chat.environment({}, on_gpu=True)
        assert "VLLM_USE_FLASHINFER_SAMPLER" not in vllm_chat.environment({}, on_gpu=False)

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
        assert env["TORCHDYNAMO_DISABLE"] == "1", "nothing compiles itself in the middle of an answer"
        assert "VLLM_SERVER_DEV_MODE" not in env

    def test_it_keeps_connections_for_longer_than_we_do(self) -> None:
        env = vllm_chat.environment(QWEN, on_gpu=True)
        assert int(env["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"]) > IDLE_SECONDS > 60

    def test_an_embedding_model_and_adapters(self) -> None:
        loras = json.dumps({"a": "/x", "b": "/y"})
        command = vllm_chat.command(MODEL, {"openai_socket": "/s", "task": "embed", "loras": loras}, on_gpu=False)
        assert value(command, "--runner") == "pooling" and value(command, "--max-loras") == "2"
        assert command[-3:] == ["--lora-modules", '{"name": "a", "path": "/x"}', '{"name": "b", "path": "/y"}']

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
            (
                "ValueError: Available memory on node 0 (3.2/16.0 GiB) on kv cache allocation is less than requested "
                "memory for kv (48.0 GiB). Decrease --kv-cache-memory-bytes",
                "chat_no_memory",
            ),
            ("RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy", "chat_no_memory"),
            ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", "chat_no_memory"),
            ("Engine core initialization failed. Failed core proc(s): {'EngineCore_DP0': -9}", "chat_no_memory"),
            (
                "ValueError: To serve at least one request with the model's max seq len (8192), (0.88 GiB KV cache is "
                "needed, which is larger than the available KV cache memory (0.44 GiB). Based on the available memory, "
                "the estimated maximum model length is 4096.",
                "chat_cache_small",
            ),
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


@pytest.fixture
def below(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker all that descends from it is its child's, and ends with it. What these tests' process started before
    is not: the launcher of servers, for one."""
    before = openai_child.descendants(os.getpid())
    found = openai_child.descendants
    monkeypatch.setattr(openai_child, "descendants", lambda root: found(root) - before)


@pytest.mark.usefixtures("below")
class TestChild:
    """The child that is started: what it prints before it ends is the reason."""

    def failure(self, folder: Path, script: str) -> LoadFailed:
        with pytest.raises(LoadFailed) as caught:
            OpenAIChild([sys.executable, "-c", script], folder / "w.v1", HERE).start(10.0, vllm_chat.explain)
        return caught.value

    def test_what_vllm_says_when_the_cache_does_not_fit(self, tmp_path: Path) -> None:
        words = Path(__file__).with_name("vllm_out_of_memory.log")
        failure = self.failure(tmp_path, f"import sys; sys.stdout.write(open({str(words)!r}).read()); sys.exit(1)")
        assert (failure.code, failure.sentence) == ("out_of_memory", "chat_no_memory")

    def test_one_that_linux_ends(self, tmp_path: Path) -> None:
        failure = self.failure(tmp_path, "import os; os.kill(os.getpid(), 9)")
        assert (failure.code, failure.sentence) == ("out_of_memory", "chat_killed") and failure.hint

    def test_another_end_is_no_want_of_memory(self, tmp_path: Path) -> None:
        assert self.failure(tmp_path, "import os; os.kill(os.getpid(), 11)").code == "openai_server_ended"


@pytest.mark.usefixtures("below")
class TestParking:
    """By vLLM's routes, as they stand in its source (`vllm/entrypoints/serve/dev/sleep/api_router.py`); that they are
    the same in the version that is pinned, `tests/chat_engines/test_promises.py` says. It never ran on CUDA here."""

    def sleeps(self, socket: Path) -> bool:
        connection = UnixConnection(socket, 5.0)
        connection.request("GET", "/is_sleeping")
        return json.loads(connection.getresponse().read())["is_sleeping"]

    def test_weights_go_aside_and_come_back(self, tmp_path: Path) -> None:
        engine = object.__new__(vllm_chat.ParkableVLLM)
        command = [
            sys.executable,
            "-m",
            "engines.fake_chat",
            "--socket",
            str(tmp_path / "w.v1"),
            "--name",
            "m",
            "--task",
            "chat",
        ]
        engine.child = OpenAIChild(command, tmp_path / "w.v1", HERE)
        engine.weights_bytes, engine.cache_bytes, engine.load_peak_bytes = 3 * GIB, GIB, 5 * GIB
        engine.devices = 2
        engine.child.start(10.0)
        try:
            assert engine.park() == Parked(rest_bytes=GIB, host_bytes=6 * GIB), "as planned, where vLLM says nothing"
            assert self.sleeps(tmp_path / "w.v1") is True
            engine.wake()
            assert self.sleeps(tmp_path / "w.v1") is False
            engine.child._tail.append("INFO Sleep mode freed 4.50 GiB memory, 61.20 GiB memory is still in use.")
            assert engine.park().rest_bytes == GIB // 2, "others' memory on the device is not its own"
        finally:
            engine.close()
        with pytest.raises(RunFailed) as failed:
            engine.wake()
        assert failed.value.code == "not_woken"


class TestStopWords:
    @pytest.mark.parametrize(
        ("pieces", "words", "said"),
        [
            (["one two", " three"], ["two"], ["one ", ""]),
            (["one t", "w", "o three"], ["two"], ["one ", "", ""]),
            (["one t", "en"], ["two"], ["one ", "ten"]),
            (["a b c"], ["c", "b"], ["a "]),
            (["ends with tw"], ["two"], ["ends with tw"]),
            (["END", "one"], ["END"], ["", ""]),
        ],
    )
    def test_nothing_of_one_is_passed_on_however_it_comes(
        self, pieces: list[str], words: list[str], said: list[str]
    ) -> None:
        stop = StopWords(words)
        passed = [stop.feed(piece) for piece in pieces]
        passed[-1] += stop.end()
        assert passed == said and stop.met == ("".join(passed) != "".join(pieces))

    def test_a_whole_answer_and_a_stream_lose_it_and_nothing_else(self) -> None:
        def sent(kind: bytes, *bodies: bytes) -> bytes:
            async def through() -> list[dict[str, Any]]:
                out: list[dict[str, Any]] = []

                async def send(message: dict[str, Any]) -> None:
                    out.append(message)

                stopping = Stopping(send, ["wo"])
                headers = [(b"content-type", kind), (b"content-length", b"999")]
                await stopping.send({"type": "http.response.start", "status": 200, "headers": headers})
                for at, body in enumerate(bodies):
                    more = at + 1 < len(bodies)
                    await stopping.send({"type": "http.response.body", "body": body, "more_body": more})
                return out

            first, *rest = asyncio.run(through())
            body = b"".join(message["body"] for message in rest)
            assert kind != b"application/json" or dict(first["headers"])[b"content-length"] == str(len(body)).encode()
            return body

        choice = {"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "length"}
        (whole,) = json.loads(sent(b"application/json", json.dumps({"choices": [choice]}).encode()))["choices"]
        assert whole == {**choice, "message": {"role": "assistant", "content": "one t"}, "finish_reason": "stop"}

        deltas = [
            ({"role": "assistant"}, None),
            ({"content": "one tw"}, None),
            ({"content": "o"}, None),
            ({}, "length"),
        ]
        events = [{"choices": [{"delta": delta, "finish_reason": end}]} for delta, end in deltas]
        raw = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
        stream = sent(b"text/event-stream", raw[0], raw[1] + raw[2], raw[3]).split(b"\n\n")[:-1]
        choices = [json.loads(event.removeprefix(b"data: "))["choices"][0] for event in stream]
        assert "".join(one["delta"].get("content", "") for one in choices) == "one t"
        assert [one["finish_reason"] for one in choices] == [None, None, None, "stop"]


class TestTransformers:
    def test_what_it_cannot_do_is_said(self) -> None:
        wanted = {"quantization": "fp8", "kv_cache": "fp8"}
        said = [(one.option, one.why) for one in vllm_chat.left_out(wanted, "engine", cache=False)]
        assert said == [("quantization: fp8", "engine"), ("kv_cache: fp8", "engine")]

    def test_its_server_listens_on_the_socket_alone(self) -> None:
        command = transformers_chat.command(MODEL, QWEN, "cpu")
        assert value(command, "--uds") == "/run/w.v1"
        assert [command[i + 1] for i, part in enumerate(command) if part == "--name"] == QWEN["served"].split("|")
        assert value(command, "--max-model-len") == "32768"
