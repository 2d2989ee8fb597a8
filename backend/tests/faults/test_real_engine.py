"""Kills under the real engine with the model that is shipped: what the fake engine shows holds for it too."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from atelier.config import BACKEND, read_settings
from atelier.runtime.environments import Environments
from tests.faults import oracle, proc
from tests.faults.victim import MakeVictim, until

SEED = 20261121
TARGETS = ["server", "worker", "both"]
MODEL = BACKEND / "embedded" / "models" / "creatures"
STEPS = 10
START_SECONDS = 120


def _missing() -> str | None:
    if not (MODEL / "unet").is_dir():
        return "the embedded model is not there: backend/embedded/models/creatures/unet"
    environments = Environments(read_settings().storage.environments_dir, BACKEND / "requirements")
    if environments.python("image") is None:
        return "the image environment is not built: `python -m atelier worker-env image` builds it"
    return None


@pytest.mark.skipif(_missing() is not None, reason=str(_missing()))
async def test_kills_under_the_real_engine(make_victim: MakeVictim) -> None:
    victim = make_victim(SEED, ATELIER_FAKE_ENGINE="0", ATELIER_THREADS="1")
    await victim.start()
    effective: Counter[str] = Counter()
    size = {"width": 256, "height": 256}
    for target in TARGETS:
        asked = [await victim.ask("a small dragon", steps=STEPS, num_outputs=n, **size) for n in (2, 1)]
        await victim.when_running(START_SECONDS)
        await asyncio.sleep(victim.random.uniform(0, 0.5))
        if target == "worker":
            before = victim.crashes()
            for pid in victim.workers():
                proc.kill(pid)
            try:
                await until(lambda before=before: victim.crashes() > before, 5)
                effective[target] += 1
            except AssertionError:
                pass  # it fell between two jobs
        else:
            await victim.kill(also_worker=target == "both")
            effective[target] += bool(victim.running_rows())
            victim.observe()
            await victim.start()
        for each in asked:
            await victim.when(each, "completed", seconds=START_SECONDS)
    assert not await oracle.examine(victim)
    assert sum(effective.values()) >= 2, f"only {effective} fell upon work"
