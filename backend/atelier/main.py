"""The application: every long-lived object is made here, in `lifespan`, and nowhere else."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import structlog
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from atelier import __version__, documentation, failpoints, garbage, openapi, problems
from atelier.access import routes as access_routes
from atelier.access.accounts import Accounts
from atelier.access.actor import LOCAL_USER_ID, Actor, check_declared
from atelier.access.gate import Gate, holder_id
from atelier.access.limit import SignInLimit
from atelier.access.tokens import Tokens
from atelier.chat import benchmark_routes, conversation_routes, preset_routes, usage_routes
from atelier.chat.answering import Answers
from atelier.chat.benchmarks import Benchmarks
from atelier.chat.caps import Caps
from atelier.chat.conversations import Conversations
from atelier.chat.door import ChatDoor
from atelier.chat.exporting import ConversationFiles
from atelier.chat.keys import Keys
from atelier.chat.metering import Meter
from atelier.chat.presets import ChatPresets
from atelier.chat.screening import Screen
from atelier.chat.serving import ChatServing
from atelier.chat.targets import Targets
from atelier.chat.watching import Patience, Watch
from atelier.config import BACKEND, ChatSettings, RuntimeSettings, Settings
from atelier.creatures import routes as creature_routes
from atelier.creatures.schemas import creatures_body
from atelier.creatures.service import CreatureService
from atelier.db import Database
from atelier.deps import Services
from atelier.dialects import Envelope, Envelopes, imagen_body
from atelier.events import EventBus
from atelier.front import Front
from atelier.hosts import Hosts
from atelier.imagen import routes as imagen_routes
from atelier.images import collection_routes, gallery_routes, grid_routes, input_routes, prompt_routes
from atelier.images import routes as image_routes
from atelier.images.archive import Archive
from atelier.images.collections import Collections
from atelier.images.delivery import Delivery
from atelier.images.editing import Editor
from atelier.images.enlarging import Enlarger
from atelier.images.gallery import Gallery
from atelier.images.grids import GridService
from atelier.images.inputs import InputStore
from atelier.images.prompts import PromptBook
from atelier.images.reader import PictureReader
from atelier.images.service import ImageService
from atelier.images.settings import SettingsReader
from atelier.images.translation import Translator
from atelier.images.usage import Usage
from atelier.images.verifying import Verifier
from atelier.jobs import routes as job_routes
from atelier.jobs.attempt import Attempt
from atelier.jobs.queue import JobQueue
from atelier.jobs.runner import JobRunner
from atelier.jobs.service import JobService
from atelier.kinds import handlers
from atelier.live.frames import SnapshotFrame
from atelier.live.hub import LiveHub
from atelier.live.socket import LiveSocket
from atelier.migrate import migrate
from atelier.models import admin_routes as model_admin_routes
from atelier.models import hub_routes
from atelier.models import routes as model_routes
from atelier.models.catalogue import Catalogue
from atelier.models.chat_engines import ChatEngines
from atelier.models.downloads import Downloads
from atelier.models.hub import ENVIRONMENT as HUB
from atelier.models.hub import HubClient
from atelier.models.hub_token import HubTokens, TokenStore
from atelier.models.learning import Learning
from atelier.models.loading import ModelLoader
from atelier.models.outlines import Outlines
from atelier.models.planning import Planner
from atelier.models.registry import ModelRegistry
from atelier.models.sizing import Sizing
from atelier.models.states import ModelStates
from atelier.openai import batch_routes as openai_batch_routes
from atelier.openai import chat_routes as openai_chat_routes
from atelier.openai import file_routes as openai_file_routes
from atelier.openai import image_routes as openai_image_routes
from atelier.openai import model_routes as openai_model_routes
from atelier.openai.batch_endpoints import BatchEndpoints
from atelier.openai.batch_rows import needs
from atelier.openai.batch_work import BatchWork
from atelier.openai.batches import BatchService
from atelier.openai.envelope import ENVELOPE as OPENAI_ENVELOPE
from atelier.openai.files import FileStore
from atelier.openai.image_service import OpenAIImages
from atelier.remote import RemoteImages
from atelier.routing import include
from atelier.runtime.environments import Environments, EnvironmentState
from atelier.runtime.gpu import GPUMonitor
from atelier.runtime.pool import WorkerPool
from atelier.runtime.shared import SharedLeases
from atelier.runtime.spec import WorkerInfo
from atelier.sdapi import extras_routes as sdapi_extras_routes
from atelier.sdapi import list_routes as sdapi_list_routes
from atelier.sdapi import routes as sdapi_routes
from atelier.sdapi import unoffered_routes as sdapi_unoffered_routes
from atelier.sdapi.captions import Captions
from atelier.sdapi.checkpoints import Checkpoints
from atelier.sdapi.envelope import ENVELOPE as SDAPI_ENVELOPE
from atelier.sdapi.service import SdApi
from atelier.storage import Storage
from atelier.system import routes as system_routes
from atelier.system import worker_log
from atelier.system.dependencies import DependencyInspector
from atelier.system.environment_jobs import EnvironmentJobs
from atelier.system.service import SystemService
from atelier.system.status import AdminStatus
from atelier.system.watch import DeviceWatch
from atelier.tables import Job

log = structlog.get_logger("atelier")

MAX_BODY_BYTES = 2 * 1024 * 1024
ROUTERS = [
    access_routes.router,
    image_routes.router,
    prompt_routes.router,
    input_routes.router,
    gallery_routes.router,
    collection_routes.router,
    grid_routes.router,
    conversation_routes.router,
    preset_routes.router,
    benchmark_routes.router,
    creature_routes.router,
    imagen_routes.router,
    job_routes.router,
    hub_routes.router,
    model_routes.router,
    model_admin_routes.router,
    system_routes.router,
    openai_image_routes.router,
    openai_model_routes.router,
    openai_chat_routes.router,
    usage_routes.router,
    openai_file_routes.router,
    openai_batch_routes.router,
    sdapi_routes.router,
    sdapi_list_routes.router,
    sdapi_extras_routes.router,
    sdapi_unoffered_routes.router,
    sdapi_unoffered_routes.pings,
    worker_log.router,
    documentation.router,
]

# How the doors of other APIs tell an error; the rest speaks problem details.
ENVELOPES: Envelopes = {
    "imagen": Envelope(imagen_body),
    "creatures": Envelope(creatures_body),
    "openai": OPENAI_ENVELOPE,
    "automatic1111": SDAPI_ENVELOPE,
}

DESCRIPTION = """A private AI studio for one GPU machine.

