"""The samplers that a user can choose: key -> name that people know, diffusers class, what differs from the model's.

Pure data: importing this needs neither torch nor diffusers, so the server lists the same table that the engine runs.
Names are A1111's (https://github.com/AUTOMATIC1111/stable-diffusion-webui), the mapping to classes is the table in
diffusers' documentation (api/schedulers/overview). Samplers that diffusers has no equal of (DPM fast, DPM adaptive,
DPM++ 2S a, Restart) are left out rather than mapped to something else; `engines.sampler_names` knows the nearest of
them for clients that send such a name. A scheduler is made with `cls.from_config(model's scheduler config, **kwargs)`,
which keeps the noise schedule that the model was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class SchedulerChoice:
    """`sampler` and `schedule_type` are A1111's words for infotext; `cls` is a class of diffusers.

    `kind`: "noise" works for models that predict noise, v or the sample; "flow" for flow-matching models only.
    """

    name: str
    cls: str
    kwargs: dict[str, str | int | float | bool] = field(default_factory=dict)
    sampler: str = ""
    schedule_type: str = "Automatic"
    kind: Literal["noise", "flow"] = "noise"


# Each entry sets all three spacings of sigmas, so that a model's own choice does not mix with the one asked for.
SCHEDULE_TYPES: dict[str, dict[str, str | int | float | bool]] = {
    "Automatic": {},
    "Karras": {"use_karras_sigmas": True, "use_exponential_sigmas": False, "use_beta_sigmas": False},
    "Exponential": {
        "use_karras_sigmas": False,
        "use_exponential_sigmas": True,
        "use_beta_sigmas": False,
        "timestep_spacing": "linspace",
    },
    "Beta": {
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": True,
        "timestep_spacing": "linspace",
    },
    "SGM Uniform": {
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        "timestep_spacing": "trailing",
    },
    "Uniform": {
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        "timestep_spacing": "linspace",
    },
}
_SUFFIX = {
    "Automatic": "",
    "Karras": "_karras",
    "Exponential": "_exponential",
    "Beta": "_beta",
    "SGM Uniform": "_trailing",
    "Uniform": "_uniform",
}
_SIGMAS = ("Automatic", "Karras", "Exponential", "Beta")
_SPACINGS = ("Automatic", "SGM Uniform", "Uniform")
_ALL = (*_SIGMAS, "SGM Uniform", "Uniform")


def _choices(
    key: str,
    sampler: str,
    cls: str,
    schedules: tuple[str, ...] = ("Automatic",),
    kind: Literal["noise", "flow"] = "noise",
    **kwargs,
) -> dict[str, SchedulerChoice]:
    """One sampler with each of its schedules."""
    made = {}
    for schedule in schedules:
        name = sampler if schedule == "Automatic" else f"{sampler} {schedule}"
        made[key + _SUFFIX[schedule]] = SchedulerChoice(
            name, cls, {**kwargs, **SCHEDULE_TYPES[schedule]}, sampler, schedule, kind
        )
    return made


_MULTISTEP = "DPMSolverMultistepScheduler"
_SINGLESTEP = "DPMSolverSinglestepScheduler"
# dpmsolver++ takes a last sigma of zero; a model's config may carry another solver's choice.
_PLUS = {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"}
# Latents reach beyond ±1: clipping them, these classes' default, would grey the picture.
_UNCLIPPED = {"clip_sample": False}
_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"}

_SDE_3 = {**_SDE, "solver_order": 3}

SCHEDULERS: dict[str, SchedulerChoice] = {
    **_choices("euler", "Euler", "EulerDiscreteScheduler", _ALL),
    **_choices("euler_a", "Euler a", "EulerAncestralDiscreteScheduler", _SPACINGS),
    **_choices("dpmpp_2m", "DPM++ 2M", _MULTISTEP, _ALL, **_PLUS),
    **_choices("dpmpp_2m_sde", "DPM++ 2M SDE", _MULTISTEP, _ALL, **_SDE),
    **_choices("dpmpp_2m_sde_heun", "DPM++ 2M SDE Heun", _MULTISTEP, _SIGMAS, solver_type="heun", **_SDE),
    **_choices("dpmpp_3m_sde", "DPM++ 3M SDE", _MULTISTEP, _SIGMAS, **_SDE_3),
    **_choices("dpmpp_sde", "DPM++ SDE", _SINGLESTEP, _SIGMAS, lower_order_final=True, **_SDE),
    **_choices("dpm2", "DPM2", "KDPM2DiscreteScheduler", _SIGMAS),
    **_choices("dpm2_a", "DPM2 a", "KDPM2AncestralDiscreteScheduler", _SIGMAS),
    **_choices("heun", "Heun", "HeunDiscreteScheduler", _ALL),
    **_choices("lms", "LMS", "LMSDiscreteScheduler", _ALL),
    **_choices("unipc", "UniPC", "UniPCMultistepScheduler", _ALL),
    **_choices("deis", "DEIS", "DEISMultistepScheduler", _SIGMAS, algorithm_type="deis", solver_order=2),
    **_choices("ddim", "DDIM", "DDIMScheduler", ("Automatic", "SGM Uniform"), set_alpha_to_one=False, **_UNCLIPPED),
    **_choices("ddpm", "DDPM", "DDPMScheduler", **_UNCLIPPED),
    **_choices("plms", "PLMS", "PNDMScheduler", skip_prk_steps=True),
    **_choices("lcm", "LCM", "LCMScheduler", **_UNCLIPPED),
    **_choices("flow_euler", "Euler", "FlowMatchEulerDiscreteScheduler", _SIGMAS, kind="flow"),
    **_choices("flow_heun", "Heun", "FlowMatchHeunDiscreteScheduler", kind="flow"),
}


CHURN = ("s_churn", "s_tmin", "s_tmax", "s_noise")
SETTINGS: dict[str, tuple[str, ...]] = {
    "EulerDiscreteScheduler": CHURN,
    "FlowMatchHeunDiscreteScheduler": CHURN,
    "DDIMScheduler": ("eta",),
}
"""What a class's steps can be told, in A1111's words: how much noise is put back (Karras et al. 2022, "Elucidating the
design space", algorithm 2: `s_churn`, for levels from `s_tmin` to `s_tmax`, `s_noise` times as strong), and DDIM's
`eta` (Song et al. 2020, equation 16). Other classes of diffusers take none, or take them and do nothing with them."""


def settings_of(key: str | None) -> tuple[str, ...]:
    """What a key's steps can be told. Of the model's own scheduler (None) nothing is known here."""
    return SETTINGS.get(SCHEDULERS[key].cls, ()) if key in SCHEDULERS else ()


def choices_for(kind: Literal["noise", "flow"]) -> dict[str, SchedulerChoice]:
    """The part of the table that a model of this kind can run with."""
    return {key: choice for key, choice in SCHEDULERS.items() if choice.kind == kind}


def key_of_class(cls: str) -> str | None:
    """The first key that stands for a diffusers class: how to name a model's own scheduler."""
    return next((key for key, choice in SCHEDULERS.items() if choice.cls == cls), None)
