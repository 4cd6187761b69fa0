"""Does a method hold on this design, in every scenario? And which of those that hold is the sharpest?

The rule. A method is *valid* if in every scenario it answers at least 95 % of the data sets, and coverage of its
intervals and size of its tests are neither below Bradley's band as simulated nor shown to be outside it
(`grades.RULE`: exact binomial tests, by Holm's method over all methods and scenarios). Of the valid those come first
that stay inside the band on both sides, then the lowest interval score: the geometric mean over the scenarios of the
mean score, each score capped. Methods within 1 % of the lowest score are equals: of them the one named first in the
order of `candidates.methods_for` is taken.

Precautions. Some scenarios are shown by nothing and ruled out by nothing (`Scenario.precaution`). A method that the
rule names when they count like the others is taken if, over the other scenarios, it is at most `PREMIUM` times as wide
as the narrowest method that is valid there; else as many of them count as this allows, and the answer says which don't.

How sure. Data sets are drawn again with replacement, the same for all methods, and the rule is applied to each of
`RESAMPLES` such simulations: what another seed would name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.advising.scenarios import PREMIUM
from nestbench.advising.simulating import Answers, Draws
from nestbench.reports.comparing import grades, holm
from nestbench.reports.comparing.grades import Grade
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import alpha_of, rejected

Bools = npt.NDArray[np.bool_]
RESAMPLES, LOTS, EQUAL, USABLE = 500, 200, 1.01, 0.95
ORDER = {
    Grade.HOLDS: 0,
    Grade.LIKELY: 1,
    Grade.LOOSE: 2,
    Grade.WIDE: 3,
    Grade.DOUBTFUL: 4,
    Grade.FAILS: 5,
}


def table_of(laws: Sequence[str], answers: Sequence[Answers], level: float) -> pd.DataFrame:
    """Return a row a scenario and method: ``n, usable, coverage, size, width, score, power, rmse, grade``, with Monte
    Carlo errors of coverage and power (``coverage_mcse, power_mcse``)."""
    rows = []
    for law, found in zip(laws, answers, strict=True):
        cap = cap_of(found, level)
        for label, draws in found.items():
            rows.append({"scenario": law, "method": label, **measures(draws, level, cap)})
    table = pd.DataFrame(rows)
    below = grades.outside_p(table["coverage"], np.maximum(table["n"], 1), level)
    size = grades.outside_p(1.0 - table["size"], np.maximum(table["n"], 1), level)
    limit = holm.limit(np.concatenate([below, size]))
    table["grade"] = [
        _worse(row["coverage"], 1.0 - row["size"], int(row["n"]), row["usable"], level, limit)
        for _, row in table.iterrows()
    ]
    return table


def _worse(coverage: float, kept: float, n: int, usable: float, level: float, limit: float) -> str:
    if usable < USABLE or not n:
        return "no answer"
    found = [grades.grade(value, n, level, limit) for value in (coverage, kept) if np.isfinite(value)]
    return str(max(found, key=lambda grade: ORDER[grade]))


def measures(draws: Draws, level: float, cap: float) -> dict[str, float]:
    """Return the measures of one method under one scenario whose true value is 0."""
    good = draws.usable
    n = int(good.sum())
    if not n:
        names = ("coverage", "coverage_mcse", "size", "width", "score", "power", "power_mcse", "rmse")
        return {"n": 0, "usable": 0.0, **dict.fromkeys(names, float("nan"))}
    lower, upper, p = draws.lower[good], draws.upper[good], draws.p_value[good]
    coverage = float(((lower <= 0) & (upper >= 0)).mean())
    found = float(np.nanmean(draws.found)) if np.isfinite(draws.found).any() else float("nan")
    return {
        "n": n,
        "usable": n / len(good),
        "coverage": coverage,
        "coverage_mcse": float(np.sqrt(coverage * (1 - coverage) / n)),
        # Some methods have intervals and no tests.
        "size": float(rejected(p, level).mean()) if np.isfinite(p).any() else float("nan"),
        "width": float(np.mean(upper - lower)),
        "score": float(scores(lower, upper, level, cap).mean()),
        "power": found,
        "power_mcse": float(np.sqrt(found * (1 - found) / n)),
        "rmse": float(np.sqrt((draws.estimate[good] ** 2).mean())),
    }


def scores(lower: Floats, upper: Floats, level: float, cap: float) -> Floats:
    """Return capped interval scores against 0: width plus 2 / alpha times the miss (Gneiting & Raftery 2007).

    Parameters
    ----------
    lower, upper : float64 [n]
        Limits less the true value.
    level : float
        Of the intervals.
    cap : float
        See `cap_of`.
    """
    miss = np.maximum(lower, 0.0) + np.maximum(-upper, 0.0)
    return np.asarray(np.minimum(upper - lower + 2.0 / alpha_of(level) * miss, cap))


def cap_of(found: Answers, level: float) -> float:
    """Return what a score counts at most: that of an interval of the usual width that misses by half its width."""
    widths = [np.nanmedian(d.upper - d.lower) for d in found.values() if d.usable.any()]
    return float(np.median(widths)) * (1.0 + 1.0 / alpha_of(level)) if widths else float("inf")


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
        Where one school alone has its value of the term, the method that would be named if its effect were drawn as
        the others' are.
    """

    named: str | None
    valid: tuple[str, ...]
    least_bad: str
    shares: Mapping[str, float]
    scores: Mapping[str, float]
    judged: tuple[str, ...]
    assuming: str | None = None

    @property
    def sure(self) -> float:
        """Share of resampled simulations that say the same."""
        return self.shares.get(self.named or "none", 0.0)


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
    grid = table.pivot(index="method", columns="scenario", values="grade").loc[labels, laws]
    # "no answer" is none of the grades, and worse than any.
    rank = np.array([[ORDER.get(g, 9) for g in row] for row in grid.to_numpy()])
    width = table.pivot(index="method", columns="scenario", values="width").loc[labels, laws].to_numpy()
    must = np.array([law not in precautions for law in laws])
    lots = Lots.of(answers, labels, level)
    means = lots.means(np.ones((1, LOTS)))[0]
    named, counts = _pick(rank, means, width, must)
    score = scores_over(means, counts)
    valid = [m for m in np.argsort(score, kind="stable") if rank[m, counts].max() <= ORDER[Grade.WIDE]]
    if named is not None:
        valid = [named, *(m for m in valid if m != named)]
    judged = tuple(law for law, used in zip(laws, counts, strict=True) if used)
    rows = table[table["scenario"].isin(judged)]
    short = np.array([_shortfall(rows[rows["method"] == label], level) for label in labels])
    return Choice(
        None if named is None else labels[named],
        tuple(labels[m] for m in valid),
        # To a tenth of a percentage point: of methods that fall short alike the sharper one.
        labels[named if named is not None else int(np.lexsort((score, np.round(short, 3)))[0])],
        _shares(lots, labels, rank, width, must, level, seed),
        {label: float(s) for label, s in zip(labels, score, strict=True)},
        judged,
    )


