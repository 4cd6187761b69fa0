"""Pairs cluster bootstrap: whole schools are drawn with replacement, and OLS is fitted again.

A school drawn k times counts k times, so a draw is the weighted sum of school cross-products, ``b* = (sum k_g
X_g'X_g)^-1 sum k_g X_g'y_g``. The standard error is the SD of b*, the interval its percentiles, the p-value twice the
smaller share on one side of 0, counting the estimate itself; a draw at 0 is on both sides. No p-value is below one over
the number of different draws (`distinct`).

Draws in which a term is not estimable (a treatment of few schools that none of them holds) have no b* and are left out;
that alone makes the method fail where treated schools are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.cluster_robust import require_schools
from nestbench.estimators.engines.distinct import limited
from nestbench.estimators.engines.least_squares import least_squares
from nestbench.estimators.engines.ols_batched import pooled
from nestbench.estimators.engines.reference import (
    Answer,
    CannotFit,
    DataSet,
    Rows,
    Screened,
    failed,
    matrices_of,
    reference_engine,
)
from nestbench.estimators.engines.resampling import draws_of
from nestbench.estimators.engines.splice import with_careful
from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Agreement, Estimator, Info, Options
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.observed.batch import Batch, Floats, Ints, Sample
from nestbench.sim.observed.model import Model, alpha_of

Mask = npt.NDArray[np.bool_]
SINGULAR = 1e-10
"""Smallest eigenvalue of a draw's scaled cross-product below which a term is not estimable in it."""
ZERO = 1e-9
"""A draw this near to 0, in standard errors, is 0 up to rounding: no sign is read off it."""
LEFT_OUT = "in some draws a term is not estimable: they are left out"
BLOCK = 2_000_000
"""Numbers a block of draws may hold at once in the reference engine."""


AT_ONCE = 25_000_000
"""Numbers (draws x schools) a block of draws may hold: 999 draws of up to 25 000 schools are one block."""


def times_drawn(sample: Sample, schools: int, draws: int) -> Iterator[Floats]:
    """Yield how often each school is drawn [d, G], in blocks of draws; the blocks don't change what is drawn."""
    generator = sample.batch.streams.at(sample.number, "pairs-bootstrap")
    block = max(1, AT_ONCE // schools)
    for first in range(0, draws, block):
        size = min(block, draws - first)
        drawn = generator.integers(0, schools, size=(size, schools))
        drawn += np.arange(size)[:, None] * schools
        yield np.bincount(drawn.ravel(), minlength=size * schools).reshape(size, schools).astype(np.float64)


def marks_of(counts: Floats) -> list[bytes]:
    """Return a short mark of each draw; equal draws have equal marks."""
    # Digests, for 999 draws of 25 000 schools are 100 MB of counts that only their equality is asked of.
    return [blake2b(row.tobytes(), digest_size=16).digest() for row in counts.astype(np.int32)]


def answer_of(own: Floats, drawn: Floats, marks: Sequence[bytes], good: Mask, level: float) -> Answer:
    """Return SE, percentile interval and p-value from the coefficients of the draws [D, p] and their marks.

    Raises
    ------
    CannotFit
        Half of the draws or more have no coefficients, or a term has the same one in all.
    """
    if 2 * int(good.sum()) <= len(good):
        raise CannotFit("in half of the draws or more a term is not estimable")
    kept = drawn[good]
    spread = kept.std(axis=0, ddof=1)
    if not (spread > 1e-9 * np.abs(kept).max(axis=0)).all():
        raise CannotFit("a term has the same estimate in every draw")
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2], axis=0)
    reach = ZERO * spread
    fewer = np.minimum((kept <= reach).sum(axis=0), (kept >= -reach).sum(axis=0))
    p_value = np.minimum(2.0 * (fewer + 1.0) / (len(kept) + 1.0), 1.0)
    distinct = len({mark for mark, used in zip(marks, good, strict=True) if used})
    p_value, interval, few = limited(p_value, (low, high), distinct, alpha_of(level))
    message = "; ".join(part for part in ("" if good.all() else LEFT_OUT, few) if part)
    none = np.full(len(own), np.nan)
    return Answer(own, spread, none, message=message, interval=interval, p_value=p_value)


def estimable_draws(grams: Floats) -> Mask:
    """Return which cross-products [D, p, p] are plainly of full rank, in units of their diagonals."""
    size = np.sqrt(np.einsum("djj->dj", grams))
    unit = np.where(size > 0, size, 1.0)
    scaled = grams / (unit[:, :, None] * unit[:, None, :])
    return np.asarray((size > 0).all(axis=1) & (np.linalg.eigvalsh(scaled)[:, 0] > SINGULAR))


