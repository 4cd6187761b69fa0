"""The reference loop: one data set after the other through an ordinary function, every outcome a row.

A method's definition is a function `DataSet -> Answer`. The loop around it builds y, X and Z once per batch, removes
what is not estimable before the method sees it, records warnings as text, turns a statistical exception into a status,
checks the numbers before a row may say OK, and times each fit. An error that only our own code can make is not caught.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.estimable import estimable
from nestbench.estimators.engines.inference import wald
from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Engine, Options
from nestbench.estimators.moments.school_moments import LARGEST
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Floats, Ints, Sample
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

STATISTICAL = (ValueError, ArithmeticError, np.linalg.LinAlgError)
"""What a fit may raise because of its data; anything else is a defect and stops the run."""


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """One data set as matrices.

    Attributes
    ----------
    y : float64 [n]
    x : float64 [n, p]
        Columns of the terms; a method that is given `full_rank` data may rely on rank p.
    z : float64 [n, q]
        Columns of the random part.
    groups : int64 [n]
        School number 0 .. G - 1; rows are sorted by it.
    starts : int64 [G]
        First row of each school.
    terms : tuple of str
    intercept : int or None
        Which column is the intercept.
    model : Model
    options : mapping
    sample : Sample
        The data set itself, for methods that need other columns or a random stream.
    """

    y: Floats
    x: Floats
    z: Floats
    groups: Ints
    starts: Ints
    terms: tuple[str, ...]
    intercept: int | None
    model: Model
    options: Options
    sample: Sample

    @property
    def schools(self) -> int:
        """Number of schools G."""
        return len(self.starts)

    @property
    def sizes(self) -> Ints:
        """Students per school [G]."""
        return np.diff(np.append(self.starts, len(self.y)))

    def school_means(self, values: Floats) -> Floats:
        """Return the school means of an array [n] or [n, k]."""
        sums = np.add.reduceat(values, self.starts, axis=0)
        return np.asarray((sums.T / self.sizes).T)

    def school_constant(self) -> npt.NDArray[np.bool_]:
        """Return which columns of X do not vary within any school [p]."""
        largest = np.abs(self.x).max(axis=0, initial=0.0)
        return np.asarray(
            np.abs(self.x - self.x[self.starts][self.groups]).max(axis=0, initial=0.0) <= 1e-12 * largest
        )

    def keep(self, columns: Ints) -> DataSet:
        """Return the data set with some of the columns of X."""
        if len(columns) == self.x.shape[1]:
            return self
        place = np.flatnonzero(columns == self.intercept) if self.intercept is not None else np.empty(0)
        return replace(
            self,
            x=np.ascontiguousarray(self.x[:, columns]),
            terms=tuple(self.terms[c] for c in columns),
            intercept=int(place[0]) if len(place) else None,
        )

    def standardised(self) -> tuple[DataSet, Floats, Floats]:
        """Return the data set in columns that lose no digits, with A [p, p] and c [p]: beta = A b + c.

        Columns are centred (given an intercept), brought to unit spread and made orthogonal by QR; the outcome is
        centred. Whatever the units, the origins and the near-dependences of the columns, a method sees a condition
        number of 1. ``Var(beta) = A Var(b) A'``.
        """
        centre, level = np.zeros(self.x.shape[1]), 0.0
        if self.intercept is not None:
            centre, level = self.x.mean(axis=0), float(self.y.mean())
            centre[self.intercept] = 0.0
        shifted = self.x - centre
        spread = np.sqrt((shifted**2).mean(axis=0))
        back, shift = np.diag(1.0 / spread), np.zeros(self.x.shape[1])
        if self.intercept is not None:
            back[self.intercept] -= centre / spread
            shift[self.intercept] = level
        q, r = np.linalg.qr(shifted / spread)
        root = np.sqrt(len(self.y))
        return replace(self, x=root * q, y=self.y - level), root * back @ np.linalg.inv(r), shift


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method says about one data set: arrays over the terms it was given [p].

    `df` may be a number for all terms (inf: normal). `interval` and `p_value` replace the t test where a method has its
    own. `message` has the same words for the same event, whatever the data.
    """

    estimate: Floats
    std_error: Floats
    df: float | Floats = np.inf
    status: FitStatus = FitStatus.OK
    quantities: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    interval: tuple[Floats, Floats] | None = None
    p_value: Floats | None = None


FitOne = Callable[[DataSet], Answer]


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """What remains of X for a method: the columns it gets, the terms it can answer for, and what to say."""

    columns: Ints
    answerable: npt.NDArray[np.bool_]
    status: FitStatus = FitStatus.OK
    message: str = ""


Screen = Callable[[DataSet], Screened]


class CannotFit(ValueError):
    """A method's own reason for giving no answer on these data."""


