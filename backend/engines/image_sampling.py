"""Which scheduler a run takes: the model's own as it was published, or an entry of the table made with its settings."""

from __future__ import annotations

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


def choose_sampling(key: str | None, own: Any) -> Sampling:
    """The table's entry; without a key the model's `own` scheduler. Raises RunFailed for one that does not fit."""
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
    if choice.kind != kind:
        fitting = ", ".join(choices_for(kind))
        what = "a flow-matching model" if kind == "flow" else "no flow-matching model"
        raise RunFailed(
            "invalid_scheduler",
            f"{key} does not fit, since this is {what}",
            f"Take one of {fitting}.",
            sentence="unfit_scheduler",
            scheduler=choice.name,
            known=fitting,
        )
    return Sampling(key, choice.sampler, choice.schedule_type, getattr(diffusers, choice.cls), choice.kwargs)
