"""Which scheduler a run takes: the model's own as it was published, or an entry of the table made with its settings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal

import diffusers

from engines.engine import RunFailed
from engines.schedulers import SCHEDULERS, choices_for, key_of_class


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


def _takes_sigmas(cls: str) -> bool:
    return "sigmas" in inspect.signature(getattr(diffusers, cls).set_timesteps).parameters
