"""The autoencoder: pictures of 256 x 256 and latents of 16 x 16 x 4.

It is trained in two stages. First at 64 pixels (a factor of 4), where the latents are made, and their channels scaled
to unit variance. Then two levels are added to each end, which draw the same latents at 256 pixels (a factor of 16):
the denoiser needs only the first stage, so the second can be trained beside it.

    python -m embedded.creatures.autoencoder small --data D --out D/vae64 --cpu-seconds 330
    python -m embedded.creatures.autoencoder large --data D --small D/vae64 --out D/vae256 --cpu-seconds 1500
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from .training import Average, one_thread, set_rate, steps

SMALL, LARGE = (32, 48, 96), (16, 32, 32, 48, 96)
CHANNELS = 4
LATENT = 16  # latents are 16 x 16 at either size


def build(widths: tuple[int, ...], size: int) -> AutoencoderKL:
    n = len(widths)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * n,
        block_out_channels=widths,
        up_block_types=("UpDecoderBlock2D",) * n,
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=size,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
    )


def to_model(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (n, h, w, 3) in 0..255 to float (n, 3, h, w) in -1..1."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def pixel_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """L1 of the pixels and of their differences: the second keeps outlines sharp."""
    slope = sum((made.diff(dim=d) - true.diff(dim=d)).abs().mean() for d in (2, 3))
    return (made - true).abs().mean() + 0.5 * slope


def psnr(made: torch.Tensor, true: torch.Tensor) -> float:
    return (10 * torch.log10(4 / (made.clamp(-1, 1) - true).pow(2).mean())).item()


def _optimiser(parameters) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.99), weight_decay=1e-4, foreach=True)


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """Latent means of uint8 pictures."""
    return torch.cat([vae.encode(to_model(some)).latent_dist.mean for some in pictures.split(64)])


def train_small(data: Path, out: Path, cpu_seconds: float, start: Path | None = None) -> None:
    torch.manual_seed(0)
    creatures = torch.from_numpy(np.load(data / "pictures64.npy"))
    doodles = torch.from_numpy(np.load(data / "doodles64.npy"))
    vae = AutoencoderKL.from_pretrained(start) if start else build(SMALL, 64)
    vae.to(memory_format=torch.channels_last)  # a third faster on this CPU; bfloat16 was slower
    if not start:
        torch.nn.init.constant_(vae.encoder.conv_out.bias[CHANNELS:], -5)  # begin with little noise
    optimiser, average, losses = _optimiser(vae.parameters()), Average(vae.parameters(), 0.995), []
    for step, fraction in steps(cpu_seconds, "vae64", losses):
        set_rate(optimiser, 1.5e-3, step, fraction)
        pictures = torch.cat(
            [creatures[torch.randint(len(creatures), (14,))], doodles[torch.randint(len(doodles), (2,))]]
        )
        if fraction < 0.65:  # crops of a quarter cost a quarter
            x, y = torch.randint(0, 33, (2,)).tolist()
            pictures = pictures[:, y : y + 32, x : x + 32]
        else:
            pictures = pictures[torch.randperm(16)[:8]]
        true = to_model(pictures)
        latents = vae.encode(true).latent_dist
        made = vae.decode(latents.sample()).sample
        loss = pixel_loss(made, true) + 1e-4 * latents.kl().mean() / latents.mean[0].numel()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        average.step()
        losses.append(loss.item())
    average.swap()
    vae.eval()
    scale_channels(vae, creatures[:512])
    with torch.no_grad():
        made = vae.decode(encode(vae, creatures[:256])).sample
    print(
        f"vae64: PSNR {psnr(made, to_model(creatures[:256])):.1f} dB, "
        f"{sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters",
        flush=True,
    )
    vae.save_pretrained(out)


@torch.no_grad()
def scale_channels(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Folds each latent channel's mean and deviation into the convolutions on either side: latents become standard,
    pictures stay as they are, up to the decoder's zero padding."""
    latents = encode(vae, pictures)
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    out, into = vae.encoder.conv_out, vae.decoder.conv_in
    out.bias[:CHANNELS] -= mean
    out.weight[:CHANNELS] /= deviation.view(-1, 1, 1, 1)
    out.bias[:CHANNELS] /= deviation
    out.bias[CHANNELS:] -= 2 * deviation.log()
    into.bias += (into.weight * mean.view(1, -1, 1, 1)).sum((1, 2, 3))
    into.weight *= deviation.view(1, -1, 1, 1)


