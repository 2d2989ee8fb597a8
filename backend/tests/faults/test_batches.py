"""SIGKILL of the server in the middle of a batch: no line is lost, none is answered twice, their order stays."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from atelier.failpoints import BATCH_NAMES
from tests.faults.victim import Down, MakeVictim, Victim

LINES = 12
ENDPOINT = "/v1/images/generations"


def request(at: int) -> str:
    body = {"model": "creatures", "prompt": f"picture {at}", "size": "256x256", "steps": 1, "seed": at}
    return json.dumps({"custom_id": f"line-{at}", "method": "POST", "url": ENDPOINT, "body": body})


async def begin(victim: Victim) -> str:
    """A batch that was accepted; its id. (One may have been accepted before it, whose answer was lost.)"""
    form = aiohttp.FormData()
    form.add_field("purpose", "batch")
    form.add_field("file", "\n".join(map(request, range(LINES))).encode(), filename="in.jsonl")
    status, file = await victim.call("POST", "/v1/files", data=form)
    assert status == 200, file
    asked = {"input_file_id": file["id"], "endpoint": ENDPOINT, "completion_window": "24h"}
    status, batch = await victim.call("POST", "/v1/batches", json=asked)
    assert status == 200, batch
    return batch["id"]


async def ended(victim: Victim, batch_id: str) -> dict[str, Any]:
    for _ in range(1500):
        batch = await victim.get(f"/v1/batches/{batch_id}")
        if batch["status"] in {"completed", "failed", "expired", "cancelled"}:
            return batch
        await asyncio.sleep(0.02)
    raise AssertionError(f"{batch} {victim.words()}")


async def check(victim: Victim, batch_id: str) -> None:
    """It is completed, every line is answered once, in the order of the input, and made once."""
    batch = await ended(victim, batch_id)
    assert batch["status"] == "completed", f"{batch} {victim.words()}"
    assert batch["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
    assert victim._http is not None
    async with victim._http.get(f"{victim.url}/v1/files/{batch['output_file_id']}/content") as answer:
        lines = [json.loads(text) for text in (await answer.text()).splitlines()]
    assert [one["custom_id"] for one in lines] == [f"line-{at}" for at in range(LINES)], victim.words()
    assert [one["response"]["body"]["data"][0]["seed"] for one in lines] == list(range(LINES))
    assert len(await victim.pages("/api/gallery")) == LINES, "a picture was made twice"
    files = await victim.get("/v1/files")
    assert [one["purpose"] for one in files["data"]].count("batch_output") == 1


async def test_at_every_point(make_victim: MakeVictim) -> None:
    """Killed at each point once, all on the same batch, so that every attempt goes on from the one before."""
    victim = make_victim("batches/points", BATCH_CONCURRENCY="3")
    await victim.start(failpoints=f"{BATCH_NAMES[0]}=kill@2")
    batch_id = await begin(victim)
    for name in (*BATCH_NAMES[1:], None):
        assert await victim.died() == -9
        await victim.start(failpoints=f"{name}=kill@2" if name and "keep" in name else f"{name}=kill" if name else "")
    await check(victim, batch_id)


async def test_at_random_times(make_victim: MakeVictim) -> None:
    victim = make_victim("batches/random", BATCH_CONCURRENCY="2", ATELIER_FAKE_STEP_SECONDS="0.05")
    await victim.start()
    batch_id, seen = await begin(victim), 0
    for _ in range(4):
        await asyncio.sleep(victim.random.uniform(0.02, 0.5))
        try:
            done = (await victim.get(f"/v1/batches/{batch_id}"))["request_counts"]["completed"]
        except Down:
            done = seen
        assert done >= seen, "an answer that was there is not there any more"
        seen = done
        await victim.kill(also_worker=victim.random.random() < 0.5)
        await victim.start()
    await check(victim, batch_id)


async def test_cancelled_and_killed(make_victim: MakeVictim) -> None:
    """The cancel that was promised holds over the death of the server, and what was answered stays."""
    victim = make_victim("batches/cancel", BATCH_CONCURRENCY="1", ATELIER_FAKE_STEP_SECONDS="0.1")
    await victim.start(failpoints="jobs.after_cancel_mark=kill")
    batch_id = await begin(victim)
    while not (done := (await victim.get(f"/v1/batches/{batch_id}"))["request_counts"]["completed"]):
        await asyncio.sleep(0.02)
    try:
        await victim.call("POST", f"/v1/batches/{batch_id}/cancel")
    except Down:
        assert await victim.died() == -9
    await victim.start()
    batch = await ended(victim, batch_id)
    assert (batch["status"], batch["output_file_id"] is not None) == ("cancelled", True), victim.words()
    assert done <= batch["request_counts"]["completed"] < LINES
