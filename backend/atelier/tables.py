"""The rows. One home for each fact; what is loaded where is not here (the worker pool's memory knows)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column
from sqlalchemy.types import TypeDecorator


class JobStatus(StrEnum):
    """
    queued ──claim (runner)──> running ──finish (runner, fenced by attempt)──> completed
       ^                          │ ├──engine's own error, or poison───────────> failed
       │                          │ └──cancel asked────────────────────────────> cancelled
       ├──lease lost, restart <───┘
       └──retry (user) <── failed, cancelled          queued ──cancel (user)──> cancelled
    """

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


class JobKind(StrEnum):
    """Everything that the queue can run; `atelier.kinds` maps each to its handler."""

    IMAGE_GENERATE = "image.generate"
    IMAGE_GRID = "image.grid"
    IMAGE_VERIFY = "image.verify"
    ENVIRONMENT_BUILD = "environment.build"
    MODEL_DOWNLOAD = "model.download"
    BATCH = "batch"
    CHAT_BENCHMARK = "chat.benchmark"


class UTCDateTime(TypeDecorator):
    """A time in UTC; SQLite forgets the zone, this puts it back. In the file as SQLAlchemy's own DateTime writes it."""

    impl = DateTime
    cache_ok = True

    def bind_processor(self, dialect: Any) -> Any:
        return _to_file

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return _from_file


# Rows written or read together mostly share their moments.
@lru_cache(maxsize=256)
def _to_file(value: datetime | None) -> str | None:
    return value and value.replace(tzinfo=None).isoformat(" ", "microseconds")


@lru_cache(maxsize=256)
def _from_file(value: str | None) -> datetime | None:
    return value and datetime.fromisoformat(value).replace(tzinfo=UTC)


class Row(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime, dict[str, Any]: JSON, list[Any]: JSON}


class UserRow(Row):
    """Someone who owns things: the local administrator, and whoever has an account. Without a `password_hash` nobody
    can sign in as them."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]


class JobRow(Row):
    """What someone asked for, how far it is, how it ended. `seq` orders; `attempt` fences."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "uq_jobs_owner_id_idempotency_key",
            "owner_id",
            "idempotency_key",
            unique=True,
            sqlite_where=text("idempotency_key IS NOT NULL"),
        ),
        # The queue: only rows that wait, in the order in which they are claimed.
        Index("ix_jobs_waiting", text("priority DESC"), "seq", sqlite_where=text("status = 'queued'")),
        Index("ix_jobs_active", "seq", sqlite_where=text("status IN ('queued', 'running')")),
        Index("ix_jobs_owner_seq", "owner_id", "seq"),
        # What is rare among the others, for the filters of the list; nothing to keep for a picture that is completed.
        Index("ix_jobs_failed", "seq", sqlite_where=text("status = 'failed'")),
        Index("ix_jobs_cancelled", "seq", sqlite_where=text("status = 'cancelled'")),
        Index("ix_jobs_no_picture", "kind", "seq", sqlite_where=text("kind <> 'image.generate'")),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16))
    priority: Mapped[int] = mapped_column(default=0)
    request: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    attempt: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int] = mapped_column(default=0)
    message: Mapped[str | None] = mapped_column(String(500))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    hidden: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


