"""The usable replications of one method in one condition, laid out for measures.

Everything here has shape [k, n]: k terms, n usable replications, replications last, so that sums run along
contiguous memory. Terms with different usable replications live in different `Draws`; inside one there is no
missing number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import ESTIMATE, STORED_COLUMNS, Estimates, FitStatus
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.observed.model import alpha_of

Bools = npt.NDArray[np.bool_]
Truth = Mapping[str, "float | Floats"]
"""Term -> true value; an array is indexed by replication number, for truths that vary by replication."""
Null = Mapping[str, float]
"""Term -> value that its tests are of; 0 for terms that aren't there."""
NO_NULL: Null = {}
T = TypeVar("T")


class Sample:
    """Replications, with what was computed of them.

    Measures share sums: bias, MSE and coverage all need the errors. Functions are their own keys, so that no measure
    has to know which others there are.
    """

    __slots__ = ()
    _memo: dict[Any, Any]

    def once(self, function: Callable[[Any], T]) -> T:
        """Return ``function(self)``, computed once."""
        if function not in self._memo:
            self._memo[function] = function(self)
        return cast(T, self._memo[function])


@dataclass(frozen=True, slots=True, eq=False)
class Draws(Sample):
    """The n usable replications of k terms.

    Attributes
    ----------
    terms : tuple of str
        Names of the k terms.
    replications : int64 [n]
        The replications' numbers.
    truth : float64 [k, 1] or [k, n]
        True values; NaN where unknown.
    estimate, std_error, lower, upper, p_value, df : float64 [k, n]
        NaN throughout where a measure did not ask for them.
    level : float
        Nominal level of the intervals.
    attempted : int
        Number of fits N, usable or not.
    null : float64 [k, 1]
        Values that the tests are of.
    """

    terms: tuple[str, ...]
    replications: Ints
    truth: Floats
    estimate: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    p_value: Floats
    df: Floats
    level: float
    attempted: int
    null: Floats
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        """Number of replications."""
        return len(self.replications)

    @property
    def alpha(self) -> float:
        """Nominal size of the tests; see `alpha_of`."""
        return alpha_of(self.level)


def draws_of(
    estimates: Estimates,
    truth: Truth,
    level: float,
    needs: frozenset[str] = frozenset(),
    null: Null = NO_NULL,
    usable: Bools | None = None,
) -> Iterator[Draws]:
    """Yield the terms of a method in groups that share their usable replications.

    Parameters
    ----------
    estimates : Estimates
    truth : mapping
        Term -> true value, or an array by replication number.
    level : float
        Nominal level of the intervals.
    needs : frozenset of str
        As `usable_for`.
    null : mapping
        Term -> value that its test is of.
    usable : bool [R, K], optional
        What `usable_for` gives, where it is at hand.
    """
    mask = usable_for(estimates, needs) if usable is None else usable
    long = {name: np.ascontiguousarray(getattr(estimates, name).T) for name in STORED_COLUMNS}
    yield from _groups(estimates, estimates.terms, mask.T, long, truth, level, null)


def terms_first(estimates: Estimates) -> Estimates:
    """Return estimates that lie in memory term by term: `draws_of` then copies nothing."""
    columns: dict[str, Any] = {name: np.asfortranarray(getattr(estimates, name)) for name in STORED_COLUMNS}
    return replace(estimates, **columns)


def usable_for(estimates: Estimates, needs: frozenset[str], usable: Bools | None = None) -> Bools:
    """Return which replications are usable for each term [R, K].

    A replication is usable for a term when its answer is (`Estimates.usable`) and none of the columns in `needs`
    (`STORED_COLUMNS` but for the estimate) is NaN: each measure has its own n. A method without standard errors
    (permutation) has bias and RMSE all the same: what a measure doesn't need can't cost it replications.

    Parameters
    ----------
    estimates : Estimates
    needs : frozenset of str
    usable : bool [R, K], optional
        `Estimates.usable`, where it is at hand.
    """
    mask = estimates.usable if usable is None else usable
    for name in needs.intersection(STORED_COLUMNS[1:]):
        mask = mask & ~np.isnan(getattr(estimates, name))
    return mask


