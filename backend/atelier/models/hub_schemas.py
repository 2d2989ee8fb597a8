"""Wire shapes of the hub: search, plans, downloads, the catalogue, the token."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from atelier.models.schemas import HELPED, KEY, DownloadOut, Task
from atelier.shapes import JobOut, SaidOut

RepoName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$", max_length=193),
    Field(description="A repository on the hub, as `owner/name`.", examples=["stabilityai/sdxl-turbo"]),
]
Revision = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][\w-]*(\.[\w-]+)*(/[\w-]+(\.[\w-]+)*)*$", max_length=100),
    Field(description="A branch, a tag, or a commit."),
]
ModelType = Literal["base_model", "lora", "fine_tune"]


class HubModelOut(BaseModel):
    """A repository that a search found. What it is, is guessed from its tags; a plan looks closer."""

    repo: str
    page_url: str = Field(description="Its page on the hub.")
    task: Task | None = Field(description="What it seems to do; null when Atelier has no use for it.")
    family: str | None
    downloads: int = Field(description="In the last 30 days.")
    likes: int
    gated: bool = Field(description="True when its terms have to be accepted on its page first.")
    private: bool
    license: str | None
    updated_at: datetime | None
    library: str | None
    parameters: int | None
    tags: list[str]
    key: str | None = Field(description="The model that it is here already.")


SingleFile = Annotated[
    str,
    Field(
        max_length=200,
        pattern=r"^([^/\\\x00-\x1f]+\.safetensors)?$",
        description="Of a repository that holds several models of one file each, as many LoRAs do: which of its files. "
        "A plan without it lists them as `choices`.",
    ),
]


class HubSearchOut(BaseModel):
    endpoint: str = Field(description="The hub that was asked: Hugging Face, or the configured mirror.")
    items: list[HubModelOut]


class HubPlanIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    repo: RepoName
    revision: Revision = "main"
    file: SingleFile = ""


class HubChoiceOut(BaseModel):
    """One of several models of one file in a repository."""

    path: str
    size_bytes: int
    key: str | None = Field(description="The model that it is here already.")


class PlannedFileOut(BaseModel):
    path: str
    size_bytes: int
    sha256: str | None = Field(
        description="Of files that the hub stores as large ones; others are checked by git's hash."
    )
    present_bytes: int = Field(description="Bytes of it that lie in the model cache already.")


class RemarkOut(BaseModel):
    """A sentence for a person."""

    message: str
    said: SaidOut | None = Field(description="Which sentence `message` is.")

    @classmethod
    def of(cls, text: str) -> RemarkOut:
        return cls(message=text, said=SaidOut.of(text))


class RefusedFileOut(BaseModel):
    path: str
    size_bytes: int
    why: Literal["code", "pickle", "archive", "format", "copy", "unneeded"]
    remark: RemarkOut


class HubPlanOut(BaseModel):
    """What a download would do. Nothing but a few small configs was fetched for it."""

    repo: str
    revision: str
    commit: str
    page_url: str
    key: str | None = Field(description="The model that this commit is here already.")
    suggested_key: str
    name: str
    kind: Literal["diffusers", "transformers", "peft", "single file", "pickled"]
    task: Task | None
    type: ModelType
    family: str | None
    pipeline: str | None = Field(description="The pipeline's or the architecture's class.")
    runnable: bool = Field(description="Whether an engine of this Atelier can run it.")
    license: str | None
    gated: bool
    can_access: bool = Field(description="False for a gated repository whose terms were not accepted: see `page_url`.")
    private: bool
    downloads: int
    likes: int
    updated_at: datetime | None
    library: str | None
    parameters: int | None
    choices: list[HubChoiceOut] = Field(
        description="Models of one file each, of which one has to be named in `file`; empty when nothing is open."
    )
    files: list[PlannedFileOut]
    refused: list[RefusedFileOut] = Field(description="What stays on the hub, and why.")
    total_bytes: int
    present_bytes: int
    fetch_bytes: int = Field(description="What is still to be fetched.")
    free_bytes: int = Field(description="On the disk of the model cache.")
    reserve_bytes: int = Field(description="What a download leaves free.")
    fits: bool = Field(description="On the disk.")
    bytes_needed: int | None = Field(
        description="Memory of a device that it is expected to take here; null where nothing runs it. "
        "`POST /api/plan` says more."
    )
    helped: bool = Field(False, description=HELPED)
    warnings: list[RemarkOut]


class DownloadIn(BaseModel):
    """A model to fetch from the hub."""

    model_config = ConfigDict(extra="forbid")

    repo: RepoName
    revision: Revision = "main"
    file: SingleFile = ""
    key: str | None = Field(None, pattern=KEY, description="How requests name it. From the repository when left out.")
    name: str | None = Field(None, min_length=1, max_length=200)


class DownloadAcceptedOut(BaseModel):
    """The download is safe in the queue; the model can be used when the job has completed."""

    key: str
    job: JobOut
    download: DownloadOut | None


class DependentJobOut(BaseModel):
    id: str
    title: str
    status: str


class ConsequencesOut(BaseModel):
    """What goes when a model is deleted."""

    key: str
    removable: bool
    reason: RemarkOut | None = Field(description="Why it cannot be deleted now.")
    files: Literal["deleted", "kept"] = Field(description="`kept` for files that were there before Atelier.")
    bytes_freed: int
    loras: list[str] = Field(
        description="Keys of the LoRAs and embeddings that were made for it, or for its family when no other model of "
        "that is here; they stay, without their base."
    )
    jobs: list[DependentJobOut] = Field(description="Jobs that wait for it or run with it.")
    workers: list[str] = Field(description="Ids of the workers that hold it; they are stopped.")


class CatalogueItemOut(BaseModel):
    """A model that is known to work well, ready to be downloaded by its key."""

    key: str
    name: str
    repo: str
    revision: str
    task: Task
    engine: str | None = Field(description="The engine that runs it; null until there is one.")
    family: str
    license: str
    gated: bool
    size_bytes: int = Field(description="Approximate size of the download.")
    bytes_needed: int = Field(description="Memory of a device that it is expected to take here.")
    helped: bool = Field(False, description=HELPED)
    description: str
    page_url: str
    state: Literal["absent", "downloading", "present"]


class CatalogueOut(BaseModel):
    items: list[CatalogueItemOut]


class TokenIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^[\x21-\x7e]+$",
        description="An access token of Hugging Face; one that may only read is enough. It is never shown again.",
    )


class TokenOut(BaseModel):
    """What is known of the hub's token; never the token."""

    is_set: bool
    source: Literal["stored", "environment"] | None = Field(description="A stored one comes before HUGGINGFACE_TOKEN.")
    name: str | None = Field(description="Whose it is, as the hub said when it was checked.")
    checked_at: datetime | None
    remark: RemarkOut | None = Field(description="Why it could not be checked.")
