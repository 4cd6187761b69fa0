"""Methods of one condition on equal data: the data sets that all of them can answer, summed in lots.

Means over different data sets are no comparison, so every comparison of scores starts here. A method counts that
answers at least `USABLE_ENOUGH` of a condition's data sets for a term; the others are named with what they have. What
is kept of the data sets that remain are sums over lots, replication r in lot r mod `LOTS`: data sets are independent,
so lots are too, and resampling lots resamples data sets (one by one up to `LOTS` of them). Sums of lots don't grow
with a run.

The interval score of one data set may be anything up to infinity. A mean over data sets is then that of a single
interval, so scores count up to a cap: the score of an interval of the usual width that misses by half its width,
``width (1 + 1 / alpha)``. The usual width is that of the method in the middle, by their geometric means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nestbench.estimators.estimates import ENDS
from nestbench.experiments.results import Results
from nestbench.reports.comparing.grades import USABLE_ENOUGH
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.cell_rows import CellRows, Names, rows_of
from nestbench.reports.measures.draws import Bools, Draws
from nestbench.reports.parallel import over_cells
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.observed.model import alpha_of

LOTS = 500
LEAST = 30
"""Data sets in common below which methods are not compared."""
INTERVAL = frozenset(ENDS)


@dataclass(frozen=True, slots=True)
class Shared:
    """Methods of one condition and term on the data sets all of them answer.

    Attributes
    ----------
    term : str
    labels : tuple of str
        The M methods compared.
    left_out : dict
        Methods that answer too few data sets: (answered, of how many).
    n : int
        Data sets in common.
    cap : float
        What a score counts at most.
    counts : float64 [L]
        Data sets by lot.
    hits, scores, errors : float64 [L, M]
        Sums by lot: intervals that cover, capped interval scores, errors t - th.
    spread : float64 [M]
        SD of the errors.
    mean_score : float64 [M]
        Mean of the scores without the cap; may be infinite.
    endless : float64 [M]
        Share of intervals of infinite width.
    """

    term: str
    labels: tuple[str, ...]
    left_out: Mapping[str, tuple[int, int]]
    n: int
    cap: float
    counts: Floats
    hits: Floats
    scores: Floats
    errors: Floats
    spread: Floats
    mean_score: Floats
    endless: Floats

    @property
    def enough(self) -> bool:
        """Whether there are `LEAST` data sets in common."""
        return self.n >= LEAST


def shared_of_run(results: Results, workers: int | None = None) -> list[list[Shared]]:
    """Return `shared_of_cell` of every condition; `workers` as in `over_cells`."""
    return list(over_cells(results, shared_of_cell, workers))


def shared_of_cell(results: Results, index: int) -> list[Shared]:
    """Return the methods of one condition on equal data, term by term."""
    return shared_of_rows(rows_of(results, index))


def shared_of_rows(rows: CellRows) -> list[Shared]:
    """Return `shared_of_cell` from the rows of the condition: terms with a known truth, in order."""
    of_terms = [one for names in rows.groups() for one in _of_group(rows, names)]
    alone = all(one.term == "Intercept" for one in of_terms)
    return [one for one in of_terms if alone or one.term != "Intercept"]


def _of_group(rows: CellRows, names: Names | None) -> list[Shared]:
    """Return the methods on equal data for terms that are read together; every method is looked at twice."""
    factor = 1.0 + 1.0 / alpha_of(rows.level)
    sums = {}
    for term, known in _surveyed(rows, names).items():
        kept, rest, width = _chosen(known)
        sums[term] = _Sums(term, kept, rest, factor * width, _common([known[label].there for label in kept]))
    # A second time, for the cap and the common data sets are known only when all methods have been seen; rows of
    # all of them at once would be the memory of the run.
    for label in rows.labels:
        for draws in rows.block(label, names).draws(INTERVAL):
            for k, term in enumerate(draws.terms):
                if term in sums and label in sums[term].labels and draws.n:
                    sums[term].add(label, draws, k)
    return [one.shared() for one in sums.values()]


def _common(there: Sequence[Bools]) -> Bools:
    """Return which data sets all methods answer, of those that any does."""
    answered = np.zeros(max(map(len, there), default=0), dtype=np.bool_)
    shortest = min(map(len, there), default=0)
    # A method that was asked for fewer replications answers none of the later ones.
    answered[:shortest] = np.logical_and.reduce([one[:shortest] for one in there]) if there else False
    return answered


@dataclass(slots=True)
class _Known:
    """A method's data sets: fitted, answered for a term and which (`there`, by number), of these with a width that is
    neither 0 nor endless."""

    fitted: int = 0
    answered: int = 0
    there: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    regular: int = 0
    logs: float = 0.0

    @property
    def width(self) -> float:
        """Geometric mean of the regular widths, if they are most of all; else infinite."""
        return float(np.exp(self.logs / self.regular)) if 2 * self.regular > self.answered else np.inf


def _surveyed(rows: CellRows, names: Names | None) -> dict[str, dict[str, _Known]]:
    """Return by term, then method, how many data sets there are; of every method with fits, answers or not."""
    by_term: dict[str, dict[str, _Known]] = {}
    for label in rows.labels:
        for draws in rows.block(label, names).draws(INTERVAL):
            for k in _known_terms(draws):
                width = draws.once(st.width)[k]
                regular = width[(width > 0.0) & (width < np.inf)]
                there = np.zeros(int(draws.replications.max(initial=-1)) + 1, dtype=np.bool_)
                there[draws.replications] = True
                known = _Known(0, draws.n, there, len(regular), float(np.log(regular).sum()))
                by_term.setdefault(draws.terms[k], {})[label] = known
    for methods in by_term.values():
        for label in rows.labels:
            methods.setdefault(label, _Known()).fitted = rows.attempted(label)
    return by_term


def _known_terms(draws: Draws) -> Iterable[int]:
    """Return the positions of terms with a known truth."""
    return (int(k) for k in np.flatnonzero(np.isfinite(draws.truth).all(axis=1)))


def _chosen(known: Mapping[str, _Known]) -> tuple[tuple[str, ...], dict[str, tuple[int, int]], float]:
    """Return the methods with enough answers, those without, and the usual width."""
    most = max(one.fitted for one in known.values())
    kept = tuple(label for label, one in known.items() if one.answered >= USABLE_ENOUGH * most)
    rest = {label: (one.answered, most) for label, one in known.items() if label not in kept}
    return kept, rest, usual_width([known[label].width for label in kept])


def usual_width(widths: Sequence[float]) -> float:
    """Return the middle one of the methods' widths (the upper middle), endless and 0 ones apart.

    The middle, so that neither a method of zero width nor one of absurd width sets the scale.
    """
    usual = sorted(width for width in widths if 0.0 < width < np.inf)
    return usual[len(usual) // 2] if usual else 1.0


@dataclass(slots=True)
class _Sums:
    """Sums over the data sets in `common`, by number."""

    term: str
    labels: tuple[str, ...]
    left_out: Mapping[str, tuple[int, int]]
    cap: float
    common: Bools
    rows: Floats = field(init=False)
    wholes: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.rows = np.zeros((3, LOTS, len(self.labels)))
        self.wholes = np.zeros((3, len(self.labels)))

    def add(self, label: str, draws: Draws, k: int) -> None:
        """Add a method's numbers on the data sets in common; `k` is the term's row of the draws."""
        m, keep = self.labels.index(label), self.common[draws.replications]
        lots = draws.replications[keep]
        values = (draws.once(f)[k][keep] for f in (st.covers, st.interval_score, st.error, st.width))
        hits, score, error, width = (np.asarray(v, dtype=np.float64) for v in values)
        for row, one in zip(self.rows, (hits, np.minimum(score, self.cap), error), strict=True):
            row[:, m] += _by_lot(lots, one)
        self.wholes[:, m] += np.array([score.sum(), np.isinf(width).sum(), (error**2).sum()])

    def shared(self) -> Shared:
        counts = _by_lot(np.flatnonzero(self.common), None)
        n, there = int(counts.sum()), counts > 0
        hits, scores, errors = self.rows[:, there]
        with np.errstate(all="ignore"):
            mean_score, endless, square = self.wholes / n
            bias = errors.sum(axis=0) / n
            spread = np.sqrt(np.maximum(square - bias**2, 0.0) * n / (n - 1.0))
        return Shared(
            term=self.term,
            labels=self.labels,
            left_out=self.left_out,
            n=n,
            cap=self.cap,
            counts=counts[there],
            hits=hits,
            scores=scores,
            errors=errors,
            spread=spread,
            mean_score=mean_score,
            endless=endless,
        )


def _by_lot(numbers: Ints, values: Floats | None) -> Floats:
    """Return sums of values by lot: replications are dealt to lots by their numbers, for the resamples of `choice`."""
    return np.bincount(numbers % LOTS, weights=values, minlength=LOTS).astype(np.float64)