@dataclass(slots=True, eq=False)
class Job:
    """A row of `jobs` as everybody outside the queries holds it: plain values in the order of the table's columns, tied
    to no session. Whoever writes the row keeps its record in step."""

    seq: int  # 0 in what `submit` answers: the row's place was not read back
    id: str
    kind: str
    owner_id: str
    title: str
    status: str
    priority: int
    request: dict[str, Any]
    idempotency_key: str | None
    attempt: int
    crashes: int
    lease_until: datetime | None
    cancel_requested: bool
    step: int
    total_steps: int
    message: str | None
    error: dict[str, Any] | None
    hidden: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ImageRow(Row):
    """One published picture or video. Its files lie at `storage.image_file(job_id, f"{index}.{format}")`.
    `parent_id` is the picture that it was made from; `rating` 0 (none) to 5. `verified` is what
    came of making it again from its recipe. `tags_json`, `collections_json` are read
    along with every row (see below the tables)."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "index"),
        Index("ix_images_gallery", "owner_id", "seq", sqlite_where=text("deleted_at IS NULL")),
        Index("ix_images_model", "model", "seq", sqlite_where=text("deleted_at IS NULL")),
        Index("ix_images_trash", "deleted_at", sqlite_where=text("deleted_at IS NOT NULL")),
        Index("ix_images_favourite", "seq", sqlite_where=text("favourite = 1 AND deleted_at IS NULL")),
        Index("ix_images_rating", "rating", "seq", sqlite_where=text("deleted_at IS NULL")),
        Index("ix_images_size", "width", "height", "seq", sqlite_where=text("deleted_at IS NULL")),
        Index("ix_images_created", "created_at", "seq", sqlite_where=text("deleted_at IS NULL")),
        Index(
            "ix_images_aspect",
            text("(width > height) - (width < height)"),
            "seq",
            sqlite_where=text("deleted_at IS NULL"),
        ),
        Index("ix_images_video", "seq", sqlite_where=text("kind = 'video' AND deleted_at IS NULL")),
        Index("ix_images_parent", "parent_id", sqlite_where=text("parent_id IS NOT NULL")),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    job_id: Mapped[str] = mapped_column(String(32))
    index: Mapped[int]
    format: Mapped[str] = mapped_column(String(8))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int]
    model: Mapped[str] = mapped_column(String(200))
    prompt: Mapped[str]
    recipe: Mapped[dict[str, Any]]
    kind: Mapped[str] = mapped_column(String(8), default="image")
    parent_id: Mapped[str | None] = mapped_column(String(32))
    favourite: Mapped[bool] = mapped_column(default=False)
    rating: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(default="")
    verified: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    @property
    def tags(self) -> list[str]:
        return self._listed("tags_json")

    @property
    def collections(self) -> list[str]:
        return self._listed("collections_json")

    def _listed(self, name: str) -> list[str]:
        # Not by attribute: a row that was only just added has none, and must not go and ask for it.
        return sorted(json.loads(self.__dict__.get(name) or "[]"))


class ImageTagRow(Row):
    """A word that someone put on a picture."""

    __tablename__ = "image_tags"
    __table_args__ = (Index("ix_image_tags_tag", "tag", "image_seq"),)

    image_seq: Mapped[int] = mapped_column(ForeignKey("images.seq", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)


class ImageLoraRow(Row):
    """A LoRA that a picture was made with: a trigger keeps it from the recipe."""

    __tablename__ = "image_loras"
    __table_args__ = (Index("ix_image_loras_image", "image_seq"),)

    lora: Mapped[str] = mapped_column(String(200), primary_key=True)
    image_seq: Mapped[int] = mapped_column(ForeignKey("images.seq", ondelete="CASCADE"), primary_key=True)


class CollectionRow(Row):
    """Pictures that belong together, by name."""

    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]


class CollectionImageRow(Row):
    """A picture may be in several collections."""

    __tablename__ = "collection_images"
    __table_args__ = (Index("ix_collection_images_image", "image_seq"),)

    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    image_seq: Mapped[int] = mapped_column(ForeignKey("images.seq", ondelete="CASCADE"), primary_key=True)


def _listed_with(column: Any, image_seq: Any) -> Any:
    """The values of `column` that name the picture of the row, as a JSON list: one look into an index for each row."""
    listed = select(func.json_group_array(column)).where(image_seq == ImageRow.__table__.c.seq)
    return column_property(listed.correlate(ImageRow.__table__).scalar_subquery(), expire_on_flush=False)


ImageRow.tags_json = _listed_with(ImageTagRow.tag, ImageTagRow.image_seq)
ImageRow.collections_json = _listed_with(CollectionImageRow.collection_id, CollectionImageRow.image_seq)


class InputRow(Row):
    """An uploaded picture or mask that requests start from: decoded, turned upright and written anew as a PNG at
    `storage.input_file(id)`. `used_at`: the last request that named it; what no picture came from goes after a day."""

    __tablename__ = "inputs"
    __table_args__ = (Index("ix_inputs_sha256", "owner_id", "sha256"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime]


class PromptRow(Row):
    """A prompt that was used (kept by its words, once), or a named style that is added to others."""

    __tablename__ = "prompts"
    __table_args__ = (
        UniqueConstraint("owner_id", "kind", "name"),
        Index("ix_prompts_used", "owner_id", "kind", "used_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(8))  # "used" or "style"
    name: Mapped[str] = mapped_column(String(100))  # of a style; of a used prompt: the hash of its words
    prompt: Mapped[str]
    negative_prompt: Mapped[str] = mapped_column(default="")
    favourite: Mapped[bool] = mapped_column(default=False)
    uses: Mapped[int] = mapped_column(default=0)
    used_at: Mapped[datetime]


class ModelRow(Row):
    """Weights that we know about, and what they can do. `path` is relative to the repository for embedded models.
    `bytes_needed` is what its files take; what a worker needs is estimated and learned (`models.sizing`).
    `dtype` and `parameters` are of the weights as they lie there; `base` is what a LoRA says it was made for; `repo`
    and `commit` say where it comes from on the hub. `download_job` is the job that fetches it: null once its files are
    there, and only then can it be used. A download that was `download_paused` waits for somebody to go on with it."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("owner_id", "key"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    key: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    task: Mapped[str] = mapped_column(String(16))
    type: Mapped[str] = mapped_column(String(16))
    family: Mapped[str] = mapped_column(String(32))
    engine: Mapped[str] = mapped_column(String(32))
    pipeline: Mapped[str | None] = mapped_column(String(100))
    base: Mapped[str | None] = mapped_column(String(200))
    repo: Mapped[str | None] = mapped_column(String(200))
    commit: Mapped[str | None] = mapped_column(String(40))
    download_job: Mapped[str | None] = mapped_column(String(32))
    download_paused: Mapped[bool] = mapped_column(default=False)
    dtype: Mapped[str] = mapped_column(String(16), default="")
    parameters: Mapped[int] = mapped_column(default=0)
    source: Mapped[str] = mapped_column(String(16))
    path: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    license: Mapped[str] = mapped_column(String(64), default="")
    size_bytes: Mapped[int] = mapped_column(default=0)
    bytes_needed: Mapped[int] = mapped_column(default=0)
    shared: Mapped[bool] = mapped_column(default=False)
    pinned: Mapped[bool] = mapped_column(default=False)
    defaults: Mapped[dict[str, Any]]
    limits: Mapped[dict[str, Any]]
    tags: Mapped[list[Any]]
    load_options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


