"""150 faults of the hub and 50 kills of the process: nothing damaged is ever kept, hardly anything is fetched twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from engines import protocol
from tests.hub.fake_hub import DATA_FAULTS, FakeHub, Mix
from tests.hub.repositories import chat_repo, diffusers_repo
from tests.hub.worker import CHUNK, CONNECTIONS, HubWorker, MakeWorker, download, is_sound, snapshot_of

SEED = 20261121
FAULTS, KILLS = 150, 50
TOKEN = "hf_right"  # an open one of the fake hub
# The content itself is in doubt after these: its file is fetched anew by right.
DOUBTS = ("flip", "wrong_length", "etag", "whole", "416")


class TestFaults:
    async def test_150_faults_of_all_kinds(self, hub: FakeHub, worker: HubWorker, tmp_path: Path) -> None:
        number = failed = 0
        while sum(hub.happened.values()) < FAULTS:
            assert number < 120, f"only {hub.happened} after {number} downloads"
            make = chat_repo if number % 2 else diffusers_repo
            repo = hub.add(make(f"someone/m{number}", size=120_000, seed=100 * number, gated="auto", open_to={TOKEN}))
            cache = tmp_path / "cache"
            mix = Mix(SEED + number, 0.25, 6)
            hub.fault = mix
            for _attempt in range(4):
                end, _ = await worker.run(download(hub, repo, cache, token=TOKEN, stall=0.25))
                if isinstance(end, protocol.Done):
                    break
                failed += 1
                assert isinstance(end, protocol.Failed) and end.hint, end
                assert not snapshot_of(cache, repo).exists(), "a failed download must not be usable"
                mix.left = min(mix.left, 2)
            assert isinstance(end, protocol.Done), (number, end)
            assert is_sound(cache, repo), f"seed {SEED + number}: a damaged model was kept"
            number += 1
        assert set(hub.happened) == set(DATA_FAULTS), f"not every kind came up: {hub.happened}"
        assert failed <= number, "most downloads must get through by themselves"
        token_said_to = {seen.place for seen in hub.seen if TOKEN in repr(seen)}
        assert token_said_to == {"hub"}, "the token reached another host"
        assert any(seen.place == "data" for seen in hub.seen)

    @pytest.mark.parametrize("kind", [kind for kind in DATA_FAULTS if kind not in DOUBTS])
    async def test_what_came_before_a_fault_is_not_fetched_again(
        self, kind: str, hub: FakeHub, worker: HubWorker, tmp_path: Path
    ) -> None:
        repo = hub.add(chat_repo(size=300_000))
        mix = Mix(SEED, 0.3, 8, (kind,))
        hub.fault = lambda place, path: mix(place, path) if place == "data" else None
        end, _ = await worker.run(download(hub, repo, tmp_path / "cache", stall=0.25))
        assert isinstance(end, protocol.Done) and is_sound(tmp_path / "cache", repo)
        assert hub.happened[kind] == 8
        # What a broken connection had in its pipes is lost: at most a chunk for each fault.
        assert sum(hub.sent.values()) <= 1.05 * sum(map(len, repo.files.values())) + 8 * CHUNK

    async def test_a_hub_that_never_recovers_is_given_up_in_words(
        self, hub: FakeHub, worker: HubWorker, tmp_path: Path
    ) -> None:
        repo = hub.add(chat_repo())
        for kind, code in (("503", "hub_error"), ("flip", "file_damaged"), ("elsewhere", "redirect_refused"),
                           ("cut", "connection_cut"), ("wrong_length", "file_changed"), ("loop", "redirect_loop"),
                           ("429", "rate_limited"), ("stall", "stalled")):  # fmt: skip
            hub.fault = lambda place, path, kind=kind: kind if place == "data" else None
            cache = tmp_path / kind
            stall = 0.2 if kind == "stall" else 5.0
            end, _ = await worker.run(download(hub, repo, cache, patience=0.5, stall=stall, chunk_bytes=1 << 20))
            assert isinstance(end, protocol.Failed) and end.code == code and end.message and end.hint, (kind, end)
            assert not snapshot_of(cache, repo).exists()
            assert not [path for path in cache.rglob("blobs/*") if path.name in _large(repo)], kind


def _large(repo: object) -> set[str]:
    return {repo.digest(path) for path in repo.files if path.endswith(".safetensors")}  # type: ignore[attr-defined]


class TestKills:
    async def test_50_kills_refetch_at_most_a_chunk_for_each_connection(
        self, hub: FakeHub, make_worker: MakeWorker, tmp_path: Path
    ) -> None:
        chance, kills, number = random.Random(SEED), 0, 0
        hub.bytes_per_second = 3_000_000
        while kills < KILLS:
            repo = hub.add(chat_repo(f"someone/k{number}", shards=2, size=1_200_000, seed=number))
            total, before = sum(map(len, repo.files.values())), sum(hub.sent.values())
            cache, killed, end = tmp_path / "cache", 0, None
            while end is None:
                worker = await make_worker()
                run = asyncio.create_task(worker.run(download(hub, repo, cache)))
                if killed < 13 and kills < KILLS:
                    until = sum(hub.sent.values()) + chance.randrange(30_000, 400_000)
                    while sum(hub.sent.values()) < until and not run.done():
                        await asyncio.sleep(0.002)
                if run.done() or killed == 13 or kills == KILLS:
                    end, _ = await run
                else:
                    worker.kill()
                    await asyncio.gather(run, return_exceptions=True)
                    assert not snapshot_of(cache, repo).exists(), "a half-fetched model was made usable"
                    killed, kills = killed + 1, kills + 1
                await worker.close()
            assert isinstance(end, protocol.Done) and is_sound(cache, repo)
            again = sum(hub.sent.values()) - before - total
            assert again <= 0.05 * total + killed * CHUNK * CONNECTIONS, (
                f"{again} bytes fetched again in {killed} kills"
            )
            number += 1
        assert kills == KILLS
