"""The download engine itself, in its own process and environment, against the fake hub: everything but the server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from engines import protocol
from tests.hub.fake_hub import FakeHub
from tests.hub.repositories import chat_repo, diffusers_repo
from tests.hub.worker import HubWorker, download, is_sound, snapshot_of


class TestDownload:
    async def test_lies_in_the_cache_as_other_programs_expect(
        self, hub: FakeHub, worker: HubWorker, tmp_path: Path
    ) -> None:
        repo = hub.add(diffusers_repo())
        cache = tmp_path / "cache"
        end, progress = await worker.run(download(hub, repo, cache, prefer_half=True))
        assert isinstance(end, protocol.Done), end
        snapshot = snapshot_of(cache, repo)
        assert end.answer["path"] == str(snapshot)
        assert sorted(str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file()) == [
            "README.md",
            "model_index.json",
            "scheduler/scheduler_config.json",
            "tokenizer/merges.txt",
            "tokenizer/vocab.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.fp16.safetensors",
        ]
        assert is_sound(cache, repo)
        unet = snapshot / "unet" / "diffusion_pytorch_model.fp16.safetensors"
        assert os.readlink(unet) == f"../../../blobs/{repo.digest('unet/diffusion_pytorch_model.fp16.safetensors')}"
        assert (snapshot.parent.parent / "refs" / "main").read_text() == repo.commit
        assert not list(cache.rglob("*.atelier-*"))
        last = progress[-1]
        assert last.done_bytes == last.total_bytes and last.step == last.total
        assert {file.state for file in last.files} == {"done"}

    async def test_what_is_there_is_not_fetched_again(self, hub: FakeHub, worker: HubWorker, tmp_path: Path) -> None:
        repo = hub.add(chat_repo())
        await worker.run(download(hub, repo, tmp_path / "cache"))
        hub.sent.clear()
        end, _ = await worker.run(download(hub, repo, tmp_path / "cache"))
        assert isinstance(end, protocol.Done) and end.answer["received_bytes"] == 0

    async def test_a_damaged_blob_is_noticed_and_fetched_again(
        self, hub: FakeHub, worker: HubWorker, tmp_path: Path
    ) -> None:
        repo = hub.add(chat_repo())
        cache = tmp_path / "cache"
        await worker.run(download(hub, repo, cache))
        blob = (snapshot_of(cache, repo) / "model-00002-of-00003.safetensors").resolve()
        content = bytearray(blob.read_bytes())
        content[-1] ^= 1
        blob.write_bytes(content)
        end, _ = await worker.run(download(hub, repo, cache))
        assert isinstance(end, protocol.Done) and is_sound(cache, repo)
        assert end.answer["received_bytes"] == len(content)

    async def test_cancel_ends_it_and_the_next_goes_on(self, hub: FakeHub, worker: HubWorker, tmp_path: Path) -> None:
        repo = hub.add(chat_repo(size=400_000))
        hub.bytes_per_second = 1_000_000
        task = download(hub, repo, tmp_path / "cache")
        run = asyncio.create_task(worker.run(task))
        while sum(hub.sent.values()) < 700_000:
            await asyncio.sleep(0.01)
        begun = asyncio.get_running_loop().time()
        await worker.client.cancel(task.task_id, 2)
        end, _ = await run
        assert isinstance(end, protocol.Cancelled) and asyncio.get_running_loop().time() - begun < 2
        sent, hub.bytes_per_second = sum(hub.sent.values()), None
        end, _ = await worker.run(download(hub, repo, tmp_path / "cache"))
        assert isinstance(end, protocol.Done) and is_sound(tmp_path / "cache", repo)
        assert sum(hub.sent.values()) <= 1.02 * sum(map(len, repo.files.values())) + 3 * 64 * 1024
        assert sent > 600_000

    async def test_a_full_disk_is_said_before(self, hub: FakeHub, worker: HubWorker, tmp_path: Path) -> None:
        repo = hub.add(chat_repo())
        end, _ = await worker.run(download(hub, repo, tmp_path / "cache", reserve_bytes=1 << 60))
        assert isinstance(end, protocol.Failed) and end.code == "insufficient_storage"
        assert sum(hub.sent.values()) < 1000, "more than the configs was fetched"

    async def test_nobody_there(self, worker: HubWorker, tmp_path: Path) -> None:
        hub = FakeHub().start()
        repo = hub.add(chat_repo())
        task = download(hub, repo, tmp_path / "cache")
        hub.stop()
        end, _ = await worker.run(task)
        assert isinstance(end, protocol.Failed) and end.code == "hub_unreachable" and "HF_ENDPOINT" in end.hint
