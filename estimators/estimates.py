"""The one schema of results: what every engine returns, what is stored, and what reports read; and its algebra.

Whether a number came from statsmodels or from a kernel, from this run or from a merged part, can't be told from here
on: so no report, file or check needs to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.sim.observed.batch import Floats, Ints

VARIANCE_PREFIX = "("
"""Fit-level quantities are stored as rows whose term is in parentheses: ``(school_sd)``, ``(loglik)``."""


class FitStatus(IntEnum):
    """What became of a fit. OK and BOUNDARY are usable; the others never enter a measure as estimates."""

    OK = 0
    BOUNDARY = 1
    NOT_CONVERGED = 2
    SINGULAR = 3
    FAILED = 4
    TIMEOUT = 5

    @property
    def usable(self) -> bool:
        """Whether the estimates of such a fit count as answers."""
        return self <= FitStatus.BOUNDARY


STORED_COLUMNS = ("estimate", "std_error", "df", "lower", "upper", "p_value")
"""The numbers of a fit and term, [R, K] each; nowhere else are their names typed (`tests/test_architecture.py`)."""

ESTIMATE, STD_ERROR, DF, LOWER, UPPER, P_VALUE = STORED_COLUMNS
ENDS = (LOWER, UPPER)
"""Of the interval."""

ALONE = -1.0
"""Degrees of freedom of an estimate that is all a method gives, for results that users bring: usable without standard
error, interval or p-value. No method of ours has such."""

TESTED = -2.0
"""Degrees of freedom of a p-value that is all a method gives, for results that users bring: usable without estimate."""

SUMMARY = (ESTIMATE, STD_ERROR, DF, P_VALUE)
"""What tells one fit from another; an interval follows from it."""

OF_FITS = ("replications", "status", "message", "seconds")
"""What a fit has once, [R] each; the quantities beside them are those of the method."""

Rows = Ints | npt.NDArray[np.bool_] | slice
"""Which of R fits: positions, a mask [R] or a slice."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Results of one method on R data sets: a struct of arrays.

    Parts are had by `take` and `only`, parts become a whole by `concat`, and fits are replaced by `put`. These know
    every field, so that nothing else has to.

    Attributes
    ----------
    terms : tuple of str
        Names of the K fixed effects.
    replications : int64 [R]
        The replications' numbers.
    estimate, std_error, df, lower, upper, p_value : float64 [R, K]
        NaN where there is no answer. `df` is inf for a normal reference distribution, NaN where the method has none,
        `ALONE` where it has nothing but the estimate, `TESTED` where nothing but the p-value.
    status : int8 [R]
        `FitStatus` of each fit.
    quantities : mapping of str to float64 [R]
        Fit-level numbers by name in parentheses: ``(school_sd)``, ``(residual_sd)``, ``(icc)``, ``(loglik)``, and
        diagnostics when asked for. Only what the method has.
    message : int32 [R]
        Index into `messages`; 0 is no message.
    messages : tuple of str
        Distinct messages; ``messages[0] == ""``.
    seconds : float64 [R]
        Wall time of each fit; for a batched engine the batch's time divided by R.
    """

    terms: tuple[str, ...]
    replications: Ints
    estimate: Floats
    std_error: Floats
    df: Floats
    lower: Floats
    upper: Floats
    p_value: Floats
    status: npt.NDArray[np.int8]
    quantities: Mapping[str, Floats]
    message: npt.NDArray[np.int32]
    messages: tuple[str, ...]
    seconds: Floats

    @property
    def size(self) -> int:
        """Number of fits R."""
        return len(self.replications)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Whether each fit and term gave a usable answer [R, K]: status OK or BOUNDARY, estimate finite, and with it a
        finite SE or, of methods that have none, an interval, a p-value, or the word that there is no more (`ALONE`); or
        a p-value and the word that there is no estimate (`TESTED`)."""
        good = (self.status <= FitStatus.BOUNDARY)[:, None]
        interval = ~np.isnan(self.lower) & ~np.isnan(self.upper)
        instead = np.isnan(self.std_error) & (interval | ~np.isnan(self.p_value) | (self.df == ALONE))
        found: npt.NDArray[np.bool_] = np.isfinite(self.std_error) | instead
        tested = (self.df == TESTED) & ~np.isnan(self.p_value)
        usable: npt.NDArray[np.bool_] = good & ((np.isfinite(self.estimate) & found) | tested)
        return usable

    def texts(self) -> list[str]:
        """Return the message of each fit [R]."""
        return [self.messages[code] for code in self.message]

    @classmethod
    def unusable(
        cls, terms: Sequence[str], replications: Ints, status: FitStatus = FitStatus.FAILED, message: str = ""
    ) -> Estimates:
        """Return fits without an answer: every number of every term is missing, for one reason.

        Parameters
        ----------
        terms : sequence of str
        replications : int64 [R]
        status : FitStatus
        message : str
            The same for all.
        """
        size = len(replications)
        return cls(
            terms=tuple(terms),
            replications=replications.copy(),
            **{name: np.full((size, len(terms)), np.nan) for name in STORED_COLUMNS},
            status=np.full(size, status, dtype=np.int8),
            quantities={},
            message=np.full(size, bool(message), dtype=np.int32),
            messages=("", message) if message else ("",),
            seconds=np.full(size, np.nan),
        )

    @classmethod
    def concat(cls, parts: Sequence[Estimates]) -> Estimates:
        """Return the replications of several `Estimates` in order of their numbers.

        Where the cuts between the parts were can't be seen in the result: terms, quantities and messages are in the
        order of first appearance by replication, and a term that a part doesn't have is NaN there.

        Raises
        ------
        ValueError
            No part has a replication, or a replication occurs twice.
        """
        # By first replication, so that "first appearance" is the data's and not the order in which tasks ended.
        parts = sorted((part for part in parts if part.size), key=lambda part: int(part.replications[0]))
        order = _in_one_order(parts)
        terms = tuple(dict.fromkeys(term for part in parts for term in part.terms))
        names = tuple(dict.fromkeys(name for part in parts for name in part.quantities))
        message, messages = _joined_messages(parts, order)
        wide = [part.with_terms(terms) for part in parts]
        fields = {n: _end_to_end([getattr(p, n) for p in wide], order) for n in (*STORED_COLUMNS, *OF_FITS)}
        return cls(
            terms,
            # Codes of messages are each part's own.
            **fields | {"status": fields["status"].astype(np.int8), "message": message},
            quantities={name: _end_to_end([p._quantity(name) for p in parts], order) for name in names},
            messages=messages,
        )

    def take(self, rows: Rows) -> Estimates:
        """Return some of the fits, in the order asked for."""
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in (*STORED_COLUMNS, *OF_FITS)},
            quantities={name: values[rows] for name, values in self.quantities.items()},
        )

    def put(self, rows: Ints, others: Estimates) -> Estimates:
        """Return the estimates with the fits at `rows` [k] replaced by the k fits of `others`, in that order.

        A quantity that `others` don't have is NaN for them.

        Raises
        ------
        ValueError
            The fits of `others` are of other terms or replications, or have a quantity that isn't one of these.
        """
        self._refuse_foreign(rows, others)
        codes = {text: code for code, text in enumerate(self.messages)}
        renamed = np.array([codes.setdefault(text, len(codes)) for text in others.messages], dtype=np.int32)
        fields: dict[str, Any] = {
            n: _put(getattr(self, n), rows, getattr(others, n)) for n in (*STORED_COLUMNS, *OF_FITS)
        }
        return replace(
            self,
            **fields | {"message": _put(self.message, rows, renamed[others.message])},
            quantities={n: _put(values, rows, others._quantity(n)) for n, values in self.quantities.items()},
            messages=tuple(codes),
        )

    def with_terms(self, terms: Sequence[str]) -> Estimates:
        """Return the estimates of the terms given, in that order: NaN where they have none of a name."""
        if self.terms == tuple(terms):
            return self
        columns = {name: _columns(getattr(self, name), self.terms, terms) for name in STORED_COLUMNS}
        changed: dict[str, Any] = {"terms": tuple(terms), **columns}
        return replace(self, **changed)

    def only(self, names: Sequence[str]) -> Estimates:
        """Return the estimates of the terms and quantities named, in their own order; of no names, fits alone."""
        quantities = {name: values for name, values in self.quantities.items() if name in names}
        return replace(self.with_terms([t for t in self.terms if t in names]), quantities=quantities)

    def _quantity(self, name: str) -> Floats:
        """Return a fit-level quantity [R]; NaN where the method has none of that name."""
        return self.quantities[name] if name in self.quantities else np.full(self.size, np.nan)

    def _refuse_foreign(self, rows: Ints, others: Estimates) -> None:
        """Refuse fits that can't take the places of these: a mistake of the caller, which would mix data sets in
        silence.
        """
        if others.terms != self.terms:
            raise ValueError(f"expected fits of {_listed(self.terms)}, got {_listed(others.terms)}")
        if not np.array_equal(self.replications[rows], others.replications):
            raise ValueError(
                f"expected fits of the replications {_listed(self.replications[rows])}, "
                f"got {_listed(others.replications)}"
            )
        foreign = [name for name in others.quantities if name not in self.quantities]
        if foreign:
            raise ValueError(
                f"expected the quantities {_listed(self.quantities)}, got {_listed(foreign)} too"
            )


