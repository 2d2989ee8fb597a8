"""Pictures of several tasks in one denoising loop: who is in it, how large a part goes through at once.

The tasks of a batch are alike in all that the loop sees but prompts and seeds. Each picture has its own noise, its own
embeddings and its own file; memory that runs out halves the part, down to one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import torch

from engines.image_prompts import Prompts, Reading, goes_alone
from engines.protocol import TextToImage

Arguments = dict[str, Any]


class Rows:
    """The pictures of all tasks in one row. `merged` is the task that they are together, `tasks[i]` and `indices[i]`
    say whose picture the i-th is and which of it, `arguments[i]` are its prompt's (see `image_prompts`)."""

    def __init__(self, tasks: Sequence[TextToImage], arguments: Sequence[Arguments]) -> None:
        self.tasks = [task for task in tasks for _ in task.seeds]
        self.indices = [index for task in tasks for index in range(len(task.seeds))]
        self.arguments = [own for task, own in zip(tasks, arguments, strict=True) for _ in task.seeds]
        self.merged = msgspec.structs.replace(
            tasks[0],
            seeds=[seed for task in tasks for seed in task.seeds],
            subseeds=[seed for task in tasks for seed in task.subseeds],
            preview_every=min((task.preview_every for task in tasks if task.preview_every), default=0),
        )

    def __len__(self) -> int:
        return len(self.tasks)

    def part(self, first: int, at_once: int) -> int:
        """How many go through together from `first` on: prompts of different lengths cannot, nor those that change."""
        last = first + 1
        while last < min(len(self), first + at_once) and self._go_together(first, last):
            last += 1
        return last - first

    def of_one(self, first: int, count: int) -> bool:
        """Whether all of these are pictures of one task."""
        return self.tasks[first] is self.tasks[first + count - 1]

    def _go_together(self, one: int, other: int) -> bool:
        if self.tasks[one] is self.tasks[other]:
            return True
        apart = goes_alone(self.tasks[one]) or goes_alone(self.tasks[other])
        return not apart and _shape(self.arguments[one]) == _shape(self.arguments[other])

    def prompts(self, first: int, count: int) -> Arguments:
        """The prompt arguments of some rows, for one call."""
        some = self.arguments[first : first + count]
        return {name: _together([one[name] for one in some]) for name in some[0]}


class RowPrompts:
    """The prompts of the rows that go through next, as `Prompts` has them for one task."""

    def __init__(self, prompts: Prompts, rows: Rows) -> None:
        self._prompts, self._rows = prompts, rows
        self._first, self._count = 0, 1

    def take(self, first: int, count: int) -> None:
        self._first, self._count = first, count

    def arguments(self, pipe: Any, _merged: TextToImage) -> Arguments:
        if self._rows.of_one(self._first, self._count):
            return self._prompts.arguments(pipe, self._rows.tasks[self._first])
        return {**self._rows.prompts(self._first, self._count), "num_images_per_prompt": 1}

    def reading(self, pipe: Any, merged: TextToImage) -> Reading:
        if self._rows.of_one(self._first, self._count):
            return self._prompts.reading(pipe, self._rows.tasks[self._first])
        return Reading((self.arguments(pipe, merged),))


def _shape(arguments: Arguments) -> list[tuple[str, Any]]:
    """What must be equal: sizes but that of the batch, and whether there is something at all."""
    return sorted(
        (name, tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else value is None)
        for name, value in arguments.items()
    )


def _together(values: list[Any]) -> Any:
    if isinstance(values[0], torch.Tensor):
        return torch.cat(values)
    return None if values[0] is None else values