def lift(small: AutoencoderKL) -> AutoencoderKL:
    """A 256-pixel autoencoder whose inner levels are the small one's; the outer two start at random."""
    large = build(LARGE, 256)
    for mine, theirs in ((large.encoder, small.encoder), (large.decoder, small.decoder)):
        mine.mid_block.load_state_dict(theirs.mid_block.state_dict())
    large.encoder.conv_norm_out.load_state_dict(small.encoder.conv_norm_out.state_dict())
    large.encoder.conv_out.load_state_dict(small.encoder.conv_out.state_dict())
    large.decoder.conv_in.load_state_dict(small.decoder.conv_in.state_dict())
    for i in range(3):
        large.encoder.down_blocks[i + 2].load_state_dict(small.encoder.down_blocks[i].state_dict())
        large.decoder.up_blocks[i].load_state_dict(small.decoder.up_blocks[i].state_dict(), strict=False)
    return large


def shrink(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (n, 256, 256, 3) to (n, 64, 64, 3)."""
    return pictures.view(-1, 64, 4, 64, 4, 3).float().mean((2, 4)).round()


def train_large(
    data: Path, small_path: Path, out: Path, cpu_seconds: float, start: Path | None = None, encoder_share: float = 0.2
) -> None:
    """The encoder gets its share of the budget first, the decoder the rest. Both learn from the small one's latents.
    Saves at every tenth of a budget."""
    torch.manual_seed(0)
    small = AutoencoderKL.from_pretrained(small_path).eval()
    vae = AutoencoderKL.from_pretrained(start) if start else lift(small)
    vae.to(memory_format=torch.channels_last)
    creatures, drawn = (torch.from_numpy(np.load(data / f"{name}256.npy")) for name in ("pictures", "doodles"))
    pictures, doodles = torch.cat([creatures, drawn]), len(drawn)
    if (data / "latents.pt").exists():  # the denoiser's: the same pictures, drawn at 64 pixels
        latents = torch.load(data / "latents.pt")[: len(creatures)].float()
    else:
        latents = encode(small, shrink(creatures))
    latents = torch.cat([latents, encode(small, shrink(drawn))])

    def pick(n: int) -> torch.Tensor:
        few = max(1, n // 8)
        return torch.cat(
            [torch.randint(len(pictures) - doodles, (n - few,)), len(pictures) - 1 - torch.randint(doodles, (few,))]
        )

    def decoder_loss(fraction: float) -> torch.Tensor:
        index, side = pick(6), 6  # latents of 6 x 6: a crop of 96 pixels, of which the rim is not judged
        if fraction > 0.85:
            index, side = index[:1], LATENT
        x, y = (torch.randint(0, LATENT - side + 1, (2,))).tolist()
        z = latents[index][:, :, y : y + side, x : x + side]
        true = to_model(pictures[index][:, 16 * y : 16 * (y + side), 16 * x : 16 * (x + side)])
        return pixel_loss(vae.decoder(z + 0.04 * torch.randn_like(z)).float(), true)

    def encoder_loss(fraction: float) -> torch.Tensor:
        index = pick(4)
        return (vae.encoder(to_model(pictures[index]))[:, :CHANNELS].float() - latents[index]).pow(2).mean()

    def fit(module: torch.nn.Module, seconds: float, loss_of, name: str, peak: float) -> None:
        optimiser, average, losses, saved = _optimiser(module.parameters()), Average(module.parameters(), 0.995), [], 1
        for step, fraction in steps(seconds, name, losses):
            set_rate(optimiser, peak, step, fraction)
            loss = loss_of(fraction)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            average.step()
            losses.append(loss.item())
            if fraction > saved / 10:
                average.swap()
                vae.save_pretrained(out)
                average.swap()
                saved += 1
        average.swap()
        vae.save_pretrained(out)

    if encoder_share:
        fit(vae.encoder, encoder_share * cpu_seconds, encoder_loss, "encoder256", 1e-3)
    fit(vae.decoder, (1 - encoder_share) * cpu_seconds, decoder_loss, "decoder256", 1e-3)
    report(vae.eval(), pictures[:48], latents[:48])


@torch.no_grad()
def report(vae: AutoencoderKL, pictures: torch.Tensor, latents: torch.Tensor) -> None:
    true = to_model(pictures)
    made = torch.cat([vae.decode(z).sample for z in latents.split(8)])
    own = encode(vae, pictures)
    again = torch.cat([vae.decode(z).sample for z in own.split(8)])
    print(
        f"vae256: PSNR {psnr(made, true):.1f} dB from the small latents, {psnr(again, true):.1f} dB from its own; "
        f"latents differ by {(own - latents).pow(2).mean().item():.4f}; "
        f"{sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters",
        flush=True,
    )


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("stage", choices=("small", "large"))
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--small", type=Path)
    args.add_argument("--start", type=Path, help="go on from this autoencoder")
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--cpu-seconds", type=float, required=True)
    args.add_argument("--encoder-share", type=float, default=0.2, help="of the large one's budget")
    given = args.parse_args()
    one_thread()
    if given.stage == "small":
        train_small(given.data, given.out, given.cpu_seconds, given.start)
    else:
        train_large(given.data, given.small, given.out, given.cpu_seconds, given.start, given.encoder_share)


if __name__ == "__main__":
    main()
