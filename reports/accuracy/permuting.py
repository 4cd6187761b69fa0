"""The test behind `nestbench check` on other data: labels are permuted, the largest statistic counts.

If nothing has changed, the replications of both runs come from one distribution, whatever it is: every assignment of
the labels *before* and *after* to them was equally likely (on the same data sets: every swap within a data set). So
the largest of all statistics of a check, over conditions, methods, terms and measures, has a known distribution, and

    p_j = (1 + #{permutations whose largest statistic reaches T_j}) / (1 + permutations)

keeps the stated false-alarm rate for the check as a whole, exactly, for any number of replications and any tails
(Westfall & Young 1993; Phipson & Smyth 2010). Replications move as wholes: methods, terms and measures of one data set
keep their dependence, as do conditions whose analysis models share data sets.

Statistics: for means Student's t of two samples, from the sum S1 of centred values with mark *after*,

    r^2 = S1^2 n / (n1 n0 SS),    t = sqrt((n - 2) r^2 / (1 - r^2));

for shares the signed root of the likelihood ratio; for the mean difference over conditions the sum of the conditions'
differences over its standard error, or the likelihood ratio of the summed counts. Missing values move with their
replication. On the same data sets, of whatever measure, by the differences d_i that data sets show,

    |sum d_i| / sqrt(sum d_i^2),

which a swap of data set i changes by the sign of d_i alone; for the mean over conditions their sum over the root of
the number of conditions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats, Ints

Bools = npt.NDArray[np.bool_]

LEAST_ALPHA = 1e-5
SEED = 20261122
FIRST, BLOCK = 200, 1000
_CELLS = 4_000_000
_TIE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """The replications of some conditions that share their data sets, both runs one below the other.

    Attributes
    ----------
    values : float64 [N, H]
        What is compared, a column per hypothesis; NaN where a replication has no value.
    shares : bool [H]
        Which columns are 0 or 1.
    after : bool [N]
        Which rows are the run's.
    strata : tuple of int64 arrays
        Rows among which labels are exchangeable, each row in one of them; paired, an even number of them: the first
        half before.
    paired : bool
        Whether the two runs are of the same data sets.
    """

    values: Floats
    shares: Bools
    after: Bools
    strata: tuple[Ints, ...]
    paired: bool

    def pairing(self) -> Floats:
        """Return by how much smaller errors of differences are than those of independent runs [H]; 0 where both runs
        have the same numbers.

        On the same data sets ``sqrt(Var(after - before) / (Var(before) + Var(after)))``, and 1 where a number is
        missing on one side alone; on others 1.
        """
        if not self.paired:
            return np.ones(self.values.shape[1])
        before, after = np.split(self.values, 2)
        same = ((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=0)
        known = (np.isnan(before) == np.isnan(after)).all(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.sqrt(_variance(after - before) / (_variance(before) + _variance(after)))
        return np.where(same, 0.0, np.where(known & (apart > 0), apart, 1.0))

    def assigned(self, rng: np.random.Generator, count: int) -> Floats:
        """Return `count` random assignments of the label *after*, 1.0 or 0.0 [count, N]."""
        marks = np.empty((count, len(self.after)))
        for rows in self.strata:
            if self.paired:
                half = len(rows) // 2
                swapped = rng.integers(0, 2, (count, half)).astype(np.float64)
                marks[:, rows[:half]], marks[:, rows[half:]] = swapped, 1.0 - swapped
            else:
                marks[:, rows] = _chosen(rng, count, len(rows), int(self.after[rows].sum()))
        return marks


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """All hypotheses of a check: the panels' columns in turn, then their groups (the same thing in several
    conditions)."""

    panels: tuple[Panel, ...]
    groups: tuple[Ints, ...]
    _parts: tuple[_Part, ...]

    @property
    def tests(self) -> int:
        """Number of statistics."""
        return sum(len(part.n) for part in self._parts) + len(self.groups)

    def observed(self) -> Floats:
        """Return the statistics of the runs as they are [tests]."""
        return np.asarray(
            self._statistics([panel.after.astype(np.float64)[None] for panel in self.panels])[0]
        )

    def drawn(self, rng: np.random.Generator, count: int) -> Floats:
        """Return the largest statistic of each of `count` permutations [count]."""
        statistics = self._statistics([panel.assigned(rng, count) for panel in self.panels])
        return np.asarray(statistics.max(axis=1, initial=0.0))

    def _statistics(self, marks: Sequence[Floats]) -> Floats:
        """Return the statistics of all hypotheses for some permutations, a row each: groups behind the single ones."""
        parts = [part.sums(m) for part, m in zip(self._parts, marks, strict=True)]
        n1, s1 = (np.concatenate([p[i] for p in parts], axis=1) for i in (0, 1))
        n, total, square, shares = (
            np.concatenate([getattr(part, name) for part in self._parts])
            for name in ("n", "total", "square", "shares")
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.where(shares, _root(s1, n1, total - s1, n - n1), _student(s1, n1, n, square)[0])
            single = np.where(self._paired, 2.0 * np.abs(s1), apart)
            pooled = [self._pooled(members, s1, n1, n, total, square, shares) for members in self.groups]
        statistics = np.column_stack([single, *pooled]) if pooled else single
        return np.asarray(np.nan_to_num(statistics, nan=0.0, posinf=1e12))

    @property
    def _paired(self) -> Bools:
        """Which hypotheses are about the same data sets [H]."""
        return np.concatenate([np.full(len(part.n), part.paired) for part in self._parts])

    def _pooled(
        self, of: Ints, s1: Floats, n1: Floats, n: Floats, total: Floats, square: Floats, shares: Bools
    ) -> Floats:
        """Return the statistics of one group: conditions' differences summed, over their standard error."""
        if self._paired[of].all():
            return np.asarray(2.0 * np.abs(s1[:, of].sum(axis=1)) / np.sqrt(len(of)))
        if shares[of[0]]:
            hits, size = s1[:, of].sum(axis=1), n1[:, of].sum(axis=1)
            return _root(hits, size, total[of].sum() - hits, n[of].sum() - size)
        _, gap, variance = _student(s1[:, of], n1[:, of], n[of], square[of])
        known = np.isfinite(gap) & np.isfinite(variance)
        spread = np.where(known, variance, 0.0).sum(axis=1)
        return np.asarray(np.abs(np.where(known, gap, 0.0).sum(axis=1)) / np.sqrt(spread))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A panel's columns centred and scaled (shares as they are), missing values 0, and their fixed totals; of a paired
    one half of each difference d, above with the other sign, in units of ``sqrt(sum d^2)``."""

    values: Floats
    present: Floats | None
    shares: Bools
    n: Floats
    total: Floats
    square: Floats
    paired: bool

    def sums(self, marks: Floats) -> tuple[Floats, Floats]:
        """Return the number and the sum of values with the label *after* [count, H]."""
        size = marks.sum(axis=1, keepdims=True) if self.present is None else marks @ self.present
        return np.broadcast_to(size, (len(marks), len(self.n))), marks @ self.values


def family_of(panels: Sequence[Panel], groups: Sequence[Ints]) -> Family:
    """Return the hypotheses of a check; `groups` hold positions of columns over all panels."""
    return Family(tuple(panels), tuple(groups), tuple(_part(panel) for panel in panels))


def adjusted_p(family: Family, statistics: Floats, eligible: Bools, alpha: float) -> Floats:
    """Return adjusted p-values [tests]; 1 where not eligible, or where a p-value above `alpha` is certain.

    Permutations end as soon as no eligible hypothesis can be rejected any more, which changes no decision.

    Raises
    ------
    InvalidInput
        `alpha` is too small to be shown by permutations.

    The largest statistic's permutation distribution serves all (Westfall and Young's single step): dependence
    between tests costs nothing. Drawing stops as soon as no p-value can fall below `alpha` any more.

    Parameters
    ----------
    family : Family
    statistics : float64 [tests]
    eligible : bool [tests]
        Beyond their margins; the others needn't be tested.
    alpha : float
    """
    count = permutations(alpha)
    p_values = np.ones(len(statistics))
    if not eligible.any():
        return p_values
    # A permutation that only exchanges equal values has the same statistic but for the order of its sums: it
    # counts as reaching it, or p-values would be too small.
    asked = statistics[eligible] * (1.0 - _TIE)
    # The largest count with (1 + count of them) / (1 + permutations) <= alpha.
    allowed = math.floor(alpha * (count + 1) + 1e-9) - 1
    # A fixed seed: the same two runs get the same verdict whenever they are checked.
    rng = np.random.default_rng(SEED)
    # How often a permutation's largest statistic was as large.
    reached, done = np.zeros(len(asked), dtype=np.int64), 0
    widest = max(panel.values.shape[0] for panel in family.panels)
    while done < count and (reached <= allowed).any():
        # Few at first, after which most checks are over; then as many as keep their marks within 32 MB.
        block = min(count - done, FIRST if not done else BLOCK, max(20, _CELLS // widest))
        largest = np.sort(family.drawn(rng, block))
        reached += block - np.searchsorted(largest, asked, side="left")
        done += block
    p_values[eligible] = np.where(reached <= allowed, (1.0 + reached) / (1.0 + count), 1.0)
    return p_values


def permutations(alpha: float) -> int:
    """Return how many permutations show a false-alarm rate: ``max(2000, 1 / alpha) - 1``."""
    if not LEAST_ALPHA <= alpha < 1.0:
        raise InvalidInput(
            f"expected a false-alarm rate from {LEAST_ALPHA:g} to below 1 (it is shown by permutations), got {alpha:g}"
        )
    return max(2000, math.ceil(1.0 / alpha - 1e-9)) - 1


def can_show(before: int, after: int, alpha: float) -> bool:
    """Whether two samples have arrangements enough to show any difference: ``2 / C(n0 + n1, n1) <= alpha``.

    Parameters
    ----------
    before, after : int
        Replications of each.
    alpha : float
        Two-sided.
    """
    arrangements = math.lgamma(before + after + 1) - math.lgamma(before + 1) - math.lgamma(after + 1)
    return math.log(2.0) - arrangements <= math.log(alpha)


def least_replications(alpha: float) -> int:
    """Return the n of each of two runs from which on a change in one condition can be significant."""
    n = 1
    while not can_show(n, n, alpha):
        n += 1
    return n


def _chosen(rng: np.random.Generator, count: int, rows: int, wanted: int) -> Floats:
    """Return random subsets of `wanted` rows, 1.0 or 0.0 [count, rows]: those with the smallest of random keys."""
    # Of none wanted, the smallest keys would be those up to place -1, which is the last.
    if wanted in (0, rows):
        return np.full((count, rows), float(wanted > 0))
    keys = rng.random((count, rows))
    return (keys <= np.partition(keys, wanted - 1, axis=1)[:, wanted - 1, None]).astype(np.float64)


def _variance(values: Floats) -> Floats:
    """Return the variance of the finite values of each column [H]."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / n
    return np.asarray(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / n)


