"""What reports read from a run: the contract between experiments and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a run has come.

    Attributes
    ----------
    asked, fitted : tuple of mapping of str to int
        For each condition, data sets by method label: those the whole study wants, and those stored here.
    part : tuple of int or None
        Which part of a study this is, (index, count) from 1; None is the whole.
    audited : tuple of int
        Data sets to be fitted by both engines, over all conditions: those the study wants, and those done.
    """

    asked: tuple[Mapping[str, int], ...]
    fitted: tuple[Mapping[str, int], ...]
    part: tuple[int, int] | None = None
    audited: tuple[int, int] = (0, 0)


UNREPEATABLE = "not reproducible"
"""Key of `Results.provenance`: labels of methods that gave other numbers when a data set was fitted again."""


def unrepeatable_sentence(labels: Sequence[str]) -> str:
    """Return what is to be known of methods that aren't reproducible; nothing where there are none."""
    if not labels:
        return ""
    names = ", ".join(f"'{label}'" for label in labels)
    return (
        f"Not reproducible: {names} gave other numbers when the same data set was fitted again; random numbers must "
        "come from a parameter rng: def method(frame, model, rng)."
    )


class Results(Protocol):
    """A finished or unfinished run, read-only. A `Store` is one; tests make small ones by hand."""

    @property
    def experiment(self) -> Experiment:
        """The experiment as run."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions, CPU, commit, start, workers."""

    def extent(self) -> Extent:
        """How many data sets of each condition every method has, and should have."""

    def estimates(
        self, cell: int, within: range | None = None, names: Sequence[str] | None = None
    ) -> Mapping[str, Estimates]:
        """Estimates of one condition by method label (`Estimator.label`), whatever is stored so far. Of a condition
        with a `span`: of the replications `within` alone, of the terms and quantities in `names` alone (of none: what
        fits are)."""

    def span(self, cell: int) -> range:
        """From the first replication to the last of a condition that can be read in parts; empty where it is whole."""

    def names(self, cell: int) -> Mapping[str, tuple[str, ...]]:
        """Terms and quantities of a condition with a `span`, by method label."""

    def timings(self, cell: int) -> pd.DataFrame:
        """Columns ``estimator, engine, replication, seconds``: made under load, never reported as a benchmark."""

    def opener(self) -> Callable[[], Results] | None:
        """What opens these results in another process; None where they are in the memory of this one."""

    def audits(self) -> pd.DataFrame:
        """One row per audited condition x method: columns ``cell, estimator, agreement, fits, worst, disagreements,
        stopped_short, worst_shortfall, below_grid, worst_below_grid (log-likelihood units)``."""
