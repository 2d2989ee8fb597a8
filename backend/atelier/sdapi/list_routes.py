"""/sdapi/v1: what there is to choose from. Lists of things that Atelier does not have are empty, never missing."""

from __future__ import annotations

from typing import Any

import psutil
from engines import sampler_names

from atelier.access.actor import BasicUser
from atelier.deps import ServicesDep
from atelier.routing import Router
from atelier.sdapi.envelope import ERRORS
from atelier.sdapi.schemas import (
    SdCheckpointOut,
    SdEmbeddingsOut,
    SdFaceRestorerOut,
    SdFileOut,
    SdLoraOut,
    SdMemoryOut,
    SdNamedOut,
    SdSamplerOut,
    SdScheduleOut,
    SdScriptsOut,
    SdStyleOut,
    SdUpscalerOut,
    SdVaeOut,
)
from atelier.sdapi.timed import TimedRoute
from atelier.sdapi.upscalers import LATENT_MODES, UPSCALERS, scale_of

router = Router(prefix="/sdapi/v1", tags=["sdapi"], responses=ERRORS, route_class=TimedRoute, strict_content_type=False)


@router.get("/sd-models", summary="List the models", name="sdapi_models")
async def models(actor: BasicUser, services: ServicesDep) -> list[SdCheckpointOut]:
    return [
        SdCheckpointOut(title=one.title, model_name=one.name, hash=one.hash, sha256=one.sha256, filename=one.filename)
        for one in await services.sdapi.checkpoints.all(actor)
    ]


@router.get("/samplers", summary="List the samplers", name="sdapi_samplers")
async def samplers(_actor: BasicUser) -> list[SdSamplerOut]:
    return [
        SdSamplerOut(
            name=one.name,
            aliases=list(one.aliases),
            options={} if one.schedule == "Automatic" else {"scheduler": one.schedule.lower()},
        )
        for one in sampler_names.SAMPLERS
    ]


@router.get("/schedulers", summary="List the schedules", name="sdapi_schedulers")
async def schedulers(_actor: BasicUser) -> list[SdScheduleOut]:
    return [
        SdScheduleOut(
            name=one.id,
            label=one.label,
            aliases=list(one.aliases) or None,
            default_rho=one.default_rho,
            need_inner_model=one.need_inner_model,
        )
        for one in sampler_names.SCHEDULES
    ]


@router.get("/upscalers", summary="List the upscalers", name="sdapi_upscalers")
async def upscalers(actor: BasicUser, services: ServicesDep) -> list[SdUpscalerOut]:
    """Those without a model, then the models by their keys."""
    enlarger = services.sdapi.enlarger
    return [SdUpscalerOut(name=name) for name in UPSCALERS] + [
        SdUpscalerOut(
            name=row.key,
            model_name=row.name,
            model_path=str(enlarger.path_of(row)),
            scale=scale_of(f"{row.key} {row.name}"),
        )
        for row in await enlarger.rows(actor)
    ]


@router.get("/latent-upscale-modes", summary="List the ways to enlarge before a second pass", name="sdapi_latent_modes")
async def latent_upscale_modes(_actor: BasicUser) -> list[SdNamedOut]:
    return [SdNamedOut(name=name) for name in LATENT_MODES]


@router.get("/loras", summary="List the LoRAs", name="sdapi_loras")
async def loras(actor: BasicUser, services: ServicesDep) -> list[SdLoraOut]:
    rows = [row for row in await services.models.rows(actor) if row.type == "lora" and row.download_job is None]
    return [
        SdLoraOut(
            name=row.key,
            alias=row.name,
            path=str(services.models.path_of(row)),
            metadata={"ss_base_model_version": row.family, "base": row.base},
        )
        for row in rows
    ]


@router.get("/prompt-styles", summary="List the styles", name="sdapi_styles")
async def prompt_styles(actor: BasicUser, services: ServicesDep) -> list[SdStyleOut]:
    return [
        SdStyleOut(name=one.name, prompt=one.prompt, negative_prompt=one.negative_prompt)
        for one in await services.prompts.styles(actor)
    ]


@router.get("/embeddings", summary="List the embeddings", name="sdapi_embeddings")
async def embeddings(actor: BasicUser, services: ServicesDep) -> SdEmbeddingsOut:
    rows = [row for row in await services.models.rows(actor) if row.type == "embedding" and row.download_job is None]
    unknown = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": None, "vectors": None}
    return SdEmbeddingsOut(loaded={row.key: unknown for row in rows}, skipped={})


@router.get("/sd-vae", summary="None: a model has its own", name="sdapi_vaes")
async def vaes(_actor: BasicUser) -> list[SdVaeOut]:
    return []


@router.get("/sd-modules", summary="None: a model has its own", name="sdapi_modules")
async def modules(_actor: BasicUser) -> list[SdVaeOut]:
    return []


@router.get("/hypernetworks", summary="None", name="sdapi_hypernetworks")
async def hypernetworks(_actor: BasicUser) -> list[SdFileOut]:
    return []


@router.get("/face-restorers", summary="None", name="sdapi_face_restorers")
async def face_restorers(_actor: BasicUser) -> list[SdFaceRestorerOut]:
    return []


@router.get("/realesrgan-models", summary="None", name="sdapi_realesrgan_models")
async def realesrgan_models(_actor: BasicUser) -> list[SdFileOut]:
    return []


@router.get("/scripts", summary="None; the first call of webuiapi", name="sdapi_scripts")
async def scripts(_actor: BasicUser) -> SdScriptsOut:
    return SdScriptsOut(txt2img=[], img2img=[])


@router.get("/script-info", summary="None", name="sdapi_script_info")
async def script_info(_actor: BasicUser) -> list[dict[str, Any]]:
    return []


@router.get("/extensions", summary="None", name="sdapi_extensions")
async def extensions(_actor: BasicUser) -> list[dict[str, Any]]:
    return []


@router.get("/cmd-flags", summary="How the server was started", name="sdapi_cmd_flags")
async def cmd_flags(_actor: BasicUser) -> dict[str, Any]:
    return {"api": True, "nowebui": False, "listen": False, "gradio_auth": None}


@router.get("/memory", summary="Memory of the machine and of its first GPU", name="sdapi_memory")
async def memory(_actor: BasicUser, services: ServicesDep) -> SdMemoryOut:
    host = psutil.virtual_memory()
    gpu = next((one for one in services.system.devices() if one.kind == "cuda"), None)
    cuda: dict[str, Any] = {"error": "There is no GPU."}
    if gpu is not None:
        leased = {"current": gpu.leased_bytes, "peak": gpu.leased_bytes}
        used = {"free": gpu.total_bytes - gpu.used_bytes, "used": gpu.used_bytes, "total": gpu.total_bytes}
        cuda = {
            "system": used,
            **dict.fromkeys(("active", "allocated", "reserved"), leased),
            "inactive": {"current": 0, "peak": 0},
            "events": {"retries": 0, "oom": 0},
        }
    return SdMemoryOut(ram={"free": host.available, "used": host.used, "total": host.total}, cuda=cuda)


for path in ("refresh-checkpoints", "refresh-loras", "refresh-vae", "refresh-embeddings"):

    @router.post(f"/{path}", summary="Nothing to do: lists are always fresh", name=f"sdapi_{path.replace('-', '_')}")
    async def refresh(_actor: BasicUser) -> None:
        return None
