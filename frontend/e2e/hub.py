"""A small hub on loopback for the browser tests, and a folder that is a model.

python e2e/hub.py FOLDER     prints {"endpoint": …, "folder": …} and serves until its standard input ends; a number on it
                             is how many bytes a second each connection gets from there on
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

BACKEND = Path(__file__).resolve().parents[2] / "backend"
sys.path[:0] = [str(BACKEND), str(BACKEND / "tests")]

from tests.hub.fake_hub import FakeHub, Repo  # noqa: E402
from tests.hub.repositories import chat_repo, diffusers_repo  # noqa: E402
from tests.models.weights import safetensors  # noqa: E402


def main(folder: Path) -> None:
    local = diffusers_repo("here/paint")
    for path, content in local.files.items():
        wanted = path == "model_index.json" or ("/" in path and path.endswith((".json", ".txt", ".safetensors")))
        if wanted and ".fp16" not in path and ".non_ema" not in path:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    with FakeHub() as hub:
        hub.add(diffusers_repo("someone/lanterns", size=3_000_000, downloads=4321))
        hub.tokens["hf_good"] = "ada"
        hub.add(diffusers_repo("someone/secret", gated="manual", open_to={"hf_good"}))
        hub.add(chat_repo("someone/talker"))
        name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
        styles = {f"{what}.safetensors": safetensors({name: (rank, 768)}) for what, rank in (("ink", 4), ("oil", 8))}
        hub.add(Repo("someone/styles", styles, tags=["lora", "diffusers"]))
        hub.bytes_per_second = 1_000_000
        print(json.dumps({"endpoint": hub.endpoint, "folder": str(folder)}), flush=True)
        for line in sys.stdin:
            hub.bytes_per_second = float(line)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
