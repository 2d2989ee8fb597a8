"""Asking the hub: search, plans, whose token it is.

The asking happens in the `hub_download` process, the only one that gets the token. Here its answers become wire shapes,
and what a repository holds is told from its configs.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from engines import protocol

from atelier.clock import new_id
from atelier.config import HubSettings
from atelier.errors import EnvironmentNotReady, HubFailed
from atelier.models.chat_engines import CHAT_TASKS
from atelier.models.hub_schemas import HubChoiceOut, HubModelOut, HubPlanOut, PlannedFileOut, RefusedFileOut, RemarkOut
from atelier.models.probe import architecture_kind, engine_of, pipeline_kind
from atelier.models.sizing import Told
from atelier.runtime.pool import WorkerPool
from atelier.runtime.spec import WorkerSpec
from atelier.said import Said

ENVIRONMENT = "hub"
RESERVE_BYTES, RESERVE_SHARE = 2 * 1024**3, 0.05
PLAN_SECONDS, PLANS = 600.0, 32

# our task -> the hub's pipeline tags, and tags that it must have
TASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "image": (("text-to-image",), ()),
    "video": (("image-to-video", "text-to-video"), ()),
    "chat": (("text-generation", "image-text-to-text"), ()),
    "transcribe": (("automatic-speech-recognition",), ()),
    "diarize": ((), ("pyannote-audio-pipeline",)),
    "embed": (("feature-extraction", "sentence-similarity"), ()),
}
_TASK_OF_TAG = {tag: task for task, (tags, _) in TASKS.items() for tag in tags}


def failure(update: protocol.Failed) -> HubFailed:
    said = Said(update.message, update.sentence_code, **update.params)
    return HubFailed(said, code=update.code, hint=update.hint)


class HubClient:
    """`token` reads the token; `set_up` asks for the environment of the process that speaks to the hub."""

    def __init__(
        self,
        pool: WorkerPool,
        settings: HubSettings,
        *,
        cache: Path,
        on_cpu: bool,
        token: Callable[[], str],
        set_up: Callable[[str], Awaitable[object]],
    ) -> None:
        self._pool, self._settings, self._cache, self._on_cpu = pool, settings, cache, on_cpu
        self._token, self._set_up = token, set_up
        self._plans: OrderedDict[tuple[str, str, str], tuple[float, dict[str, Any]]] = OrderedDict()

    @property
    def settings(self) -> HubSettings:
        return self._settings

    def page_url(self, repo: str) -> str:
        return f"{self._settings.endpoint}/{repo}"

    async def access(self, token: str | None = None) -> protocol.HubAccess:
        """How to reach the hub, with the token. Raises HubFailed at once when the server is told to stay offline."""
        if self._settings.offline:
            raise HubFailed(
                Said("Atelier is told to stay offline, so the hub is not asked.", "hub.offline"),
                code="hub_offline",
                hint="Unset HF_HUB_OFFLINE and start again. What is on this machine already works.",
            )
        token = await asyncio.to_thread(self._token) if token is None else token
        return protocol.HubAccess(endpoint=self._settings.endpoint, token=token, network=dict(self._settings.network))

    async def search(self, query: str, task: str | None, limit: int) -> list[dict[str, Any]]:
        tags, filters = TASKS[task] if task else ((), ())
        words = protocol.HubSearch(
            task_id=new_id("hub"),
            access=await self.access(),
            query=query,
            tasks=list(tags),
            filters=list(filters),
            limit=limit,
        )
        return (await self._ask(words))["items"]

    async def whose(self, token: str) -> dict[str, Any]:
        return await self._ask(protocol.HubToken(task_id=new_id("hub"), access=await self.access(token)))

    async def plan(self, repo: str, revision: str, file: str = "", *, fresh: bool = True) -> dict[str, Any]:
        """The engine's answer to `HubPlan`; one of the last minutes will do unless `fresh`."""
        made, plan = self._plans.get((repo, revision, file), (0.0, {}))
        if not fresh and plan and time.monotonic() - made < PLAN_SECONDS:
            return plan
        task = protocol.HubPlan(
            task_id=new_id("hub"),
            access=await self.access(),
            repo=repo,
            revision=revision,
            cache=str(self._cache),
            prefer_half=self.prefers_half,
            file=file,
        )
        plan = {**await self._ask(task), "prefer_half": task.prefer_half}
        self._plans[repo, revision, file] = (time.monotonic(), plan)
        while len(self._plans) > PLANS:
            self._plans.popitem(last=False)
        return plan

    @property
    def prefers_half(self) -> bool:
        """On a GPU weights of half precision are what is loaded anyway."""
        return not self._on_cpu

    def room(self) -> tuple[int, int]:
        """Free bytes on the disk of the model cache, and how many of them a download leaves. Blocking."""
        place = self._cache
        while not place.is_dir():
            place = place.parent
        disk = shutil.disk_usage(place)
        return disk.free, min(RESERVE_BYTES, int(RESERVE_SHARE * disk.total))

    async def need_environment(self) -> None:
        """Have what speaks to the hub set up, if it is not."""
        await self._set_up(ENVIRONMENT)

    async def _ask(self, task: protocol.HubSearch | protocol.HubToken | protocol.HubPlan) -> dict[str, Any]:
        """Raises HubFailed, EnvironmentNotReady, WorkerDied, WorkerStartFailed."""
        spec = WorkerSpec(engine="hub_download", model="hub", model_path=self._cache)
        try:
            async with self._pool.lease(spec) as worker, contextlib.aclosing(worker.run(task)) as updates:
                async for update in updates:
                    if isinstance(update, protocol.Done):
                        return update.answer
                    if isinstance(update, protocol.Failed):
                        raise failure(update)
        except EnvironmentNotReady as error:
            await self.need_environment()
            raise EnvironmentNotReady(
                Said("What speaks to the hub is being set up; that takes a minute, once.", "hub.being_set_up"),
                hint="Try again in a minute. System shows how far it is.",
            ) from error
        words = Said("The hub was not asked to the end.", "engine.no_result")
        raise HubFailed(words, code="no_result", hint="Try again.")


