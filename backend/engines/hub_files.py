"""Which files of a repository are fetched, and why others are not. Pure: names, sizes and small JSON in, a choice out.

    diffusers       the components that model_index.json names, one variant of their weights, no second copy at the top
    transformers    the shards (or the one file) of the weights, configs, tokenizer
    peft            adapter_config.json and adapter_model.safetensors
    single file     one .safetensors file of a repository that has no config: the only one, or the one that is asked for
    pickled         pyannote and NeMo: only files that the allow-list names by repository, commit and hash

What can run code is never chosen, whoever offers it. A repository that tries to is refused as a whole, in words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from engines.engine import RunFailed
from engines.remote_code import Asked, code_in

MAX_FILES = 20_000
MAX_JSON_BYTES = 64 * 1024 * 1024
ALLOW_LIST = Path(__file__).with_name("pickle_allow_list.json")

_PATH = re.compile(
    r"[A-Za-z0-9_(@+][A-Za-z0-9._@+=,()\[\] -]{0,199}(/[A-Za-z0-9_(@+][A-Za-z0-9._@+=,()\[\] -]{0,199}){0,8}"
)
_SHA256, _SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_PART = r"-\d{5}-of-\d{5}"
_WEIGHTS = re.compile(rf"(?P<stem>[A-Za-z0-9_]+?)({_PART})?(\.(?P<variant>[A-Za-z0-9_]+?))?({_PART})?\.safetensors")
_OF = re.compile(r"-(\d{5})-of-(\d{5})")

TEXTS = frozenset({".json", ".txt", ".model", ".tiktoken", ".jinja", ".spm"})
PAPERS = re.compile(r"(readme|license|licence|notice|use_policy)([._-].*)?", re.IGNORECASE)
PICKLES = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".dill", ".pyannote"}
)
ARCHIVES = frozenset({".nemo", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".whl", ".tf", ".zst"})
OTHER_FORMATS = frozenset({".msgpack", ".h5", ".onnx", ".onnx_data", ".tflite", ".pb", ".gguf", ".ggml", ".ot",
                           ".engine", ".plan", ".mlmodel", ".mlpackage", ".xml", ".keras", ".pte"})  # fmt: skip
CODE = frozenset({".py", ".pyc", ".pyd", ".pyx", ".so", ".dll", ".dylib", ".sh", ".bat", ".ps1", ".exe", ".js",
                  ".ipynb", ".c", ".cu", ".cpp", ".jar", ".class", ".wasm", ".lua"})  # fmt: skip
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
"""What the weights of a component or a model are called, best first."""


@dataclass(frozen=True)
class RepoFile:
    """A file of a commit. `digest` is its sha256 when the hub stores it as a large file, else git's sha1 of it."""

    path: str
    size: int
    digest: str

    @property
    def is_large(self) -> bool:
        return len(self.digest) == 64

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix.lower()

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def is_index(self) -> bool:
        """A list of shards: `model.safetensors.index.json`, `….index.fp16.json`."""
        return self.suffix == ".json" and ".index." in self.name

    @property
    def folder(self) -> str:
        parent = str(PurePosixPath(self.path).parent)
        return "" if parent == "." else parent


@dataclass
class Choice:
    """`kind` as in this module's header; `refused` maps a path to why it is left out (see `_why_not`). While it is open
    which of several `single` files is meant, nothing is chosen."""

    kind: str
    chosen: list[RepoFile] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    single: list[RepoFile] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return bool(self.single) and not self.chosen

    @property
    def size(self) -> int:
        return sum({file.digest: file.size for file in self.chosen}.values())


class Refused(RunFailed):
    """The repository wants what no honest one needs."""

    def __init__(self, sentence: str, message: str, **params: str | int | float) -> None:
        hint = "Take the model from another repository."
        super().__init__("unsafe_repository", message, hint, sentence=sentence, **params)

    @classmethod
    def for_code(cls, why: Asked) -> Refused:
        return cls(why.sentence, f"{why.text}. Atelier runs no code that comes with a model.", **why.params)


