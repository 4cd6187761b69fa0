"""Two bytes a replication that tell whether its numbers moved: how a small file remembers a large run.

For one method in one condition the numbers of replication r are put on a common scale, x_j = value_j / scale_j,
and summed with fixed weights of size 1/2 to 1 drawn from the names of term and column:

    f_r = sum_j w_j asinh(x_j),      code_r = floor(f_r / (rtol sum_j |w_j|)) mod 65536.

The weights of lower limits and of df are negative: when standard errors or df change, all that follows from them
moves f the same way (with positive ones alone, limits that move apart cancel in some fits).

Since ``|asinh(x) - asinh(x')| <= |x - x'| / max(1, |x|, |x'|)`` up to second order, numbers that all agree
within ``rtol * max(|value|, scale)`` move f by at most one step, so codes that differ by more than one
(cyclically) prove a larger change: a difference within the tolerance is never reported. A larger change is
missed only if it lands on the same code by chance (3 in 65 536), or if changes cancel in the weighted sum.
Missing and infinite numbers have values of their own, so appearing or vanishing numbers move the code too.

There is one code for each part of the numbers (`PARTS`): estimates, standard errors, and what is derived from
the reference distribution, so that a comparison can say which of the three moved.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import (
    DF,
    ENDS,
    ESTIMATE,
    LOWER,
    P_VALUE,
    STD_ERROR,
    STORED_COLUMNS,
    Estimates,
)
from nestbench.estimators.estimator import Agreement
from nestbench.sim.observed.batch import Floats

Codes = npt.NDArray[np.uint16]
Scales = Mapping[str, tuple[float, float]]
"""Term or quantity -> (scale of its estimate, scale of its standard error)."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "estimates": (ESTIMATE,),
    "standard errors": (STD_ERROR,),
    "df, intervals, p-values": (DF, *ENDS, P_VALUE),
}

_FALLING = (LOWER, DF)
"""Columns that fall where intervals get wider and p-values larger."""

_MODULUS = 1 << 16
_NAN, _PLUS, _MINUS = 3.0, 5.0, 7.0


def tolerance(agreement: Agreement | str | None) -> float:
    """Return the relative tolerance of an agreement class.

    direct and random 1e-9 (sums and the same draws: only rounding may differ); implicit 1e-4 (an optimiser
    stops where rounding lets it), as for methods with one engine, of which nothing better is known.
    """
    return 1e-9 if agreement in (Agreement.DIRECT, Agreement.RANDOM) else 1e-4


def digest_of(estimates: Estimates) -> str:
    """Return the SHA-256 of a method's numbers in canonical bytes, with terms, replications and statuses.

    Numbers are little-endian float64, row by row, with one NaN and one zero; messages and times are left out.
    """
    state = hashlib.sha256("\0".join([*estimates.terms, "", *estimates.quantities]).encode())
    state.update(estimates.replications.astype("<i8").tobytes())
    state.update(estimates.status.astype("<i1").tobytes())
    for name in STORED_COLUMNS:
        state.update(_canonical(getattr(estimates, name)))
    for values in estimates.quantities.values():
        state.update(_canonical(values))
    return state.hexdigest()


def scales_of(estimates: Estimates) -> dict[str, tuple[float, float]]:
    """Return the scales of the terms and quantities: median abs(estimate) + median SE, and median SE; 3 digits."""
    scales = {}
    for k, term in enumerate(estimates.terms):
        spread = _typical(estimates.std_error[:, k])
        scales[term] = (_rounded(_typical(estimates.estimate[:, k]) + spread), _rounded(spread))
    for name, values in estimates.quantities.items():
        scales[name] = (_rounded(_typical(values)), 1.0)
    return scales


def codes_of(estimates: Estimates, scales: Scales, rtol: float) -> dict[str, Codes]:
    """Return the codes of every part, uint16 [R] each; terms without a scale are left out.

    Parameters
    ----------
    estimates : Estimates
    scales : mapping
        Term -> typical sizes of estimate and standard error: numbers of all terms are made comparable by them.
    rtol : float
        Relative change that must not change a code.
    """
    return {part: _codes(estimates, scales, columns, rtol) for part, columns in PARTS.items()}


def moved(before: Codes, after: Codes) -> npt.NDArray[np.bool_]:
    """Return which codes differ by more than one step, cyclically [R]."""
    distance = (after.astype(np.int64) - before.astype(np.int64)) % _MODULUS
    return np.minimum(distance, _MODULUS - distance) > 1


def to_text(codes: Codes) -> str:
    """Return codes as base64 of little-endian uint16."""
    return base64.b64encode(codes.astype("<u2").tobytes()).decode()


def from_text(text: str) -> Codes:
    """Return the codes of `to_text`."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<u2").astype(np.uint16)


@dataclass(slots=True)
class _Sum:
    """The running sums of one part: f [R] and the weights."""

    values: Floats
    weights: float = 0.0

    def add(self, name: str, column: str, values: Floats, scale: float) -> None:
        """Add one column with a weight made of its name, so that numbers that change places are seen."""
        weight = 0.5 + int.from_bytes(hashlib.sha256(f"{name}|{column}".encode()).digest()[:4], "big") / 2**33
        with np.errstate(over="ignore"):
            self.values += (-weight if column in _FALLING else weight) * _compressed(values / scale)
        self.weights += weight


def _codes(estimates: Estimates, scales: Scales, columns: tuple[str, ...], rtol: float) -> Codes:
    """Return a code for each replication: its weighted mean of compressed numbers, on 16 bits."""
    total = _Sum(np.zeros(estimates.size))
    for k, term in enumerate(estimates.terms):
        for column in columns:
            if term in scales:
                values = getattr(estimates, column)[:, k]
                total.add(term, column, values, _scale(column, scales[term]))
    if "estimate" in columns:
        for name, values in estimates.quantities.items():
            if name in scales:
                total.add(name, ESTIMATE, values, scales[name][0])
    step = rtol * max(total.weights, 0.5)
    # NumPy's % has the sign of the divisor, C's that of the sum: codes of negative sums are codes too.
    return (np.floor(total.values / step) % _MODULUS).astype(np.uint16)


def _scale(column: str, scales: tuple[float, float]) -> float:
    """Return the unit of a column: 1 for p-values and df, the term's own for the others."""
    if column in (P_VALUE, DF):
        return 1.0
    return scales[1] if column == STD_ERROR else scales[0]


def _compressed(values: Floats) -> Floats:
    """Return numbers on a scale where large ones don't drown the small, with places for NaN and the infinities."""
    finite = np.arcsinh(np.where(np.isfinite(values), values, 0.0))
    finite = np.where(np.isnan(values), _NAN, finite)
    return np.where(np.isposinf(values), _PLUS, np.where(np.isneginf(values), _MINUS, finite))


def _typical(values: Floats) -> float:
    """Return the median size of the finite values, 0 where there are none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(np.median(finite)) if len(finite) else 0.0


def _rounded(scale: float) -> float:
    """Return a scale in three digits, so that it stands in the file as it is used."""
    return float(f"{scale:.3g}") or 1.0


def _canonical(values: Floats) -> bytes:
    """Return numbers as the same bytes on every machine: little-endian, one NaN, no negative zero."""
    clean = np.ascontiguousarray(values, dtype="<f8") + 0.0
    # NaN has many bit patterns; + 0.0 has made -0.0 to 0.0.
    clean[np.isnan(clean)] = np.nan
    return clean.tobytes()
