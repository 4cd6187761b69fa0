"""The tests of a study's coverages and biases, and of resampled ones, taken back to what they say about the truth.

A study's own coverages have Monte Carlo error, and drawing data sets again adds as much, so that the furthest of many
would be exaggerated twice over. Of a method whose m estimands lie z_1, ..., z_m errors away from their levels (biases
from 0), none of them beyond Monte Carlo error, an estimand counts as ``z_i max(1 - (m - 2) / sum z^2, 0)`` away: the
positive-part shrinkage of James & Stein (1961). Together, because the furthest of forty right coverages is some 2.5
errors away, which alone would look like something. An estimand that is shown to be off stands for itself, ``max(z - 1 /
z, 0)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import biases as bias_rule
from nestbench.reports.comparing import grades, holm
from nestbench.reports.comparing.grades import Grade
from nestbench.reports.measures.draws import Bools
from nestbench.sim.observed.batch import Floats

Estimand = tuple[int, str]
"""The condition's number, and the term."""


def taken_back(z: Floats, shown: Bools) -> Floats:
    """Return the z's of one method's estimands as what they say about the truth (positive-part James & Stein).

    Those that are `shown` to be off by themselves, ``max(|z| - 1 / |z|, 0)``; the m others together,
    ``z max(1 - max(m - 2, 1) / sum z^2, 0)``.
    """
    size = np.abs(z)
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.sign(z) * np.where(size > 1.0, size - 1.0 / size, 0.0)
    total = float((z[~shown] ** 2).sum())
    kept = max(1.0 - max(int((~shown).sum()) - 2, 1) / total, 0.0) if total > 0.0 else 0.0
    return np.asarray(np.where(shown, alone, kept * np.where(shown, 0.0, z)))


@dataclass(frozen=True, slots=True)
class Tests:
    """What the tests of every estimand are made of, by condition, term and method.

    Attributes
    ----------
    levels : sequence of float
        By condition.
    coverage : dict
        (coverage, n, z taken back).
    bias : dict
        (bias in SDs, z taken back).
    bias_limit : float
        z from which on a bias is shown.
    """

    levels: Sequence[float]
    coverage: Mapping[tuple[int, str, str], tuple[float, int, float]]
    bias: Mapping[tuple[int, str, str], tuple[float, float]]
    bias_limit: float

    @staticmethod
    def of(experiment: Experiment, graded: pd.DataFrame, biased: pd.DataFrame) -> Tests:
        """Return the tests of `grades.estimands` and `biases`.

        Parameters
        ----------
        experiment : Experiment
        graded, biased : DataFrame
            What `grades` and `biases` make of the performance table.
        """
        levels = [cell.model.level for cell in experiment.cells]
        promised = np.array([levels[cell] for cell in graded["cell"]], dtype=np.float64)
        errors = np.sqrt(promised * (1.0 - promised) / graded["n"].to_numpy(dtype=np.float64))
        off = graded["grade"].isin([Grade.FAILS, Grade.WIDE])
        limit = holm.limit(biased["p"])
        # By way of p-values: t statistics of few data sets have tails that normal ones don't.
        z = np.sign(biased["value"]) * -special.ndtri(biased["p"] / 2.0)
        return Tests(
            levels,
            _by_place(
                graded, "coverage", "n", _by_method(graded, (graded["coverage"] - promised) / errors, off)
            ),
            _by_place(biased, "value", _by_method(biased, z, biased["p"] <= limit)),
            float(-special.ndtri(limit / 2.0)),
        )

    def _coverage(self, place: Estimand, able: Sequence[str]) -> tuple[Floats, Floats, Floats]:
        """Return shares, counts and z's of some methods at one place."""
        shares, ns, z = np.array([self.coverage[(*place, label)] for label in able], dtype=np.float64).T
        return shares, ns, z

    def below(self, place: Estimand, able: Sequence[str]) -> Floats:
        """Return two-sided p-values of coverages below the band [m]."""
        shares, ns, _ = self._coverage(place, able)
        return np.minimum(1.0, 2.0 * grades.below_p(shares, ns, grades.band(self.levels[place[0]])[0]))

    def below_again(self, place: Estimand, able: Sequence[str], moves: Floats) -> Floats:
        """Return `below` of resampled coverages [B, m], moved by `moves`.

        Parameters
        ----------
        place : Estimand
        able : sequence of str
        moves : float64 [B, m]
            By how much a resampled run moves the coverages.
        """
        _, ns, z = self._coverage(place, able)
        level = self.levels[place[0]]
        again = np.clip(level + np.sqrt(level * (1.0 - level) / ns) * z + moves, 0.0, 1.0)
        return np.minimum(1.0, 2.0 * grades.below_p(again, ns, grades.band(level)[0]))

    def biased_again(self, place: Estimand, able: Sequence[str], moves: Floats, n: int) -> Bools:
        """Return where resampled estimates are shown to be biased [B, m]; `moves` in SDs.

        Parameters
        ----------
        place : Estimand
        able : sequence of str
        moves : float64 [B, m]
            By how much a resampled run moves the mean errors.
        n : int
            Data sets.
        """
        values, z = np.array([self.bias.get((*place, label), (0.0, 0.0)) for label in able]).T
        again = np.abs(z + moves * np.sqrt(n))
        return np.asarray((again >= self.bias_limit) & (np.abs(values + moves) > bias_rule.SHARE))


def _by_method(rows: pd.DataFrame, z: pd.Series[float], shown: pd.Series[bool]) -> Floats:
    """Return z's taken back, method by method."""
    statistic = np.zeros(len(rows))
    values, off = np.asarray(z, dtype=np.float64), np.asarray(shown, dtype=np.bool_)
    for places in rows.reset_index(drop=True).groupby("estimator").indices.values():
        statistic[places] = taken_back(values[places], off[places])
    return statistic


def _by_place(rows: pd.DataFrame, *columns: str | Floats) -> dict[tuple[int, str, str], tuple[Any, ...]]:
    """Return columns by condition, term and method."""
    keys = zip(rows["cell"], rows["term"], rows["estimator"], strict=True)
    values = zip(*(rows[name] if isinstance(name, str) else name for name in columns), strict=True)
    return dict(zip(keys, values, strict=True))