Long work is a job: the answer is 202 with a `job_id` once the job is safe on disk. Errors are RFC 9457 problem details
with a stable `code`, the fields at fault and a hint. On loopback without a configured credential no key is needed;
otherwise send `Authorization: Bearer <ATELIER_TOKEN>`.
"""


def create_app(settings: Settings) -> ASGIApp:
    """The ASGI application for these settings. Nothing is opened before its lifespan starts."""
    check_declared(ROUTERS)
    app = FastAPI(
        title="Atelier",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: lifespan(app, settings),
        generate_unique_id_function=lambda route: route.name,  # what generated clients call their functions
        max_body_size=MAX_BODY_BYTES,
        responses=problems.PROBLEM_RESPONSES,
    )
    problems.install(app, ENVELOPES)
    for router in ROUTERS:
        include(app, router)
    documentation.install(app)
    openapi.install(app)
    _serve_dashboard(app, settings.server.frontend_dir)

    hosts = Hosts(settings.server)
    app.state.door = ChatDoor(hosts)

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        await app.state.live(scope, receive, send)

    return Front(app, live, hosts, ENVELOPES, app.state.door)


@asynccontextmanager
async def lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Open everything in order, close it in reverse. What fails to open closes what was opened before."""
    failpoints.arm(settings.runtime.failpoints)
    async with AsyncExitStack() as stack:
        storage = Storage(settings.storage.data_dir)
        await asyncio.to_thread(storage.open)
        stack.callback(storage.close)
        await asyncio.to_thread(migrate, storage.database)
        database = Database(storage.database)
        stack.push_async_callback(database.close)

        accounts, sign_in_limit = Accounts(database), SignInLimit()
        gate = Gate(settings.access, accounts, Tokens(storage.secrets), sign_in_limit)
        await accounts.start()
        await accounts.ensure(gate.key_holders())

        bus = EventBus()
        hub = LiveHub(bus)
        monitor = GPUMonitor.detect(budget_bytes=settings.runtime.memory_budget_bytes)
        stack.callback(monitor.close)
        environments = Environments(settings.storage.environments_dir, BACKEND / "requirements")
        system: SystemService
        states: ModelStates

        def worker_changed(info: WorkerInfo) -> None:
            states.hear(info)
            system.worker_changed(info)

        pool = WorkerPool(
            environments,
            monitor.devices,
            events=worker_changed,
            sockets_dir=_sockets_dir(stack, settings.runtime.sockets_root, storage.instance),
            logs_dir=storage.logs,
            instance=storage.instance,
            idle_seconds=settings.runtime.idle_seconds,
            monitor=monitor,
            park_budget_bytes=_park_budget(settings.runtime),
        )
        states = ModelStates(pool, monitor.devices)
        learning = Learning(database)
        chat_engines = ChatEngines(
            monitor.devices,
            lambda name: environments.python(name) is not None,
            lambda name: environments.status(name).state is EnvironmentState.FAILED,
            fake=settings.runtime.fake_engine,
        )
        sizing = Sizing(learning, monitor.devices, settings.runtime, chat_engines)
        queue = JobQueue(database, settings.jobs)
        needed = () if settings.runtime.fake_engine else ("image",)
        environment_jobs = EnvironmentJobs(environments, queue, needed, later=(HUB, *chat_engines.environments()))
        registry = ModelRegistry(
            database,
            queue,
            pool,
            bus,
            sizing=sizing,
            states=states,
            cache=settings.storage.model_cache_dir,
            allowed=_allowed(settings.chat),
        )
        loader = ModelLoader(registry, sizing, states, pool, bus)
        tokens = TokenStore(storage.secrets, settings.hub.token)
        hub_client = HubClient(
            pool,
            settings.hub,
            cache=settings.storage.model_cache_dir,
            on_cpu=monitor.devices[0].kind == "cpu",
            token=tokens.token,
            set_up=lambda name: environment_jobs.ask(LOCAL_USER_ID, name),
        )
        # The kinds need the image service, which needs the job service, which needs the runner: the map is filled last.
        kinds: dict = {}
        slots = {"device": len(monitor.devices), "setup": 1, "download": 2, "batch": 2, "benchmark": 1}

        def start_attempt(job: Job) -> Attempt:
            return Attempt(job, bus, changed=lambda attempt: queue.changed(attempt.job))

        runner = JobRunner(database, queue, kinds, slots, settings.jobs, start_attempt)
        jobs = JobService(database, queue, runner, bus)
        stack.push_async_callback(jobs.close)
        remote = RemoteImages(enabled=settings.inputs.remote)
        inputs = InputStore(database, storage, queue, PictureReader(pool), remote)
        prompts = PromptBook(database)
        images = ImageService(
            database, storage, registry, sizing, queue, jobs, pool, bus, inputs, prompts, settings.runtime
        )
        grids = GridService(storage, registry, queue, jobs, bus, inputs, images)
        verifier = Verifier(database, storage, registry, queue, jobs, bus, inputs, images.maker)
        gallery = Gallery(database, storage, jobs, bus)
        delivery = Delivery(images, gallery, jobs)
        files = FileStore(database, storage, settings.batches.file_bytes, needs)
        openai_images = OpenAIImages(registry, delivery, inputs, files)
        targets = Targets(registry, sizing, bus, dict(settings.chat.aliases))
        shared = SharedLeases(pool)
        meter = Meter(database)
        patience = Patience.of(settings.chat.first_byte_seconds, settings.chat.idle_seconds)
        screen = Screen(remote.data_url if remote.enabled else None)
        serving = ChatServing(
            targets,
            shared,
            Watch(patience),
            screen,
            meter,
            set_up=environment_jobs.until_ready,
            sizing=sizing,
            wait_seconds=settings.chat.wait_seconds,
        )
        if door := getattr(app.state, "door", None):  # an application without doors has its services all the same
            door.open(serving, Keys(gate), Caps(settings.chat.limit, settings.chat.limit_each))
            stack.callback(door.close)
        captions = Captions(registry, inputs, serving)
        enlarger = Enlarger(registry, sizing, pool)
        sdapi = SdApi(Checkpoints(registry), delivery, inputs, prompts, captions, storage.sdapi_options, enlarger)
        translator = Translator(settings.translation, serving)
        creatures = CreatureService(
            settings.creatures, settings.log, settings.server, registry, images, gallery, serving
        )
        answers = Answers(database, bus, serving, inputs)
        conversations = Conversations(database, bus, inputs, answers)
        catalogue = Catalogue()
        outlines = Outlines(catalogue, sizing)
        downloads = Downloads(
            database,
            queue,
            jobs,
            registry,
            hub_client,
            catalogue,
            pool,
            bus,
            outlines=outlines,
            cache=settings.storage.model_cache_dir,
        )
        batch_work = BatchWork(database, storage, BatchEndpoints(serving, openai_images), settings.batches)
        batches = BatchService(database, storage, queue, jobs, files, batch_work)
        benchmarks = Benchmarks(database, queue, jobs, serving)
        kinds.update(handlers(images, grids, verifier, downloads, environment_jobs, batch_work, benchmarks))
        watch = DeviceWatch(monitor, pool, bus)
        inspector = DependencyInspector(environments, monitor, storage.instance)
        system = SystemService(
            database,
            storage,
            pool,
            watch,
            environment_jobs,
            runner,
            jobs,
            bus,
            inspector,
            AdminStatus(watch, inspector, registry),
            settings.server.advertised_hosts,
            settings.creatures.backend,
        )
        pool.lacks = environment_jobs.wanted
        environment_jobs.changed = system.environment_changed

        preparing: list[asyncio.Task[None]] = []

        async def snapshot(actor: Actor) -> SnapshotFrame:
            # Somebody looks at the page: a picture may be wanted soon.
            if not preparing or (preparing[0].done() and not pool.running()):
                preparing[:] = [asyncio.create_task(images.prepare(), name="images.prepare")]
            return SnapshotFrame(
                epoch=hub.epoch,
                seq=hub.seq,
                jobs=await jobs.active_and_recent(actor),
                previews=jobs.previews(actor),
                workers=system.workers(actor),
                environments=system.environments(),
                devices=system.devices(),
                host=system.host(),
            )

        planner = Planner(registry, sizing, pool, outlines)
        app.state.services = Services(
            gate,
            accounts,
            sign_in_limit,
            jobs,
            registry,
            hub_client,
            downloads,
            HubTokens(tokens, hub_client),
            loader,
            planner,
            images,
            gallery,
            inputs,
            SettingsReader(inputs, registry, prompts),
            verifier,
            prompts,
            Editor(database, bus),
            Collections(database, bus),
            grids,
            Archive(database, storage),
            Usage(database, storage, gallery),
            creatures,
            system,
            openai_images,
            serving,
            sdapi,
            files,
            batches,
            benchmarks,
            translator,
            conversations,
            ConversationFiles(database, conversations, inputs),
            ChatPresets(database),
        )
        app.state.live = LiveSocket(hub, gate, snapshot)
        stack.push_async_callback(loader.close)
        features = (gallery, inputs, creatures, files, batches, answers, conversations)
        talking = (shared, meter, serving)
        parts = (hub, pool, *talking, learning, registry, downloads, runner, environment_jobs, *features, watch)
        for part in (*parts, inspector):
            if hasattr(part, "start"):
                await part.start()
            if hasattr(part, "close"):
                stack.push_async_callback(part.close)
        garbage.settle()
        log.info("startup.config", data_dir=str(storage.root), version=__version__, open=gate.is_open)
        yield
        log.info("shutdown")


