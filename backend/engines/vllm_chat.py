"""Chat and embedding models through vLLM's own OpenAI server, on CUDA (`engines.vllm_cpu_chat`: on the processor).

    python -m engines.host vllm_chat --model-path models/qwen --socket /tmp/w.sock --options '{"served": "qwen"}'
    curl --unix-socket /tmp/w.v1 http://worker/v1/models

Load options:

    task              "chat" (default) or "embed"
    served            names that requests may use, with `|` between them; the first one stands in answers
    dtype
    quantization      "fp8": weights in 8 bits, on CUDA
    kv_cache          "fp8": keys and values in 8 bits
    max_model_len     tokens of context, prompt and answer together
    max_num_seqs      most requests at the same time
    kv_cache_bytes    for keys and values, on each device
    memory_bytes      what the worker may take of each device, device_bytes of which there are so many in all
    tensor_parallel   over so many devices
    images            most pictures in one request, of a model that sees
    tool_parser, reasoning_parser     names as vLLM has them
    thinks            False: no reasoning unless a request asks for it, which the parser of reasoning must know
    loras, lora_rank  folders by name, as a JSON object, and what the largest of them needs (64)
    parks             False: without sleep mode (it costs a little memory)
    threads           of the processor

What vLLM could do and must not: run code that comes with a model, fetch from the network, tell anybody of its use, read
files that a request names. Its development routes (`/sleep` is one) exist on the Unix socket alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engines.engine import OPENAI_SOCKET, LoadFailed, Options, RunFailed
from engines.openai_child import OpenAIChild
from engines.protocol import KEEP_ALIVE_SECONDS, Done, LeftOut, Message, Parked

TASKS: tuple[type, ...] = ()
START_SECONDS = 1500.0
SLEEP_SECONDS = 120.0
MIB = 1024**2
LEAST_CACHE = 64 * MIB
GIB = 1024**3
MOST_PIXELS = 50_000_000
"""Of one picture."""

MOST_LORAS_AT_ONCE = 4
"""In the requests that are computed together; memory is set aside for so many."""

CPU_SITE = Path(__file__).parent / "cpu_torch_site"
"""On PYTHONPATH of a server that runs with a CPU build of PyTorch."""

SLEPT = re.compile(r"Sleep mode freed ([\d.]+) GiB memory")
"""vLLM's words. How much "is still in use" it says too, but of the whole device, other programs' memory included."""


def load(model_path: Path, options: Options) -> VLLMChat:
    arguments = command(model_path, options, on_gpu=True)
    engine = VLLMChat(model_path, options, arguments, environment(options, on_gpu=True))
    return engine if options.get("parks") is False else ParkableVLLM.of(engine)


class VLLMChat:
    """The server, running."""

    serves_openai = True

    def __init__(self, model_path: Path, options: Options, arguments: list[str], env: dict[str, str]) -> None:
        self.device = "cpu" if "VLLM_TARGET_DEVICE" in env else "cuda"
        self.devices = int(options.get("tensor_parallel") or 1)
        self.weights_bytes = weights_in(model_path) // self.devices
        self.cache_bytes = int(options.get("kv_cache_bytes") or 0)
        self.left_out = left_out(options, why_not_fp8(model_path, on_gpu=self.device != "cpu"))
        self.child = OpenAIChild(arguments, Path(str(options[OPENAI_SOCKET])), env)
        self.child.start(START_SECONDS, explain)
        # On a GPU the driver counts, and only the server asks it: here is what was planned.
        measured = self.child.memory_bytes() if self.device == "cpu" else 0
        self.load_peak_bytes = measured or int(options.get("memory_bytes") or 0)

    def run(self, task: Message, run: object) -> Done:
        raise RunFailed("refused", "chat goes through OpenAI's API", "Ask there.", sentence="chat_by_api")

    def close(self) -> None:
        self.child.close()


class ParkableVLLM(VLLMChat):
    """With sleep mode: level 1 keeps the weights in the host's memory and forgets keys and values."""

    @classmethod
    def of(cls, engine: VLLMChat) -> ParkableVLLM:
        engine.__class__ = cls
        assert isinstance(engine, cls)
        return engine

    def park(self) -> Parked:
        self._ask("/sleep?level=1", "not_parked")
        said = next((m for line in reversed(self.child.tail()) if (m := SLEPT.search(line))), None)
        freed = int(float(said[1]) * GIB) if said else self.weights_bytes + self.cache_bytes
        host_bytes = self.weights_bytes * self.devices  # each device's share lies in the one memory of the machine
        return Parked(rest_bytes=max(0, self.load_peak_bytes - freed), host_bytes=host_bytes)

    def wake(self) -> None:
        self._ask("/wake_up", "not_woken")

    def _ask(self, path: str, code: str) -> None:
        try:
            status = self.child.request("POST", path, SLEEP_SECONDS)
        except OSError as error:
            raise RunFailed(
                code, f"the engine's server did not answer: {error}", sentence="asleep", how=str(error)
            ) from error
        if status != 200:
            how = f"status {status}"
            raise RunFailed(code, f"the engine's server did not answer: {how}", sentence="asleep", how=how)


