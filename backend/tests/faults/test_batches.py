"""SIGKILL of the server in the middle of a batch: no line is lost, none is answered twice, their order stays."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from atelier.failpoints import BATCH_NAMES
from tests.chat_models import SIZES
from tests.faults.victim import Down, MakeVictim, Victim
from tests.models.weights import transformers_folder

LINES = 12
PICTURES, CHAT = "/v1/images/generations", "/v1/chat/completions"


def request(at: int, endpoint: str) -> str:
    body: dict[str, Any] = {"model": "creatures", "prompt": f"{at}", "size": "256x256", "steps": 1, "seed": at}
    if endpoint == CHAT:
        words = f"fake:tokens=4 fake:delay_ms=40 question {at}"
        body = {"model": "echo", "seed": at, "messages": [{"role": "user", "content": words}]}
    return json.dumps({"custom_id": f"line-{at}", "method": "POST", "url": endpoint, "body": body})


async def begin(victim: Victim, endpoint: str = PICTURES) -> str:
    """A batch that was accepted; its id."""
    form = aiohttp.FormData()
    form.add_field("purpose", "batch")
    form.add_field("file", "\n".join(request(at, endpoint) for at in range(LINES)).encode(), filename="in.jsonl")
    status, file = await victim.call("POST", "/v1/files", data=form)
    assert status == 200, file
    asked = {"input_file_id": file["id"], "endpoint": endpoint, "completion_window": "24h"}
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


async def answered(victim: Victim, batch_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A batch that is completed, and its output."""
    batch = await ended(victim, batch_id)
    assert batch["status"] == "completed", f"{batch} {victim.words()}"
    async with aiohttp.request("GET", f"{victim.url}/v1/files/{batch['output_file_id']}/content") as answer:
        return batch, [json.loads(text) for text in (await answer.text()).splitlines()]


async def check(victim: Victim, batch_id: str) -> None:
    """Every line is answered once, in the order of the input, and made once."""
    batch, lines = await answered(victim, batch_id)
    assert batch["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
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
    victim = make_victim("batches/random", BATCH_CONCURRENCY="2")
    await victim.start()
    model = transformers_folder(victim.folder / "echo", "Qwen3ForCausalLM", **SIZES)
    status, _ = await victim.call("POST", "/api/models/import", json={"path": str(model), "key": "echo"})
    assert status in {200, 201}
    batch_id, seen = await begin(victim, CHAT), 0
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
    batch, answers = await answered(victim, batch_id)
    assert batch["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}, f"{batch} {victim.words()}"
    assert [one["custom_id"] for one in answers] == [f"line-{at}" for at in range(LINES)]
    words = [one["response"]["body"]["choices"][0]["message"]["content"] for one in answers]
    assert len(set(words)) > 1 and all(len(each.split()) == 4 for each in words)


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
