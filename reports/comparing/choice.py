"""Which method a run speaks for, and how sure the choice is: resampled runs name one each.

The rule. A method is *in order* if in every estimand (condition x fixed effect) it answers at least 95 % of the data
sets with intervals of finite width, isn't shown to fall short of its coverage (`grades.RULE`) and isn't shown to be
biased (`biases.RULE`). These two are claims against a method, so they are held over all estimands; the choice is
more careful: of the methods in order those come first whose coverage is below the band in fewest estimands by a test
of its own (*suspect*), and of these the lowest score is named: the geometric mean over estimands of the mean interval
score, capped, on the data sets that all methods have in common (`shared`). The interval score is the width plus a
penalty for misses, so intervals that are too wide lose by their width; it is nearly flat about the right coverage, so
coverage has to be looked at by itself.

The choice's own uncertainty. Data sets are drawn again with replacement, the same ones for all methods and for all
conditions of one population, and the rule is applied to each of `RESAMPLES` such runs. Scores are those of the drawn
data sets. The tests are made of coverage and bias as the drawn data sets move them. But a run's own coverages have
Monte Carlo error already and drawing adds as much again, so that the furthest of many would be exaggerated twice over;
hence they are first taken back to what they say about the truth (`retests`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import grades, holm
from nestbench.reports.comparing.biases import Bias, biases
from nestbench.reports.comparing.grades import USABLE_ENOUGH, Grade
from nestbench.reports.comparing.ranking import TINY
from nestbench.reports.comparing.retests import Estimand, Tests
from nestbench.reports.comparing.shared import Shared
from nestbench.reports.measures.draws import Bools
from nestbench.sim.observed.batch import Floats
from nestbench.sim.streams import StreamSource

RESAMPLES = 500
SETTLED = 0.95
"""Share of resampled runs from which on a choice counts as settled."""
POINTS = 0.02
"""Monte Carlo error of a coverage above which no method is recommended."""
TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a choice rests on.

    Attributes
    ----------
    experiment : Experiment
    graded, places, biased : DataFrame
        `grades.estimands`, `grades.asked`, `biases`.
    usable : Series
        `grades.usable_shares`.
    shared : dict
        Methods on equal data by estimand.
    limit : float
        `grades.limit_of`.
    """

    experiment: Experiment
    graded: pd.DataFrame
    places: pd.DataFrame
    biased: pd.DataFrame
    usable: pd.Series[float]
    shared: Mapping[Estimand, Shared]
    limit: float

    @property
    def estimands(self) -> list[Estimand]:
        """All estimands, in order."""
        places = self.places[["cell", "term"]].drop_duplicates()
        return [(int(cell), str(term)) for cell, term in zip(places["cell"], places["term"], strict=True)]


def evidence_of(table: pd.DataFrame, experiment: Experiment, shared: Sequence[Sequence[Shared]]) -> Evidence:
    """Return what a choice rests on from the performance table and `shared_of_run`.

    Parameters
    ----------
    table : DataFrame
        The performance table.
    experiment : Experiment
    shared : sequence of sequence of Shared
        Methods on equal data, by condition and term.
    """
    return Evidence(
        experiment=experiment,
        graded=grades.estimands(table, experiment),
        places=grades.asked(table),
        biased=biases(table),
        usable=grades.usable_shares(table),
        shared={(i, one.term): one for i, cell in enumerate(shared) for one in cell},
        limit=grades.limit_of(table, experiment),
    )


SILENT, SHORT, BIASED = "no answer", "falls short", "biased"