def command(model_path: Path, options: Options, *, on_gpu: bool) -> list[str]:
    """Pure but for the model's config.json and the size of its files: what starts the server."""
    arguments = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(model_path),
        "--uds", str(options[OPENAI_SOCKET]),
        "--served-model-name", *served_names(model_path, options),
        "--generation-config", "auto",
        "--enable-request-id-headers",
        "--enable-prompt-tokens-details",
        "--disable-uvicorn-access-log",
        "--disable-fastapi-docs",
        "--seed", "0",
    ]  # fmt: skip
    if options.get("task") == "embed":
        arguments += ["--runner", "pooling"]
    for flag, name in (
        ("--dtype", "dtype"),
        ("--max-model-len", "max_model_len"),
        ("--max-num-seqs", "max_num_seqs"),
        ("--reasoning-parser", "reasoning_parser"),
    ):
        if options.get(name):
            arguments += [flag, str(options[name])]
    if options.get("thinks") is False:
        arguments += ["--default-chat-template-kwargs", json.dumps({"enable_thinking": False})]
    if parser := options.get("tool_parser"):
        arguments += ["--enable-auto-tool-choice", "--tool-call-parser", str(parser)]
    if options.get("quantization") == "fp8" and not why_not_fp8(model_path, on_gpu=on_gpu):
        arguments += ["--quantization", "fp8"]
    weights = weights_in(model_path) // int(options.get("tensor_parallel") or 1)
    arguments += _media(options) + _memory(options, weights, on_gpu=on_gpu) + _loras(options)
    return arguments


def _media(options: Options) -> list[str]:
    images = options.get("images")
    return (
        [] if images is None else ["--limit-mm-per-prompt", json.dumps({"image": int(images), "video": 0, "audio": 0})]
    )


