"""Frames of the live socket, for its documentation and for the types of the dashboard.

connect ──> snapshot | resumed ──> events* ──> (close 1013 when the client is too slow)
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from atelier.events import Event
from atelier.shapes import DeviceOut, EnvironmentOut, HostOut, JobOut, PreviewOut, WorkerOut


class SnapshotFrame(BaseModel):
    """The first frame: everything that is going on. `epoch` names this server run, `seq` the last event included."""

    type: Literal["snapshot"] = "snapshot"
    epoch: str
    seq: int
    jobs: list[JobOut] = Field(description="All active jobs and the newest that ended.")
    previews: dict[str, list[PreviewOut]] = Field({}, description="Of running jobs, by job: each picture as it stands.")
    workers: list[WorkerOut]
    environments: list[EnvironmentOut]
    devices: list[DeviceOut]
    host: HostOut


class ResumedFrame(BaseModel):
    """Instead of a snapshot, when `epoch` and `since` show that nothing but the following events was missed."""

    type: Literal["resumed"] = "resumed"
    epoch: str
    seq: int


class EventsFrame(BaseModel):
    """One or more events in order; `seq` is that of the last one."""

    type: Literal["events"] = "events"
    epoch: str
    seq: int
    events: list[Event]


class PongFrame(BaseModel):
    type: Literal["pong"] = "pong"
    seq: int


class LiveErrorFrame(BaseModel):
    """What the client sent cannot be used; the connection stays."""

    type: Literal["error"] = "error"
    status: int
    code: str
    field: str
    message: str


ServerFrame = Annotated[
    SnapshotFrame | ResumedFrame | EventsFrame | PongFrame | LiveErrorFrame, Field(discriminator="type")
]


class PingFrame(BaseModel):
    """The only thing that a client may send."""

    type: Literal["ping"] = "ping"