def too_large(file: RepoFile, limit: int) -> Refused:
    words = f"{file.path} has {file.size} bytes; it may have {limit}."
    return Refused("hub_json_size", words, file=file.path, bytes=file.size, max=limit)


def check_listing(files: Sequence[RepoFile]) -> None:
    """Refuse a listing that no honest hub sends: paths that lead elsewhere, sizes or hashes that are none."""
    if len(files) > MAX_FILES:
        words = f"The repository lists {len(files)} files; Atelier looks at {MAX_FILES} at most."
        raise Refused("hub_too_many_files", words, count=len(files), max=MAX_FILES)
    seen: set[str] = set()
    for file in files:
        plain = file.path.isprintable() and "\\" not in file.path and not file.path.startswith("/")
        if not plain or ".." in PurePosixPath(file.path).parts or len(file.path) > 1000:
            words = f"The repository lists a file that would lie outside its folder: {file.path[:80]!r}."
            raise Refused("hub_bad_path", words, file=file.path[:80])
        if file.path.lower() in seen:
            raise Refused("hub_twice", f"The repository lists {file.path[:80]!r} twice.", file=file.path[:80])
        seen.add(file.path.lower())
        if file.size < 0 or not (_SHA256.fullmatch(file.digest) or _SHA1.fullmatch(file.digest)):
            words = f"The hub gives no usable size and hash for {file.path[:80]!r}."
            raise Refused("hub_no_hash", words, file=file.path[:80])


def kind_of(files: Sequence[RepoFile]) -> str:
    names = {file.path for file in files}
    if "model_index.json" in names:
        return "diffusers"
    if "adapter_config.json" in names and "config.json" not in names:
        return "peft"
    if any(file.suffix == ".nemo" for file in files) and not _has_weights(files):
        return "pickled"
    if "config.yaml" in names and not _has_weights(files):
        return "pickled"
    if "config.json" in names:
        return "transformers"
    return "single file"


def small_json(files: Sequence[RepoFile], kind: str) -> list[RepoFile]:
    """The configs to look at before anything is decided: what names the model, and what could ask for code."""
    deep = {"diffusers": 2, "transformers": 1, "peft": 1}.get(kind, 1)
    wanted = [
        file
        for file in files
        if file.suffix == ".json"
        and len(PurePosixPath(file.path).parts) <= deep
        and (file.name in {"model_index.json", "modules.json"} or "config" in file.name)
        and not file.is_index
    ]
    return sorted(wanted, key=lambda file: (file.path.count("/"), file.size))[:40]


def choose(
    files: Sequence[RepoFile],
    configs: Mapping[str, dict],
    *,
    prefer_half: bool = False,
    allowed: Mapping[str, str] | None = None,
    file: str = "",
) -> Choice:
    """What to fetch. `configs` holds the parsed `small_json`; `allowed` path -> sha256 of this repository and commit;
    `file` names one of several single files. Raises RunFailed(unsafe_repository | nothing_to_fetch | file_missing)."""
    check_listing(files)
    for path, content in configs.items():
        if why := code_in(path, content):
            raise Refused.for_code(why)
    choice = Choice(kind_of(files))
    match choice.kind:
        case "diffusers":
            _choose_diffusers(choice, files, configs["model_index.json"], prefer_half)
        case "transformers":
            _choose_transformers(choice, files, configs)
        case "peft":
            _choose_named(choice, files, {"adapter_config.json", "adapter_model.safetensors"})
        case "pickled":
            _choose_allowed(choice, files, allowed or {})
        case _:
            _choose_single(choice, files, file)
    if file and file not in {one.path for one in choice.single}:
        words = f"{file[:80]} is none of the files that can be fetched by themselves."
        hint = "Plan without a file: the plan lists them."
        raise RunFailed("file_missing", words, hint, sentence="hub_no_such_file", file=file[:80])
    if not choice.is_open:
        _explain_others(choice, files)
    return choice


def many_files(choice: Choice) -> RunFailed:
    """That it is open which file is meant."""
    names = ", ".join(one.name for one in choice.single[:8])
    return RunFailed(
        "nothing_to_fetch",
        f"The repository holds {len(choice.single)} single files and does not say which is the model: {names}.",
        "Say which one you want, in `file`.",
        sentence="hub_many_files",
        names=names,
    )


