"""What other programs call the samplers and schedules of `engines.schedulers`, both ways.

Pure data and functions. Clients of A1111 and Forge send a sampler and a schedule ("Euler a", "karras"), older ones both
in one ("DPM++ 2M Karras"), scripts send aliases ("k_euler_a"). `find` answers with a key of ours; `exact` tells whether
it is what was asked for or the nearest there is, and whoever asked should be told so.

As in A1111 since 1.9, a sampler without a schedule, or with "Automatic", runs with the schedule that its authors meant
it for, which for most DPM++ samplers is Karras.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from engines.schedulers import SCHEDULE_TYPES, SCHEDULERS


@dataclass(frozen=True)
class Found:
    """A key of SCHEDULERS. `exact` is False where diffusers has no equal of what was asked for."""

    key: str
    exact: bool = True


@dataclass(frozen=True)
class SamplerName:
    """`schedule`: what "Automatic" stands for with it."""

    name: str
    aliases: tuple[str, ...]
    schedule: str = "Automatic"


@dataclass(frozen=True)
class ScheduleName:
    """`id` and `label` are what clients send. `ours` is the schedule of SCHEDULE_TYPES that it runs with."""

    id: str
    label: str
    ours: str
    exact: bool = True
    aliases: tuple[str, ...] = ()
    default_rho: float = -1.0
    need_inner_model: bool = False


SAMPLERS: tuple[SamplerName, ...] = (
    SamplerName("DPM++ 2M", ("k_dpmpp_2m",), "Karras"),
    SamplerName("DPM++ SDE", ("k_dpmpp_sde",), "Karras"),
    SamplerName("DPM++ 2M SDE", ("k_dpmpp_2m_sde", "k_dpmpp_2m_sde_ka"), "Exponential"),
    SamplerName("DPM++ 2M SDE Heun", ("k_dpmpp_2m_sde_heun",), "Exponential"),
    SamplerName("DPM++ 3M SDE", ("k_dpmpp_3m_sde",), "Exponential"),
    SamplerName("Euler a", ("k_euler_a", "k_euler_ancestral")),
    SamplerName("Euler", ("k_euler",)),
    SamplerName("LMS", ("k_lms",)),
    SamplerName("Heun", ("k_heun",)),
    SamplerName("DPM2", ("k_dpm_2",), "Karras"),
    SamplerName("DPM2 a", ("k_dpm_2_a", "k_dpm_2_ancestral"), "Karras"),
    SamplerName("DDIM", ("ddim",)),
    SamplerName("PLMS", ("plms", "pndm")),
    SamplerName("UniPC", ("unipc", "uni_pc")),
    SamplerName("DEIS", ("deis",)),
    SamplerName("LCM", ("lcm", "k_lcm")),
    SamplerName("DDPM", ("ddpm",)),
)
"""Every sampler that we run, in the order of A1111's menu."""

NEAREST: dict[str, str] = {
    "DPM++ 2S a": "DPM++ SDE",
    "k_dpmpp_2s_a": "DPM++ SDE",
    "k_dpmpp_2s_ancestral": "DPM++ SDE",
    "DPM fast": "DPM++ 2M",
    "k_dpm_fast": "DPM++ 2M",
    "DPM adaptive": "DPM++ 2M",
    "k_dpm_ad": "DPM++ 2M",
    "k_dpm_adaptive": "DPM++ 2M",
    "Restart": "Heun",
    "DDIM CFG++": "DDIM",
    "ddim_cfgpp": "DDIM",
    "Euler a CFG++": "Euler a",
    "Euler CFG++": "Euler",
    "DPM++ 2M CFG++": "DPM++ 2M",
    "Euler Dy": "Euler",
    "Euler SMEA Dy": "Euler",
    "Euler Negative": "Euler",
    "Euler Negative Dy": "Euler",
    "HeunPP2": "Heun",
    "IPNDM": "LMS",
    "IPNDM_V": "LMS",
    "TCD": "LCM",
    "uni_pc_bh2": "UniPC",
}
"""Samplers of A1111 and Forge that diffusers has no equal of, and the one that comes nearest."""