def full_rank(data: DataSet) -> Screened:
    """Screen for methods that use all of X: a dependence among columns is unforeseen, status SINGULAR."""
    answer, columns = estimable(data.x, data.intercept)
    if answer.all():
        return Screened(columns, answer)
    return Screened(columns, answer, FitStatus.SINGULAR, not_estimable(data.terms, answer))


def not_estimable(terms: Sequence[str], answerable: npt.NDArray[np.bool_]) -> str:
    """Return in words which terms have no answer because columns depend on one another."""
    return f"not estimable, columns are linearly dependent: {names_of(terms, ~answerable)}"


def reference_engine(
    fit_one: FitOne, *, quantities: Sequence[str] = (), screen: Screen = full_rank
) -> Engine:
    """Return the engine that fits the replications of a batch one by one.

    Parameters
    ----------
    fit_one : DataSet -> Answer
        The method. It may raise ValueError, ArithmeticError or LinAlgError: status FAILED with the error's text.
    quantities : sequence of str
        Names of the fit-level quantities it gives, in parentheses.
    screen : DataSet -> Screened
        What to take out of X before the method sees it.
    """

    def engine(batch: Batch, model: Model, options: Options) -> Estimates:
        data = batch.once(matrices_of, model)
        rows = Rows(data.terms, batch.replications, tuple(quantities))
        for r in range(batch.size):
            started = perf_counter()
            rows.put(r, *_attempt(fit_one, screen, data.of(batch.replication(r), options)))
            rows.seconds[r] = perf_counter() - started
        return rows.estimates(model.level)

    return engine


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """y [N], X [p, N], Z [q, N] of a whole batch."""

    y: Floats
    x: Floats
    z: Floats
    terms: tuple[str, ...]
    intercept: int | None
    model: Model

    def of(self, sample: Sample, options: Options) -> DataSet:
        """Return one replication's share."""
        rows = sample.rows
        sizes = sample.school_sizes
        return DataSet(
            self.y[rows],
            np.ascontiguousarray(self.x[:, rows].T),
            self.z[:, rows].T,
            np.repeat(np.arange(len(sizes)), sizes),
            np.concatenate([[0], np.cumsum(sizes)[:-1]]),
            self.terms,
            self.intercept,
            self.model,
            options,
            sample,
        )


def matrices_of(batch: Batch, model: Model) -> Matrices:
    """Return the matrices of a model over a batch (call it as ``batch.once(matrices_of, model)``)."""
    design = batch.once(design_of, model)
    intercept = design.terms.index("Intercept") if design.intercept else None
    return Matrices(
        design.outcome(batch), design.fixed(batch), design.random(batch), design.terms, intercept, model
    )


