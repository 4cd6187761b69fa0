"""Estimates of two engines on one batch: a fast engine leaves irregular data sets to the careful one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Engine, Options
from nestbench.sim.observed.batch import Batch, Ints
from nestbench.sim.observed.model import Model


def splice(estimates: Estimates, rows: Ints, others: Estimates) -> Estimates:
    """Return `estimates` with its fits `rows` [k] replaced by the k fits of `others`."""
    messages = {text: code for code, text in enumerate(estimates.messages)}
    codes = np.array([messages.setdefault(text, len(messages)) for text in others.messages], dtype=np.int32)
    names = ("estimate", "std_error", "df", "lower", "upper", "p_value", "status", "seconds")
    parts: dict[str, Any] = {n: _put(getattr(estimates, n), rows, getattr(others, n)) for n in names}
    missing = np.full(len(rows), np.nan)
    return dataclasses.replace(
        estimates,
        **parts,
        quantities={
            name: _put(values, rows, others.quantities.get(name, missing))
            for name, values in estimates.quantities.items()
        },
        message=_put(estimates.message, rows, codes[others.message]),
        messages=tuple(messages),
    )


def leave_to(
    reference: Engine, estimates: Estimates, rows: Ints, batch: Batch, model: Model, options: Options
) -> Estimates:
    """Return `estimates` with its fits `rows` made by another engine."""
    if not len(rows):
        return estimates
    return splice(estimates, rows, reference(batch.take(rows), model, options))


def _put(values: npt.NDArray[Any], rows: Ints, others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    out = values.copy()
    out[rows] = others
    return out
