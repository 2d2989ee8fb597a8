"""Wire shapes of `/v1/batches`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, StringConstraints

from atelier.openai.batch_journal import Tokens
from atelier.openai.file_schemas import LEAST_SECONDS, MOST_SECONDS, seconds
from atelier.tables import BatchRow

Endpoint = Literal[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/images/generations",
    "/v1/audio/transcriptions",
]
Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
Key = Annotated[str, StringConstraints(max_length=64)]
Text = Annotated[str, StringConstraints(max_length=512)]


class ExpiresAfter(BaseModel):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(ge=LEAST_SECONDS, le=MOST_SECONDS)


class BatchIn(BaseModel):
    input_file_id: str = Field(max_length=64, description="A file of purpose `batch`: JSON lines, one request each.")
    endpoint: Endpoint = Field(description="What every line asks; transcription comes with speech.")
    completion_window: str = Field(
        "24h", pattern="^[1-9][0-9]{0,2}[hd]$", description="How long it may take, such as `24h` or `7d`."
    )
    metadata: dict[Key, Text] | None = Field(None, max_length=16)
    output_expires_after: ExpiresAfter | None = Field(None, description="When its output and error files go.")

    @property
    def window(self) -> timedelta:
        count = int(self.completion_window[:-1])
        return timedelta(hours=count) if self.completion_window[-1] == "h" else timedelta(days=count)


class LineError(BaseModel):
    """What is wrong with a batch, or with one line of its input."""

    code: str
    line: int | None = None
    message: str
    param: str | None = None


class LineErrors(BaseModel):
    object: Literal["list"] = "list"
    data: list[LineError]


class RequestCounts(BaseModel):
    total: int
    completed: int
    failed: int


class CachedTokens(BaseModel):
    cached_tokens: int


class ReasoningTokens(BaseModel):
    reasoning_tokens: int


class BatchUsage(BaseModel):
    """Tokens of all answers, as their engines counted them."""

    input_tokens: int
    input_tokens_details: CachedTokens
    output_tokens: int
    output_tokens_details: ReasoningTokens
    total_tokens: int

    @classmethod
    def of(cls, tokens: Tokens) -> BatchUsage:
        return cls(
            input_tokens=tokens.input,
            input_tokens_details=CachedTokens(cached_tokens=tokens.cached),
            output_tokens=tokens.output,
            output_tokens_details=ReasoningTokens(reasoning_tokens=tokens.reasoning),
            total_tokens=tokens.input + tokens.output,
        )


class Sums(NamedTuple):
    """Of what a batch has answered."""

    counts: RequestCounts
    tokens: Tokens


class BatchObject(BaseModel):
    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: LineErrors | None
    input_file_id: str
    completion_window: str
    status: Status
    output_file_id: str | None = Field(description="Once it has ended; before that see `/v1/batches/{id}/output`.")
    error_file_id: str | None
    created_at: int = Field(description="Seconds since 1970.")
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str] | None
    job_id: str = Field(description="The job that answers it, in /api/jobs.")
    input_filename: str

    @classmethod
    def of(cls, row: BatchRow, sums: Sums | None = None) -> BatchObject:
        """`sums`: of one that has not ended."""
        if sums is None:
            counts = RequestCounts(total=row.total, completed=row.completed, failed=row.failed)
            sums = Sums(counts, Tokens(*row.details.get("tokens", ())))
        ended = {f"{how}_at": None for how in ("completed", "failed", "expired", "cancelled")}
        if row.ended:
            ended[f"{row.ended}_at"] = seconds(row.ended_at)
        return cls(
            id=row.id,
            endpoint=row.endpoint,
            errors=LineErrors(data=[LineError(**one) for one in row.errors]) if row.errors else None,
            input_file_id=row.input_file_id,
            completion_window=row.completion_window,
            status=status_of(row),
            output_file_id=row.output_file_id,
            error_file_id=row.error_file_id,
            created_at=seconds(row.created_at) or 0,
            in_progress_at=seconds(row.in_progress_at),
            expires_at=seconds(row.expires_at) or 0,
            finalizing_at=seconds(row.finalizing_at),
            cancelling_at=seconds(row.cancelling_at),
            request_counts=sums.counts,
            usage=BatchUsage.of(sums.tokens),
            metadata=row.details.get("metadata"),
            job_id=row.job_id,
            input_filename=row.details.get("filename", ""),
            **ended,
        )


class BatchObjects(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


def status_of(row: BatchRow) -> Any:
    """
    validating ──every line is a request──> in_progress ──every line has its answer──> finalizing ──> completed
        │ └─a line is none──> failed            │ ├──its window is over──> expired
        └──cancel──> cancelling ──> cancelled <─┘ └──its job failed──────> failed
    """
    if row.ended:
        return row.ended
    if row.cancelling_at:
        return "cancelling"
    if row.finalizing_at:
        return "finalizing"
    return "in_progress" if row.in_progress_at else "validating"
