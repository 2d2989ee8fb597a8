"""The samplers that a user can choose: key -> name that people know, diffusers class, what differs from the model's.

Pure data: importing this needs neither torch nor diffusers, so the server lists the same table that the engine runs.
Names are A1111's (https://github.com/AUTOMATIC1111/stable-diffusion-webui), the mapping to classes is the table in
diffusers' documentation (api/schedulers/overview). Samplers that diffusers has no equal of (DPM fast, DPM adaptive,
DPM++ 2S a, DPM++ 3M SDE) are left out rather than mapped to something else. A scheduler is made with
`cls.from_config(model's scheduler config, **kwargs)`, which keeps the noise schedule that the model was trained on.
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


def _choice(
    sampler: str, cls: str, schedule: str = "Automatic", kind: Literal["noise", "flow"] = "noise", **kwargs
) -> SchedulerChoice:
    schedule_kwargs = SCHEDULE_TYPES[schedule]
    name = sampler if schedule == "Automatic" else f"{sampler} {schedule}"
    return SchedulerChoice(name, cls, {**kwargs, **schedule_kwargs}, sampler, schedule, kind)


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
}

_MULTISTEP = "DPMSolverMultistepScheduler"
_SINGLESTEP = "DPMSolverSinglestepScheduler"
# dpmsolver++ takes a last sigma of zero; a model's config may carry another solver's choice.
_PLUS = {"algorithm_type": "dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"}
# Latents reach beyond ±1: clipping them, these classes' default, would grey the picture.
_UNCLIPPED = {"clip_sample": False}
_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "final_sigmas_type": "zero"}

SCHEDULERS: dict[str, SchedulerChoice] = {
    "euler": _choice("Euler", "EulerDiscreteScheduler"),
    "euler_karras": _choice("Euler", "EulerDiscreteScheduler", "Karras"),
    "euler_trailing": _choice("Euler", "EulerDiscreteScheduler", "SGM Uniform"),
    "euler_a": _choice("Euler a", "EulerAncestralDiscreteScheduler"),
    "dpmpp_2m": _choice("DPM++ 2M", _MULTISTEP, **_PLUS),
    "dpmpp_2m_karras": _choice("DPM++ 2M", _MULTISTEP, "Karras", **_PLUS),
    "dpmpp_2m_exponential": _choice("DPM++ 2M", _MULTISTEP, "Exponential", **_PLUS),
    "dpmpp_2m_beta": _choice("DPM++ 2M", _MULTISTEP, "Beta", **_PLUS),
    "dpmpp_2m_trailing": _choice("DPM++ 2M", _MULTISTEP, "SGM Uniform", **_PLUS),
    "dpmpp_2m_sde": _choice("DPM++ 2M SDE", _MULTISTEP, **_SDE),
    "dpmpp_2m_sde_karras": _choice("DPM++ 2M SDE", _MULTISTEP, "Karras", **_SDE),
    "dpmpp_sde": _choice("DPM++ SDE", _SINGLESTEP, lower_order_final=True, **_SDE),
    "dpmpp_sde_karras": _choice("DPM++ SDE", _SINGLESTEP, "Karras", lower_order_final=True, **_SDE),
    "dpm2": _choice("DPM2", "KDPM2DiscreteScheduler"),
    "dpm2_a": _choice("DPM2 a", "KDPM2AncestralDiscreteScheduler"),
    "heun": _choice("Heun", "HeunDiscreteScheduler"),
    "lms": _choice("LMS", "LMSDiscreteScheduler"),
    "unipc": _choice("UniPC", "UniPCMultistepScheduler"),
    "unipc_karras": _choice("UniPC", "UniPCMultistepScheduler", "Karras"),
    "deis": _choice("DEIS", "DEISMultistepScheduler", algorithm_type="deis", solver_order=2),
    "ddim": _choice("DDIM", "DDIMScheduler", set_alpha_to_one=False, **_UNCLIPPED),
    "ddim_trailing": _choice("DDIM", "DDIMScheduler", "SGM Uniform", set_alpha_to_one=False, **_UNCLIPPED),
    "ddpm": _choice("DDPM", "DDPMScheduler", **_UNCLIPPED),
    "plms": _choice("PLMS", "PNDMScheduler", skip_prk_steps=True),
    "lcm": _choice("LCM", "LCMScheduler", **_UNCLIPPED),
    "flow_euler": _choice("Euler", "FlowMatchEulerDiscreteScheduler", kind="flow"),
    "flow_heun": _choice("Heun", "FlowMatchHeunDiscreteScheduler", kind="flow"),
}


def choices_for(kind: Literal["noise", "flow"]) -> dict[str, SchedulerChoice]:
    """The part of the table that a model of this kind can run with."""
    return {key: choice for key, choice in SCHEDULERS.items() if choice.kind == kind}


def key_of_class(cls: str) -> str | None:
    """The first key that stands for a diffusers class: how to name a model's own scheduler."""
    return next((key for key, choice in SCHEDULERS.items() if choice.cls == cls), None)