def _end_to_end(values: Sequence[npt.NDArray[Any]], order: Ints | None) -> npt.NDArray[Any]:
    """Return arrays one after the other, and then in another order if there is one."""
    whole = np.concatenate(values)
    return whole if order is None else whole[order]


def _in_one_order(parts: Sequence[Estimates]) -> Ints | None:
    """Return the positions that put the parts' replications in ascending order, each of them once; None where they
    are in it, as those of a run's tasks."""
    if not parts:
        raise ValueError("expected estimates of one replication at least, got none")
    numbers = np.concatenate([part.replications for part in parts])
    if (np.diff(numbers) > 0).all():
        return None
    order = np.argsort(numbers, kind="stable")
    twice = numbers[order][1:][np.diff(numbers[order]) == 0]
    if len(twice):
        raise ValueError(f"expected each replication once, got {_listed(np.unique(twice))} again")
    return order


def _joined_messages(
    parts: Sequence[Estimates], order: Ints | None
) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return the codes [R] and texts of all parts' messages, "" first, then by first appearance."""
    texts = list(dict.fromkeys(["", *(text for part in parts for text in part.messages)]))
    if len(texts) == 1:
        return np.zeros(sum(part.size for part in parts), dtype=np.int32), ("",)
    place = {text: code for code, text in enumerate(texts)}
    codes = _end_to_end([np.array([place[text] for text in p.messages])[p.message] for p in parts], order)
    present, first = np.unique(codes, return_index=True)
    kept = [0, *(int(code) for code in present[np.argsort(first)] if code)]
    renamed = np.zeros(len(texts), dtype=np.int32)
    renamed[kept] = np.arange(len(kept), dtype=np.int32)
    return renamed[codes], tuple(texts[code] for code in kept)


def _columns(values: Floats, terms: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Return the columns of some terms [R, K], NaN for terms that there are none of."""
    out = np.full((len(values), len(wanted)), np.nan)
    shared = [term for term in wanted if term in terms]
    out[:, [wanted.index(term) for term in shared]] = values[:, [terms.index(term) for term in shared]]
    return out


def _put(values: npt.NDArray[Any], rows: Ints, others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a copy of an array with some of its rows replaced."""
    out = values.copy()
    out[rows] = others
    return out


def _listed(names: Iterable[Any]) -> str:
    """Return names in words, ten at most."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if len(texts) > 10 else "") or "none"
