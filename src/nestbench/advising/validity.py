"""Does a method hold on this design, in every scenario? And which of those that hold is the sharpest?

The rule. A method is *valid* if in every scenario it answers at least 95 % of the data sets, and coverage of its
intervals and size of its tests are neither below Bradley's band as simulated nor shown to be outside it
(`grades.RULE`: exact binomial tests, by Holm's method over all methods and scenarios). Of the valid those come first
that stay inside the band on both sides, then the lowest interval score: the geometric mean over the scenarios of the
mean score, each score capped. Methods within 2 % of the lowest score are equals: of them the narrowest is taken, and
of those within 2 % of its width the one named first in the order of `candidates.methods_for`.

Precautions. Some scenarios are shown by nothing and ruled out by nothing (`Scenario.precaution`). A method that the
rule names when they count like the others is taken if, over the other scenarios, it is at most `PREMIUM` times as wide
as the narrowest method that is valid there; else as many of them count as this allows, and the answer says which don't.

None without an assumption. Where under a precaution and the scenarios that aren't one no method is fair, none is named:
what holds, holds if the precaution isn't so. *Fair* is wider than valid, or few schools would never get an answer: an
interval that misses at most twice, and at least a fifth, as often as it may (`FAIR`). One that is shown to miss less
often is never named.

How sure. Data sets are drawn again with replacement, the same for all methods, and the rule is applied to each of
`RESAMPLES` such simulations: what another seed would name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.advising.measuring import ORDER, SILENT, USABLE, cap_of, scores
from nestbench.advising.scenarios import PREMIUM
from nestbench.advising.simulating import Answers, Draws
from nestbench.reports.comparing import grades, holm
from nestbench.reports.comparing.grades import Grade
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import alpha_of

Bools = npt.NDArray[np.bool_]
RESAMPLES, LOTS, SHOWN = 500, 200, 0.025
EQUAL = 1.02
"""Times the lowest score, or the least width, up to which methods are equals."""
FAIR = (2.0, 0.2)
"""Most and least of the misses allowed with which an interval is still an answer under a precaution. Of 2 treated
schools among 30 equal ones `ols-cr2-satt` misses a twentieth as often as it may where all vary alike, of 3 half as
often or more (tests/advising/test_validity.py)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The method named, and what another simulation would name.

    Attributes
    ----------
    named : str or None
        None where no method is valid.
    valid : tuple of str
        Valid methods, the named one first.
    least_bad : str
        The method that falls least short, where none is valid; else the named one.
    shares : dict
        Share of resampled simulations that name a method ("none" for no method), most often first.
    scores : dict
        Method -> geometric mean of its scores over the scenarios that count.
    judged : tuple of str
        Names of the scenarios that count: all but precautions that cost too much.
    assuming : str or None
        The method that would be named under an assumption, without which none is: that the precaution `unless` isn't
        so, or, where one school alone has its value of the term, that its effect is drawn as the others' are.
    unless : str or None
        Name of the scenario that the assumption leaves out.
    guarding : str or None
        The method that falls least short with that scenario.
    """

    named: str | None
    valid: tuple[str, ...]
    least_bad: str
    shares: Mapping[str, float]
    scores: Mapping[str, float]
    judged: tuple[str, ...]
    assuming: str | None = None
    unless: str | None = None
    guarding: str | None = None

    @property
    def sure(self) -> float:
        """Share of resampled simulations that say the same."""
        return self.shares.get(self.named or "none", 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """How methods do under the scenarios.

    Attributes
    ----------
    rank : int64 [M, S]
        Of the grades.
    width : float64 [M, S]
        Mean widths; NaN where a method answers nothing.
    means : float64 [S, M]
        Mean scores.
    must : bool [S]
        Which scenarios are no precautions.
    fair, vain : bool [M, S]
        Which intervals miss as often as is fair (`FAIR`), and which are shown to miss less often.
    """

    rank: npt.NDArray[np.int64]
    width: Floats
    means: Floats
    must: Bools
    fair: Bools
    vain: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """Position of a method (None: none holds), which scenarios count [S], and the one that the pick leaves out and
    without which none would be named."""

    method: int | None
    counts: Bools
    unless: int | None = None


def choose(
    answers: Sequence[Answers],
    table: pd.DataFrame,
    order: Sequence[str],
    level: float,
    seed: int,
    precautions: Sequence[str] = (),
) -> Choice:
    """Return the choice among methods, in the order in which equals are preferred."""
    labels = [label for label in order if label in set(table["method"])]
    laws = list(dict.fromkeys(table["scenario"]))
    lots = Lots.of(answers, labels, level)
    grid = _grid(table, labels, laws, lots, level, precautions)
    pick = _pick(grid)
    score = scores_over(grid.means, pick.counts)
    named = labels[pick.method] if pick.method is not None else None
    with_it = pick.counts.copy()
    with_it[[] if pick.unless is None else pick.unless] = True
    least = _least_bad(
        table, labels, [law for law, used in zip(laws, with_it, strict=True) if used], score, level
    )
    return Choice(
        named if pick.unless is None else None,
        () if pick.unless is not None else _valid(grid, pick, labels, score),
        named or least,
        _shares(lots, labels, grid, level, seed),
        {label: float(s) for label, s in zip(labels, score, strict=True)},
        tuple(law for law, used in zip(laws, pick.counts, strict=True) if used),
        None if pick.unless is None else named,
        None if pick.unless is None else laws[pick.unless],
        None if pick.unless is None else least,
    )


def _grid(
    table: pd.DataFrame,
    labels: list[str],
    laws: list[str],
    lots: Lots,
    level: float,
    precautions: Sequence[str],
) -> Grid:
    """Return a table as arrays, methods in the order of the labels."""
    graded, coverage, n, width = (
        table.pivot(index="method", columns="scenario", values=name).loc[labels, laws].to_numpy()
        for name in ("grade", "coverage", "n", "width")
    )
    # "no answer" is none of the grades, and worse than any.
    rank = np.array([[ORDER.get(g, SILENT) for g in row] for row in graded])
    must = np.array([law not in precautions for law in laws])
    return Grid(rank, width, lots.means(np.ones((1, LOTS)))[0], must, *_fair(coverage, n, level))


def _fair(coverage: Floats, n: Floats, level: float) -> tuple[Bools, Bools]:
    """Return which coverages of n data sets are fair, and which show that intervals miss less often: by an exact
    one-sided test at 2.5 %, for of few data sets even a good method may miss none."""
    low, high = (1.0 - share * alpha_of(level) for share in FAIR)
    shown = grades.above_p(coverage, np.maximum(n, 1.0), high) <= SHOWN
    return (coverage >= low) & (coverage <= high), np.asarray(shown, dtype=np.bool_)


def _valid(grid: Grid, pick: Pick, labels: Sequence[str], score: Floats) -> tuple[str, ...]:
    """Return the valid methods, the one picked first, then by score."""
    held = grid.rank[:, pick.counts].max(axis=1) <= ORDER[Grade.WIDE]
    found = [int(m) for m in np.argsort(score, kind="stable") if held[m] and m != pick.method]
    return tuple(labels[m] for m in ([] if pick.method is None else [pick.method, *found]))


def _least_bad(
    table: pd.DataFrame, labels: Sequence[str], laws: Sequence[str], score: Floats, level: float
) -> str:
    """Return the method that falls least short under some scenarios."""
    rows = table[table["scenario"].isin(laws)]
    short = np.array([_shortfall(rows[rows["method"] == label], level) for label in labels])
    # To a tenth of a percentage point: of methods that fall short alike the sharper one.
    return labels[int(np.lexsort((score, np.round(short, 3)))[0])]


def _pick(grid: Grid) -> Pick:
    """Return what the rule picks."""
    must = grid.must
    held = grid.rank[:, must].max(axis=1) <= ORDER[Grade.WIDE]
    with np.errstate(invalid="ignore"):
        mean = np.exp(np.log(grid.width[:, must]).mean(axis=1))
    plain = _best(grid, must, mean)
    if must.all() or plain is None:
        return Pick(plain, must)
    if (denied := _denied(grid, held)) is not None:
        return Pick(plain, must, denied)
    for counts in _with_precautions(must):
        safe = _best(grid, counts, mean)
        if safe is not None and mean[safe] <= PREMIUM * mean[held].min():
            return Pick(safe, counts)
    return Pick(plain, must)


def _denied(grid: Grid, held: Bools) -> int | None:
    """Return the first precaution with which no method that holds else is fair in every scenario; None where each has
    one.

    Parameters
    ----------
    held : bool [M]
        Which methods are valid in the scenarios that are no precautions.
    """
    fair = grid.fair & (grid.rank != SILENT)
    among = held & fair[:, grid.must].all(axis=1)
    denied = [s for s in np.flatnonzero(~grid.must) if not (among & fair[:, s]).any()]
    return int(denied[0]) if denied else None


def _with_precautions(must: Bools) -> Iterator[Bools]:
    """Yield which scenarios count: all, then with ever fewer of the precautions."""
    cautions = np.flatnonzero(~must)
    for size in range(len(cautions), 0, -1):
        for taken in combinations(cautions, size):
            counts = must.copy()
            counts[list(taken)] = True
            yield counts


def _best(grid: Grid, counts: Bools, width: Floats) -> int | None:
    """Return the position of the best of the methods that are valid where it counts; mean widths [M]."""
    score, worst = scores_over(grid.means, counts), grid.rank[:, counts].max(axis=1)
    usable = np.isfinite(score) & ~grid.vain[:, counts].any(axis=1)
    for best in (ORDER[Grade.LIKELY], ORDER[Grade.LOOSE], ORDER[Grade.WIDE]):
        among = np.flatnonzero((worst <= best) & usable)
        if len(among):
            equal = among[score[among] <= EQUAL * score[among].min()]
            return int(equal[width[equal] <= EQUAL * width[equal].min()][0])
    return None


def scores_over(means: Floats, counts: Bools) -> Floats:
    """Return geometric means [M] of mean scores [S, M] over the scenarios that count; infinite for a method that
    answers nothing in any one of them, or the easy ones alone would be averaged."""
    chosen = means[counts]
    whole = np.exp(np.log(np.where(np.isfinite(chosen), chosen, 1.0)).mean(axis=0))
    return np.asarray(np.where(np.isfinite(chosen).all(axis=0), whole, np.inf))


def _shortfall(rows: pd.DataFrame, level: float) -> float:
    """Return how far a method's coverage or 1 - size falls below the band in the worst scenario."""
    low, _ = grades.band(level)
    if (rows["usable"] < USABLE).any():
        return 1.0
    worst = min(float(rows["coverage"].min()), float((1.0 - rows["size"]).fillna(1.0).min()))
    return max(0.0, low - worst)


