"""What routes may reach: the few services of this application, made in `main.lifespan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

if TYPE_CHECKING:
    from atelier.access.accounts import Accounts
    from atelier.access.gate import Gate
    from atelier.access.limit import SignInLimit
    from atelier.chat.benchmarks import Benchmarks
    from atelier.chat.conversations import Conversations
    from atelier.chat.exporting import ConversationFiles
    from atelier.chat.presets import ChatPresets
    from atelier.chat.serving import ChatServing
    from atelier.creatures.service import CreatureService
    from atelier.images.archive import Archive
    from atelier.images.collections import Collections
    from atelier.images.editing import Editor
    from atelier.images.gallery import Gallery
    from atelier.images.grids import GridService
    from atelier.images.inputs import InputStore
    from atelier.images.prompts import PromptBook
    from atelier.images.service import ImageService
    from atelier.images.settings import SettingsReader
    from atelier.images.translation import Translator
    from atelier.images.usage import Usage
    from atelier.images.verifying import Verifier
    from atelier.jobs.service import JobService
    from atelier.models.downloads import Downloads
    from atelier.models.hub import HubClient
    from atelier.models.hub_token import HubTokens
    from atelier.models.loading import ModelLoader
    from atelier.models.planning import Planner
    from atelier.models.registry import ModelRegistry
    from atelier.openai.batches import BatchService
    from atelier.openai.files import FileStore
    from atelier.openai.image_service import OpenAIImages
    from atelier.sdapi.service import SdApi
    from atelier.system.service import SystemService


@dataclass
class Services:
    gate: Gate
    accounts: Accounts
    sign_in_limit: SignInLimit
    jobs: JobService
    models: ModelRegistry
    hub: HubClient
    downloads: Downloads
    hub_tokens: HubTokens
    loader: ModelLoader
    planner: Planner
    images: ImageService
    gallery: Gallery
    inputs: InputStore
    settings_reader: SettingsReader
    verifier: Verifier
    prompts: PromptBook
    editor: Editor
    collections: Collections
    grids: GridService
    archive: Archive
    usage: Usage
    creatures: CreatureService
    system: SystemService
    openai_images: OpenAIImages
    chat: ChatServing
    sdapi: SdApi
    files: FileStore
    batches: BatchService
    benchmarks: Benchmarks
    translator: Translator
    conversations: Conversations
    conversation_files: ConversationFiles
    chat_presets: ChatPresets


async def _services(request: Request) -> Services:
    """A coroutine, though it waits for nothing: FastAPI gives plain functions to a thread."""
    return request.app.state.services


ServicesDep = Annotated["Services", Depends(_services)]