def _pick(rank: npt.NDArray[np.int64], means: Floats, width: Floats, must: Bools) -> tuple[int | None, Bools]:
    """Return the position of the method that the rule names, and which scenarios count.

    Parameters
    ----------
    rank : int64 [M, S]
        Of the grades.
    means : float64 [S, M]
        Mean scores.
    width : float64 [M, S]
        Mean widths.
    must : bool [S]
        Which scenarios are no precautions.
    """
    plain = _best(rank[:, must], scores_over(means, must))
    if must.all() or plain is None:
        return plain, must
    held = rank[:, must].max(axis=1) <= ORDER[Grade.WIDE]
    mean = np.exp(np.log(width[:, must]).mean(axis=1))
    for counts in _with_precautions(must):
        safe = _best(rank[:, counts], scores_over(means, counts))
        if safe is not None and mean[safe] <= PREMIUM * mean[held].min():
            return safe, counts
    return plain, must


def _with_precautions(must: Bools) -> Iterator[Bools]:
    """Yield which scenarios count: all, then with ever fewer of the precautions."""
    cautions = np.flatnonzero(~must)
    for size in range(len(cautions), 0, -1):
        for taken in combinations(cautions, size):
            counts = must.copy()
            counts[list(taken)] = True
            yield counts


def _best(rank: npt.NDArray[np.int64], score: Floats) -> int | None:
    """Return the position of the best of the valid methods; ranks [M, S] of the grades, scores [M]."""
    worst = rank.max(axis=1)
    for best in (ORDER[Grade.LIKELY], ORDER[Grade.LOOSE], ORDER[Grade.WIDE]):
        among = np.flatnonzero((worst <= best) & np.isfinite(score))
        if len(among):
            return int(among[np.flatnonzero(score[among] <= EQUAL * score[among].min())[0]])
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


def _shares(
    lots: Lots,
    labels: Sequence[str],
    rank: npt.NDArray[np.int64],
    width: Floats,
    must: Bools,
    level: float,
    seed: int,
) -> dict[str, float]:
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    # Counts of lots drawn with replacement; of single data sets they would be thousands of numbers a resample.
    weights = rng.multinomial(LOTS, np.full(LOTS, 1.0 / LOTS), size=RESAMPLES).astype(float)
    coverage, n = lots.coverage(weights)
    means = lots.means(weights)
    low, high = grades.band(level)
    silent = rank == 9
    limit = holm.ALPHA / max(rank.size, 1)
    counts: dict[str, int] = {}
    for b in range(RESAMPLES):
        again = np.full(rank.shape, ORDER[Grade.LIKELY])
        c, size = coverage[b].T, np.maximum(n[b].T, 1.0)
        again[c > high] = ORDER[Grade.LOOSE]
        again[(c > high) & (2.0 * grades.above_p(c, size, high) <= limit)] = ORDER[Grade.WIDE]
        again[(c < low) | ~np.isfinite(c)] = ORDER[Grade.DOUBTFUL]
        # Whether a method answers is no question of luck: it isn't drawn again.
        again[silent] = 9
        # Widths hardly vary from seed to seed: those of the whole simulation serve.
        picked, _ = _pick(again, means[b], width, must)
        name = "none" if picked is None else labels[picked]
        counts[name] = counts.get(name, 0) + 1
    return {name: count / RESAMPLES for name, count in sorted(counts.items(), key=lambda item: -item[1])}