def allow_list(repo: str, commit: str, path: Path = ALLOW_LIST) -> dict[str, str]:
    """path -> sha256 of the files that may be fetched although they are no safetensors."""
    content = json.loads(path.read_bytes())
    return dict(content.get("repositories", {}).get(repo, {}).get(commit, {}))


# ── the kinds ─────────────────────────────────────────────────────────────────


def _choose_diffusers(choice: Choice, files: Sequence[RepoFile], index: dict, prefer_half: bool) -> None:
    components = [
        name
        for name, value in index.items()
        if not name.startswith("_") and isinstance(value, list) and value[:1] != [None] and value[1:] != [None]
    ]
    folders = {name: [file for file in files if file.folder == name] for name in components}
    weights = {name: _variants(folder) for name, folder in folders.items()}
    for name, folder in folders.items():
        if not weights[name] and any(file.suffix in PICKLES for file in folder):
            raise _only_pickles(f"The component {name!r}")
    variant = _variant(choice, [sets for sets in weights.values() if sets], prefer_half)
    choice.chosen += [file for file in files if file.path == "model_index.json"]
    for name, folder in folders.items():
        taken = weights[name].get(variant, []) if weights[name] else []
        choice.chosen += [file for file in folder if file.suffix in TEXTS and not file.is_index]
        choice.chosen += taken
        choice.chosen += _indexes(folder, taken, variant)
    if not any(file.suffix == ".safetensors" for file in choice.chosen):
        raise _only_pickles("The pipeline")


def _variant(choice: Choice, sets: list[dict[str, list[RepoFile]]], prefer_half: bool) -> str:
    """One variant that every component with weights has."""
    common = set.intersection(*(set(one) for one in sets)) if sets else {""}
    if not common:
        offered = ", ".join(sorted({name or "plain" for one in sets for name in one}))
        raise RunFailed(
            "nothing_to_fetch",
            f"No variant of the weights is there for every component (offered: {offered}).",
            "Take a repository that has all components in one precision.",
            sentence="hub_no_variant",
            offered=offered,
        )
    half = next((name for name in ("fp16", "bf16") if name in common), None)
    if half and (prefer_half or "" not in common):
        if half == "bf16" and "" in common:
            return ""
        choice.warnings += [] if prefer_half else ["only_half"]
        return half
    return "" if "" in common else sorted(common)[0]


def _choose_transformers(choice: Choice, files: Sequence[RepoFile], configs: Mapping[str, dict]) -> None:
    top = [file for file in files if not file.folder]
    sets = _variants(top)
    if not sets:
        raise _only_pickles("The repository")
    taken = sets.get("", next(iter(sets.values())))
    pooling = {entry.get("path") for entry in configs.get("modules.json", {}).get("items", [])} - {"", None}
    choice.chosen += [file for file in top if file.suffix in TEXTS and not file.is_index]
    choice.chosen += [file for file in files if file.folder in pooling and file.suffix in {*TEXTS, ".safetensors"}]
    choice.chosen += taken
    choice.chosen += _indexes(top, taken, "")


def _choose_named(choice: Choice, files: Sequence[RepoFile], names: set[str]) -> None:
    choice.chosen += [file for file in files if file.path in names]
    if not any(file.suffix == ".safetensors" for file in choice.chosen):
        raise _only_pickles("The adapter")


def _choose_single(choice: Choice, files: Sequence[RepoFile], wanted: str) -> None:
    weights = [file for file in files if file.suffix == ".safetensors" and not file.folder]
    choice.single = weights
    choice.chosen += [file for file in weights if len(weights) == 1 or file.path == wanted]
    if weights:
        return
    raise (
        _only_pickles("The repository")
        if any(file.suffix in PICKLES | ARCHIVES for file in files)
        else RunFailed(
            "nothing_to_fetch",
            "The repository holds no model that Atelier knows: no model_index.json, config.json or .safetensors file.",
            "Look at its page on the hub.",
        )
    )


