"""What the planner proposes on cards that nobody here has: of models of the catalogue, by the formulas alone."""

from __future__ import annotations

import sys
import time
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from atelier.access.actor import Actor
from atelier.config import RuntimeSettings
from atelier.errors import ModelNotFound
from atelier.models.catalogue import Catalogue
from atelier.models.chat_engines import ChatEngines
from atelier.models.learning import Learning, Measured, Subject
from atelier.models.outlines import Outlines
from atelier.models.plan_schemas import PlanIn, PlanOut
from atelier.models.planning import Planner
from atelier.models.remedies import changed
from atelier.models.schemas import LoadOptions
from atelier.models.sizing import Sizing
from atelier.runtime.gpu import Device
from atelier.runtime.ledger import Ledger
from atelier.runtime.worker import WorkerSpec

GIB = 1024**3


class NobodysModels:
    async def find(self, _actor: Actor, key: str) -> Any:
        raise ModelNotFound(key)

    def check_runnable(self, _row: Any) -> None: ...


class NobodysPool:
    def __init__(self, device: Device) -> None:
        self.ledger = Ledger([device], None, time.monotonic)


def planner(gib: float, host_gib: int = 128) -> Planner:
    device = Device(0, "cuda", "a card", int(gib * GIB), int(0.95 * gib * GIB), capability=(8, 9))
    sizing = Sizing(Learning(None), [device], RuntimeSettings(), ChatEngines([device], lambda _: True))
    sizing.host_bytes = host_gib * GIB
    parts = cast("Any", (NobodysModels(), sizing, NobodysPool(device), Outlines(Catalogue(), sizing)))
    return Planner(*parts)


class Notes(Learning):
    """Writes nothing down."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None))

    def note(self, subject: Subject, measured: Measured) -> None:
        self._remember(subject, measured)


class Loaded:
    """A worker as `Sizing` looks at it."""

    def __init__(self, spec: WorkerSpec, peak: int) -> None:
        self.spec, self.load_peak_bytes, self.load_seconds, self.loaded = spec, peak, 3.0, object()
        self.info = SimpleNamespace(left_out=())


def test_the_load_of_an_offloaded_model_says_nothing_of_its_memory() -> None:
    """Its parts come to the device with the first run; larger pictures would be thought to take all of it."""
    device = Device(0, "cuda", "a card", 24 * GIB, 22 * GIB, capability=(8, 9))
    sizing = Sizing(Notes(), [device], RuntimeSettings(), ChatEngines([device], lambda _: True))
    row = Outlines(Catalogue(), sizing).of_catalogue("stable-diffusion-xl")
    assert row is not None
    options = LoadOptions(offload="model")
    need = sizing.need(row, options=options)
    assert need.spec.host_bytes == 6_940_000_000 and sizing.need(row).spec.host_bytes == 0
    sizing.note_load(need, cast("Any", Loaded(need.spec, GIB // 2)))
    assert sizing.need(row, options=options).bytes.expected == pytest.approx(need.bytes.expected, rel=0.02)


async def ask(gib: float, model: str, **asked: Any) -> PlanOut:
    return await planner(gib).plan(cast("Actor", None), PlanIn(model=model, **asked))


@pytest.mark.parametrize(
    ("gib", "model", "fit"),
    [
        (4, "stable-diffusion-1.5", "now"),
        (12, "stable-diffusion-xl", "now"),
        (8, "stable-diffusion-xl", "never"),
        (24, "stable-diffusion-3.5-medium", "now"),
        (40, "stable-diffusion-3.5-large", "now"),
        (40, "flux-dev", "now"),
        (24, "flux-dev", "never"),
        (10, "qwen3-4b", "never"),
    ],
)
async def test_the_cards_that_the_catalogue_names_are_enough(gib: float, model: str, fit: str) -> None:
    plan = await ask(gib, model)
    assert plan.fit == fit
    if fit == "never":
        assert plan.remedies[0].enough and len(plan.remedies[0].change) == 1, "one press"
    device = Device(0, "cuda", "a card", int(gib * GIB), int(0.95 * gib * GIB), capability=(8, 9))
    sizing = Sizing(Learning(None), [device], RuntimeSettings(), ChatEngines([device], lambda _: True))
    sizing.host_bytes = 128 * GIB
    row = Outlines(Catalogue(), sizing).of_catalogue(model)
    assert row is not None
    assert sizing.told(row).helped == (fit == "never"), "so its card does not say that it is too large"


@pytest.mark.parametrize(
    ("gib", "asked"),
    [
        (20, {"model": "flux-dev"}),
        (8, {"model": "stable-diffusion-xl", "width": 2048, "height": 2048}),
        (10, {"model": "qwen3-4b", "context": 262_144, "batch": 8}),
    ],
)
async def test_every_remedy_gives_what_it_says(gib: float, asked: dict[str, Any]) -> None:
    plan = await ask(gib, **asked)
    assert plan.fit == "never" and plan.remedies[0].enough
    assert [one.enough for one in plan.remedies] == sorted((one.enough for one in plan.remedies), reverse=True)
    for remedy in plan.remedies:
        then = await planner(gib).plan(cast("Actor", None), changed(PlanIn(**asked), remedy.change))
        assert (then.fit != "never", then.bytes) == (remedy.enough, remedy.bytes), remedy


async def test_where_nothing_is_enough_alone_two_things_together_are() -> None:
    asked = {"model": "qwen3-4b", "context": 262_144, "batch": 8}
    plan = await ask(10, **asked)
    together = [one for one in plan.remedies if one.id == "combination"]
    assert together and all(one.enough and len(one.steps) == 2 for one in together)
    assert not any(one.enough for one in plan.remedies if one.id != "combination")
    assert not any(one.id == "combination" for one in (await ask(24, **asked | {"context": 8192})).remedies)


async def test_offloading_is_no_remedy_where_the_gpu_uses_the_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "Device", partial(Device, shares_memory=True))
    plan = await ask(8, "stable-diffusion-xl")
    assert plan.fit == "never" and {one.id for one in plan.remedies} == {"fp8", "int8", "smaller_picture"}


async def test_offloading_is_no_remedy_where_the_machines_memory_is_too_small() -> None:
    """FLUX takes 34 GB of it."""
    for host_gib, offered in ((64, True), (32, False)):
        plan = await planner(24, host_gib).plan(cast("Actor", None), PlanIn(model="flux-dev"))
        assert any("offload" in one.change.get("options", {}) for one in plan.remedies) == offered


async def test_what_is_at_odds_is_not_combined() -> None:
    """8 bits once as fp8 and once as int8."""
    plan = await ask(6, "flux-dev", width=2048, height=2048)
    assert any(one.id == "combination" for one in plan.remedies)
    for one in plan.remedies:
        assert len({step.message for step in one.steps}) == len(one.steps)
        assert sum("in 8 bits" in step.message for step in one.steps) < 2
