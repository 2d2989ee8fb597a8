"""/api/chat/benchmarks"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query
from fastapi.responses import Response

from atelier.access.actor import User
from atelier.chat.benchmark_schemas import BenchmarkIn, BenchmarkList, BenchmarkOut, ReportIn
from atelier.chat.benchmarks import as_csv
from atelier.deps import ServicesDep
from atelier.routing import Router

router = Router(prefix="/api/chat/benchmarks", tags=["chat"])

BenchmarkId = Annotated[str, Path(max_length=64)]


@router.get("", summary="Benchmarks, newest first")
async def list_benchmarks(actor: User, services: ServicesDep) -> BenchmarkList:
    return await services.benchmarks.newest(actor)


@router.post("", status_code=202, summary="Measure how fast models answer")
async def create_benchmark(wanted: BenchmarkIn, actor: User, services: ServicesDep) -> BenchmarkOut:
    """The models are measured in a random order, each after a warm-up, at every level of concurrency. It is a job, and
    asks the models as everybody does: whoever uses them meanwhile is in the figures."""
    return await services.benchmarks.create(actor, wanted)


@router.post("/reports", status_code=201, summary="Keep what was measured elsewhere")
async def keep_report(report: ReportIn, actor: User, services: ServicesDep) -> BenchmarkOut:
    """What `atelier bench chat` hands in."""
    return await services.benchmarks.keep(actor, report)


@router.get("/{benchmark_id}", summary="One benchmark")
async def get_benchmark(benchmark_id: BenchmarkId, actor: User, services: ServicesDep) -> BenchmarkOut:
    return await services.benchmarks.get(actor, benchmark_id)


@router.get(
    "/{benchmark_id}/export",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}, "application/json": {}}, "description": "The file."}},
    summary="Download a benchmark",
)
async def export_benchmark(
    benchmark_id: BenchmarkId,
    actor: User,
    services: ServicesDep,
    form: Annotated[
        Literal["csv", "json"], Query(alias="format", description="A table, or everything as JSON.")
    ] = "csv",
) -> Response:
    found = await services.benchmarks.get(actor, benchmark_id)
    text = as_csv(found) if form == "csv" else found.model_dump_json(indent=2)
    headers = {"Content-Disposition": f'attachment; filename="{found.id}.{form}"'}
    return Response(text, media_type="text/csv" if form == "csv" else "application/json", headers=headers)


@router.delete("/{benchmark_id}", status_code=204, summary="Delete a benchmark")
async def delete_benchmark(benchmark_id: BenchmarkId, actor: User, services: ServicesDep) -> None:
    await services.benchmarks.delete(actor, benchmark_id)
