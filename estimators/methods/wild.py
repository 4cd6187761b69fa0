"""The wild cluster bootstrap: p-values and intervals from the data's own schools, for few of them.

`ols-wild` imposes the null on the residuals (WCR), `ols-wild-u` does not (WCU); both compare CR1 t statistics. When all
2^G sign vectors are no more than the draws allowed they are enumerated, and nothing is random. Ties count as extreme,
so the test never rejects more often than its level where it is exact; with random draws the data count as one draw. No
p-value is below one over the number of different weights (`distinct`).
An interval holds the nulls that are not rejected (p > 1 - level); it is infinite where none is rejected.

Sources: Cameron, Gelbach & Miller 2008; Webb 2023 (six-point weights); MacKinnon, Nielsen & Webb 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.cluster_robust import require_schools, sandwich_answer
from nestbench.estimators.engines.distinct import limited
from nestbench.estimators.engines.finished import finished
from nestbench.estimators.engines.least_squares import require_residuals
from nestbench.estimators.engines.ols_batched import VANISHES, BatchOls, pooled
from nestbench.estimators.engines.reference import Answer, CannotFit, DataSet, reference_engine
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import ONE_TERM, Agreement, Engine, Estimator, Info, Options
from nestbench.estimators.kernels import sandwich, wild
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource

Codes = npt.NDArray[np.uint8]

WEIGHTS: Mapping[str, Floats] = {
    "rademacher": np.array([1.0, -1.0]),
    "webb": np.sqrt([0.5, 1.0, 1.5, 0.5, 1.0, 1.5]) * [1, 1, 1, -1, -1, -1],
}
"""Values a school's weight takes with equal probability."""


def checked_options(options: Options) -> tuple[int, str]:
    """Return draws and weights.

    Raises
    ------
    InvalidInput
        Fewer than one draw, or unknown weights.
    """
    draws, weights = options["draws"], options["weights"]
    if isinstance(draws, bool) or not isinstance(draws, int) or not 1 <= draws <= 10**7:
        raise InvalidInput(f"expected draws as a number from 1 to 10000000, got {draws!r}; e.g. draws = 999")
    if weights not in WEIGHTS:
        raise InvalidInput(
            f"expected weights to be one of {', '.join(WEIGHTS)}, got '{weights}'.{did_you_mean(str(weights), WEIGHTS)}"
        )
    return draws, str(weights)


def asked_terms(terms: Sequence[str], options: Options) -> Ints:
    """Return the positions of the terms that are asked for (`Estimator.for_term`): all, unless told otherwise."""
    only = options.get(ONE_TERM)
    return np.array([k for k, term in enumerate(terms) if only in (None, term)], dtype=np.int64)