class MemoryObservationRow(Row):
    """What one load or run of a model took: `peak_bytes` of device memory and `seconds`. `moving_bytes` is what the
    formulas said of its size, `amount` how much work it was; `bucket` says which sizes count as the same one."""

    __tablename__ = "memory_observations"
    __table_args__ = (Index("ix_memory_observations_model", "model_id", "device_kind", "options"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    device_kind: Mapped[str] = mapped_column(String(8))
    options: Mapped[str] = mapped_column(String(200))
    event: Mapped[str] = mapped_column(String(8))
    bucket: Mapped[int]
    moving_bytes: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[float]
    peak_bytes: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
    created_at: Mapped[datetime]


class UsageRow(Row):
    """What somebody (or a key) used of a model on one path of `/v1` in one hour: requests, how many of them failed,
    tokens, and the seconds that they took. `model` is a key: what was used is told after the model has gone too."""

    __tablename__ = "usage"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    path: Mapped[str] = mapped_column(String(64), primary_key=True)
    requests: Mapped[int]
    failed: Mapped[int]
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]


class FileRow(Row):
    """A file of /v1/files: what somebody gave, or what a batch answered. Its bytes lie at `storage.given_file(id)`."""

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_owner_seq", "owner_id", "seq"),
        Index("ix_files_expires", "expires_at", sqlite_where=text("expires_at IS NOT NULL")),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    filename: Mapped[str] = mapped_column(String(255))
    purpose: Mapped[str] = mapped_column(String(32))
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class BatchRow(Row):
    """A file of requests that is answered by the job `job_id`. `ended` is how: completed, failed, expired or cancelled;
    null until then. What it is doing before that follows from the times. `errors` says why it failed, line by line."""

    __tablename__ = "batches"
    __table_args__ = (
        Index("ix_batches_owner_seq", "owner_id", "seq"),
        Index("ix_batches_open", "seq", sqlite_where=text("ended IS NULL")),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    job_id: Mapped[str] = mapped_column(String(32))
    endpoint: Mapped[str] = mapped_column(String(64))
    input_file_id: Mapped[str] = mapped_column(String(32))
    output_file_id: Mapped[str | None] = mapped_column(String(32))
    error_file_id: Mapped[str | None] = mapped_column(String(32))
    completion_window: Mapped[str] = mapped_column(String(8))
    output_seconds: Mapped[int | None]
    details: Mapped[dict[str, Any]]
    errors: Mapped[list[Any]]
    total: Mapped[int] = mapped_column(default=0)
    completed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    ended: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    in_progress_at: Mapped[datetime | None]
    finalizing_at: Mapped[datetime | None]
    cancelling_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class AnswerState(StrEnum):
    """
    growing ──its end──> complete
       ├──stopped by its user────> stopped       what there is by then is kept
       ├──the engine's error─────> failed
       └──the server went away───> interrupted
    """

    GROWING = "growing"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class ConversationRow(Row):
    """Somebody's talk with a model; its messages are a tree. `head_id` is the message at whose end its owner stands.
    `beside_of` is the conversation that it is shown beside, with another model: the list has only that one."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index(
            "ix_conversations_list",
            "owner_id",
            "archived",
            "pinned",
            "updated_at",
            sqlite_where=text("deleted_at IS NULL AND beside_of IS NULL"),
        ),
        Index("ix_conversations_trash", "deleted_at", sqlite_where=text("deleted_at IS NOT NULL")),
        Index("ix_conversations_beside", "beside_of", sqlite_where=text("beside_of IS NOT NULL")),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(200), default="")
    model: Mapped[str | None] = mapped_column(String(200))
    system_prompt: Mapped[str] = mapped_column(default="")
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    pinned: Mapped[bool] = mapped_column(default=False)
    archived: Mapped[bool] = mapped_column(default=False)
    beside_of: Mapped[str | None] = mapped_column(String(32))
    head_id: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class MessageRow(Row):
    """One message of a conversation; what was said before it is found along `parent_id`. `pictures` are ids of uploads
    and of the gallery; `usage` counts tokens, `timing` seconds."""

    __tablename__ = "chat_messages"
    __table_args__ = (
        Index("ix_chat_messages_conversation", "conversation_id", "seq"),
        Index("ix_chat_messages_growing", "seq", sqlite_where=text("state = 'growing'")),
        Index("ix_chat_messages_pictures", "seq", sqlite_where=text("pictures <> '[]'")),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(String(32))
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(default="")
    pictures: Mapped[list[Any]] = mapped_column(default=list)
    reasoning: Mapped[str] = mapped_column(default="")
    tool_calls: Mapped[list[Any]] = mapped_column(default=list)
    tool_call_id: Mapped[str | None] = mapped_column(String(200))
    model: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    finish_reason: Mapped[str | None] = mapped_column(String(32))
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    timing: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ChatPresetRow(Row):
    """A system prompt with parameters and perhaps a model, by name, to begin conversations with."""

    __tablename__ = "chat_presets"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(60))
    system_prompt: Mapped[str] = mapped_column(default="")
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    model: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]


class BenchmarkRow(Row):
    """How fast chat models answer: what was asked. Measured by the job `job_id`, or elsewhere, at `server`."""

    __tablename__ = "benchmarks"
    __table_args__ = (Index("ix_benchmarks_owner_seq", "owner_id", "seq"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    job_id: Mapped[str | None] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(100))
    server: Mapped[str] = mapped_column(String(200), default="")
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class BenchmarkResultRow(Row):
    """What one model did at one level of concurrency (`chat.benchmark_schemas.FiguresOut`)."""

    __tablename__ = "benchmark_results"
    __table_args__ = (UniqueConstraint("benchmark_id", "model", "concurrency"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    benchmark_id: Mapped[str] = mapped_column(ForeignKey("benchmarks.id", ondelete="CASCADE"))
    model: Mapped[str] = mapped_column(String(200))
    concurrency: Mapped[int]
    figures: Mapped[dict[str, Any]]