@dataclass(frozen=True, slots=True, eq=False)
class Lots:
    """Sums over lots of data sets, replication r in lot r mod L: what resampled simulations are made of.

    Attributes
    ----------
    counts, hits, score_sums : float64 [S, M, L]
        Usable data sets, intervals that cover, sums of scores (of a method of fewer data sets, times `_lengthening`).
    """

    counts: Floats
    hits: Floats
    score_sums: Floats

    @staticmethod
    def of(answers: Sequence[Answers], labels: Sequence[str], level: float) -> Lots:
        """Return the sums of all scenarios and methods."""
        shape = (len(answers), len(labels), LOTS)
        counts, hits, sums = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for s, found in enumerate(answers):
            cap = cap_of(found, level)
            for m, label in enumerate(labels):
                draws = found[label]
                good = np.flatnonzero(draws.usable)
                lower, upper = draws.lower[good], draws.upper[good]
                for to, values in (
                    (counts, np.ones(len(good))),
                    (hits, ((lower <= 0) & (upper >= 0)).astype(float)),
                    (sums, scores(lower, upper, level, cap) * _lengthening(found, draws, level, cap)),
                ):
                    to[s, m] = np.bincount(good % LOTS, values, LOTS)
        return Lots(counts, hits, sums)

    def means(self, weights: Floats) -> Floats:
        """Return mean scores [B, S, M] under weights of the lots [B, L]; NaN where a method answers nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(
                np.einsum("bl,sml->bsm", weights, self.score_sums)
                / np.einsum("bl,sml->bsm", weights, self.counts)
            )

    def coverage(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return coverages and data sets [B, S, M]."""
        n = np.einsum("bl,sml->bsm", weights, self.counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.einsum("bl,sml->bsm", weights, self.hits) / n, n


def _lengthening(found: Answers, draws: Draws, level: float, cap: float) -> float:
    """Return the factor that makes scores over the first data sets comparable with those over all: that of OLS."""
    base = found.get("ols")
    if base is None or len(draws.lower) >= len(base.lower) or not base.usable.any():
        return 1.0
    whole = scores(base.lower[base.usable], base.upper[base.usable], level, cap).mean()
    first = base.usable[: len(draws.lower)]
    start = scores(base.lower[: len(first)][first], base.upper[: len(first)][first], level, cap).mean()
    return float(whole / start)


def _shares(lots: Lots, labels: Sequence[str], grid: Grid, level: float, seed: int) -> dict[str, float]:
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    # Counts of lots drawn with replacement; of single data sets they would be thousands of numbers a resample.
    weights = rng.multinomial(LOTS, np.full(LOTS, 1.0 / LOTS), size=RESAMPLES).astype(float)
    coverage, n = lots.coverage(weights)
    means = lots.means(weights)
    low, high = grades.band(level)
    silent = grid.rank == SILENT
    limit = holm.ALPHA / max(grid.rank.size, 1)
    counts: dict[str, int] = {}
    for b in range(RESAMPLES):
        again = np.full(grid.rank.shape, ORDER[Grade.LIKELY])
        c, size = coverage[b].T, np.maximum(n[b].T, 1.0)
        again[c > high] = ORDER[Grade.LOOSE]
        again[(c > high) & (2.0 * grades.above_p(c, size, high) <= limit)] = ORDER[Grade.WIDE]
        again[(c < low) | ~np.isfinite(c)] = ORDER[Grade.DOUBTFUL]
        # Whether a method answers is no question of luck: it isn't drawn again.
        again[silent] = SILENT
        # Widths hardly vary from seed to seed: those of the whole simulation serve.
        fair, vain = _fair(c, size, level)
        pick = _pick(replace(grid, rank=again, means=means[b], fair=fair, vain=vain))
        name = "none" if pick.method is None or pick.unless is not None else labels[pick.method]
        counts[name] = counts.get(name, 0) + 1
    return {name: count / RESAMPLES for name, count in sorted(counts.items(), key=lambda item: -item[1])}