def codes_of(
    streams: StreamSource, replication: int, schools: int, draws: int, weights: str
) -> tuple[Codes, bool]:
    """Return which of the weights each school gets in each draw, uint8 [G, B], and whether these are all there are.

    Parameters
    ----------
    streams : StreamSource
    replication : int
    schools, draws : int
    weights : str
        ``"rademacher"`` or ``"webb"``.

    Returns
    -------
    codes : uint8 [G, B]
    exact : bool
        Whether the draws are all sign vectors there are: then nothing is random, and the p-value is a share.
    """
    if weights == "rademacher" and 2**schools <= draws:
        vectors = np.arange(2**schools)
        return ((vectors >> np.arange(schools)[:, None]) & 1).astype(np.uint8), True
    stream = streams.at(replication, "bootstrap")
    if weights == "webb":
        return stream.integers(0, 6, size=(schools, draws), dtype=np.uint8), False
    # A bit a sign: the generator makes 64 of them at once.
    bits = np.unpackbits(np.frombuffer(stream.bytes((schools * draws + 7) // 8), dtype=np.uint8))
    return bits[: schools * draws].reshape(schools, draws), False


def distinct_of(schools: int, weights: str) -> float:
    """Return how many different weights G schools can get; of more than 50 schools, those of 50."""
    # 6^400 overflows, and no more than 10^7 draws are ever made.
    return float(len(WEIGHTS[weights])) ** min(schools, 50)


def _statistics(fit: BatchOls, r: int, codes: Codes, values: Floats, asked: Ints) -> tuple[Floats, Floats]:
    """Return what `wild.infer` takes of one replication: each term's statistics over the draws, and their sizes."""
    m = fit.moments
    schools = slice(*m.replication_offsets[r : r + 2])
    numbers, sizes = np.empty((len(m.x), 5, codes.shape[1])), np.empty((len(m.x), 2))
    wild.draw_statistics(
        m.cross[schools],
        m.x,
        m.contrasts[r],
        fit.lower[r],
        fit.scores[schools],
        codes,
        values,
        asked,
        numbers,
        sizes,
    )
    return numbers, sizes


def batched_engine(restricted: bool, reference: Engine) -> Engine:
    """Return the engine that works from school scores."""

    def fast(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
        """Draw and judge each regular replication from its schools' scores."""
        started = perf_counter()
        draws, weights = checked_options(options)
        asked = asked_terms(batch.once(design_of, model).terms, options)
        fit = batch.once(pooled, model)
        m = fit.moments
        variance = np.empty_like(fit.estimate)
        sandwich.cr0(m.replication_offsets, fit.influence, fit.scores, variance)
        regular = fit.regular & (fit.schools > 1) & (variance > VANISHES**2 * fit.naive).all(axis=1)
        p_value, lower, upper = (np.full_like(fit.estimate, np.nan) for _ in range(3))
        messages, said = {"": 0}, np.zeros(batch.size, dtype=np.int32)
        for r in np.flatnonzero(regular):
            schools = int(fit.schools[r])
            codes, exact = codes_of(batch.streams, int(batch.replications[r]), schools, draws, weights)
            numbers, sizes = _statistics(fit, int(r), codes, WEIGHTS[weights], asked)
            answer = lower[r], upper[r], p_value[r]
            wild.infer(numbers, sizes, fit.estimate[r], restricted, exact, model.alpha, asked, *answer)
            p_value[r], (lower[r], upper[r]), text = limited(
                p_value[r], (lower[r], upper[r]), distinct_of(schools, weights), model.alpha
            )
            said[r] = messages.setdefault(text, len(messages))
        std_error = np.sqrt(variance * (fit.schools / np.maximum(fit.schools - 1.0, 1.0))[:, None])
        none, tests, words = np.full_like(std_error, np.nan), (lower, upper, p_value), (said, tuple(messages))
        estimates = finished(batch, model, started, fit.estimate, std_error, none, tests=tests, said=words)
        return estimates, np.flatnonzero(~regular)

    return with_careful(fast, reference)


def dense(data: DataSet, restricted: bool) -> Answer:
    """The bootstrap by its definition: draw outcomes, refit, compare CR1 t statistics."""
    require_schools(data)
    draws, weights = checked_options(data.options)
    n, p = data.x.shape
    if n <= p:
        raise CannotFit(f"no residual degrees of freedom: {n} observations, {p} coefficients")
    inner, back, shift = data.standardised()
    bootstrap = _Dense(inner, restricted, *_weights(data, draws, weights))
    require_residuals(bootstrap.residuals, data.y)
    estimate = back @ bootstrap.beta + shift
    v = np.array([bootstrap.variance(c) for c in back])
    sigma = np.sqrt(bootstrap.residuals @ bootstrap.residuals / (n - p))
    naive = sigma * np.sqrt(np.diag(back @ bootstrap.m @ back.T))
    answer = sandwich_answer(
        data.terms, estimate, np.sqrt(v * data.schools / (data.schools - 1.0)), naive, np.nan
    )
    p_value, lower, upper = (np.full(p, np.nan) for _ in range(3))
    for j in np.flatnonzero(np.isfinite(answer.std_error)):
        nulls = bootstrap.nulls(back[j])
        p_value[j] = nulls.p_value(estimate[j])
        lower[j] = estimate[j] - nulls.bound(1.0, data.model.alpha)
        upper[j] = estimate[j] + nulls.bound(-1.0, data.model.alpha)
    p_value, interval, text = limited(
        p_value, (lower, upper), distinct_of(data.schools, weights), data.model.alpha
    )
    message = "; ".join(part for part in (answer.message, text) if part)
    return Answer(estimate, answer.std_error, np.nan, message=message, interval=interval, p_value=p_value)


def _weights(data: DataSet, draws: int, weights: str) -> tuple[Floats, bool]:
    """Return the weights v [G, B] of one data set, and whether they are all there are."""
    codes, exact = codes_of(data.sample.batch.streams, data.sample.number, data.schools, draws, weights)
    return WEIGHTS[weights][codes], exact


class _Dense:
    """A data set and its weights v [G, B]."""

    def __init__(self, data: DataSet, restricted: bool, v: Floats, exact: bool) -> None:
        self.data, self.restricted, self.v, self.exact = data, restricted, v[data.groups], exact
        self.m = np.linalg.inv(data.x.T @ data.x)
        self.beta = self.m @ (data.x.T @ data.y)
        self.residuals = data.y - data.x @ self.beta

    def _scores(self, c: Floats, residuals: Floats) -> Floats:
        """Return c'M X_g'e_g of each school and draw, for residuals written out."""
        return np.add.reduceat((self.data.x @ (self.m @ c))[:, None] * residuals, self.data.starts, axis=0)

    def variance(self, c: Floats) -> float:
        """CR0 variance of c'beta."""
        return float((self._scores(c, self.residuals[:, None]) ** 2).sum())

    def drawn(self, c: Floats, distance: float) -> tuple[Floats, Floats]:
        """Draw and refit with the null that far below c'beta: c'(beta* - centre) [B], and its school scores [G, B]."""
        x, mc = self.data.x, self.m @ c
        # Least squares under c'beta = c'b - distance, without fitting the restricted model again.
        centre = self.beta - mc * (distance / (c @ mc)) if self.restricted else self.beta
        drawn = (x @ centre)[:, None] + self.v * (self.data.y - x @ centre)[:, None]
        refitted = self.m @ (x.T @ drawn)
        return c @ (refitted - centre[:, None]), self._scores(c, drawn - x @ refitted)

    def nulls(self, c: Floats) -> _Nulls:
        """Return the bootstraps of all nulls about c'beta."""
        unit = float(np.sqrt(self.variance(c)))
        # Draws are linear in the null's distance: two of them give those of every other null.
        (top, scores), (further, others) = (self.drawn(c, distance) for distance in (0.0, unit))
        return _Nulls(unit, top, further - top, scores, others - scores, self.exact)


@dataclass(frozen=True, slots=True, eq=False)
class _Nulls:
    """Bootstraps at nulls `distance` below the estimate: draws [B] and school scores [G, B] are linear in it.

    `unit` is the CR0 standard error; `top_step` and `scores_step` are changes by one unit.
    """

    unit: float
    top: Floats
    top_step: Floats
    scores: Floats
    scores_step: Floats
    exact: bool

    def p_value(self, distance: float) -> float:
        """Bootstrap p-value of the null that far below the estimate."""
        steps = distance / self.unit
        top = (self.top + steps * self.top_step) ** 2 * self.unit**2
        squares = ((self.scores + steps * self.scores_step) ** 2).sum(axis=0)
        extreme = float((top >= (distance * (1.0 - wild.TIE)) ** 2 * squares).sum())
        draws = len(top)
        return float(extreme / draws if self.exact else (1.0 + extreme) / (1.0 + draws))

    def bound(self, side: float, alpha: float) -> float:
        """Distance from the estimate to the first null rejected on one side, as `kernels.wild.bound` finds it."""
        inside, outside = 0.0, 1.0
        for _ in range(wild.DOUBLINGS):
            if self.p_value(side * outside * self.unit) <= alpha:
                break
            inside, outside = outside, 2.0 * outside
        else:
            return float("inf")
        for _ in range(wild.BISECTIONS):
            middle = 0.5 * (inside + outside)
            if self.p_value(side * middle * self.unit) <= alpha:
                outside = middle
            else:
                inside = middle
        return inside * self.unit


def formula(restricted: bool) -> tuple[str, ...]:
    """Return the method in LaTeX."""
    centre = r" - M c_j\, \frac{c_j^\top\hat\beta - b_0}{c_j^\top M c_j}" if restricted else ""
    return (
        r"\hat\beta = M X^\top y, \quad t = \frac{c_j^\top\hat\beta - b_0}{\operatorname{SE}}",
        r"y_g^* = X_g\tilde\beta + v_g (y_g - X_g\tilde\beta), \quad v_g \text{ random signs or Webb's six values}",
        rf"\tilde\beta = \hat\beta{centre}",
        r"t^* = \frac{c_j^\top(\hat\beta^* - \tilde\beta)}{\operatorname{SE}^*}",
        r"p = \frac{1 + \#\{|t^*| \ge |t|\}}{1 + B}, \text{ or } \frac{\#\{|t^*| \ge |t|\}}{2^G} "
        r"\text{ where all } 2^G \text{ sign vectors are tried}",
        r"\text{interval} = \{b_0 : p(b_0) > \alpha\}",
    )


def _estimator(name: str, label: str, summary: str, restricted: bool) -> Estimator:
    """Return the method with the null imposed on the draws, or not."""
    reference = reference_engine(lambda data: dense(data, restricted))
    return Estimator(
        name=name,
        version=2,
        info=Info(
            label=label,
            summary=summary,
            assumes="schools independent of each other, effects of schools symmetric; few treated schools defeat it",
            df="none (bootstrap)",
            source="Cameron, Gelbach & Miller 2008; MacKinnon, Nielsen & Webb 2023",
            formula=formula(restricted),
        ),
        reference=reference,
        batched=batched_engine(restricted, reference),
        agreement=Agreement.RANDOM,
        by_term=True,
        options={"draws": 999, "weights": "rademacher"},
    )


WILD = _estimator(
    "ols-wild",
    "Wild cluster bootstrap",
    "wild cluster bootstrap of the CR1 t statistic, null imposed; interval by test inversion",
    restricted=True,
)
WILD_U = _estimator(
    "ols-wild-u",
    "Wild cluster bootstrap, unrestricted",
    "wild cluster bootstrap of the CR1 t statistic without imposing the null; percentile-t interval",
    restricted=False,
)
