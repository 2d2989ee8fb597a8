"""Models whose files are not here: what is known of them before.

The catalogue says of its entries the little of their configs that memory depends on; the hub's plan for a download has
read the configs themselves, and its job keeps that. Either makes an outline: a row that no database has seen, which
`Sizing` sizes like any other, with a wider band.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.safetensors_file import DTYPE_BITS

from atelier.models.adapters import ADDED_TYPES
from atelier.models.anatomy import anatomy_told, shares, telling
from atelier.models.catalogue import Catalogue, Entry
from atelier.models.chat_engines import CHAT_TASKS
from atelier.models.families import image_defaults, image_limits
from atelier.models.hub import is_lora, what_it_is
from atelier.models.probe import engine_of
from atelier.models.sizing import Sizing, Told
from atelier.tables import Job, ModelRow

NOWHERE = Path("/nonexistent")
KNOWN, GUESSED = 0.1, 0.25
"""How far the formulas may be off besides, as a share: where the shape of a model is known, and where only its size."""

STORED = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


class Outlines:
    def __init__(self, catalogue: Catalogue, sizing: Sizing) -> None:
        self._catalogue, self._sizing = catalogue, sizing

    def of_catalogue(self, key: str) -> ModelRow | None:
        """The model that the catalogue offers under this key."""
        entry = self._catalogue.find(key)
        return None if entry is None else self._of_entry(entry)

    def of_download(self, row: ModelRow, job: Job | None) -> ModelRow:
        """A model on its way: as the plan of its download told it, or as the catalogue has it."""
        told = (job.request["resolved"].get("outline") if job else None) or {}
        entry = next((one for one in self._catalogue if one.repo == row.repo), None)
        if not told.get("configs") and entry is not None:
            outline = self._of_entry(entry)
        else:
            outline = self._outline(row.key, row.task, row.family, told or {"weights_bytes": row.size_bytes})
        for name in ("type", "load_options", "pinned", "repo"):
            setattr(outline, name, getattr(row, name))
        return outline

    def of_plan(self, plan: dict[str, Any], *, on_cpu: bool) -> Told | None:
        """What a repository would take of a device once it is here; None when nobody can say."""
        task, family, _ = what_it_is(plan)
        told = told_by(plan, on_cpu=on_cpu)
        if task is None or is_lora(plan) or not told["weights_bytes"]:
            return None
        outline = self._outline(plan["repo"], task, family or "", told)
        return self._sizing.told(outline) if self._runs(outline) else None

    def told_of_download(self, row: ModelRow, job: Job | None) -> Told:
        """What a model on its way would take of a device; 0 when nobody can say."""
        outline = self.of_download(row, job)
        runs = outline.type not in ADDED_TYPES and self._runs(outline)
        return self._sizing.told(outline) if runs else Told(0)

    def of_entry(self, entry: Entry) -> Told:
        """What a model of the catalogue would take of a device."""
        outline = self._of_entry(entry)
        return self._sizing.told(outline) if self._runs(outline) else Told(entry.bytes_needed)

    # ── inside ──

    def _runs(self, outline: ModelRow) -> bool:
        return bool(self._sizing.engine_of(outline))

    def _of_entry(self, entry: Entry) -> ModelRow:
        told = {"weights_bytes": entry.size_bytes, "dtype": "BF16", "parameters": entry.parameters,
                "configs": entry.configs, "linear": entry.linear, "denoiser": entry.denoiser,
                "other_part": entry.other_part}  # fmt: skip
        outline = self._outline(entry.key, entry.task, entry.family, told, entry.distilled, doubt=KNOWN)
        outline.repo = entry.repo
        return outline

    def _outline(
        self, key: str, task: str, family: str, told: Mapping[str, Any], distilled: str = "", doubt: float | None = None
    ) -> ModelRow:
        draws, configs = task in ("image", "video"), told.get("configs", {})
        bits = DTYPE_BITS.get(told.get("dtype") or "", 16)
        outline = ModelRow(
            id=f"outline:{key}",
            key=key,
            task=task,
            type="base_model",
            family=family,
            engine=engine_of(task, family) or "",
            path=str(NOWHERE / key),
            size_bytes=told["weights_bytes"],
            dtype=told.get("dtype") or "",
            parameters=told.get("parameters") or told["weights_bytes"] * 8 // bits,
            defaults=image_defaults(family, distilled).model_dump() if draws else {},
            limits=image_limits(family).model_dump() if draws else {},
            load_options={},
            pinned=False,
        )
        anatomy = anatomy_told(
            configs,
            task=task,
            family=family,
            parameters=outline.parameters,
            stored_bits=bits,
            weights_bytes=outline.size_bytes,
            **{name: told.get(name, 0) for name in ("linear", "denoiser", "other_part")},
        )
        known = bool(configs) if task in CHAT_TASKS else draws
        self._sizing.outline(outline, anatomy, doubt or (KNOWN if known else GUESSED))
        return outline


def told_by(plan: dict[str, Any], *, on_cpu: bool) -> dict[str, Any]:
    """What the plan of a download tells of the model's memory; small enough to be kept with the job. `on_cpu`: files
    that do not say that they are of half precision are taken as they are, which is what they will take there."""
    weights = [file for file in plan["files"] if file["path"].endswith(".safetensors")]
    configs = telling(plan["configs"]) if plan["can_access"] else {}
    config = plan["configs"].get("config.json", {})
    named = config.get("dtype") or config.get("torch_dtype")
    halved = any(f".{name}" in file["path"] for file in weights for name in ("fp16", "bf16"))
    dtype = STORED.get(named, "") if isinstance(named, str) else "F32" if on_cpu and not halved else "F16"
    by_part: Counter[str] = Counter()
    for file in weights:
        by_part[file["path"].rpartition("/")[0]] += file["size"]
    denoiser, other_part = shares(by_part.total() * 8 // DTYPE_BITS.get(dtype, 16), by_part)
    return {
        "weights_bytes": by_part.total(),
        "dtype": dtype,
        "configs": configs,
        "denoiser": denoiser,
        "other_part": other_part,
    }
