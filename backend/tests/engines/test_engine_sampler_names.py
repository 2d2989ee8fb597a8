"""The names that clients of A1111 and Forge send, and every scheduler of the table on a made-up denoiser."""

from __future__ import annotations

import diffusers
import pytest
import torch
from engines.sampler_names import NEAREST, SAMPLERS, SCHEDULES, Found, find, names_of
from engines.schedulers import SCHEDULERS

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


class TestFind:
    @pytest.mark.parametrize(
        ("sampler", "schedule", "key"),
        [
            ("Euler a", None, "euler_a"),
            ("Euler a", "automatic", "euler_a"),
            ("k_euler_a", None, "euler_a"),
            ("euler_ancestral", "normal", "euler_a_uniform"),
            ("Euler", "Karras", "euler_karras"),
            ("euler", "sgm_uniform", "euler_trailing"),
            ("Euler", "SGMUniform", "euler_trailing"),
            ("Euler", "simple", "euler_trailing"),
            ("DPM++ 2M Karras", None, "dpmpp_2m_karras"),
            ("DPM++ 2M Karras", "automatic", "dpmpp_2m_karras"),
            ("DPM++ 2M", None, "dpmpp_2m_karras"),
            ("DPM++ 2M", "Uniform", "dpmpp_2m_uniform"),
            ("DPM++ 2M SDE", "Automatic", "dpmpp_2m_sde_exponential"),
            ("DPM++ 2M SDE Karras", "", "dpmpp_2m_sde_karras"),
            ("DPM++ 2M SDE Heun Exponential", None, "dpmpp_2m_sde_heun_exponential"),
            ("DPM++ 2M SDE SGM Uniform", None, "dpmpp_2m_sde_trailing"),
            ("dpm++ 3m sde", "polyexponential", "dpmpp_3m_sde_exponential"),
            ("k_dpmpp_sde", "karras", "dpmpp_sde_karras"),
            ("DPM2 a Karras", None, "dpm2_a_karras"),
            ("LMS Karras", None, "lms_karras"),
            ("DDIM", None, "ddim"),
            ("PLMS", None, "plms"),
            ("UniPC", "beta", "unipc_beta"),
            ("LCM", "sgm_uniform", "lcm"),
            ("dpmpp_2m", None, "dpmpp_2m"),
            ("dpmpp_2m_trailing", None, "dpmpp_2m_trailing"),
        ],
    )
    def test_names_of_a1111(self, sampler: str, schedule: str | None, key: str) -> None:
        found = find(sampler, schedule)
        assert found is not None and found.key == key
        assert found.exact == ((sampler, schedule) != ("LCM", "sgm_uniform"))

    @pytest.mark.parametrize(
        ("sampler", "schedule", "key"),
        [
            ("DPM++ 2S a Karras", None, "dpmpp_sde_karras"),
            ("DPM fast", "karras", "dpmpp_2m_karras"),
            ("Restart", None, "heun"),
            ("Euler a", "karras", "euler_a"),
            ("DPM++ 2M", "align_your_steps", "dpmpp_2m_karras"),
            ("Euler", "no such schedule", "euler"),
        ],
    )
    def test_the_nearest_is_called_so(self, sampler: str, schedule: str | None, key: str) -> None:
        assert find(sampler, schedule) == Found(key, exact=False)

    @pytest.mark.parametrize("sampler", ["", "Karras", "nonsense", "Euler b", "flow_euler"])
    def test_what_nobody_knows(self, sampler: str) -> None:
        assert find(sampler) is None

    def test_flow_models(self) -> None:
        assert find("Euler", "simple", "flow") == Found("flow_euler")
        assert find("Euler", "beta", "flow") == Found("flow_euler_beta")
        assert find("Heun", None, "flow") == Found("flow_heun")
        assert find("Heun", "karras", "flow") == Found("flow_heun", exact=False)
        assert find("DPM++ 2M Karras", None, "flow") == Found("flow_euler_karras", exact=False)
        assert find("flow_euler", None, "flow") == Found("flow_euler")

    def test_every_name_that_is_listed_is_found(self) -> None:
        for sampler in SAMPLERS:
            for name in (sampler.name, *sampler.aliases):
                assert find(name).exact, name
        assert all(find(name) and not find(name).exact for name in NEAREST)
        for schedule in SCHEDULES:
            for name in (schedule.id, schedule.label, *schedule.aliases):
                assert find("Euler", name) is not None and find("Euler", name).exact == schedule.exact, name

    @pytest.mark.parametrize("key", SCHEDULERS)
    def test_there_and_back(self, key: str) -> None:
        sampler, schedule = names_of(key)
        if schedule != "Automatic":  # which stands for a schedule of the sampler's own
            assert find(sampler, schedule, SCHEDULERS[key].kind) == Found(key)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", SCHEDULERS)
def test_every_scheduler_finds_its_way_to_the_picture(key: str) -> None:
    """A denoiser that always sees the same clean picture: after the last step it stands there, for every scheduler."""
    clean = torch.linspace(-0.8, 0.8, 64).reshape(1, 1, 8, 8)
    assert (_sampled(key, clean, 6) - clean).abs().mean() < 0.1
    assert torch.isfinite(_sampled(key, clean, 1)).all()


def _sampled(key: str, clean: torch.Tensor, steps: int) -> torch.Tensor:
    choice = SCHEDULERS[key]
    base = (
        diffusers.FlowMatchEulerDiscreteScheduler()
        if choice.kind == "flow"
        else diffusers.PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1)
    )
    scheduler = getattr(diffusers, choice.cls).from_config(base.config, **choice.kwargs)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(clean.shape, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    alphas = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, dim=0)
    for step, timestep in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(sample, timestep) if hasattr(scheduler, "scale_model_input") else sample
        if choice.kind == "flow":
            output = (sample - clean) / scheduler.sigmas[step]
        else:
            alpha = _alpha(alphas, float(timestep))
            output = (seen - alpha**0.5 * clean) / (1 - alpha) ** 0.5
        extra = {"generator": generator} if "generator" in scheduler.step.__code__.co_varnames else {}
        sample = scheduler.step(output, timestep, sample, **extra).prev_sample
    return sample


def _alpha(alphas: torch.Tensor, timestep: float) -> torch.Tensor:
    """Between two steps of training the logarithm of sigma is linear, as schedulers take it."""
    low = min(max(int(timestep), 0), 998)
    part = timestep - low
    sigmas = ((1 - alphas) / alphas) ** 0.5
    sigma = torch.exp((1 - part) * sigmas[low].log() + part * sigmas[low + 1].log())
    return 1 / (1 + sigma**2)
