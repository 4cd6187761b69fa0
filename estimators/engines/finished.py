"""What a batched engine returns of its numbers: the fields that are filled in the same way for every method.

One place, so that a time, a message or a default status means the same whichever engine wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
import numpy.typing as npt

from nestbench.estimators.engines.inference import wald
from nestbench.estimators.estimates import Estimates
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model


def finished(
    batch: Batch,
    model: Model,
    started: float,
    estimate: Floats,
    std_error: Floats,
    df: Floats,
    *,
    tests: tuple[Floats, Floats, Floats] | None = None,
    quantities: Mapping[str, Floats] | None = None,
    status: npt.NDArray[np.int8] | None = None,
    said: tuple[npt.NDArray[np.int32], Sequence[str]] | None = None,
) -> Estimates:
    """Return the estimates of a batch; an engine's time is shared evenly among its fits.

    Parameters
    ----------
    started : float
        `perf_counter` at the start of the work.
    estimate, std_error, df : float64 [R, K]
    tests : (lower, upper, p_value), float64 [R, K] each, optional
        t tests of `std_error` and `df` by default.
    quantities : mapping of str to float64 [R], optional
    status : int8 [R], optional
        All OK by default.
    said : (codes, texts), optional
        Messages; none by default.
    """
    lower, upper, p_value = tests or wald(estimate, std_error, df, model.level)
    message, messages = said or (np.zeros(batch.size, dtype=np.int32), ("",))
    return Estimates(
        terms=batch.once(design_of, model).terms,
        replications=batch.replications,
        estimate=estimate,
        std_error=std_error,
        df=df,
        lower=lower,
        upper=upper,
        p_value=p_value,
        status=np.zeros(batch.size, dtype=np.int8) if status is None else status,
        quantities=quantities or {},
        message=message,
        messages=tuple(messages),
        seconds=np.full(batch.size, (perf_counter() - started) / max(batch.size, 1)),
    )
