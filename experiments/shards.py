"""Parts of a run: every n-th task, or every n-th condition, run anywhere on its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from nestbench.experiments.plan import Task
from nestbench.sim.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`, from 1: the tasks at positions index - 1, index - 1 + count, ... of the plan.

    With ``[precision]`` the conditions at these positions instead: whether a condition goes on depends on all of its
    estimates.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard of a text such as ``3/100``."""
        numbers = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        shard = cls(int(numbers[1]), int(numbers[2])) if numbers else None
        if shard is None or not 1 <= shard.index <= shard.count:
            raise InvalidInput(f"expected a shard such as 3/100, from 1/100 to 100/100, got '{text}'")
        return shard

    def of(self, tasks: Sequence[Task], whole_cells: bool) -> tuple[Task, ...]:
        """Return this part's tasks."""
        if whole_cells:
            return tuple(task for task in tasks if task.cell % self.count == self.index - 1)
        # Not stretches of the plan: conditions stand one after another, and some cost far more than others.
        return tuple(tasks[self.index - 1 :: self.count])
