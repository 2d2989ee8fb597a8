"""Every event that browsers receive, and the bus that carries them inside the server.

Events are hints: a browser that missed them all and reloads sees the same thing through REST. Each is encoded once,
here, whatever the number of listeners. Progress is coalesced by `live.hub`: the latest wins, nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, Field

from atelier.shapes import (
    DeviceOut,
    EnvironmentOut,
    HostOut,
    ImageOut,
    JobOut,
    PreviewOut,
    SaidOut,
    WorkerOut,
)


class JobChanged(BaseModel):
    type: Literal["job.changed"] = "job.changed"
    job: JobOut


class JobProgress(BaseModel):
    """At most four a second for each job, never after the `job.changed` that ends it."""

    type: Literal["job.progress"] = "job.progress"
    id: str
    attempt: int
    progress: float
    step: int
    total_steps: int
    message: str | None = None
    said: SaidOut | None = None
    eta_seconds: float | None = None
    previews: list[PreviewOut] | None = None


class JobRemoved(BaseModel):
    type: Literal["job.removed"] = "job.removed"
    id: str


class ImagesAdded(BaseModel):
    type: Literal["images.added"] = "images.added"
    job_id: str
    images: list[ImageOut]


class ImagesRemoved(BaseModel):
    type: Literal["images.removed"] = "images.removed"
    ids: list[str]


class ImagesRestored(BaseModel):
    type: Literal["images.restored"] = "images.restored"
    images: list[ImageOut]


class ImagesChanged(BaseModel):
    """Somebody rated them, put a word on them, moved them to a collection."""

    type: Literal["images.changed"] = "images.changed"
    images: list[ImageOut]


class CollectionsChanged(BaseModel):
    """A collection was made, renamed or deleted, or holds other pictures: ask GET /api/collections again."""

    type: Literal["collections.changed"] = "collections.changed"


class WorkerChanged(BaseModel):
    """`stopped` and `failed` mean that it is gone."""

    type: Literal["worker.changed"] = "worker.changed"
    worker: WorkerOut


class EnvironmentChanged(BaseModel):
    type: Literal["environment.changed"] = "environment.changed"
    environment: EnvironmentOut


class ModelsChanged(BaseModel):
    """A model was added, changed or removed: ask GET /api/models/ again."""

    type: Literal["models.changed"] = "models.changed"


class ConversationChanged(BaseModel):
    """Something was said in it, or it was renamed, deleted, taken back: ask GET /api/chat/conversations again."""

    type: Literal["conversation.changed"] = "conversation.changed"
    id: str


class DevicesSampled(BaseModel):
    type: Literal["devices.sampled"] = "devices.sampled"
    at: float = Field(description="Seconds since 1970, as in GET /api/system/history.")
    devices: list[DeviceOut]
    host: HostOut


Event = Annotated[
    JobChanged
    | JobProgress
    | JobRemoved
    | ImagesAdded
    | ImagesRemoved
    | ImagesRestored
    | ImagesChanged
    | CollectionsChanged
    | WorkerChanged
    | EnvironmentChanged
    | ModelsChanged
    | ConversationChanged
    | DevicesSampled,
    Field(discriminator="type"),
]


@dataclass(frozen=True, slots=True)
class Envelope:
    """An encoded event on its way. `owner` None means that everyone may see it, but those who may see what
    is of `others_than`; `key` names what a later event of the same key replaces while it still waits (None: never
    replaced)."""

    body: bytes
    owner: str | None
    key: str | None
    others_than: str | None = None


class EventBus:
    """Hands each event to its listeners, at once and in order. Listeners must be quick and must not raise."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Envelope], None]] = []
        self._followers: dict[str, list[Callable[[JobChanged | JobProgress], None]]] = {}

    def listen(self, listener: Callable[[Envelope], None]) -> None:
        self._listeners.append(listener)

    def follow(self, job_id: str, heard: Callable[[JobChanged | JobProgress], None]) -> Callable[[], None]:
        """`heard` gets the events of one job as they are, inside the server, until the answer is called."""
        followers = self._followers.setdefault(job_id, [])
        followers.append(heard)

        def leave() -> None:
            followers.remove(heard)
            if not followers and self._followers.get(job_id) is followers:
                del self._followers[job_id]

        return leave

    def publish(
        self, event: BaseModel, *, owner: str | None = None, key: str | None = None, others_than: str | None = None
    ) -> None:
        """Encode `event` once and hand it on. Call it after the commit that made it true."""
        if self._followers and isinstance(event, JobChanged | JobProgress):
            job_id = event.job.id if isinstance(event, JobChanged) else event.id
            for heard in tuple(self._followers.get(job_id, ())):
                heard(event)
        if not self._listeners:
            return
        envelope = Envelope(orjson.dumps(event.model_dump(mode="json")), owner, key, others_than)
        for listener in self._listeners:
            listener(envelope)