_WHY_NOT = {
    "code": Said("Program code is never fetched.", "hub.not_fetched_code"),
    "pickle": Said("A pickle can run code when it is loaded.", "hub.not_fetched_pickle"),
    "archive": Said("An archive; fetched only from commits that Atelier knows.", "hub.not_fetched_archive"),
    "format": Said("A format that Atelier does not run.", "hub.not_fetched_format"),
    "copy": Said("Another copy of the weights.", "hub.not_fetched_copy"),
    "unneeded": Said("Not needed to run the model.", "hub.not_fetched_unneeded"),
}
_WARNINGS = {
    "only_half": Said("Only weights of half precision are offered; on a CPU they are widened.", "hub.only_half"),
}

# ── answers as wire shapes ────────────────────────────────────────────────────


def search_out(item: dict[str, Any], page_url: str, key: str | None) -> HubModelOut:
    task, family = _guess_by_tags(item)
    shown = ("repo", "downloads", "likes", "gated", "private", "license", "updated_at", "library", "parameters", "tags")
    return HubModelOut(**{name: item[name] for name in shown}, page_url=page_url, task=task, family=family, key=key)


def plan_out(
    plan: dict[str, Any],
    revision: str,
    *,
    name: str,
    page_url: str,
    keys: dict[str, str],
    suggested_key: str,
    room: tuple[int, int],
    told: Told | None,
) -> HubPlanOut:
    """`keys`: of the models of this commit that are here already, by the file that they are, "" for the whole of it."""
    task, family, pipeline = what_it_is(plan)
    free, reserve = room
    lora, no_room = is_lora(plan), lacks_room(plan, room)
    has_engine = task in CHAT_TASKS or bool(task and engine_of(task, family or ""))
    runnable = has_engine and not lora and plan["kind"] != "single file"
    warnings = [_WARNINGS[code] for code in plan["warnings"] if code in _WARNINGS]
    if not plan["can_access"]:
        warnings.append(
            Said("Its terms have to be accepted on its page before it can be downloaded.", "hub.accept_terms")
        )
    if no_room:
        warnings.append(no_room)
    if not runnable and not lora:
        warnings.append(Said("No engine of this Atelier runs it yet.", "hub.no_engine"))
    same = ("repo", "commit", "kind", "license", "gated", "can_access", "private", "downloads", "likes", "updated_at",
            "library", "parameters", "total_bytes", "present_bytes")  # fmt: skip
    return HubPlanOut(
        **{name: plan[name] for name in same},
        revision=revision,
        page_url=page_url,
        key=next((keys[file] for file in ("", *(one["path"] for one in plan["files"])) if file in keys), None),
        suggested_key=suggested_key,
        name=name,
        task=task,
        type="lora" if lora else "base_model",
        family=family,
        pipeline=pipeline,
        runnable=runnable,
        files=[
            PlannedFileOut(path=f["path"], size_bytes=f["size"], sha256=f["sha256"], present_bytes=f["present_bytes"])
            for f in plan["files"]
        ],
        refused=[
            RefusedFileOut(path=f["path"], size_bytes=f["size"], why=f["why"], remark=RemarkOut.of(_WHY_NOT[f["why"]]))
            for f in plan["refused"]
        ],
        choices=[
            HubChoiceOut(path=one["path"], size_bytes=one["size"], key=keys.get(one["path"])) for one in plan["choices"]
        ],
        fetch_bytes=to_fetch(plan),
        free_bytes=free,
        reserve_bytes=reserve,
        fits=no_room is None,
        bytes_needed=told.bytes if told and runnable else None,
        helped=bool(told and runnable and told.helped),
        warnings=[RemarkOut.of(words) for words in warnings],
    )


