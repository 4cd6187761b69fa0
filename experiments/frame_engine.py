"""From a user's function ``(frame, model) -> table of terms`` to an engine: one schema, failures as rows."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nestbench.estimators.engines.inference import wald
from nestbench.estimators.estimates import (
    DF,
    ESTIMATE,
    LOWER,
    P_VALUE,
    STD_ERROR,
    STORED_COLUMNS,
    UPPER,
    VARIANCE_PREFIX,
    Estimates,
    FitStatus,
)
from nestbench.estimators.estimator import Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.sim.observed.batch import Batch, Sample
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.user_code import user_code
from nestbench.sim.visible import visible

Method = Callable[..., Any]
"""``(frame, model)`` or ``(frame, model, rng)`` -> table of terms."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """One fit: numbers by term in the order of `STORED_COLUMNS`, status, message and seconds."""

    terms: Mapping[str, tuple[float, ...]]
    status: FitStatus
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class FrameEngine:
    """An engine that gives a function one data set after the other, and random numbers if it has a parameter `rng`.

    The numbers of a data set are its replication's own, whatever was fitted before it; methods of different names have
    different ones.
    """

    function: Method
    name: str = "method"
    random: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "random", takes_rng(self.function))

    def __call__(self, batch: Batch, model: Model, options: Options) -> Estimates:
        """Fit every replication of a batch."""
        terms = batch.once(design_of, model).terms
        samples = [batch.replication(r) for r in range(batch.size)]
        return collect([_fit(self._with_numbers(one), one, model) for one in samples], batch, terms)

    def _with_numbers(self, sample: Sample) -> Method:
        if not self.random:
            return self.function
        rng = sample.batch.streams.new(sample.number, f"method {self.name}")
        return partial(self.function, rng=rng)


def takes_rng(function: Method) -> bool:
    """Whether a function has a parameter ``rng``."""
    try:
        return "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C have no signature
        return False


def own_method(name: str, version: int, info: Info, function: Method) -> Estimator:
    """Return a user's function as a method; it gets the whole model, and is trusted to honour it."""
    engine = FrameEngine(function, name)
    return Estimator(
        name, version, info, reference=engine, random=RandomPart.ANY, subgroup=True, reads_null=True
    )


def collect(fits: list[Fitted], batch: Batch, first: tuple[str, ...] = ()) -> Estimates:
    """Return fits as `Estimates`: the terms `first`, so that a failed fit has rows, then others as they appear; NaN
    where a fit has no such term."""
    names = list(dict.fromkeys([*first, *(name for fit in fits for name in fit.terms)]))
    terms = [name for name in names if not name.startswith(VARIANCE_PREFIX)]
    missing = (np.nan,) * len(STORED_COLUMNS)
    grid = np.array([[fit.terms.get(name, missing) for name in terms] for fit in fits], dtype=np.float64)
    grid = grid.reshape(len(fits), len(terms), len(STORED_COLUMNS))
    messages = tuple(dict.fromkeys(["", *(fit.message for fit in fits)]))
    return Estimates(
        terms=tuple(terms),
        replications=batch.replications.copy(),
        **{name: np.ascontiguousarray(grid[:, :, i]) for i, name in enumerate(STORED_COLUMNS)},
        status=np.array([fit.status for fit in fits], dtype=np.int8),
        quantities={
            name: np.array([fit.terms.get(name, missing)[0] for fit in fits])
            for name in names
            if name.startswith(VARIANCE_PREFIX)
        },
        message=np.array([messages.index(fit.message) for fit in fits], dtype=np.int32),
        messages=messages,
        seconds=np.array([fit.seconds for fit in fits]),
    )


def _fit(function: Method, sample: Sample, model: Model) -> Fitted:
    frame = sample.frame()
    started = time.perf_counter()
    # "always": by default Python shows a warning once per place, and only the first data set would have the message.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with user_code():
                result = function(frame, model)
            terms = _terms(result, model)
            status, message = FitStatus.OK, ""
        except Exception as error:
            terms, status = {}, FitStatus.FAILED
            # Libraries put whole tables into their messages, and each fit keeps its own.
            message = visible(f"{type(error).__name__}: {error}"[:300])
    seconds = time.perf_counter() - started
    if status is FitStatus.OK and not any(np.isfinite(row[0]) for row in terms.values()):
        status, message = FitStatus.FAILED, "the method returned no finite estimate"
    if not message and caught:
        message = visible(f"{caught[0].category.__name__}: {caught[0].message}"[:300])
    return Fitted(terms, status, message, seconds)


def _terms(result: Any, model: Model) -> dict[str, tuple[float, ...]]:
    import pandas as pd

    if isinstance(result, pd.DataFrame):
        indexed = result.set_index("term") if "term" in result.columns else result
        result = {str(name): row.to_dict() for name, row in indexed.iterrows()}
    if not isinstance(result, Mapping) or not result:
        raise TypeError(
            f"expected a table of terms (DataFrame or mapping of term to numbers), got {type(result).__name__}"
        )
    return {str(name): _row(row, model.level, model.null_of(str(name))) for name, row in result.items()}


def _row(row: Any, level: float, null: float) -> tuple[float, ...]:
    if not isinstance(row, Mapping):
        row = {ESTIMATE: row}
    unknown = [str(key) for key in row if key not in (*STORED_COLUMNS, "statistic")]
    if unknown or ESTIMATE not in row:
        raise TypeError(f"expected the columns {', '.join(STORED_COLUMNS)}, got {', '.join(map(str, row))}")
    estimate, error = float(row[ESTIMATE]), float(row.get(STD_ERROR, np.nan))
    # A standard error without df is that of a normal test: so the contract of methods says.
    df = float(row.get(DF, np.inf if np.isfinite(error) else np.nan))
    # Limits are those of the estimate, the p-value that of its distance from the null value.
    tests = wald(np.array([estimate, estimate - null]), np.array([error]), np.array([df]), level)
    lower, upper, p_value = float(tests[0][0]), float(tests[1][0]), float(tests[2][1])
    own = (float(row.get(k, v)) for k, v in ((LOWER, lower), (UPPER, upper), (P_VALUE, p_value)))
    return (estimate, error, df, *own)
