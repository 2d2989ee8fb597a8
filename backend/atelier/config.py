"""The only reader of environment variables. Everything else receives `Settings`.

Grouped by topic; each group says its variables. A bad value is refused at start with the variable's name and what it
may be.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

BACKEND = Path(__file__).resolve().parent.parent
REPOSITORY = BACKEND.parent

GIB = 1024**3
_IS_WHOLE = re.compile("-?[0-9]{1,18}").fullmatch


class BadSetting(ValueError):
    """An environment variable or command-line option has a value that cannot be used."""


@dataclass(frozen=True)
class ServerSettings:
    """HOST, PORT, ADVERTISED_HOSTS (comma-separated names that browsers may use besides the bound one), CORS_ORIGINS
    (pages of other sites that may call the doors of other programs), TLS_CERT_FILE and TLS_KEY_FILE (HTTPS with these;
    without them with certs/cert.pem and certs/key.pem, where both are there)."""

    host: str = "127.0.0.1"
    port: int = 8000
    tls: tuple[Path, Path] | None = None
    advertised_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    frontend_dir: Path = REPOSITORY / "frontend" / "dist"

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class StorageSettings:
    """DATA_DIR, ENVIRONMENTS_DIR (shared between checkouts), MODEL_CACHE_DIR (models from Hugging Face; without it the
    cache that every program of this user shares, as HF_HUB_CACHE or HF_HOME say)."""

    data_dir: Path = REPOSITORY / "data"
    model_cache_dir: Path = Path("~/.cache/huggingface/hub").expanduser()
    environments_dir: Path = Path("~/.cache/atelier/environments").expanduser()


@dataclass(frozen=True)
class AccessSettings:
    """ATELIER_TOKEN: when set, every call but the public ones must carry a credential. Needed to bind beyond loopback.
    ATELIER_SIGN_IN (1 = accounts are asked for on loopback too), OPENAI_API_KEYS (comma-separated; they guard /v1),
    POKEMON_BEARER_TOKEN (guards /v1/generate)."""

    token: str = field(default="", repr=False)
    sign_in: bool = False
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    creatures_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class JobSettings:
    """ATELIER_QUEUE_LIMIT (jobs waiting, all users), ATELIER_LEASE_SECONDS (how long an attempt may be silent)."""

    queue_limit: int = 512
    lease_seconds: float = 60.0
    cancel_grace_seconds: float = 3.0
    max_crashes: int = 2


@dataclass(frozen=True)
class RuntimeSettings:
    """ATELIER_IDLE_SECONDS (an idle worker is stopped), ATELIER_MEMORY_BUDGET (bytes for workers on each device),
    ATELIER_PARK_BUDGET (bytes of the machine's memory for the weights of parked models; half of it when not set),
    ATELIER_THREADS (torch threads of a worker, 0 = chosen by the engine), ATELIER_FAKE_ENGINE and ATELIER_FAILPOINTS
    (tests of the server), ATELIER_SHARE_BATCHES (auto, or never: whether requests of several people are made together
    where that pays), SDXL_QUANTIZATION, SDXL_USE_COMPILE, SDXL_USE_XFORMERS, SDXL_USE_FLASH_ATTN, SDXL_ENABLE_SLICING,
    SDXL_ENABLE_CPU_OFFLOAD (`tuned_options`: load options of the model that SDXL_TURBO_MODEL names), XDG_RUNTIME_DIR
    (sockets of workers; else the folder for temporary files)."""

    idle_seconds: float = 600.0
    memory_budget_bytes: int | None = None
    park_budget_bytes: int | None = None
    threads: int = 0
    share_batches: bool = True
    tuned_model: str = ""
    tuned_options: tuple[tuple[str, str | bool], ...] = ()
    fake_engine: bool = False
    fake_step_seconds: float = 0.02
    sockets_root: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    failpoints: str = ""


@dataclass(frozen=True)
class HubSettings:
    """HF_ENDPOINT (the hub, or a mirror of it), HUGGINGFACE_TOKEN (used unless one was stored through the API),
    HF_HUB_OFFLINE (1 = never ask the hub), HTTPS_PROXY, HTTP_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR (for the hub
    only), ATELIER_DOWNLOAD_CONNECTIONS, ATELIER_DOWNLOAD_CHUNK (bytes of one range request, 32 MiB at most),
    ATELIER_DOWNLOAD_PATIENCE (seconds without a byte until a download gives up)."""

    endpoint: str = "https://huggingface.co"
    token: str = field(default="", repr=False)
    offline: bool = False
    network: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    connections: int = 4
    chunk_bytes: int = 32 * 1024**2
    patience_seconds: float = 120.0


@dataclass(frozen=True)
class CreatureSettings:
    """The creature service: POKEMON_GENERATION_BACKEND (files or sdxl), POKEMON_IMAGES_DIR, POKEMON_IMAGE_PATTERN,
    POKEMON_MIN_INDEX, POKEMON_MAX_INDEX, POKEMON_NAME_BACKEND (local or remote), POKEMON_RATE_LIMIT_PER_MIN (0 = off),
    SDXL_TURBO_MODEL (a model's key or repository), SDXL_WIDTH, SDXL_HEIGHT, SDXL_STEPS, OPENAI_BASE_URL, OPENAI_MODEL,
    OPENAI_API_KEY, OPENAI_TIMEOUT (who gives names; without an address this server's own chat), REDIS_URL (where given
    names are kept)."""

    backend: Literal["files", "sdxl"] = "files"
    images_dir: Path = REPOSITORY / "pokemon"
    image_pattern: str = "image_{:02d}.png"
    min_index: int = 0
    max_index: int = 5
    name_backend: Literal["local", "remote"] = "local"
    rate_per_minute: int = 60
    model: str = "stabilityai/sdxl-turbo"
    width: int | None = None
    height: int | None = None
    steps: int = 1
    openai_base_url: str = ""
    openai_model: str = ""
    openai_api_key: str = field(default="", repr=False)
    openai_timeout: float = 5.0
    redis_url: str = field(default="", repr=False)


@dataclass(frozen=True)
class ChatSettings:
    """MODEL_ALIASES (`gpt-4o-mini=lore,…`: further names for models of /v1), OPENAI_KEY_MODELS (`key=lore|qwen,…`: what
    each of OPENAI_API_KEYS may use; every model without an entry), CHAT_LIMIT and CHAT_LIMIT_EACH (requests under way:
    all together, of each key or user), CHAT_WAIT (seconds until a request that is no stream gives up on a model that is
    being loaded), CHAT_FIRST_BYTE and CHAT_IDLE (seconds until an answer begins, between two pieces of a stream)."""

    aliases: tuple[tuple[str, str], ...] = ()
    key_models: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)
    limit: int = 512
    limit_each: int = 256
    wait_seconds: float = 600.0
    first_byte_seconds: float = 600.0
    idle_seconds: float = 12.0


@dataclass(frozen=True)
class LogSettings:
    """LOG_LEVEL, LOG_JSON (1 = JSON lines), LOG_DIR (rotating backend.log beside stdout). Of the creature service:
    LOG_REQUEST_BODY, LOG_REMOTE_CONTENT (what a chat model answered), LOG_IMAGE_B64 (whole pictures),
    LOG_SAMPLE_IMAGE_BYTES (so many bytes of each)."""

    level: str = "INFO"
    json: bool = False
    directory: Path | None = None
    request_body: bool = False
    remote_content: bool = False
    image_b64: bool = False
    sample_image_bytes: int = 0


@dataclass(frozen=True)
class InputSettings:
    """ATELIER_REMOTE_IMAGES (1 = pictures may be given as addresses; the server fetches them, public ones only)."""

    remote: bool = False


@dataclass(frozen=True)
class TranslationSettings:
    """TRANSLATION_MODEL (the chat model that turns prompts into English; set, it does so unasked where an API promises
    it; unset, the embedded one answers whoever asks; `off`: none), TRANSLATION_TIMEOUT (seconds, loading included)."""

    model: str = ""
    timeout: float = 60.0
    off: bool = False


@dataclass(frozen=True)
class BatchSettings:
    """BATCH_WINDOW (`22:00-06:00`, local time: when lines of batches are answered; any time when empty),
    BATCH_CONCURRENCY (lines of all batches at once, for each model), ATELIER_FILE_LIMIT (bytes of one file of
    /v1/files)."""

    window: tuple[time, time] | None = None
    concurrency: int = 8
    file_bytes: int = 8 * GIB


@dataclass(frozen=True)
class BenchSettings:
    """Of `atelier bench`: OPENAI_API_KEY (for the server that is measured), ATELIER_TOKEN (for this Atelier, which
    keeps the figures)."""

    own_url: str = "http://127.0.0.1:8000"
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    server: ServerSettings = field(default_factory=ServerSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    log: LogSettings = field(default_factory=LogSettings)
    hub: HubSettings = field(default_factory=HubSettings)
    creatures: CreatureSettings = field(default_factory=CreatureSettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    batches: BatchSettings = field(default_factory=BatchSettings)
    chat: ChatSettings = field(default_factory=ChatSettings)
    translation: TranslationSettings = field(default_factory=TranslationSettings)

    def checked(self) -> Settings:
        """These settings, or BadSetting where two of them contradict each other."""
        if not self.server.is_loopback and not self.access.token:
            raise BadSetting(
                f"HOST={self.server.host} can be reached from other machines, but no credential is set. "
                "Set ATELIER_TOKEN to at least 16 characters, or bind to 127.0.0.1."
            )
        if self.access.token and len(self.access.token) < 16:
            raise BadSetting(
                "ATELIER_TOKEN has fewer than 16 characters. Use a longer one, such as `openssl rand -hex 16`."
            )
        return self


def _whole(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not _IS_WHOLE(text) or not low <= int(text) <= high:
        raise BadSetting(f"{name}={text!r} must be a whole number from {low} to {high}.")
    return int(text)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value < 1e7:
        raise BadSetting(f"{name}={text!r} must be a positive number of seconds.")
    return value


def _path(env: Mapping[str, str], name: str, default: Path | None) -> Path | None:
    text = env.get(name, "").strip()
    return Path(text).expanduser().resolve() if text else default


def _model_cache(env: Mapping[str, str], default: Path) -> Path | None:
    home = _path(env, "HF_HOME", None)
    shared = _path(env, "HF_HUB_CACHE", home / "hub" if home else default)
    return _path(env, "MODEL_CACHE_DIR", shared)


def _hub(env: Mapping[str, str]) -> HubSettings:
    default = HubSettings()
    endpoint = (env.get("HF_ENDPOINT", "").strip() or default.endpoint).rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
        raise BadSetting(f"HF_ENDPOINT={endpoint!r} must be an address such as https://huggingface.co.")
    names = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
    network = tuple((name, value) for name in names if (value := env.get(name) or env.get(name.lower(), "")))
    return HubSettings(
        endpoint=endpoint,
        token=env.get("HUGGINGFACE_TOKEN", "").strip(),
        offline=_switch(env, "HF_HUB_OFFLINE"),
        network=network,
        connections=_whole(env, "ATELIER_DOWNLOAD_CONNECTIONS", default.connections, 1, 16),
        chunk_bytes=_whole(env, "ATELIER_DOWNLOAD_CHUNK", default.chunk_bytes, 4096, default.chunk_bytes),
        patience_seconds=_seconds(env, "ATELIER_DOWNLOAD_PATIENCE", default.patience_seconds),
    )


def _address(env: Mapping[str, str], name: str, schemes: set[str], example: str) -> str:
    """An address without a slash at its end, or nothing."""
    text = env.get(name, "").strip().rstrip("/")
    parts = urlsplit(text)
    if text and (parts.scheme not in schemes or not (parts.hostname or parts.path)):
        raise BadSetting(f"{name} must be an address such as {example}.")
    return text


def _tuned(env: Mapping[str, str]) -> tuple[tuple[str, str | bool], ...]:
    """Load options of the creature service's model, as its variables always had them when they were not set."""
    on = {
        name: _switch({name: env.get(f"SDXL_{name}", "").strip() or default}, name)
        for name, default in (
            ("USE_COMPILE", "1"),
            ("USE_XFORMERS", "1"),
            ("USE_FLASH_ATTN", "1"),
            ("ENABLE_SLICING", "0"),
            ("ENABLE_CPU_OFFLOAD", "0"),
        )
    }
    attention = "auto" if on["USE_FLASH_ATTN"] else "xformers" if on["USE_XFORMERS"] else "sdpa"
    return (
        ("quantization", _one_of(env, "SDXL_QUANTIZATION", "fp8", "fp4", "none")),
        ("compile", on["USE_COMPILE"]),
        ("attention", attention),
        ("vae_slicing", on["ENABLE_SLICING"]),
        ("offload", "model" if on["ENABLE_CPU_OFFLOAD"] else "none"),
    )


def _one_of(env: Mapping[str, str], name: str, *choices: str) -> str:
    """The first choice is what it is without the variable."""
    text = env.get(name, "").strip().lower() or choices[0]
    if text not in choices:
        raise BadSetting(f"{name}={text!r} must be {' or '.join(choices)}.")
    return text


def _creatures(env: Mapping[str, str]) -> CreatureSettings:
    default = CreatureSettings()
    pattern = env.get("POKEMON_IMAGE_PATTERN", "").strip() or default.image_pattern
    if not re.fullmatch(r"[^/\\{}\0]*\{(:0?\d?d)?\}[^/\\{}\0]*", pattern):
        raise BadSetting(
            f"POKEMON_IMAGE_PATTERN={pattern!r} must be a file name with one place for the index, such as "
            f"{default.image_pattern}."
        )
    low = _whole(env, "POKEMON_MIN_INDEX", default.min_index, 0, 99_999)
    high = _whole(env, "POKEMON_MAX_INDEX", default.max_index, 0, 99_999)
    if low > high:
        raise BadSetting(f"POKEMON_MIN_INDEX={low} must not be above POKEMON_MAX_INDEX={high}.")
    return CreatureSettings(
        backend=_one_of(env, "POKEMON_GENERATION_BACKEND", "files", "sdxl"),
        images_dir=_path(env, "POKEMON_IMAGES_DIR", default.images_dir),
        image_pattern=pattern,
        min_index=low,
        max_index=high,
        name_backend=_one_of(env, "POKEMON_NAME_BACKEND", "local", "remote"),
        rate_per_minute=_whole(env, "POKEMON_RATE_LIMIT_PER_MIN", default.rate_per_minute, 0, 1_000_000),
        model=env.get("SDXL_TURBO_MODEL", "").strip() or default.model,
        width=_whole(env, "SDXL_WIDTH", 0, 0, 8192) or None,
        height=_whole(env, "SDXL_HEIGHT", 0, 0, 8192) or None,
        steps=_whole(env, "SDXL_STEPS", default.steps, 1, 200),
        openai_base_url=_address(env, "OPENAI_BASE_URL", {"http", "https"}, "http://127.0.0.1:8001/v1"),
        openai_model=env.get("OPENAI_MODEL", "").strip(),
        openai_api_key=env.get("OPENAI_API_KEY", "").strip(),
        openai_timeout=_seconds(env, "OPENAI_TIMEOUT", default.openai_timeout),
        redis_url=_address(env, "REDIS_URL", {"redis", "rediss", "unix"}, "redis://127.0.0.1:6379/0"),
    )


def _chat(env: Mapping[str, str], keys: tuple[str, ...]) -> ChatSettings:
    default = ChatSettings()
    aliases = _pairs(env, "MODEL_ALIASES", "gpt-4o-mini=lore")
    named = _pairs(env, "OPENAI_KEY_MODELS", "key=lore|other")
    if unknown := [key for key, _ in named if key not in keys]:
        raise BadSetting(f"OPENAI_KEY_MODELS names {len(unknown)} keys that OPENAI_API_KEYS does not have.")
    return ChatSettings(
        aliases=aliases,
        key_models=tuple((key, tuple(filter(None, models.split("|")))) for key, models in named),
        limit=_whole(env, "CHAT_LIMIT", default.limit, 1, 100_000),
        limit_each=_whole(env, "CHAT_LIMIT_EACH", default.limit_each, 1, 100_000),
        wait_seconds=_seconds(env, "CHAT_WAIT", default.wait_seconds),
        first_byte_seconds=_seconds(env, "CHAT_FIRST_BYTE", default.first_byte_seconds),
        idle_seconds=_seconds(env, "CHAT_IDLE", default.idle_seconds),
    )


def _pairs(env: Mapping[str, str], name: str, example: str) -> tuple[tuple[str, str], ...]:
    """`one=two,three=four`"""
    found = []
    for at, entry in enumerate(_listed(env, name), 1):
        left, sign, right = (part.strip() for part in entry.partition("="))
        if not (left and sign and right):
            raise BadSetting(f"{name}: entry {at} must look like {example}.")
        found.append((left, right))
    return tuple(found)


def _translation(env: Mapping[str, str]) -> TranslationSettings:
    model = env.get("TRANSLATION_MODEL", "").strip()
    timeout = _seconds(env, "TRANSLATION_TIMEOUT", 60.0)
    return TranslationSettings("" if model == "off" else model, timeout, off=model == "off")


def _batches(env: Mapping[str, str]) -> BatchSettings:
    default = BatchSettings()
    text = env.get("BATCH_WINDOW", "").strip()
    window = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)", text)
    if text and not window:
        raise BadSetting(f"BATCH_WINDOW={text!r} must be two times of a day, such as 22:00-06:00, or empty.")
    times = [int(part) for part in window.groups()] if window else []
    return BatchSettings(
        window=(time(*times[:2]), time(*times[2:])) if times else None,
        concurrency=_whole(env, "BATCH_CONCURRENCY", default.concurrency, 1, 512),
        file_bytes=_whole(env, "ATELIER_FILE_LIMIT", default.file_bytes, 1, default.file_bytes),
    )


def _tls(env: Mapping[str, str]) -> tuple[Path, Path] | None:
    """Certificate and key. Those that are named must be there; those in certs/ are used when both are."""
    named = _path(env, "TLS_CERT_FILE", None), _path(env, "TLS_KEY_FILE", None)
    if not any(named):
        certificate, key = REPOSITORY / "certs" / "cert.pem", REPOSITORY / "certs" / "key.pem"
        return (certificate, key) if certificate.is_file() and key.is_file() else None
    for name, path in zip(("TLS_CERT_FILE", "TLS_KEY_FILE"), named, strict=True):
        if path is None or not path.is_file():
            raise BadSetting(f"{name} must be a file: HTTPS needs a certificate and its key, or neither.")
    return named[0], named[1]


def _switch(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def _listed(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in env.get(name, "").split(",") if one.strip())


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    origins = tuple(one.lower() for one in _listed(env, "CORS_ORIGINS"))
    for one in origins:
        if not re.fullmatch(r"https?://[a-z0-9._-]+(:\d{1,5})?|https?://\[[0-9a-f:.]+\](:\d{1,5})?", one):
            raise BadSetting(
                f"CORS_ORIGINS has {one!r}: each must be an address such as http://localhost:3000, without a path. "
                "There is no entry for every page."
            )
    return origins


def read_bench_settings(env: Mapping[str, str] | None = None) -> BenchSettings:
    """Raises BadSetting."""
    env = os.environ if env is None else env
    settings = read_settings(env)
    host = settings.server.host if settings.server.is_loopback else "127.0.0.1"
    scheme = "https" if settings.server.tls else "http"
    own_url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.server.port}"
    key = env.get("OPENAI_API_KEY", "").strip() or settings.access.token
    return BenchSettings(own_url, key, settings.access.token)


def own_variables() -> dict[str, str]:
    """The server's variables as they are, for the processes it starts; these get a selection."""
    return dict(os.environ)


def read_settings(
    env: Mapping[str, str] | None = None, *, host: str | None = None, port: int | None = None
) -> Settings:
    """Settings from the environment; `host` and `port` (command line) win over it. Raises BadSetting."""
    env = os.environ if env is None else env
    server = ServerSettings(
        host=host or env.get("HOST", "").strip() or "127.0.0.1",
        port=port if port is not None else _whole(env, "PORT", 8000, 0, 65535),
        advertised_hosts=_listed(env, "ADVERTISED_HOSTS"),
        cors_origins=_origins(env),
    )
    server = replace(server, frontend_dir=_path(env, "ATELIER_FRONTEND_DIR", server.frontend_dir), tls=_tls(env))
    default = StorageSettings()
    storage = StorageSettings(
        data_dir=_path(env, "DATA_DIR", default.data_dir),
        environments_dir=_path(env, "ENVIRONMENTS_DIR", default.environments_dir),
        model_cache_dir=_model_cache(env, default.model_cache_dir),
    )
    budget = _whole(env, "ATELIER_MEMORY_BUDGET", 0, 0, 2**50)
    parked = _whole(env, "ATELIER_PARK_BUDGET", -1, -1, 2**50)
    runtime = RuntimeSettings(
        idle_seconds=_seconds(env, "ATELIER_IDLE_SECONDS", 600.0),
        memory_budget_bytes=budget or None,
        park_budget_bytes=None if parked < 0 else parked,
        threads=_whole(env, "ATELIER_THREADS", 0, 0, 1024),
        tuned_model=env.get("SDXL_TURBO_MODEL", "").strip() or CreatureSettings().model,
        tuned_options=_tuned(env),
        share_batches=_one_of(env, "ATELIER_SHARE_BATCHES", "auto", "never") == "auto",
        fake_engine=_switch(env, "ATELIER_FAKE_ENGINE"),
        fake_step_seconds=_seconds(env, "ATELIER_FAKE_STEP_SECONDS", 0.02),
        sockets_root=_path(env, "XDG_RUNTIME_DIR", Path(tempfile.gettempdir())),
        failpoints=env.get("ATELIER_FAILPOINTS", "").strip(),
    )
    jobs = JobSettings(
        queue_limit=_whole(env, "ATELIER_QUEUE_LIMIT", 512, 1, 1_000_000),
        lease_seconds=_seconds(env, "ATELIER_LEASE_SECONDS", 60.0),
    )
    log = LogSettings(
        level=env.get("LOG_LEVEL", "INFO").strip().upper() or "INFO",
        json=_switch(env, "LOG_JSON"),
        directory=_path(env, "LOG_DIR", None),
        request_body=_switch(env, "LOG_REQUEST_BODY"),
        remote_content=_switch(env, "LOG_REMOTE_CONTENT"),
        image_b64=_switch(env, "LOG_IMAGE_B64"),
        sample_image_bytes=_whole(env, "LOG_SAMPLE_IMAGE_BYTES", 0, 0, 65536),
    )
    if log.level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise BadSetting(f"LOG_LEVEL={log.level!r} must be DEBUG, INFO, WARNING or ERROR.")
    access = AccessSettings(
        token=env.get("ATELIER_TOKEN", "").strip(),
        sign_in=_switch(env, "ATELIER_SIGN_IN"),
        api_keys=_listed(env, "OPENAI_API_KEYS"),
        creatures_token=env.get("POKEMON_BEARER_TOKEN", "").strip(),
    )
    inputs = InputSettings(remote=_switch(env, "ATELIER_REMOTE_IMAGES"))
    return Settings(
        server,
        storage,
        access,
        jobs,
        runtime,
        log,
        _hub(env),
        _creatures(env),
        inputs,
        _batches(env),
        _chat(env, access.api_keys),
        _translation(env),
    ).checked()
