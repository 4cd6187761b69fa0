"""Permutation of a school-level treatment across schools: exact under the sharp null, however few the schools.

If schools were assigned at random and the treatment does nothing, every reassignment d* of it to the schools was as
likely as the one seen. The statistic is the OLS coefficient b* of d* beside the other terms; p is the share of
assignments with ``|b*| >= |b|``: all of them where they are no more than `draws`, else that many random ones and the
one seen. The interval holds the effects delta that are not rejected for ``y - delta d``: each assignment gives
``b*(y) - delta b*(d)``, so its limits are roots of quadratics, and no search is needed. It is infinite when there are
too few assignments to reject anything.

With Frisch and Waugh, ``b*(v) = sum_g d*_g r_g(v) / (d*'M d*)``: r_g(v) is the school total of v's residuals from the
other terms, so school cross-products are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.least_squares import require_residuals
from nestbench.estimators.engines.mixed_fit import school_level
from nestbench.estimators.engines.reference import (
    Answer,
    CannotFit,
    DataSet,
    Rows,
    Screened,
    failed,
    full_rank,
    matrices_of,
    reference_engine,
)
from nestbench.estimators.engines.resampling import draws_of
from nestbench.estimators.engines.splice import leave_to
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Estimator, Info, Options
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.observed.batch import Batch, Floats, Ints, Sample
from nestbench.sim.observed.model import Model

TIE = 1e-9
"""Statistics this close, relatively, are the same number."""
DEPENDENT = 1e-9
"""An assignment whose residual sum of squares is this share of its own depends on the other terms."""

AT_ONCE = 25_000_000
"""Numbers (draws x schools) a block of draws may hold: 999 draws of up to 25 000 schools are one block."""

Mask = npt.NDArray[np.bool_]
Coefficients = Callable[[Floats], tuple[Floats, Floats, Mask]]
"""Assignments [D, G] -> b*(y), b*(d) [D], and which assignments have them."""


def assignments(values: Floats, draws: int, generator: np.random.Generator) -> tuple[Iterator[Floats], bool]:
    """Return reassignments [D, G] of the schools' values, in blocks of draws, and whether they are all there are.

    All of them (the one seen included) if the values are two and their arrangements at most `draws`; else `draws`
    random permutations, the one seen not among them by design.

    Parameters
    ----------
    values : float64 [G]
        The treatment of each school, as it was.
    draws : int
    generator : Generator
        Not used where all reassignments are no more than `draws`.
    """
    distinct = np.unique(values)
    schools = len(values)
    if len(distinct) == 2:
        high = int((values == distinct[1]).sum())
        if math.comb(schools, high) <= draws:
            every = np.full((math.comb(schools, high), schools), distinct[0])
            for row, treated in zip(every, combinations(range(schools), high), strict=True):
                row[list(treated)] = distinct[1]
            return iter([every]), True
    block = max(1, AT_ONCE // schools)
    sizes = [min(block, draws - first) for first in range(0, draws, block)]
    return (generator.permuted(np.tile(values, (size, 1)), axis=1) for size in sizes), False


def treatment(terms: tuple[str, ...], constant: Mask, schools: Floats, chosen: str) -> int:
    """Return which term is permuted.

    Parameters
    ----------
    constant : bool [K]
        Terms constant within schools.
    schools : float64 [G, K]
        Their values.
    chosen : str
        The option `term`; empty: the only school-level term with two values.
    """
    if chosen:
        if chosen not in terms:
            raise InvalidInput(
                f"expected permutation.term to be a term of the model ({', '.join(terms)}), got '{chosen}'."
                f"{did_you_mean(chosen, terms)}"
            )
        if not constant[terms.index(chosen)]:
            raise CannotFit(f"{chosen} varies within schools: it was not assigned to schools")
        return terms.index(chosen)
    two = [k for k in np.flatnonzero(constant) if len(np.unique(schools[:, k])) == 2]
    if len(two) != 1:
        named = ", ".join(terms[k] for k in two) or "none"
        raise CannotFit(
            f"expected one school-level term with two values, got {named}: name it by the option term"
        )
    return int(two[0])


def judged(
    values: Floats, own: float, coefficients: Coefficients, sample: Sample, model: Model, options: Options
) -> Answer:
    """Return the answer for one coefficient: permutation SD, interval and p-value.

    Parameters
    ----------
    values : float64 [G]
        The treatment of each school.
    own : float
        Its coefficient.
    """
    generator = sample.batch.streams.at(sample.number, "permutation")
    arranged, complete = assignments(values, draws_of(options), generator)
    blocks = [coefficients(block) for block in arranged]
    of_y, of_d = (np.concatenate([block[k] for block in blocks]) for k in (0, 1))
    good = np.concatenate([block[2] for block in blocks])
    of_y, of_d = of_y[good], of_d[good]
    seen = 0 if complete else 1
    total = len(of_y) + seen
    extreme = int((np.abs(of_y) >= abs(own) * (1 - TIE)).sum()) + seen
    # The least count whose share is above alpha: p = alpha rejects.
    needed = math.floor(model.alpha * total + TIE) + 1 - seen
    spread = float(np.sqrt(np.mean((of_y - own * of_d) ** 2))) if len(of_y) else 0.0
    if not spread > TIE * abs(own):
        raise CannotFit("no other assignment of the treatment changes its coefficient")
    low, high = limits(of_y, of_d, own, needed)
    return Answer(
        np.array([own]),
        np.array([spread]),
        np.nan,
        interval=(np.array([low]), np.array([high])),
        p_value=np.array([extreme / total]),
    )


def limits(of_y: Floats, of_d: Floats, own: float, needed: int) -> tuple[float, float]:
    """Return the effects nearest to b, below and above, beyond which fewer than `needed` assignments are as extreme.

    With delta = b + t, c = b*(y) - b b*(d) and k = b*(d) an assignment is as extreme where ``|c - k t| >= |t|``: at
    t = 0, until the root c / (k + 1) or c / (k - 1) that comes first on that side, and again after a second one.

    Parameters
    ----------
    of_y, of_d : float64 [D]
        b*(y) and b*(d) of each assignment.
    own : float
        b, as assigned.
    needed : int
        How many assignments must be as extreme for an effect not to be rejected.

    Returns
    -------
    lower, upper : float
        Infinite where no effect on that side is rejected.
    """
    c = of_y - own * of_d
    nothing = np.abs(c) <= TIE * (abs(own) + np.abs(of_y))
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([c / (of_d + 1.0), c / (of_d - 1.0)])
    roots = np.where(nothing | ~np.isfinite(roots), np.inf, roots)
    at_once = nothing & (np.abs(of_d) < 1.0 - TIE)
    below, above = (_reach(_one_side(side * roots, at_once), needed) for side in (-1.0, 1.0))
    return own - below, own + above


def _one_side(roots: Floats, at_once: Mask) -> Floats:
    """Return the distances [2, D] at which each assignment leaves and comes back; inf: never."""
    ends = np.sort(np.where(roots > 0, roots, np.inf), axis=0)
    ends[0] = np.where(at_once, 0.0, ends[0])
    return ends


def _reach(ends: Floats, needed: int) -> float:
    """Return the distance beyond which fewer than `needed` assignments remain; inf if there is none."""
    distances = ends.ravel()
    steps = np.repeat([-1, 1], ends.shape[1])
    # At equal distances returns before departures, so that a tie is counted as not rejected.
    order = np.lexsort((-steps, distances))
    order = order[np.isfinite(distances[order])]
    short = np.flatnonzero(ends.shape[1] + np.cumsum(steps[order]) < needed)
    return float(distances[order[short[0]]]) if len(short) else np.inf


def the_treatment(data: DataSet) -> Screened:
    """Screen for the one term that is permuted."""
    screened = full_rank(data)
    term = treatment(data.terms, data.school_constant(), data.x[data.starts], data.options["term"])
    if not screened.answerable[term]:
        raise CannotFit(f"{data.terms[term]} is not estimable")
    return Screened(screened.columns, only(term, len(data.terms)), screened.status, alone(data.terms[term]))


def only(chosen: int, terms: int) -> Mask:
    """Return a mask of one term [K]."""
    mask = np.zeros(terms, dtype=bool)
    mask[chosen] = True
    return mask


def alone(term: str) -> str:
    """Return the message for the terms that get no answer."""
    return f"permutes {term} alone"


def fit_permutation(data: DataSet) -> Answer:
    """The definition: residuals of every assignment from the other terms, on the students."""
    term = treatment(data.terms, data.school_constant(), data.x[data.starts], data.options["term"])
    others = np.delete(data.x, term, axis=1)
    basis, _ = np.linalg.qr(others / np.sqrt((others**2).sum(axis=0)))

    def residuals(v: Floats) -> Floats:
        """Return what the other terms leave of a variable."""
        once = v - basis @ (basis.T @ v)
        # Twice, as in `estimable`: after one pass the residual still has the rounding of what was taken off.
        return np.asarray(once - basis @ (basis.T @ once))

    require_residuals(residuals(data.y), data.y)
    y, d = residuals(data.y), residuals(data.x[:, term])

    def coefficients(arranged: Floats) -> tuple[Floats, Floats, Mask]:
        """Return b*(y), b*(d) of assignments, and which have them."""
        placed = arranged[:, data.groups].T
        left = residuals(placed)
        size = (left**2).sum(axis=0)
        good = size > DEPENDENT * ((placed - placed.mean(axis=0)) ** 2).sum(axis=0)
        size = np.where(good, size, 1.0)
        return left.T @ y / size, left.T @ d / size, good

    answer = judged(
        data.x[data.starts, term],
        float(d @ y / (d @ d)),
        coefficients,
        data.sample,
        data.model,
        data.options,
    )
    return spread_out(answer, term, len(data.terms))


def spread_out(answer: Answer, chosen: int, terms: int) -> Answer:
    """Return the answer for one term as an answer for all [K], the others missing."""

    def among(value: Floats) -> Floats:
        """Put a value in its term's place."""
        return np.where(only(chosen, terms), value, np.nan)

    assert answer.interval is not None
    assert answer.p_value is not None
    return replace(
        answer,
        estimate=among(answer.estimate),
        std_error=among(answer.std_error),
        interval=(among(answer.interval[0]), among(answer.interval[1])),
        p_value=among(answer.p_value),
    )


