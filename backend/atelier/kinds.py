"""Every kind of job and its handler. Total: a kind without a handler is an error at start.

This sits above the features, so that `jobs` never has to know them.
"""

from __future__ import annotations

from atelier.chat.benchmarks import Benchmarks
from atelier.images.grids import GridService
from atelier.images.service import ImageService
from atelier.images.verifying import Verifier
from atelier.jobs.attempt import Handler
from atelier.models.downloads import Downloads
from atelier.models.hub import ENVIRONMENT
from atelier.openai.batch_work import BatchWork
from atelier.shapes import WaitingOut
from atelier.system.environment_jobs import EnvironmentJobs
from atelier.tables import JobKind


def handlers(
    images: ImageService,
    grids: GridService,
    verifier: Verifier,
    downloads: Downloads,
    environments: EnvironmentJobs,
    batches: BatchWork,
    benchmarks: Benchmarks,
) -> dict[JobKind, Handler]:
    def images_blocked() -> WaitingOut | None:
        return environments.blocked("image") if "image" in environments.names else None

    found = {
        JobKind.IMAGE_GENERATE: Handler("device", images.run, images_blocked, images.forget),
        JobKind.IMAGE_GRID: Handler("device", grids.run, images_blocked, images.forget),
        JobKind.IMAGE_VERIFY: Handler("device", verifier.run, images_blocked, verifier.forget),
        JobKind.ENVIRONMENT_BUILD: Handler("setup", environments.run),
        JobKind.MODEL_DOWNLOAD: Handler("download", downloads.run, lambda: environments.blocked(ENVIRONMENT)),
        JobKind.BATCH: Handler("batch", batches.run),
        JobKind.CHAT_BENCHMARK: Handler("benchmark", benchmarks.run),
    }
    if missing := set(JobKind) - set(found):
        raise RuntimeError(f"job kinds without a handler: {sorted(missing)}")
    return found
