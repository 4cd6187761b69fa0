"""Data sets whose columns depend on one another: fitted together without those that nothing can be said of.

A term that no data set can answer for (`treated` where no school is) makes every one of them irregular, and what is
left to a textbook engine costs a hundred times as much. What such data sets can be asked is known from their columns
alone: those that can answer for the same terms are a batch again, of a model with fewer columns, that a fast engine
fits. Its answers are those of the textbook engine: the same columns are left out by the same rule
(`estimable.plainly_estimable`), in the same words.

Only plain cases are fitted so. Whatever is doubtful (a column that is nearly a combination of others, values that are
not finite) stays with the textbook engine, and so does what the fast engine doesn't answer for on what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from nestbench.estimators.engines.estimable import Mask, plainly_estimable
from nestbench.estimators.engines.reference import not_estimable
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Options
from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.observed.affine import fixed_columns
from nestbench.sim.observed.batch import Batch, Floats, Ints
from nestbench.sim.observed.design import Design, design_of
from nestbench.sim.observed.model import Model

Fast = Callable[[Batch, Model, Options], tuple[Estimates, Ints]]
"""Fits a batch and says which rows it has no answer for."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Data sets of a batch that can answer for the same terms, as a batch of the columns that are kept.

    Attributes
    ----------
    rows : int64 [k]
        Their places in the whole batch.
    batch : Batch
        Of them; its design has the kept columns of X alone.
    answerable : bool [p]
        Of the whole design's terms.
    """

    rows: Ints
    batch: Batch
    answerable: Mask

    def completed(self, estimates: Estimates, terms: tuple[str, ...]) -> Estimates:
        """Return estimates of this part's columns as those of all terms: status SINGULAR, and which have no answer."""
        answered = tuple(term for term, known in zip(terms, self.answerable, strict=True) if known)
        words = not_estimable(terms, self.answerable)
        return replace(
            estimates.with_terms(answered).with_terms(terms),
            status=np.where(
                estimates.status <= FitStatus.BOUNDARY, np.int8(FitStatus.SINGULAR), estimates.status
            ),
            messages=tuple("; ".join(text for text in (words, own) if text) for own in estimates.messages),
        )


def fitted_in_parts(
    fast: Fast, estimates: Estimates, irregular: Ints, batch: Batch, model: Model, options: Options
) -> tuple[Estimates, Ints]:
    """Return estimates with those data sets fitted that lack an answer for dependent columns alone, and the rest.

    Parameters
    ----------
    fast : Fast
        Made `estimates`, and had no answer for the rows `irregular` [k].
    estimates : Estimates
    irregular : int64 [k]
    batch, model, options
        What `estimates` were made from.

    Returns
    -------
    Estimates, int64 [l]
        With the rows that no fast fit answers for even so.
    """
    if not len(irregular):
        return estimates, irregular
    terms, left = batch.once(design_of, model).terms, set(irregular.tolist())
    for part in batch.once(parts_of, model):
        fits, unanswered = fast(part.batch, model, options)
        chosen = np.setdiff1d(np.arange(len(part.rows)), unanswered)
        estimates = estimates.put(part.rows[chosen], part.completed(fits, terms).take(chosen))
        left -= set(part.rows[chosen].tolist())
    return estimates, np.array(sorted(left), dtype=np.int64)


def parts_of(batch: Batch, model: Model) -> list[Part]:
    """Return the irregular data sets that are plainly rank deficient, by what they can answer for (call it as
    ``batch.once(parts_of, model)``)."""
    found: dict[tuple[bytes, bytes], list[int]] = {}
    for r, answerable, columns in _patterns(batch, model):
        found.setdefault((answerable.tobytes(), columns.tobytes()), []).append(r)
    return [
        _part(batch, model, np.array(rows), np.frombuffer(columns, np.int64), np.frombuffer(known, np.bool_))
        for (known, columns), rows in found.items()
    ]


def _patterns(batch: Batch, model: Model) -> Iterator[tuple[int, Mask, Ints]]:
    """Yield the data sets with dependent columns: which terms they can answer for [p], and the columns to keep."""
    moments, design = batch.once(moments_of, model), batch.once(design_of, model)
    intercept = design.terms.index("Intercept") if design.intercept else None
    # Out of range, or not finite: refused by the textbook engine whatever the columns.
    doubtful = moments.regular | ~np.isfinite(moments.pivot).all(axis=1)
    rows = np.flatnonzero(~doubtful)
    for r, x in zip(rows.tolist(), _spanning(batch, design, rows), strict=True):
        answer = plainly_estimable(x, intercept) if np.isfinite(x).all() else None
        if answer is not None and len(answer[1]) and not answer[0].all():
            yield r, *answer


def _spanning(batch: Batch, design: Design, rows: Ints) -> Iterator[Floats]:
    """Yield a matrix [m, p] for each of some data sets whose rows span those of X: of strata, without students."""
    found = fixed_columns(batch, design) if len(rows) else None
    if found is None:
        for r in rows:
            yield design.fixed(batch)[:, batch.replication(r).rows].T
        return
    strata, columns = found
    mean = np.stack([column.mean for column in columns], axis=1)
    factor = np.stack([column.factor(strata) for column in columns], axis=1)
    bounds = strata.offsets[batch.replication_offsets]
    for r in rows:
        there = np.arange(bounds[r], bounds[r + 1])
        there = there[strata.count[there] > 0]
        moved = [
            mean[there] + factor[there, :, k] for k in range(factor.shape[2]) if factor[there, :, k].any()
        ]
        yield np.concatenate([mean[there], *moved])


def _part(batch: Batch, model: Model, rows: Ints, columns: Ints, answerable: Mask) -> Part:
    """Return some data sets with some columns of X."""
    part, whole = batch.take(rows), batch.once(design_of, model)
    products = whole.rhs_products
    kept = replace(
        whole,
        terms=tuple(whole.terms[c] for c in columns),
        rhs_products=None if products is None else tuple(products[c] for c in columns),
    )
    part.put(kept, design_of, model)
    return Part(rows, part, answerable)