def faults(evidence: Evidence) -> pd.DataFrame:
    """Return what keeps methods from being in order: rows of ``estimator, cell, term, fault``.

    `SILENT` is an answer to fewer than 95 % of the data sets, or endless intervals in more than 5 % of them, or none
    because the method hasn't been run in a condition.
    """
    keys = ["estimator", "cell", "term"]
    short = evidence.graded.loc[evidence.graded["grade"] == Grade.FAILS, keys].assign(fault=SHORT)
    biased = evidence.biased.loc[evidence.biased["state"] == Bias.BIASED, keys].assign(fault=BIASED)
    labels = list(dict.fromkeys(evidence.places["estimator"]))
    silent = pd.DataFrame(
        [
            (label, cell, term, SILENT)
            for cell, term in evidence.estimands
            for label in labels
            if not _answers(evidence, label, (cell, term))
        ],
        columns=[*keys, "fault"],
    )
    parts = [part for part in (silent, short, biased) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else silent


def _answers(evidence: Evidence, label: str, place: Estimand) -> bool:
    shared = evidence.shared.get(place)
    if shared is None or label not in shared.labels:
        return False
    usable = float(evidence.usable.get((place[0], label), 0.0))
    return usable >= USABLE_ENOUGH and shared.endless[shared.labels.index(label)] <= 1.0 - USABLE_ENOUGH


@dataclass(frozen=True, slots=True)
class Choice:
    """The method a run speaks for, and the methods that resampled runs speak for.

    Attributes
    ----------
    named : str or None
        The method; None where none is in order.
    faults : DataFrame
        `faults`.
    scores : DataFrame
        Methods in order by label, best first: ``suspect`` estimands, ``ratio`` of the score to the first's, and
        ``low, high``, its 95 % interval over resampled runs.
    shares : dict
        Share of resampled runs that name a method, most often first.
    nobody : float
        Share of resampled runs in which no method is in order.
    n, level, error : int, float, float
        Data sets in common, level, and the Monte Carlo error of a coverage that is at its level, in the estimand
        where this error is largest.
    """

    named: str | None
    faults: pd.DataFrame
    scores: pd.DataFrame
    shares: Mapping[str, float]
    nobody: float
    n: int
    level: float
    error: float

    @property
    def few(self) -> bool:
        """Whether there are too few replications to name a method."""
        return self.error > POINTS

    @property
    def settled(self) -> bool:
        """Whether nearly all resampled runs that name a method name this one."""
        return self.named is not None and self.shares.get(self.named, 0.0) >= SETTLED * (1.0 - self.nobody)

    @property
    def contenders(self) -> list[str]:
        """The method and the most often named others, until they make up `SETTLED` of the resampled runs."""
        settled = [self.named] if self.named is not None else []
        while (rest := [label for label in self.shares if label not in settled]) and (
            sum(self.shares.get(label, 0.0) for label in settled) < SETTLED * (1.0 - self.nobody)
        ):
            settled.append(rest[0])
        return settled


def choose(evidence: Evidence, resamples: int = RESAMPLES) -> Choice:
    """Return the choice of a study and its uncertainty."""
    at_fault = faults(evidence)
    silent = set(at_fault.loc[at_fault["fault"] == SILENT, "estimator"])
    able = sorted(set(evidence.places["estimator"]) - silent)
    excluded = set(at_fault["estimator"])
    least = _least_sure(evidence)
    if not able:
        return Choice(None, at_fault, pd.DataFrame(columns=list(SCORES)), {}, 1.0, *least)
    own, again = own_study(evidence, able), resampled(evidence, able, resamples)
    order = sorted(
        (m for m in range(len(able)) if able[m] not in excluded), key=lambda m: (own.key[0, m], able[m])
    )
    shares, nobody = _shares(able, np.where(again.out, np.inf, again.key))
    scores = _scores(able, order, own, again)
    return Choice(able[order[0]] if order else None, at_fault, scores, shares, nobody, *least)


def _least_sure(evidence: Evidence) -> tuple[int, float, float]:
    """Return data sets in common, level, and error of a coverage at its level, where this error is largest."""
    levels = [(0, 0.0, np.inf)]
    for cell, term in evidence.estimands:
        one, level = evidence.shared.get((cell, term)), evidence.experiment.cells[cell].model.level
        if one is not None and one.labels:
            levels.append((one.n, level, float(np.sqrt(level * (1.0 - level) / max(one.n, 1)))))
    return max(levels[1:], key=lambda place: place[2], default=levels[0])


def _shares(able: Sequence[str], drawn: Floats) -> tuple[dict[str, float], float]:
    lowest = drawn.min(axis=1)
    there = np.isfinite(lowest)
    with np.errstate(invalid="ignore"):
        # Methods that are one on these data differ by rounding: all of them are first.
        first = (drawn - lowest[:, None] <= TIE) & there[:, None]
    shares = {label: float(share) for label, share in zip(able, first.mean(axis=0), strict=True) if share > 0}
    ordered = sorted(shares, key=lambda label: (-shares[label], label))
    return {label: shares[label] for label in ordered}, float(1.0 - there.mean())


SCORES = ("suspect", "ratio", "low", "high")


def _scores(able: Sequence[str], order: Sequence[int], own: Resampled, again: Resampled) -> pd.DataFrame:
    if not order:
        return pd.DataFrame(columns=list(SCORES))
    first = order[0]
    low, high = np.exp(np.quantile(again.score[:, order] - again.score[:, [first]], (0.025, 0.975), axis=0))
    ratio, suspect = np.exp(own.score[0, order] - own.score[0, first]), own.suspect[0, order].astype(int)
    columns = dict(zip(SCORES, (suspect, ratio, low, high), strict=True))
    return pd.DataFrame(columns, index=[able[m] for m in order])


@dataclass(frozen=True, slots=True)
class Resampled:
    """B resampled runs of m methods: log scores, suspect estimands, whether shown not to be in order, [B, m] each."""

    score: Floats
    suspect: Floats
    out: Bools

    @property
    def key(self) -> Floats:
        """What methods are ordered by: suspect estimands, then score."""
        # One number that sorts by the first, then the second: logarithms of doubles stay within 745 of 0.
        return 1e4 * self.suspect + self.score


def own_study(evidence: Evidence, able: Sequence[str]) -> Resampled:
    """Return the study itself, B = 1; `out` is left to `faults`."""
    score, suspect = np.zeros((2, 1, len(able)))
    tests = Tests.of(evidence.experiment, evidence.graded, evidence.biased)
    for place in evidence.estimands:
        one = evidence.shared[place]
        chosen = [one.labels.index(label) for label in able]
        # Intervals of no width that never miss have a score of 0: the best, but a finite one.
        score += np.log(np.maximum(one.scores[:, chosen].sum(axis=0) / one.n, TINY))
        suspect += tests.below(place, able) <= holm.ALPHA
    return Resampled(score / len(evidence.estimands), suspect, np.zeros(score.shape, dtype=bool))


def resampled(evidence: Evidence, able: Sequence[str], resamples: int) -> Resampled:
    """Return resampled runs of methods that answer everything.

    Parameters
    ----------
    evidence : Evidence
    able : sequence of str
        Methods that answer everything: another one can't be named whatever is drawn.
    resamples : int
    """
    shape = (resamples, len(able))
    score, suspect, out = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    tests = Tests.of(evidence.experiment, evidence.graded, evidence.biased)
    weights: dict[tuple[str, int], Floats] = {}
    with threadpool_limits(1, "blas"):  # the products are small: threads cost more than they do
        for place in evidence.estimands:
            one = evidence.shared[place]
            key = (evidence.experiment.cells[place[0]].law_key, len(one.counts))
            if key not in weights:
                weights[key] = draw_lots(evidence.experiment.seed, *key, resamples)
            again = _Drawn.of(one, [one.labels.index(label) for label in able], weights[key])
            score += np.log(np.maximum(again.scores, TINY))
            below = tests.below_again(place, able, again.coverage_moves)
            suspect += below <= holm.ALPHA
            out |= (below <= evidence.limit) | tests.biased_again(place, able, again.bias_moves, one.n)
    return Resampled(score / len(evidence.estimands), suspect, out)


def draw_lots(seed: int, law_key: str, lots: int, resamples: int) -> Floats:
    """Return how often each lot is drawn in each resampled run [B, L]: multinomial, equal for all conditions of a
    population.

    From a stream of its own, so that the verdict on a run is the same whenever it is read.

    Parameters
    ----------
    seed : int
        The experiment's.
    law_key : str
        Conditions of one data-generating mechanism see the same data sets, and so the same draws.
    lots, resamples : int
    """
    rng = StreamSource(seed, law_key).new(0, "resampling")
    drawn = rng.integers(lots, size=(resamples, lots)) + lots * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * lots).reshape(resamples, lots).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Resampled means [B, m]: scores, and by how much coverage and bias (in SDs) moved."""

    scores: Floats
    coverage_moves: Floats
    bias_moves: Floats

    @staticmethod
    def of(one: Shared, chosen: Sequence[int], weights: Floats) -> _Drawn:
        m = len(chosen)
        sums = np.concatenate(
            [one.counts[:, None], *(x[:, chosen] for x in (one.hits, one.scores, one.errors))], axis=1
        )
        own, again = sums.sum(axis=0), weights @ sums
        # With few lots a resample may have drawn no data set at all.
        again = again[:, 1:] / np.maximum(again[:, :1], 1.0)
        moves = again - own[1:] / own[0]
        spread = np.maximum(one.spread[list(chosen)], TINY)
        return _Drawn(again[:, m : 2 * m], moves[:, :m], moves[:, 2 * m :] / spread)
