"""A worker that holds nothing but an upscaler: pictures made larger without a model that draws. Loaded by
`engines.diffusers_image` for files of such networks; of its load options `device` and `threads` count."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from PIL import Image, ImageOps

from engines.engine import LoadFailed, Run, RunCancelled, RunFailed
from engines.image_inputs import opened
from engines.image_memory import measured_run, peak_bytes
from engines.image_upscalers import Upscalers, held_bytes
from engines.protocol import Done, Enlarge, InputImage, Message, Progress, UpscalerUse


class Upscaler:
    """One network. `run` is called on one thread."""

    def __init__(self, file: Path, device: str) -> None:
        self.device = device.partition(":")[0]
        self._use, self._upscalers = UpscalerUse(key=file.stem, path=str(file)), Upscalers(device)
        try:
            self.weights_bytes = held_bytes(self._upscalers.network(self._use))
        except RunFailed as error:
            raise LoadFailed.of(error.as_update()) from error
        self.load_peak_bytes = peak_bytes(self.device)

    def run(self, task: Message, run: Run) -> Done:
        """Raises RunFailed, and RunCancelled before the next tile after a cancel."""
        if not isinstance(task, Enlarge):
            raise RunFailed("unfit_task", "this model enlarges pictures, it makes none", sentence="only_enlarges")
        tiles = 0

        def between() -> None:
            nonlocal tiles
            if run.cancelled:
                raise RunCancelled
            run.report(Progress(step=tiles, total=tiles + 1))
            tiles += 1

        size = (task.width, task.height)
        with measured_run(self.device), torch.inference_mode():
            image = opened(InputImage(path=task.source), "RGB")
            image = self._upscalers.enlarged(image, self._use, size, between)
        if task.crop:
            image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        else:
            image = image.resize(size, Image.Resampling.LANCZOS)
        target = Path(task.target)
        image.save(target, "PNG", compress_level=1)
        data = target.read_bytes()
        answer = {"width": image.width, "height": image.height, "bytes": len(data)}
        return Done(answer=answer | {"sha256": hashlib.sha256(data).hexdigest()}, peak_bytes=peak_bytes(self.device))
