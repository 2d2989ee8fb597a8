"""Files that run code when they are loaded, and repositories that ask for it: by download and by import, a canary never
fires, the refusal is in words, and nothing of it stays on the disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import marshal
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from atelier.models.probe import ModelNotRecognised, probe
from engines import protocol
from tests.hub.fake_hub import FakeHub, Repo
from tests.hub.repositories import chat_repo, diffusers_repo, text, weights
from tests.hub.worker import HubWorker, MakeWorker, download
from tests.models.test_probe import Canary
from tests.models.weights import write

CONFIG = text({"architectures": ["XForCausalLM"], "model_type": "x"})


def zipped(data: bytes, name: str = "archive/data.pkl") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def tarred(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("../../model_weights.ckpt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def npy(data: bytes) -> bytes:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def artefacts(mark: Path) -> dict[str, dict[str, bytes]]:
    """name -> the files of a repository or folder. None has weights that are safe to load."""
    raw = {number: pickle.dumps(Canary(mark), protocol=number) for number in range(6)}
    bomb = raw[4]
    lying = struct.pack("<Q", 8) + b'{"a":{}}' + bomb
    sound = weights({"a": (4,)})
    with_config = lambda name, data: {"config.json": CONFIG, name: data}  # noqa: E731
    cases = {f"pickle {number} as safetensors": with_config("model.safetensors", raw[number]) for number in raw}
    cases |= {
        "zip as safetensors": with_config("model.safetensors", zipped(bomb)),
        "tar as safetensors": with_config("model.safetensors", tarred(bomb)),
        "gzip as safetensors": with_config("model.safetensors", gzip.compress(bomb)),
        "a header that lies": with_config("model.safetensors", lying),
        "a pickle behind sound weights": with_config("model.safetensors", sound + bomb),
        "a huge header": with_config("model.safetensors", struct.pack("<Q", 1 << 60) + bomb),
        "half a file": with_config("model.safetensors", sound[:-3]),
        "Safetensors in capitals": with_config("model.Safetensors", bomb),
        "pytorch_model.bin": with_config("pytorch_model.bin", zipped(bomb)),
        "legacy .pt": with_config("model.pt", raw[2] * 3),
        ".ckpt": with_config("model.ckpt", zipped(bomb)),
        ".pth": with_config("model.pth", bomb),
        ".pkl": with_config("model.pkl", bomb),
        "no suffix": with_config("model", bomb),
        "joblib": with_config("model.joblib", bomb),
        "npy": with_config("model.npy", npy(bomb)),
        "npz": with_config("model.npz", zipped(npy(bomb), "a.npy")),
        "bz2": with_config("model.pkl.bz2", bz2.compress(bomb)),
        "xz": with_config("model.pkl.xz", lzma.compress(bomb)),
        "optimizer.pt and rng_state.pth": {"config.json": CONFIG, "optimizer.pt": bomb, "rng_state.pth": bomb},
        "adapter_model.bin": {"adapter_config.json": text({"task_type": "CAUSAL_LM"}), "adapter_model.bin": bomb},
        "shards that are pickles": {
            "config.json": CONFIG,
            "model.safetensors.index.json": text({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}),
            "pytorch_model-00001-of-00001.bin": bomb,
        },
        "a component that is a pickle": {
            "model_index.json": text({"_class_name": "FluxPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}),
            "unet/config.json": text({}),
            "unet/diffusion_pytorch_model.bin": bomb,
        },
        "nemo": {"model.nemo": tarred(bomb)},
        "pyannote": {"config.yaml": b"pipeline:\n  name: pyannote.audio.X\n", "pytorch_model.bin": bomb},
        "bytecode": with_config("model.pyc", b"\x00" * 16 + marshal.dumps(compile("1", "x", "exec"))),
    }
    return cases


NAMES = list(artefacts(Path("/nowhere")))


def hostile() -> dict[str, Repo]:
    """name -> a repository whose weights are fine, and that wants to run code or to write elsewhere."""
    ask = {"AutoModel": "modeling.Evil"}
    base = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    far = {"rfilename": "../../../../tmp/evil.json", "size": 1, "blobId": "1" * 40}
    big = {"rfilename": "tokenizer.json", "size": 1 << 40, "blobId": "1" * 40}
    index = {"weight_map": {"t0": "../../../etc/passwd"}}

    def chat(name: str, content: Any) -> Repo:
        return chat_repo(f"hostile/{name.split('.')[0]}", files={name: text(content)})

    def sd(index: Any) -> Repo:
        return diffusers_repo("hostile/sd", files={"model_index.json": text(index)})

    architecture = {"architectures": ["XForCausalLM"], "model_type": "x"}
    listed = chat_repo("hostile/listed")
    listed.listed = [far]
    backslash = chat_repo("hostile/backslash")
    backslash.listed = [{**far, "rfilename": "..\\..\\evil.json"}]
    twice = chat_repo("hostile/twice")
    twice.listed = [{**far, "rfilename": "CONFIG.json"}]
    no_hash = chat_repo("hostile/no-hash")
    no_hash.listed = [{**far, "rfilename": "x.json", "blobId": "../x"}]
    bomb = chat_repo("hostile/bomb", files={})
    bomb.files.pop("tokenizer.json")
    bomb.listed = [big]
    return {
        "auto_map in the config": chat("config.json", {**architecture, "auto_map": ask}),
        "auto_map in the tokenizer": chat("tokenizer_config.json", {"auto_map": ask}),
        "auto_map in the processor": chat("preprocessor_config.json", {"auto_map": ask}),
        "trust_remote_code deep inside": chat("config.json", {**architecture, "x": [{"trust_remote_code": True}]}),
        "hydra's _target_": chat("generation_config.json", {"_target_": "os.system"}),
        "custom_pipeline": sd({**base, "custom_pipeline": "someone/evil"}),
        "a component of its own": sd({**base, "unet": ["my_unet", "Evil"]}),
        "a pipeline class of its own": sd({**base, "_class_name": ["pipeline", "Evil"]}),
        "shards outside the folder": chat("model.safetensors.index.json", index),
        "a path that leads out": listed,
        "a path with backslashes": backslash,
        "a name in two cases": twice,
        "a hash that is a path": no_hash,
        "a config of a terabyte": bomb,
        "a config that is no JSON": chat_repo("hostile/json", files={"config.json": b"\x80\x04pickle"}),
        "a config that nests too deep": chat_repo("hostile/deep", files={"config.json": b"[" * 200_000}),
    }


def on_disk(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() or path.is_symlink()]


class TestArtefacts:
    def test_there_are_thirty(self) -> None:
        assert len(NAMES) >= 30

    async def test_by_download(self, hub: FakeHub, worker: HubWorker, tmp_path: Path) -> None:
        for number, (name, files) in enumerate(artefacts(tmp_path / "mark").items()):
            repo = hub.add(Repo(f"unsafe/n{number}", files))
            cache = tmp_path / "cache"
            end, _ = await worker.run(download(hub, repo, cache))
            assert isinstance(end, protocol.Failed), name
            assert end.code in {"unsafe_format", "unsafe_repository", "not_on_allow_list", "nothing_to_fetch"}, (
                name,
                end,
            )
            assert end.message and end.hint
            assert on_disk(cache) == [], f"{name} left something behind"
            assert not (tmp_path / "mark").exists(), f"{name} ran"

    @pytest.mark.parametrize("name", NAMES)
    def test_by_import(self, name: str, tmp_path: Path) -> None:
        files = artefacts(tmp_path / "mark")[name]
        for path, content in files.items():
            write(tmp_path / "model" / path, content)
        for path in (tmp_path / "model", *(tmp_path / "model" / path for path in files)):
            try:
                found = probe(path)
            except ModelNotRecognised as refused:
                assert refused.message and refused.hint
            else:  # known, and run by no engine but a guarded one
                assert name == "pyannote" and found.engine is None
        assert not (tmp_path / "mark").exists()

    async def test_beside_good_weights_they_stay_on_the_hub(
        self, hub: FakeHub, worker: HubWorker, tmp_path: Path
    ) -> None:
        bomb = pickle.dumps(Canary(tmp_path / "mark"))
        beside = ["handler.py", "hubconf.py", "modeling_x.py", "pytorch_model.bin", "x.ckpt", "training_args.bin",
                  "run.sh", "lib.so", "model.nemo", "x.ipynb", "tokenizer.pkl", "setup.cfg"]  # fmt: skip
        repo = hub.add(chat_repo("mixed/chat", files=dict.fromkeys(beside, bomb)))
        end, _ = await worker.run(download(hub, repo, tmp_path / "cache"))
        assert isinstance(end, protocol.Done)
        names = {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}
        assert not names & set(beside) and "config.json" in names
        assert not any(repo.digest(beside[0]) in path for path in on_disk(tmp_path / "cache"))


class TestHostileRepositories:
    async def test_are_refused_in_words(self, hub: FakeHub, worker: HubWorker, tmp_path: Path) -> None:
        repos = hostile()
        assert len(repos) >= 12
        for name, repo in repos.items():
            hub.add(repo)
            cache = tmp_path / "cache"
            end, _ = await worker.run(download(hub, repo, cache))
            assert isinstance(end, protocol.Failed) and end.code == "unsafe_repository", (name, end)
            assert end.message and end.hint
            assert on_disk(cache) == [], f"{name} left {on_disk(cache)}"

    @pytest.mark.parametrize(
        "name", [name for name in hostile() if "auto_map" in name or "pipeline" in name or "own" in name]
    )
    def test_by_import(self, name: str, tmp_path: Path) -> None:
        for path, content in hostile()[name].files.items():
            if "/" in path or Path(path).suffix != ".ckpt":
                write(tmp_path / path, content)
        with pytest.raises(ModelNotRecognised) as refused:
            probe(tmp_path)
        assert refused.value.message and refused.value.hint


class TestAllowList:
    """Pickles of pyannote and NeMo: only from commits whose hashes somebody wrote down."""

    async def test_only_the_very_files(self, hub: FakeHub, make_worker: MakeWorker, tmp_path: Path) -> None:
        weights = {f"{name}/pytorch_model.bin": name.encode() for name in ("segmentation", "embedding")}
        repo = hub.add(Repo("lab/diarize", {"config.yaml": b"pipeline: {}\n", **weights}))
        digests = {path: repo.digest(path) for path in repo.files if not path.startswith("embedding")}
        known = write(tmp_path / "known.json", {"repositories": {repo.id: {repo.commit: digests}}})
        worker = await make_worker(allow_list=str(known))
        end, _ = await worker.run(download(hub, repo, tmp_path / "cache"))
        assert isinstance(end, protocol.Done), end
        found = Path(end.answer["path"])
        assert (found / "segmentation" / "pytorch_model.bin").read_bytes() == b"segmentation"
        assert not (found / "embedding").exists(), "its hash was not written down"
        digests["segmentation/pytorch_model.bin"] = "0" * 64
        write(known, {"repositories": {repo.id: {repo.commit: digests}}})
        worker = await make_worker(allow_list=str(known))
        end, _ = await worker.run(download(hub, repo, tmp_path / "other"))
        assert isinstance(end, protocol.Failed) and end.code == "unsafe_repository"
        assert "pytorch_model.bin" in end.message and on_disk(tmp_path / "other") == []