@dataclass(frozen=True, slots=True, eq=False)
class SchoolTotals:
    """What of one data set's cross-products a permutation needs, in pivoted, scaled columns.

    Attributes
    ----------
    sizes : float64 [G]
    others : float64 [G, p - 1]
        School totals of the other terms.
    factor : float64 [p - 1, p - 1]
        Cholesky factor of their cross-product.
    of_y, of_d : float64 [G]
        School totals of the residuals of outcome and treatment from the other terms.
    """

    sizes: Floats
    others: Floats
    factor: Floats
    of_y: Floats
    of_d: Floats

    def coefficients(self, arranged: Floats) -> tuple[Floats, Floats, Mask]:
        """Return b*(y), b*(d) [D] of assignments [D, G], and which have them."""
        explained = np.linalg.solve(self.factor, (arranged @ self.others).T)
        squares = arranged**2 @ self.sizes
        size = squares - (explained**2).sum(axis=0)
        good = size > DEPENDENT * (squares - (arranged @ self.sizes) ** 2 / self.sizes.sum())
        size = np.where(good, size, 1.0)
        return arranged @ self.of_y / size, arranged @ self.of_d / size, good


def school_totals(cross: Floats, x: Ints, term: int) -> SchoolTotals:
    """Return the totals of one data set from its schools' cross-products [G, d, d]."""
    rest, d, y = np.delete(x, term), x[term], cross.shape[1] - 1
    total = cross.sum(axis=0)
    factor = np.linalg.cholesky(total[np.ix_(rest, rest)])

    def left(column: int) -> Floats:
        """Return school totals of what the other terms leave of a column."""
        beta = np.linalg.solve(factor.T, np.linalg.solve(factor, total[rest, column]))
        return np.asarray(cross[:, 0, column] - cross[:, 0, rest] @ beta)

    return SchoolTotals(cross[:, 0, 0], cross[:, 0, rest], factor, left(y), left(d))