def fit_pairs(data: DataSet) -> Answer:
    """The definition: every draw refitted on its students, by QR of the rows times the root of their school's count."""
    require_schools(data)
    inner, back, shift = data.standardised()
    own = back @ least_squares(inner, data.y).params + shift
    size = max(1, BLOCK // inner.x.size)
    parts, marks = [], []
    for counts in times_drawn(data.sample, data.schools, draws_of(data.options)):
        parts += [_refitted(inner, counts[i : i + size]) for i in range(0, len(counts), size)]
        marks += marks_of(counts)
    drawn, good = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return answer_of(own, drawn @ back.T + shift, marks, good, data.model.level)


def _refitted(data: DataSet, counts: Floats) -> tuple[Floats, Mask]:
    """Return the coefficients of one draw, refitted on its students."""
    weight = np.sqrt(counts[:, data.groups])
    q, r = np.linalg.qr(weight[:, :, None] * data.x)
    good = estimable_draws(np.einsum("dij,dik->djk", r, r))
    # Something to solve: NumPy raises for the whole stack if one matrix is singular.
    r[~good] = np.eye(r.shape[1])
    right = np.einsum("dnj,dn->dj", q, weight * data.y)
    return np.linalg.solve(r, right[:, :, None])[:, :, 0], good


def from_moments(batch: Batch, model: Model, options: Options) -> tuple[Estimates, Ints]:
    """Fit from school cross-products; data that are not regular have no answer."""
    moments, ols = batch.once(moments_of, model), batch.once(pooled, model)
    rows = Rows(batch.once(matrices_of, model).terms, batch.replications)
    regular = ols.regular & (ols.schools > 1) & ~moments.refined
    for r in np.flatnonzero(regular):
        started = perf_counter()
        rows.put(int(r), *_from_cross(batch, model, options, int(r)))
        rows.seconds[r] = perf_counter() - started
    return rows.estimates(model.level), np.flatnonzero(~regular)


def _from_cross(batch: Batch, model: Model, options: Options, r: int) -> tuple[Screened, Answer]:
    """Fit one replication from its schools' cross-products."""
    moments, ols = batch.once(moments_of, model), batch.once(pooled, model)
    schools = moments.cross[slice(*batch.replication_offsets[r : r + 2])]
    x, p = moments.x, len(moments.x)
    blocks, marks = [], []
    for counts in times_drawn(batch.replication(r), len(schools), draws_of(options)):
        blocks.append(counts @ schools.reshape(len(schools), -1))
        marks += marks_of(counts)
    sums = np.concatenate(blocks).reshape(-1, *schools.shape[1:])
    grams = np.ascontiguousarray(sums[:, x[:, None], x])
    good = estimable_draws(grams)
    # As in the reference: a singular draw would end the solution of all.
    grams[~good] = np.eye(p)
    solved = np.linalg.solve(grams, sums[:, x, -1][:, :, None])[:, :, 0]
    drawn = solved @ moments.contrasts[r].T + moments.shift[r]
    every = Screened(np.arange(p), np.ones(p, dtype=bool))
    try:
        return every, answer_of(ols.estimate[r], drawn, marks, good, model.level)
    except CannotFit as error:
        return every, failed(p, str(error))


REFERENCE = reference_engine(fit_pairs)

PAIRS_BOOTSTRAP = Estimator(
    name="pairs-bootstrap",
    version=2,
    reads_rows=True,
    info=Info(
        label="Pairs bootstrap",
        summary="OLS on schools drawn with replacement: SD of the draws, percentile interval",
        assumes="many schools; schools independent of each other, each term held by many of them",
        df="none",
        source="Cameron, Gelbach & Miller 2008",
        formula=(
            r"b^* = \left(\sum_g k_g X_g^\top X_g\right)^{-1} \sum_g k_g X_g^\top y_g, "
            r"\quad k_g = \text{times that school } g \text{ is drawn}",
            r"\operatorname{SE} = \operatorname{SD}(b^*_j), "
            r"\quad \text{interval} = \text{the } \alpha/2 \text{ and } 1 - \alpha/2 \text{ quantiles of } b^*_j",
            r"p = \min\left[1, \frac{2 (1 + \min[\#\{b^*_j \le 0\}, \#\{b^*_j \ge 0\}])}{1 + B}\right]",
        ),
    ),
    reference=REFERENCE,
    batched=with_careful(from_moments, REFERENCE),
    agreement=Agreement.RANDOM,
    options={"draws": 999},
)
