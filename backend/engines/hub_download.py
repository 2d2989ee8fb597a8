"""Searches the hub, says what a download would fetch, and downloads. The only process that ever holds the hub's token.

    python -m engines.host hub_download --model-path . --socket /tmp/w.sock

`huggingface_hub` does what it does well: search, file lists, addresses, where a file's data lies, the hub's own errors.
Fetching the data is `hub_fetch`, since the library resumes a file by its length alone and checks no hash (see
doc/decisions/0009). The token comes with a task and is gone with it; it is written nowhere and said to nobody but the
endpoint. No load options.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from engines.engine import Options, Run, RunFailed
from engines.hub_api import Hub, Listing, json_of
from engines.hub_cache import RepoFolder
from engines.hub_door import Door
from engines.hub_fetch import Fetch
from engines.hub_files import ALLOW_LIST, Choice, Refused, RepoFile, allow_list, choose, many_files
from engines.hub_parts import room_for
from engines.protocol import Done, HubDownload, HubPlan, HubSearch, HubToken
from engines.remote_code import CODE_SUFFIXES, code_in
from engines.safetensors_file import read_header

TASKS = (HubSearch, HubToken, HubPlan, HubDownload)


def preload() -> None:
    """The library reads these once, at its import. Every engine is offline but this one, and no other token counts."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        os.environ.pop(name, None)
    os.environ |= {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "DO_NOT_TRACK": "1"}
    import huggingface_hub.file_download
    import huggingface_hub.hf_api  # noqa: F401


def load(_model_path: Path, options: Options) -> HubEngine:
    preload()
    return HubEngine(Path(str(options.get("allow_list") or ALLOW_LIST)))


class HubEngine:
    device = "cpu"
    weights_bytes = 0

    def __init__(self, allowed: Path) -> None:
        self._allowed = allowed

    def run(self, task: HubSearch | HubToken | HubPlan | HubDownload, run: Run) -> Done:
        hub = Hub(task.access)
        match task:
            case HubSearch():
                return Done(answer={"items": hub.search(task)})
            case HubToken():
                return Done(answer=hub.whose_token())
            case HubPlan():
                return Done(answer=self._plan(hub, task))
            case HubDownload():
                return Done(answer=self._download(hub, task, run))

    def _plan(self, hub: Hub, task: HubPlan) -> dict[str, Any]:
        listing = hub.listing(task.repo, task.revision)
        configs, is_open = hub.configs(listing)
        choice = self._choose(listing, configs, task)
        folder = RepoFolder(Path(task.cache), task.repo)
        chosen = [_file_out(file, folder) for file in choice.chosen]
        sizes = {file.path: file.size for file in listing.files}
        single = choice.single if len(choice.single) > 1 else []
        return {
            **listing.facts,
            "commit": listing.commit,
            "kind": choice.kind,
            "can_access": is_open,
            "files": chosen,
            "refused": [{"path": path, "size": sizes[path], "why": why} for path, why in choice.refused.items()],
            "total_bytes": choice.size,
            "present_bytes": sum({file["digest"]: file["present_bytes"] for file in chosen}.values()),
            "warnings": choice.warnings,
            "choices": [{"path": file.path, "size": file.size} for file in single],
            "configs": {name: configs[name] for name in _TELLING if name in configs},
        }

    def _download(self, hub: Hub, task: HubDownload, run: Run) -> dict[str, Any]:
        """Ends with the path of the snapshot. What is unsafe leaves nothing behind."""
        listing = hub.listing(task.repo, task.commit)
        if listing.commit != task.commit:
            raise RunFailed(
                "revision_not_found", f"{task.repo} has no such revision any more.", "Plan again.", repo=task.repo
            )
        choice = self._choose(listing, hub.configs(listing, must=True)[0], task)
        if choice.is_open:
            raise many_files(choice)
        folder = RepoFolder(Path(task.cache), task.repo)
        _make(folder)
        missing = sum(file.size - folder.present_bytes(file.digest, file.size) for file in choice.chosen)
        if missing and not room_for(folder.root, missing, task.reserve_bytes):
            raise RunFailed(
                "insufficient_storage",
                f"{missing / 1e9:.1f} GB are to be fetched, and the disk of the model cache has no room for them.",
                "Free some space, then go on with the download.",
                sentence="hub_no_room",
                bytes=missing,
            )
        names = {file.path for file in choice.chosen}
        fetch = Fetch(
            task,
            folder,
            choice.chosen,
            Door(task.access.endpoint, task.access.token),
            lambda file: hub.locate(listing, file, task.stall),
            lambda path, file: accept(Path(path), file, names),
        )
        try:
            fetch.run(run)
            snapshot = folder.publish(
                listing.commit, task.revision, [(file.path, file.digest) for file in choice.chosen]
            )
        except RunFailed as error:
            if error.code.startswith("unsafe"):
                folder.drop_unlinked(file.digest for file in choice.chosen)
            raise
        if strays := [path.name for path in snapshot.rglob("*") if path.suffix.lower() in CODE_SUFFIXES]:
            raise RunFailed(
                "cache_holds_code",
                f"Another program has put program code beside this model in the cache: {', '.join(strays[:5])}.",
                "Remove it, or give Atelier a cache of its own with MODEL_CACHE_DIR.",
                files=", ".join(strays[:5]),
            )
        return {"path": str(snapshot), "received_bytes": fetch.received}

    def _choose(self, listing: Listing, configs: dict[str, dict], task: HubPlan | HubDownload) -> Choice:
        allowed = allow_list(listing.repo, listing.commit, self._allowed)
        return choose(listing.files, configs, prefer_half=task.prefer_half, allowed=allowed, file=task.file)


_TELLING = (
    *("model_index.json", "config.json", "adapter_config.json", "modules.json"),
    *("unet/config.json", "transformer/config.json", "vae/config.json"),
)
"""What the server tells a model's kind by, and what it will take."""


def _file_out(file: RepoFile, folder: RepoFolder) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": file.size,
        "digest": file.digest,
        "sha256": file.digest if file.is_large else None,
        "present_bytes": folder.present_bytes(file.digest, file.size),
    }


def _make(folder: RepoFolder) -> None:
    try:
        folder.make()
    except OSError as error:
        raise RunFailed(
            "cache_not_writable",
            f"The model cache cannot be written ({error.strerror}).",
            "Set MODEL_CACHE_DIR to a folder that the server may write.",
            reason=str(error.strerror),
        ) from error


def accept(path: Path, file: RepoFile, names: set[str]) -> None:
    """Look into a complete file before it is kept. Raises RunFailed(unsafe_…)."""
    if file.suffix == ".safetensors":
        try:
            read_header(path)
        except ValueError as error:
            raise RunFailed(
                "unsafe_format",
                f"{file.path} is no sound safetensors file: {error}.",
                "A renamed pickle is not kept. Take the model from another repository.",
                sentence="hub_no_safetensors",
                file=file.path,
            ) from error
    elif file.suffix == ".json":
        content = json_of(path.read_bytes(), file.path)
        if why := code_in(file.path, content):
            raise Refused.for_code(why)
        if file.is_index and isinstance(content, dict):
            prefix = f"{file.folder}/" if file.folder else ""
            strangers = {str(name) for name in dict(content.get("weight_map") or {}).values()}
            if strangers := sorted(name for name in strangers if prefix + name not in names):
                words = f"{file.path} names weights that are not fetched: {strangers[0][:80]!r}."
                raise Refused("hub_strange_shards", words, file=file.path, name=strangers[0][:80])