def to_fetch(plan: dict[str, Any]) -> int:
    """Bytes that are not here yet."""
    return plan["total_bytes"] - plan["present_bytes"]


def lacks_room(plan: dict[str, Any], room: tuple[int, int]) -> Said | None:
    """That the disk is too full for it, in words; None when it fits. `room` as `HubClient.room` says it."""
    fetch, (free, reserve) = to_fetch(plan), room
    if fetch == 0 or free - fetch >= reserve:
        return None
    text = f"{fetch / 1e9:.1f} GB do not fit: {free / 1e9:.1f} GB are free, {reserve / 1e9:.1f} GB stay so."
    return Said(text, "hub.does_not_fit", bytes=fetch, free=free, reserve=reserve)


def is_lora(plan: dict[str, Any]) -> bool:
    return plan["kind"] == "peft" or "lora" in plan["tags"]


def what_it_is(plan: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Task, family and class: from its configs, else from what the hub says about it. A guess until it is probed."""
    configs = plan["configs"]
    if plan["can_access"] and (index := configs.get("model_index.json")):
        pipeline = index.get("_class_name")
        return *(pipeline_kind(pipeline, configs.get("unet/config.json", {})) or (None, None)), pipeline
    if plan["can_access"] and (config := configs.get("config.json")) is not None:
        task, family, architecture, _ = architecture_kind(config, "modules.json" in configs)
        return task, family, architecture
    return *_guess_by_tags(plan), None


def _guess_by_tags(item: dict[str, Any]) -> tuple[str | None, str | None]:
    for tag in item["tags"]:
        if tag.startswith("diffusers:") and (known := pipeline_kind(tag.removeprefix("diffusers:"), {})):
            return known
    if any("pyannote" in tag for tag in item["tags"]) and "speaker-diarization" in item["tags"]:
        return "diarize", "pyannote"
    config = item.get("hub_config") or {}
    family = config.get("model_type")
    return _TASK_OF_TAG.get(item["pipeline_tag"] or ""), family if isinstance(family, str) else None
