"""Which scheduler a run takes: the model's own as it was published, or an entry of the table made with its settings;
and what its steps are told."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import Any, Literal

import diffusers
import msgspec
import torch

from engines.engine import RunFailed
from engines.protocol import SamplerSettings, TextToImage
from engines.schedulers import SCHEDULERS, SETTINGS, choices_for, key_of_class


@dataclass(frozen=True)
class Sampling:
    """The scheduler of one run: key (None for the model's own, with settings that no key stands for) and A1111's words
    for the recipe, class and differing settings for diffusers."""

    key: str | None
    sampler: str
    schedule_type: str
    cls: type
    kwargs: dict[str, str | int | float | bool]

    def scheduler(self, own: Any) -> Any:
        """A fresh one, with the noise schedule that the model's `own` was trained on."""
        return self.cls.from_config(own.config, **self.kwargs)


def kind_of(scheduler: Any) -> Literal["noise", "flow"]:
    """What a model's own scheduler says it predicts."""
    config = scheduler.config
    by_config = config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction"
    return "flow" if type(scheduler).__name__.startswith("FlowMatch") or by_config else "noise"


def choose_sampling(key: str | None, own: Any, sigmas: bool = False) -> Sampling:
    """The table's entry; without a key the model's `own` scheduler. `sigmas`: the model's pipelines bring a schedule of
    their own, which not every scheduler takes. Raises RunFailed for one that does not fit."""
    if key is None:
        cls = type(own)
        known = key_of_class(cls.__name__)
        return Sampling(None, SCHEDULERS[known].sampler if known else cls.__name__, "Automatic", cls, {})
    kind = kind_of(own)
    choice = SCHEDULERS.get(key)
    if choice is None:
        known = ", ".join(SCHEDULERS)
        raise RunFailed(
            "invalid_scheduler", f"there is no scheduler {key!r}", f"Known: {known}.", scheduler=key, known=known
        )
    if choice.kind != kind or (sigmas and not _takes_sigmas(choice.cls)):
        fitting = ", ".join(key for key, one in choices_for(kind).items() if not sigmas or _takes_sigmas(one.cls))
        raise RunFailed(
            "invalid_scheduler",
            f"the scheduler {choice.name} does not fit this model",
            f"Take one of {fitting}.",
            sentence="unfit_scheduler",
            scheduler=choice.name,
            known=fitting,
        )
    return Sampling(key, choice.sampler, choice.schedule_type, getattr(diffusers, choice.cls), choice.kwargs)


def samplings_of(task: TextToImage, own: Any, sigmas: bool = False) -> list[Sampling]:
    """One for each pass of a task. Raises RunFailed as `choose_sampling`, and for settings that the first pass's
    scheduler does not take."""
    first = choose_sampling(task.scheduler, own, sigmas)
    told = _told(task.sampler_settings)
    known = SETTINGS.get(first.cls.__name__, ())
    if unfit := [name for name in told if name not in known]:
        raise RunFailed(
            "invalid_sampler_settings",
            f"the scheduler {first.sampler} takes no {', '.join(unfit)}",
            "Leave it out, or take another scheduler.",
            scheduler=first.sampler,
            names=", ".join(unfit),
        )
    if task.hires is None:
        return [first]
    again = task.hires.scheduler
    return [first, first if again is None else choose_sampling(again, own, sigmas)]


def tell(scheduler: Any, settings: SamplerSettings | None, generators: list[torch.Generator]) -> None:
    """Let the steps of this scheduler hear what of `settings` its class takes. Their noise comes from the pictures' own
    generators, also in pipelines that hand none to a step."""
    known = SETTINGS.get(type(scheduler).__name__, ())
    told = {name: value for name, value in _told(settings).items() if name in known}
    if not told:
        return
    step = scheduler.step

    @functools.wraps(step)  # pipelines look at the signature
    def telling(*given: Any, **named: Any) -> Any:
        return step(*given, **{"generator": generators, **named, **told})

    scheduler.step = telling


def _told(settings: SamplerSettings | None) -> dict[str, float]:
    given = {} if settings is None else msgspec.structs.asdict(settings)
    return {name: value for name, value in given.items() if value is not None}


def _takes_sigmas(cls: str) -> bool:
    return "sigmas" in inspect.signature(getattr(diffusers, cls).set_timesteps).parameters
