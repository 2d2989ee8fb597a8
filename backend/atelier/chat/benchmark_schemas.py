"""Wire shapes of `/api/chat/benchmarks`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from atelier.tables import JobStatus

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Level = Annotated[int, Field(ge=1, le=512)]


class BenchmarkIn(BaseModel):
    """How fast models answer, at how many requests at once."""

    models: list[Name] = Field(min_length=1, max_length=16, description="Keys, repositories or aliases.")
    concurrency: list[Level] = Field([1, 2, 4, 8], min_length=1, max_length=12, description="Requests at once.")
    requests: int = Field(16, ge=1, le=2000, description="At each level.")
    prompt_tokens: int = Field(128, ge=8, le=32_768, description="Of every prompt, nearly.")
    output_tokens: int = Field(64, ge=1, le=8192, description="Of every answer at most; where the engine can, exactly.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of the order of the models, and of the prompts.")
    rounds: int = Field(1, ge=1, le=20, description="So often each level is measured, the models in a new order.")
    ttft_goal_ms: float | None = Field(None, gt=0, le=3_600_000, description="An answer counts as good up to it.")
    tpot_goal_ms: float | None = Field(None, gt=0, le=3_600_000, description="The same, per token after the first.")
    name: str = Field("", max_length=100)


class SpreadOut(BaseModel):
    """Milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float


class FiguresOut(BaseModel):
    """Of one model at one level, as `vllm bench serve` names them."""

    completed: int
    failed: int
    error: str | None = Field(None, max_length=500, description="Of the first request that failed.")
    duration_seconds: float
    input_tokens: int
    output_tokens: int
    request_throughput: float = Field(description="Answers per second.")
    output_throughput: float = Field(description="Tokens of answers per second.")
    total_token_throughput: float = Field(description="Tokens of prompts and answers per second.")
    ttft_ms: SpreadOut | None = Field(description="Time to first token.")
    tpot_ms: SpreadOut | None = Field(description="Time per output token after the first.")
    itl_ms: SpreadOut | None = Field(description="Between tokens; those that came together share the time equally.")
    icl_ms: SpreadOut | None = Field(None, description="Between one arrival and the next, whatever came with it.")
    e2el_ms: SpreadOut | None = Field(description="From the request to the end of its answer.")
    goodput: float | None = Field(None, ge=0, le=1, description="Share of the requests within the goals, if any.")


class StageOut(BaseModel):
    model: Name
    concurrency: Level
    figures: FiguresOut


class ReportIn(BaseModel):
    """What `atelier bench chat` measured, perhaps at another server, to be kept and compared here."""

    name: str = Field("", max_length=100)
    server: str = Field(max_length=200, description="Where it was measured.")
    settings: BenchmarkIn
    stages: list[StageOut] = Field(min_length=1, max_length=192)


class BenchmarkOut(BaseModel):
    id: str
    name: str
    server: str = Field(description="Empty for this Atelier.")
    job_id: str | None = Field(description="The job that measures it; null for one that was measured elsewhere.")
    status: JobStatus
    settings: BenchmarkIn
    stages: list[StageOut] = Field(description="What is measured so far, by model and concurrency.")
    created_at: datetime


class BenchmarkList(BaseModel):
    items: list[BenchmarkOut]