def _memory(options: Options, weights: int, *, on_gpu: bool) -> list[str]:
    cache = max(LEAST_CACHE, int(options.get("kv_cache_bytes") or 0))
    in_8_bits = ["--kv-cache-dtype", "fp8"] if options.get("kv_cache") == "fp8" else []
    if not on_gpu:
        # No compiler, and nothing that is worth a minute at each start.
        arguments = ["--kv-cache-memory-bytes", str(cache), "--enforce-eager", "--optimization-level", "0"]
        return [*in_8_bits, *arguments, "--distributed-executor-backend", "uni"]
    arguments = [*in_8_bits, "--tensor-parallel-size", str(options.get("tensor_parallel") or 1)]
    if options.get("kv_cache_bytes"):
        arguments += ["--kv-cache-memory-bytes", str(cache)]
    memory, whole = int(options.get("memory_bytes") or 0), int(options.get("device_bytes") or 0)
    if options.get("kv_cache_bytes"):
        # vLLM then only refuses to start where so much is not free, its own context taken off. What its lease is for
        # was measured, and may be less than planned: ask for what is certainly needed.
        memory = min(memory, cache + weights // 2)
    if memory and whole:
        arguments += ["--gpu-memory-utilization", f"{min(0.95, max(0.02, memory / whole)):.3f}"]
    if int(options.get("tensor_parallel") or 1) > 1 and options.get("images") is not None:
        arguments += ["--mm-encoder-tp-mode", "data"]
    return arguments if options.get("parks") is False else [*arguments, "--enable-sleep-mode"]


def _loras(options: Options) -> list[str]:
    folders = json.loads(str(options.get("loras") or "{}"))
    if not folders:
        return []
    rank, modules = (
        str(options.get("lora_rank") or 64),
        ({"name": name, "path": path} for name, path in folders.items()),
    )
    arguments = ["--enable-lora", "--max-lora-rank", rank, "--max-cpu-loras", str(len(folders))]
    arguments += ["--max-loras", str(min(len(folders), MOST_LORAS_AT_ONCE))]
    return [*arguments, "--lora-modules", *(json.dumps(module) for module in modules)]


def why_not_fp8(model_path: Path, *, on_gpu: bool) -> str:
    """Why the weights of this model cannot be loaded in 8 bits, as `LeftOut` has it; empty where they can."""
    if not on_gpu:
        return "cpu"
    try:
        config = json.loads((model_path / "config.json").read_bytes())
    except (OSError, ValueError):
        return ""
    return "model" if isinstance(config, dict) and config.get("quantization_config") else ""


def left_out(options: Options, not_fp8: str, *, cache: bool = True) -> list[LeftOut]:
    """What was asked for and cannot be had. `not_fp8`: why weights are not loaded in 8 bits; `cache`: whether keys and
    values can be kept so."""
    found, wanted = [], str(options.get("quantization") or "none")
    if wanted != "none" and (wanted != "fp8" or not_fp8):
        found.append(LeftOut(option=f"quantization: {wanted}", why=not_fp8 if wanted == "fp8" else "engine"))
    if options.get("kv_cache") and not cache:
        found.append(LeftOut(option=f"kv_cache: {options['kv_cache']}", why="engine"))
    return found


def served_names(model_path: Path, options: Options) -> list[str]:
    return [name for name in str(options.get("served") or "").split("|") if name] or [model_path.name]


def environment(options: Options, *, on_gpu: bool) -> dict[str, str]:
    """What the server's process finds besides the worker's own variables."""
    env = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_MAX_IMAGE_PIXELS": str(MOST_PIXELS),
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(KEEP_ALIVE_SECONDS),
        "DO_NOT_TRACK": "1",
        "VLLM_ENGINE_READY_TIMEOUT_S": str(int(START_SECONDS)),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        # Whatever compiles itself at run time needs a place for it: the environment's own folder is never written to.
        "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX") or str(_cache() / "bytecode"),
        "PYTHONDONTWRITEBYTECODE": "",
        # Beside what goes with the worker: what was compiled is there for the next one.
        "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR") or str(_cache() / "inductor"),
    }
    if not os.access(Path.home(), os.W_OK):
        env["XDG_CACHE_HOME"] = str(_cache())
    if not on_gpu:
        env["VLLM_TARGET_DEVICE"] = "cpu"
        # What counts ranks for logprobs compiles itself at the first request that asks for them: ten seconds and more
        # in which everybody waits, and then takes as long as before.
        env["TORCHDYNAMO_DISABLE"] = "1"
        env["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        # The model in the process that schedules, not in one below it: 0.4 GB and a third of the start less. On a
        # processor vLLM takes "uni" only from who wants no further processes at all; its server has two anyway.
        env["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        env["OMP_NUM_THREADS"] = str(options.get("threads") or os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        env["PYTHONPATH"] = os.pathsep.join([str(CPU_SITE), os.environ.get("PYTHONPATH", "")])
        return env
    if options.get("parks") is not False:
        env["VLLM_SERVER_DEV_MODE"] = "1"
    if not compiles_cuda():
        # FlashInfer's sampler and DeepGEMM compile themselves when they are first used, and vLLM takes both without
        # asking whether they can: the server would end while it starts. PyTorch's sampler and CUTLASS do the same.
        env |= {"VLLM_USE_FLASHINFER_SAMPLER": "0", "VLLM_USE_DEEP_GEMM": "0"}
    return env


def compiles_cuda() -> bool:
    """Whether what FlashInfer compiles with is here; it looks for nvcc in this order."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    nvcc = shutil.which("nvcc") if not home else None
    nvcc = nvcc or shutil.which(os.path.join(home or "/usr/local/cuda", "bin", "nvcc"))
    return bool(nvcc and shutil.which("ninja") and shutil.which(os.environ.get("CXX") or "c++"))


def _cache() -> Path:
    return Path(tempfile.gettempdir()) / f"atelier-chat-{os.getuid()}"


def weights_in(model_path: Path) -> int:
    return sum(path.stat().st_size for path in model_path.glob("*.safetensors"))


def explain(tail: Sequence[str]) -> LoadFailed | None:
    """Why it did not start, by its last lines, the last one first."""
    for line in reversed(tail):
        for pattern, failure in REASONS:
            if pattern.search(line):
                return failure
    return None


def _reason(pattern: str, failure: LoadFailed) -> tuple[re.Pattern[str], LoadFailed]:
    return re.compile(pattern, re.IGNORECASE), failure


NO_MEMORY = LoadFailed(
    "out_of_memory",
    "there is not enough memory for the model and its context",
    "Allow a shorter context or fewer requests at once, load it in 8 bits, take a smaller model, or unload another "
    "one.",
    sentence="chat_no_memory",
)

REASONS = (
    _reason(
        r"out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|\bMemoryError\b|Cannot allocate memory"
        r"|std::bad_alloc|DefaultCPUAllocator: (can't|not enough)|No available memory for the cache"
        r"|(Free|Available) memory on .* is less than (desired|requested|the engine's)",
        NO_MEMORY,
    ),
    _reason(r"Failed core proc\(s\): .*: -9\b", NO_MEMORY),  # one of its own processes was killed
    _reason(
        r"larger than the (available|maximum number of tokens).*KV cache|estimated maximum model length",
        LoadFailed(
            "cache_too_small",
            "the context does not fit into the memory for keys and values",
            "Allow a shorter context.",
            sentence="chat_cache_small",
        ),
    ),
    _reason(
        r"is greater than the derived max_model_len",
        LoadFailed(
            "context_too_long",
            "the model was not made for so long a context",
            "Allow a shorter context.",
            sentence="chat_context_long",
        ),
    ),
    _reason(
        r"must be divisible by tensor parallel",
        LoadFailed(
            "spread_impossible",
            "its attention heads cannot be shared evenly between so many devices",
            "Use two, four or eight devices.",
            sentence="chat_spread",
        ),
    ),
    _reason(
        r"architectures? .* (is|are) not supported|does not recognize this architecture|no module or parameter named",
        LoadFailed(
            "architecture_unsupported",
            "this engine does not know the model's architecture",
            "Choose another engine in the load options.",
            sentence="chat_architecture",
        ),
    ),
    _reason(
        r"invalid (tool call|reasoning) parser|parser .* not found",
        LoadFailed(
            "parser_unknown",
            "the engine has no such tool or reasoning parser",
            "Choose another one in the load options, or none.",
            sentence="chat_parser",
        ),
    ),
    _reason(
        r"SafetensorError|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer",
        LoadFailed(
            "model_damaged",
            "a safetensors file cannot be read",
            "Download or copy the model again.",
            sentence="chat_damaged",
        ),
    ),
)