def permutation_engine(batch: Batch, model: Model, options: Options) -> Estimates:
    """Fit from school cross-products; data that are not regular are left to the reference."""
    moments, data = batch.once(moments_of, model), batch.once(matrices_of, model)
    rows = Rows(data.terms, batch.replications)
    # Refined columns are combinations of the terms: the treatment isn't one of them.
    regular = moments.regular & ~moments.refined
    for r in np.flatnonzero(regular):
        started = perf_counter()
        rows.put(int(r), *_from_totals(batch, model, options, int(r)))
        rows.seconds[r] = perf_counter() - started
    return leave_to(REFERENCE, rows.estimates(model.level), np.flatnonzero(~regular), batch, model, options)


def _from_totals(batch: Batch, model: Model, options: Options, r: int) -> tuple[Screened, Answer]:
    """Fit one replication from its schools' totals."""
    moments, data = batch.once(moments_of, model), batch.once(matrices_of, model)
    schools = slice(*batch.replication_offsets[r : r + 2])
    values = data.x[:, batch.school_offsets[:-1][schools]].T
    terms, p = data.terms, len(data.terms)
    try:
        term = treatment(terms, batch.once(school_level, model)[r], values, options["term"])
        totals = school_totals(moments.cross[schools], moments.x, term)
        column = moments.x[term]
        pivot, unit = moments.pivot[r, column], moments.scale[r, column]
        size = unit / moments.scale[r, -1]

        def coefficients(arranged: Floats) -> tuple[Floats, Floats, Mask]:
            of_y, of_d, good = totals.coefficients((arranged - pivot) * unit)
            return of_y * size, of_d, good

        own, _, _ = coefficients(values[None, :, term])
        answer = judged(values[:, term], float(own[0]), coefficients, batch.replication(r), model, options)
        return Screened(np.arange(p), only(term, p), message=alone(terms[term])), spread_out(answer, term, p)
    except CannotFit as error:
        return Screened(np.empty(0, dtype=np.int64), np.zeros(p, dtype=bool)), failed(0, str(error))


REFERENCE = reference_engine(fit_permutation, screen=the_treatment)

PERMUTATION = Estimator(
    name="permutation",
    version=1,
    reads_rows=True,
    info=Info(
        label="Permutation",
        summary="permutation of a school-level treatment across schools; statistic: its OLS coefficient",
        assumes="schools were assigned at random; for the interval, the same effect in every school",
        df="none",
        source="Fisher 1935; Gail et al. 1996; MacKinnon & Webb 2020 (RI-beta)",
        formula=(
            r"b^* = \text{the OLS coefficient of a reassigned treatment } d^* \text{ beside the other terms}",
            r"p = \frac{\#\{|b^*| \ge |b|\}}{\text{all assignments}}, \text{ or } "
            r"\frac{1 + \#\{|b^*| \ge |b|\}}{1 + B} \text{ over } B \text{ random ones}",
            r"\text{interval} = \{\delta : p > \alpha \text{ with } y - \delta d \text{ as outcome}\}",
            r"\operatorname{SE}^2 = \text{the mean of } (b^*)^2 \text{ with } y - b d \text{ as outcome}",
        ),
    ),
    reference=REFERENCE,
    batched=permutation_engine,
    agreement=Agreement.RANDOM,
    options={"term": "", "draws": 999},
)
