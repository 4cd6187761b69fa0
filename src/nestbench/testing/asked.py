"""What the assertions of `Accuracy` have in common: where a claim is tested, and what it must find how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from nestbench.experiments.experiment import Experiment
from nestbench.sim.cells.cell import Cell

Where = Cell | Experiment | str | Path | None


class Common(TypedDict, total=False):
    """Parameters that the assertions share, see `accuracy.Accuracy`."""

    on: Where
    cell: int
    terms: Sequence[str] | None
    tolerance: float
    power: float
    false_alarm: float
    max_unusable: float
    replications: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """`Common` with its defaults."""

    on: Where = None
    cell: int = 0
    terms: Sequence[str] | None = None
    tolerance: float = 0.0
    power: float = 0.9
    false_alarm: float = 1e-6
    max_unusable: float = 0.0
    replications: int | None = None


def local(on: Any, folder: Path) -> Any:
    """Return a relative path to a file as seen from the test's folder; names of the catalogue stay."""
    return folder / on if isinstance(on, (str, Path)) and (folder / on).exists() else on