def _attempt(fit_one: FitOne, screen: Screen, data: DataSet) -> tuple[Screened, Answer]:
    """Fit one data set; warnings become text and statistical exceptions a status, `InvalidInput` stops the run."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        screened = Screened(np.empty(0, dtype=np.int64), np.zeros(len(data.terms), dtype=bool))
        try:
            require_range(data)
            screened = screen(data)
            answer = fit_one(data.keep(screened.columns))
        # Wrong for every data set: no row can say so.
        except InvalidInput:
            raise
        except STATISTICAL as error:
            answer = failed(len(screened.columns), describe(error))
    names = [data.terms[c] for c in screened.columns]
    return screened, checked(sound(answer, names), caught, screened.answerable[screened.columns])


def require_range(data: DataSet) -> None:
    """Raise `CannotFit` where a value is not finite, or a column too large or small for fourth powers of its ratios."""
    parts = (data.y[:, None], data.x, data.z)
    if not all(np.isfinite(part).all() for part in parts):
        raise CannotFit("the data hold values that are not finite")
    names = ["the outcome", *data.terms, *(["the random part"] * data.z.shape[1])]
    size = np.concatenate([np.abs(part).max(axis=0, initial=0.0) for part in parts])
    beyond = (size > LARGEST) | ((size > 0.0) & (size < 1.0 / LARGEST))
    if beyond.any():
        raise CannotFit(
            f"values beyond 1e30 or below 1e-30 can't be computed with, choose other units: {names_of(names, beyond)}"
        )


def failed(terms: int, message: str) -> Answer:
    """Return the answer of a fit that gave none, with the reason as its message."""
    none = np.full(terms, np.nan)
    return Answer(none, none, np.nan, FitStatus.FAILED, {}, message)


def sound(answer: Answer, terms: Sequence[str]) -> Answer:
    """Return the answer of a t test without standard errors and df that are not positive, which the message names."""
    if answer.p_value is not None or not answer.status.usable:
        return answer
    df = np.broadcast_to(np.asarray(answer.df, dtype=np.float64), answer.estimate.shape)
    lost = [~(answer.std_error > 0), ~(df > 0)]
    # A method that has said why an error is missing isn't contradicted.
    if answer.message:
        lost[0] = lost[0] & ~np.isnan(answer.std_error)
    text = without(terms, lost[0], lost[1] & ~lost[0] & ~np.isnan(answer.std_error))
    if not text:
        return answer
    return replace(
        answer,
        std_error=np.where(lost[0], np.nan, answer.std_error),
        df=np.where(lost[1], np.nan, df),
        message="; ".join(part for part in (answer.message, text) if part),
    )


def without(terms: Sequence[str], no_error: npt.NDArray[np.bool_], no_df: npt.NDArray[np.bool_]) -> str:
    """Return which terms have no standard error and which have one without degrees of freedom, in words."""
    parts = [("no standard error", no_error), ("no degrees of freedom", no_df)]
    return "; ".join(
        f"{words}: {names_of(terms, terms_without)}" for words, terms_without in parts if terms_without.any()
    )


def describe(error: Exception) -> str:
    """Return an exception as a message: our own reasons as they are, others with their type."""
    if isinstance(error, CannotFit):
        return str(error)
    return f"{type(error).__name__}: {error}"


_NUMBER = re.compile(r"[-+]?\d+\.\d+(?:[eE][-+]?\d+)?")


def checked(
    answer: Answer,
    caught: Sequence[warnings.WarningMessage] = (),
    needed: npt.NDArray[np.bool_] | None = None,
) -> Answer:
    """Return the answer with warnings in its message and a status that its numbers can bear.

    Decimal numbers in warnings are replaced by ``#``: the same event is then the same message on every data set and
    machine. `needed` [p] are the terms that OK must have an estimate of; all by default.
    """
    texts = [answer.message] if answer.message else []
    texts += [_NUMBER.sub("#", " ".join(str(warning.message).split())) for warning in caught]
    status = answer.status
    if status.usable and not np.isfinite(answer.estimate[slice(None) if needed is None else needed]).all():
        status, texts = FitStatus.FAILED, ["an estimate is not finite", *texts]
    return Answer(
        answer.estimate,
        answer.std_error,
        answer.df,
        status,
        answer.quantities,
        "; ".join(dict.fromkeys(texts)),
        answer.interval,
        answer.p_value,
    )


class Rows:
    """Estimates being filled, one replication at a time; messages are coded as they come, equal ones stored once."""

    def __init__(self, terms: tuple[str, ...], replications: Ints, quantities: tuple[str, ...] = ()) -> None:
        shape = (len(replications), len(terms))
        self.terms, self.replications = terms, replications
        self.estimate, self.std_error, self.df = (np.full(shape, np.nan) for _ in range(3))
        self.lower, self.upper, self.p_value = (np.full(shape, np.nan) for _ in range(3))
        self.own = np.zeros(len(replications), dtype=bool)
        self.status = np.zeros(len(replications), dtype=np.int8)
        self.quantities = {name: np.full(len(replications), np.nan) for name in quantities}
        self.message = np.zeros(len(replications), dtype=np.int32)
        self.messages: dict[str, int] = {"": 0}
        self.seconds = np.zeros(len(replications))

    def put(self, r: int, screened: Screened, answer: Answer) -> None:
        """Store an answer; terms the method could not answer for stay NaN."""
        answered = screened.answerable[screened.columns]
        columns = screened.columns[answered]
        self.estimate[r, columns] = answer.estimate[answered]
        self.std_error[r, columns] = answer.std_error[answered]
        self.df[r, columns] = np.broadcast_to(answer.df, answer.estimate.shape)[answered]
        if answer.p_value is not None:
            self.p_value[r, columns] = answer.p_value[answered]
        if answer.interval is not None:
            self.lower[r, columns], self.upper[r, columns] = (side[answered] for side in answer.interval)
        self.own[r] = answer.p_value is not None
        for name, value in answer.quantities.items():
            self.quantities[name][r] = value
        self.status[r] = screened.status if answer.status.usable and screened.status else answer.status
        text = "; ".join(part for part in (screened.message, answer.message) if part)
        self.message[r] = self.messages.setdefault(text, len(self.messages))

    def estimates(self, level: float) -> Estimates:
        """Return the finished estimates; t tests for every fit that did not bring its own."""
        lower, upper, p_value = wald(self.estimate, self.std_error, self.df, level)
        own = self.own[:, None]
        return Estimates(
            self.terms,
            self.replications,
            self.estimate,
            self.std_error,
            self.df,
            np.where(own, self.lower, lower),
            np.where(own, self.upper, upper),
            np.where(own, self.p_value, p_value),
            self.status,
            self.quantities,
            self.message,
            tuple(self.messages),
            self.seconds,
        )


def names_of(terms: Sequence[str], mask: npt.NDArray[Any]) -> str:
    """Return the chosen terms in words."""
    return ", ".join(term for term, yes in zip(terms, mask, strict=True) if yes)