def quantity_draws(estimates: Estimates, truth: Truth, level: float) -> Iterator[Draws]:
    """Yield the fit-level quantities whose truth is known; only their estimates exist."""
    names = tuple(name for name in estimates.quantities if name in truth)
    if not names:
        return
    values = np.vstack([estimates.quantities[name] for name in names])
    mask = (estimates.status <= FitStatus.BOUNDARY) & np.isfinite(values)
    nothing = np.full_like(values, np.nan)
    long = {name: values if name == ESTIMATE else nothing for name in STORED_COLUMNS}
    yield from _groups(estimates, names, mask, long, truth, level)


def _groups(
    estimates: Estimates,
    terms: tuple[str, ...],
    mask: Bools,
    long: Mapping[str, Floats],
    truth: Truth,
    level: float,
    null: Null = NO_NULL,
) -> Iterator[Draws]:
    """Yield draws for each set of terms with the same usable replications, so that no array inside has a hole."""
    alike: dict[bytes, list[int]] = {}
    for k, row in enumerate(mask):
        # Nearly always all terms are usable together: one group, and no copy of the columns.
        alike.setdefault(row.tobytes(), []).append(k)
    for members in alike.values():
        keep = np.flatnonzero(mask[members[0]])
        whole = len(keep) == mask.shape[1]
        numbers = estimates.replications if whole else estimates.replications[keep]
        rows = members if len(members) < len(terms) else slice(None)
        columns: dict[str, Any] = {
            name: values[rows] if whole else values[rows][:, keep] for name, values in long.items()
        }
        names = tuple(terms[k] for k in members)
        yield Draws(
            terms=names,
            replications=numbers,
            truth=truth_of(names, truth, numbers),
            level=level,
            attempted=estimates.size,
            null=null_of(names, null),
            **columns,
        )


def null_of(terms: tuple[str, ...], null: Null) -> Floats:
    """Return the values that tests are of [k, 1]."""
    return np.array([null.get(term, 0.0) for term in terms], dtype=np.float64).reshape(-1, 1)


def truth_of(terms: tuple[str, ...], truth: Truth, replications: Ints) -> Floats:
    """Return true values [k, 1], or [k, n] where any of them varies by replication; NaN where unknown."""
    values = [np.asarray(truth.get(term, np.nan), dtype=np.float64) for term in terms]
    if all(value.ndim == 0 for value in values):
        return np.array(values, dtype=np.float64).reshape(-1, 1)
    wide = [
        np.broadcast_to(value[replications] if value.ndim else value, len(replications)) for value in values
    ]
    return np.vstack(wide)


@dataclass(frozen=True, slots=True, eq=False)
class Paired(Sample):
    """Two methods' draws of the same terms on the same replications: reference A first, B second."""

    first: Draws
    second: Draws
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the k terms."""
        return self.first.terms

    @property
    def n(self) -> int:
        """Number of replications usable for both."""
        return self.first.n


def shared(first: Draws, second: Draws) -> Paired:
    """Return two methods' draws on the terms and replications both have, matched, for paired contrasts.

    Parameters
    ----------
    first, second : Draws
        In this order; the first is the reference.

    Returns
    -------
    Paired
        Without replications, where the two have none in common.
    """
    terms = tuple(term for term in first.terms if term in second.terms)
    if terms == first.terms == second.terms and np.array_equal(first.replications, second.replications):
        return Paired(first, second)
    common, left, right = np.intersect1d(
        first.replications, second.replications, assume_unique=True, return_indices=True
    )
    return Paired(_pick(first, terms, common, left), _pick(second, terms, common, right))


def _pick(draws: Draws, terms: tuple[str, ...], numbers: Ints, where: Ints) -> Draws:
    """Return some terms and replications of draws; the same object where that is all of them."""
    rows = [draws.terms.index(term) for term in terms]
    if rows == list(range(len(draws.terms))) and np.array_equal(numbers, draws.replications):
        return draws
    truth = draws.truth[rows] if draws.truth.shape[1] == 1 else draws.truth[rows][:, where]
    columns: dict[str, Any] = {
        name: np.ascontiguousarray(getattr(draws, name)[rows][:, where]) for name in STORED_COLUMNS
    }
    return Draws(
        terms,
        numbers,
        truth,
        level=draws.level,
        attempted=draws.attempted,
        null=draws.null[rows],
        **columns,
    )