def _choose_allowed(choice: Choice, files: Sequence[RepoFile], allowed: Mapping[str, str]) -> None:
    choice.chosen += [file for file in files if allowed.get(file.path) == file.digest]
    if not choice.chosen:
        raise RunFailed(
            "not_on_allow_list",
            "This model comes as pickles, which can run code. Such files are fetched only from commits whose hashes "
            "Atelier knows, and this commit is none of them.",
            "An administrator can download it by other means, check it, and import it by its path.",
        )
    missing = sorted(set(allowed) - {file.path for file in choice.chosen})
    if missing:
        names = ", ".join(missing[:5])
        words = f"Files that Atelier knows by their hash differ or are missing: {names}."
        raise Refused("hub_known_differ", words, files=names)


# ── weights and words ─────────────────────────────────────────────────────────


def _variants(folder: Sequence[RepoFile]) -> dict[str, list[RepoFile]]:
    """variant ("" = plain) -> its files, for the complete sets of the best stem. Shards count only when all are there;
    shards win over the same weights in one file."""
    found: dict[tuple[str, str, bool], list[RepoFile]] = {}
    for file in folder:
        if match := _WEIGHTS.fullmatch(file.name):
            key = (match["stem"], match["variant"] or "", bool(_OF.search(file.name)))
            found.setdefault(key, []).append(file)
    for stem in STEMS:
        sets: dict[str, list[RepoFile]] = {}
        for (own, variant, is_sharded), files in sorted(found.items()):
            if own == stem and (not is_sharded or _is_complete(files)):
                sets[variant] = files
        if sets:
            return sets
    return {}


def _is_complete(shards: Sequence[RepoFile]) -> bool:
    numbers = {tuple(map(int, _OF.search(file.name).groups())) for file in shards}  # type: ignore[union-attr]
    totals = {total for _, total in numbers}
    return len(totals) == 1 and {number for number, _ in numbers} == set(range(1, totals.pop() + 1))


def _indexes(folder: Sequence[RepoFile], taken: Sequence[RepoFile], variant: str) -> list[RepoFile]:
    """The list of shards that belongs to the chosen ones."""
    if len(taken) < 2:
        return []
    stem = _WEIGHTS.fullmatch(taken[0].name)["stem"]  # type: ignore[index]
    names = {f"{stem}.safetensors.index.json"} if not variant else {
        f"{stem}.safetensors.index.{variant}.json", f"{stem}.{variant}.safetensors.index.json"
    }  # fmt: skip
    return [file for file in folder if file.name in names]


def _has_weights(files: Sequence[RepoFile]) -> bool:
    return any(file.suffix == ".safetensors" for file in files)


def _only_pickles(what: str) -> RunFailed:
    return RunFailed(
        "unsafe_format",
        f"{what} has no safetensors weights. Pickles (.bin, .pt, .ckpt and the like) can run code and are not fetched.",
        "Take a repository that is published in safetensors.",
        sentence="hub_only_pickles",
    )


def _explain_others(choice: Choice, files: Sequence[RepoFile]) -> None:
    """Papers come along; every other file that was not chosen gets its reason. Oddly named ones are never chosen."""
    taken = {file.path for file in choice.chosen}
    for file in files:
        if file.path in taken or (not file.folder and PAPERS.fullmatch(file.name) and file.size < 1_000_000):
            if file.suffix == ".json" and file.size > MAX_JSON_BYTES:
                raise too_large(file, MAX_JSON_BYTES)
            if not _PATH.fullmatch(file.path):
                words = f"The name {file.path[:80]!r} holds characters that Atelier does not write to its disk."
                raise Refused("hub_bad_name", words, file=file.path[:80])
            choice.chosen += [] if file.path in taken else [file]
        else:
            choice.refused[file.path] = _why_not(file)


def _why_not(file: RepoFile) -> str:
    """One of: code, pickle, archive, format, copy, unneeded."""
    for why, suffixes in (("code", CODE), ("pickle", PICKLES), ("archive", ARCHIVES), ("format", OTHER_FORMATS)):
        if file.suffix in suffixes:
            return why
    return "copy" if file.suffix == ".safetensors" else "unneeded"
