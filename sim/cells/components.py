"""Variance components of the fitted random part: the population's random effects rewritten in its columns."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from nestbench.sim.cells import projection
from nestbench.sim.cells.mean import Effect
from nestbench.sim.cells.outcome import Outcome
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.design import Design

INTERCEPT = "Intercept"
SHAPE = "the random slopes of the population aren't linear in the columns of the model's random part"
CHANGES = (
    "the random part's columns are computed from the whole data set, so that their effects change with it"
)


@runtime_checkable
class KnowsRandomPart(Protocol):
    """A population that says what its random effects act on."""

    def random_part(self, batch: Batch) -> tuple[tuple[Effect, ...], Floats]:
        """Return the q products of columns and the random effects' covariance [q, q]."""


def components_of(
    law: Any, batch: Batch, design: Design, outcome: Outcome
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the true variance components in the model's terms, and why some have no true value.

    ``(school_sd)`` is the SD of the schools' effects where all random columns are 0, ``(slope_sd[x])`` that of the
    effect of x, ``(icc)`` the share of school_sd^2 in school_sd^2 + residual_sd^2.

    Parameters
    ----------
    law : Any
        A population that may say what its random effects act on (`KnowsRandomPart`).
    batch : Batch
    design : Design
    outcome : Outcome
        A rescaled outcome rescales standard deviations.
    """
    own = {t: float(v) for t, v in law.truth.items() if t.startswith("(") and np.ndim(v) == 0}
    if outcome.reason or not np.isfinite(outcome.slope):
        return {}, dict.fromkeys(own, outcome.reason or f"the outcome '{design.response}' has another scale")
    if design.random_terms != (INTERCEPT,) and isinstance(law, KnowsRandomPart):
        components, why = _rewritten(law, batch, design, own)
    else:
        components, why = own, {}
    sds = {t: v * abs(outcome.slope) for t, v in components.items() if "_sd" in t}
    return components | sds, why


def _rewritten(
    law: KnowsRandomPart, batch: Batch, design: Design, own: dict[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    effects, covariance = law.random_part(batch)
    z = design.random(batch)
    names = [name_of(term) for term in design.random_terms]
    kept = {t: v for t, v in own.items() if t in ("(residual_sd)", "(class_sd)")}
    rows = projection.slices_of(batch.row_offsets)
    span = projection.span_of(z, rows)
    a = np.zeros((len(z), len(effects)))
    for j, effect in enumerate(effects):
        seen, whole = projection.seen_part(effect, span, batch.school_offsets)
        if not whole and effect.variables and design.random_products is None:
            return kept, dict.fromkeys([*names, "(icc)"], SHAPE)
        a[:, j] = projection.constant_coefficients(z, seen, rows)[0]
    variances = np.einsum("ij,jk,ik->i", a, covariance, a)
    values = {name: float(np.sqrt(v)) for name, v in zip(names, variances, strict=True) if np.isfinite(v)}
    absent = [name for name in names if name not in values]
    why = dict.fromkeys([*absent, *(["(icc)"] if "(school_sd)" in absent else [])], CHANGES)
    if "(school_sd)" in values and "(residual_sd)" in kept:
        school, residual = values["(school_sd)"] ** 2, kept["(residual_sd)"] ** 2
        values["(icc)"] = school / (school + residual)
    return kept | {name: _as_named(value, own.get(name)) for name, value in values.items()}, why


def _as_named(value: float, own: float | None) -> float:
    """Return the population's number where solving gives the same but for rounding."""
    return own if own is not None and np.isclose(value, own, rtol=1e-8) else projection.rounded(value, 1.0)


def name_of(term: str) -> str:
    """Return the name of a random effect's standard deviation."""
    return "(school_sd)" if term == INTERCEPT else f"(slope_sd[{term}])"
