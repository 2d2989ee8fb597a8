"""/api/chat/presets"""

from __future__ import annotations

from atelier.access.actor import User
from atelier.chat.conversation_schemas import PresetIn, PresetList, PresetOut
from atelier.deps import ServicesDep
from atelier.routing import Router

router = Router(prefix="/api/chat", tags=["chat"])


@router.get("/presets", summary="Your presets for chats, by name")
async def list_chat_presets(actor: User, services: ServicesDep) -> PresetList:
    return PresetList(items=await services.chat_presets.list(actor))


@router.post("/presets", status_code=201, summary="Add a preset for chats")
async def add_chat_preset(wanted: PresetIn, actor: User, services: ServicesDep) -> PresetOut:
    return await services.chat_presets.add(actor, wanted)


@router.put("/presets/{preset_id}", summary="Change a preset for chats")
async def change_chat_preset(preset_id: str, wanted: PresetIn, actor: User, services: ServicesDep) -> PresetOut:
    return await services.chat_presets.change(actor, preset_id, wanted)


@router.delete("/presets/{preset_id}", summary="Delete a preset for chats")
async def delete_chat_preset(preset_id: str, actor: User, services: ServicesDep) -> PresetOut:
    return await services.chat_presets.drop(actor, preset_id)