def _part(panel: Panel) -> _Part:
    """Return a panel prepared for permuting: centred and scaled once, so that sums over marks are all a permutation
    costs.
    """
    if panel.paired:
        return _paired_part(panel)
    known = np.isfinite(panel.values)
    n = known.sum(axis=0).astype(np.float64)
    values = np.where(known, panel.values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.where(panel.shares, 0.0, np.nan_to_num(values.sum(axis=0) / n))
        values = np.where(known, values - centre, 0.0)
        scale = np.where(panel.shares, 1.0, np.sqrt((values**2).sum(axis=0) / n))
    values = values / np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    return _Part(
        values=values,
        present=None if known.all() else known.astype(np.float64),
        shares=panel.shares,
        n=n,
        total=values.sum(axis=0),
        square=(values**2).sum(axis=0),
        paired=False,
    )


def _paired_part(panel: Panel) -> _Part:
    """Return a panel of the same data sets: differences, of those that have a value on both sides."""
    before, after = np.split(panel.values, 2)
    both = np.isfinite(before) & np.isfinite(after)
    gaps = np.where(both, after, 0.0) - np.where(both, before, 0.0)
    size = np.sqrt((gaps**2).sum(axis=0))
    halves = 0.5 * gaps / np.where(size > 0, size, 1.0)
    values = np.concatenate([-halves, halves])
    n = np.full(values.shape[1], float(len(values)))
    return _Part(values, None, panel.shares, n, np.zeros(len(n)), (values**2).sum(axis=0), True)


def _student(s1: Floats, n1: Floats, n: Floats, square: Floats) -> tuple[Floats, Floats, Floats]:
    """Return |t|, the difference of the means, and its variance, from sums of centred values."""
    weight = n / (n1 * (n - n1))
    gap = s1 * weight
    # r^2 = 1 where the two samples are two constants: certain, but finite so that equal permutations tie.
    r2 = np.minimum(s1**2 * weight / square, 1.0 - 1e-12)
    variance = square * (1.0 - r2) / (n - 2.0) * weight
    return np.sqrt((n - 2.0) * r2 / (1.0 - r2)), gap, variance


def _root(hits1: Floats, n1: Floats, hits0: Floats, n0: Floats) -> Floats:
    """Return the root of the likelihood ratio statistic of two shares."""
    share = (hits1 + hits0) / (n1 + n0)
    deviance = sum(
        xlogy(k, k / (m * share)) + xlogy(m - k, (m - k) / (m * (1.0 - share)))
        for k, m in ((hits1, n1), (hits0, n0))
    )
    # 0 log(0 / 0) where nothing or everything is a hit in both.
    return np.asarray(np.sqrt(np.maximum(2.0 * np.nan_to_num(deviance), 0.0)))