SCHEDULES: tuple[ScheduleName, ...] = (
    ScheduleName("automatic", "Automatic", "Automatic"),
    ScheduleName("uniform", "Uniform", "Uniform", need_inner_model=True),
    ScheduleName("karras", "Karras", "Karras", default_rho=7.0),
    ScheduleName("exponential", "Exponential", "Exponential"),
    # With A1111's rho of 1 it is the exponential schedule.
    ScheduleName("polyexponential", "Polyexponential", "Exponential", default_rho=1.0),
    ScheduleName("sgm_uniform", "SGM Uniform", "SGM Uniform", aliases=("SGMUniform",), need_inner_model=True),
    ScheduleName("kl_optimal", "KL Optimal", "Karras", exact=False),
    ScheduleName("align_your_steps", "Align Your Steps", "Karras", exact=False),
    ScheduleName("simple", "Simple", "SGM Uniform", need_inner_model=True),
    ScheduleName("normal", "Normal", "Uniform", need_inner_model=True),
    ScheduleName("ddim", "DDIM", "Automatic", aliases=("ddim_uniform",), need_inner_model=True, exact=False),
    ScheduleName("beta", "Beta", "Beta", need_inner_model=True),
    ScheduleName("turbo", "Turbo", "SGM Uniform", exact=False),
    ScheduleName("align_your_steps_GITS", "Align Your Steps GITS", "Karras", exact=False),
    ScheduleName("align_your_steps_11", "Align Your Steps 11", "Karras", exact=False),
    ScheduleName("align_your_steps_32", "Align Your Steps 32", "Karras", exact=False),
)
"""Every schedule that clients of A1111 and Forge send."""


SETTING_WORDS = {
    "eta": "Eta",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
}
"""What an infotext calls the settings of `schedulers.SETTINGS`."""

UPSCALER_NAMES = {"latent": "Latent", "lanczos": "Lanczos", "nearest": "Nearest"}
"""What it calls the ways to enlarge that need no model."""


def _plain(name: str) -> str:
    """Names are the same in any case, with any spaces, with or without k-diffusion's "k_"."""
    plain = re.sub(r"[\s_\-]+", " ", name.strip().casefold())
    return plain.removeprefix("k ").replace("dpmpp ", "dpm++ ").replace("ancestral", "a")


_SAMPLER = {_plain(word): sampler for sampler in SAMPLERS for word in (sampler.name, *sampler.aliases)}
_NEAREST = {_plain(word): _SAMPLER[_plain(sampler)] for word, sampler in NEAREST.items()}
_SCHEDULE = {
    _plain(word): schedule for schedule in SCHEDULES for word in (schedule.id, schedule.label, *schedule.aliases)
}
_KEYS = {(choice.kind, choice.sampler, choice.schedule_type): key for key, choice in SCHEDULERS.items()}


def _split(name: str) -> tuple[str, ScheduleName | None]:
    """ "DPM++ 2M SDE Karras" -> the sampler's plain name and the schedule, None when there is none at its end."""
    plain = _plain(name)
    if plain in _SAMPLER or plain in _NEAREST:
        return plain, None
    for words in sorted(_SCHEDULE, key=len, reverse=True):
        if plain.endswith(f" {words}"):
            return plain.removesuffix(f" {words}"), _SCHEDULE[words]
    return plain, None


def find(sampler: str, schedule: str | None = None, kind: Literal["noise", "flow"] = "noise") -> Found | None:
    """The key for a sampler and a schedule as a client of A1111 sends them; None when there is no such sampler.

    `sampler` may be a key of ours too. A schedule that nobody knows is taken as "Automatic", as A1111 does, and as
    nearest. For a flow-matching model every sampler but its own two is nearest to Euler.
    """
    choice = SCHEDULERS.get(sampler)
    if choice is not None and choice.kind == kind and not schedule:
        return Found(sampler)
    plain, inside = _split(sampler)
    name = _SAMPLER.get(plain) or _NEAREST.get(plain)
    if name is None:
        return None
    exact = plain in _SAMPLER
    asked = _SCHEDULE.get(_plain(schedule)) if schedule else None
    if schedule and asked is None:
        exact = False
    if inside is not None and (asked is None or asked.id == "automatic"):
        asked = inside
    exact = exact and (asked is None or asked.exact)
    ours = asked.ours if asked is not None else "Automatic"
    if kind == "flow":
        return _find_flow(name, ours, exact)
    if asked is None or asked.id == "automatic":
        ours = name.schedule
    key = _KEYS.get(("noise", name.name, ours))
    return Found(key, exact) if key is not None else Found(_KEYS["noise", name.name, "Automatic"], exact=False)


def _find_flow(name: SamplerName, schedule: str, exact: bool) -> Found:
    sampler = name.name if ("flow", name.name, "Automatic") in _KEYS else "Euler"
    exact = exact and sampler == name.name
    if schedule in ("SGM Uniform", "Uniform"):  # steps of the same size in time are what a flow takes by itself
        schedule = "Automatic"
    key = _KEYS.get(("flow", sampler, schedule))
    return Found(key, exact) if key is not None else Found(_KEYS["flow", sampler, "Automatic"], exact=False)


def names_of(key: str) -> tuple[str, str]:
    """What A1111 calls a key of ours: sampler and schedule, so that `find` leads back to it. KeyError when unknown."""
    choice = SCHEDULERS[key]
    return choice.sampler, choice.schedule_type


def labels_of(sampler: str) -> list[str]:
    """The schedules that a sampler can be run with, in the words of SCHEDULE_TYPES."""
    return [label for label in SCHEDULE_TYPES if ("noise", sampler, label) in _KEYS]