def _allowed(settings: ChatSettings) -> dict[str, set[str]]:
    """Which models the holder of each key may run. An alias stands for its model."""
    aliases = dict(settings.aliases)
    return {holder_id(key): {aliases.get(name, name) for name in names} for key, names in settings.key_models}


def _park_budget(settings: RuntimeSettings) -> int:
    """Host memory for the weights of parked models: half of the machine's, unless somebody says otherwise."""
    given = settings.park_budget_bytes
    return psutil.virtual_memory().total // 2 if given is None else given


def _sockets_dir(stack: AsyncExitStack, root: Path, instance: str) -> Path:
    """A 0700 folder for the workers' sockets, outside the data folder: socket paths may have 107 bytes at most.

    Its name comes from the instance, so that the next server of the same data folder finds what a killed one left.
    """
    folder = root / f"atelier-{os.getuid()}-{instance[:12]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or folder.is_symlink():
        raise RuntimeError(f"{folder} belongs to somebody else; remove it or set XDG_RUNTIME_DIR")
    folder.chmod(0o700)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _serve_dashboard(app: FastAPI, folder: Path) -> None:
    if (folder / "index.html").is_file():
        app.frontend("/", directory=folder, fallback="index.html", check_dir=False)
        return

    @app.get("/", include_in_schema=False)
    async def not_built() -> PlainTextResponse:
        return PlainTextResponse(
            "The dashboard has not been built. Start Atelier with ./run.sh, or see /docs for the API.\n"
        )
