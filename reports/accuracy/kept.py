"""Replications as a small file keeps them: what a later check on other data sets permutes.

An exact test of two samples needs both of them, so a baseline holds, for each term and replication, five numbers: the
error of the estimate, the standard error, the width of the interval, whether it covers, and whether the test rejects.
They are rounded to steps of 1/2000 on a scale that keeps them all apart and bounds them all,

    error:           2000 asinh((t - th - centre) / scale)
    standard error:  2000 log(s / typical s)
    width:           2000 log((u - l) / s)

so that a standard error is kept to 0.05 % (the margin is 2 %), an error near the centre to 0.0005 of its spread.
Two bytes each, compressed; the last is constant for most methods. The run that is checked goes through the same
rounding, with the baseline's scales: the two samples stay exchangeable when nothing has changed.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import STD_ERROR, Estimates
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.draws import Draws, draws_of, quantity_draws
from nestbench.reports.measures.statistics import covers, error, rejects, width
from nestbench.sim.cells.cell import Cell
from nestbench.sim.observed.batch import Floats

Codes = npt.NDArray[np.int16]

STEPS = 2000.0
_MOST, _MISSING = 32_000, -32_768
PARTS = ("error", STD_ERROR, "width", "covers", "rejects")


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the numbers of one term lie: centre and spread of its errors, its typical standard error."""

    centre: float
    scale: float
    std_error: float


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """One term's replications, in codes: `PARTS` -> int16 [R], and the grid they are on."""

    grid: Grid
    codes: Mapping[str, Codes]

    def __len__(self) -> int:
        return len(self.codes["error"])

    def values(self) -> dict[str, Floats]:
        """Return what is tested, measure -> float64 [R], NaN where there is none: errors in units of the grid's scale,
        logarithms of standard errors and widths, 0 or 1 for coverage and rejection.
        """
        columns = {name: _decoded(codes) for name, codes in self.codes.items()}
        return {
            "bias": np.sinh(columns["error"]),
            "model_se": columns[STD_ERROR],
            "interval_width": np.nan_to_num(columns[STD_ERROR]) + columns["width"],
            "coverage": columns["covers"] * STEPS,
            "rejection": columns["rejects"] * STEPS,
        }


def kept_of(
    estimates: Estimates, cell: Cell, count: int, grids: Mapping[str, Grid] | None = None
) -> dict[str, Kept]:
    """Return the first `count` replications by term, on the given grids or on grids of their own.

    Parameters
    ----------
    estimates : Estimates
    cell : Cell
        Knows the true values that errors are from.
    count : int
        Replications kept, from the first.
    grids : mapping, optional
        Term -> grid, of a baseline that these are to be compared with.
    """
    kept = {}
    for term, columns in _by_term(estimates, cell):
        grid = grids.get(term) if grids is not None else _grid(columns)
        if grid is not None:
            kept[term] = Kept(grid, {name: codes[:count] for name, codes in _encoded(columns, grid).items()})
    return kept


def to_text(kept: Kept) -> str:
    """Return the codes as text: all parts, little-endian int16, compressed, base64."""
    whole = np.concatenate([kept.codes[name] for name in PARTS]).astype("<i2")
    return base64.b64encode(zlib.compress(whole.tobytes(), 9)).decode()


def from_text(text: str, grid: Grid, most: int) -> Kept:
    """Return the codes of `to_text`, of `most` replications at most; ValueError if they are damaged or more.

    Parameters
    ----------
    text : str
    grid : Grid
    most : int
        The method's replications.
    """
    packed, size = zlib.decompressobj(), 2 * len(PARTS) * most
    try:
        # A baseline may come from somebody else, and zlib makes a thousand bytes of one. One more than there may be:
        # for zlib 0 means without end.
        data = packed.decompress(base64.b64decode(text, validate=True), size + 1)
    except zlib.error as damage:
        raise ValueError(str(damage)) from None
    if len(data) > size:
        raise ValueError(f"it keeps more than the {most} replications of the method")
    if not packed.eof:
        raise ValueError("what it keeps ends too early")
    parts = np.frombuffer(data, dtype="<i2").astype(np.int16).reshape(len(PARTS), -1)
    return Kept(grid, dict(zip(PARTS, parts, strict=True)))


def _by_term(estimates: Estimates, cell: Cell) -> Iterator[tuple[str, dict[str, Floats]]]:
    """Yield each term with its error, std_error, width, covers, rejects [R]; NaN where a measure leaves a fit out."""
    truth, level = cell.truth, cell.model.level
    columns: dict[str, dict[str, Floats]] = {}
    for name, value, needs in (
        ("error", _error, frozenset[str]()),
        (STD_ERROR, lambda d: d.std_error, measure_named("model_se").columns),
        ("width", width, measure_named("interval_width").columns),
        ("covers", covers, measure_named("coverage").columns),
        ("rejects", rejects, measure_named("rejection").columns),
    ):
        for draws in draws_of(estimates, truth, level, needs):
            _spread(columns, name, draws, np.asarray(value(draws), dtype=np.float64), estimates)
    for draws in quantity_draws(estimates, truth, level):
        _spread(columns, "error", draws, _error(draws), estimates)
    nothing = np.full(estimates.size, np.nan)
    for term, of_terms in columns.items():
        yield term, {name: of_terms.get(name, nothing) for name in PARTS}


def _error(draws: Draws) -> Floats:
    """Estimates minus the truth; where it isn't known, the estimates."""
    return np.where(np.isnan(draws.truth), draws.estimate, error(draws))


def _spread(
    columns: dict[str, dict[str, Floats]], name: str, draws: Draws, values: Any, whole: Estimates
) -> None:
    """Put values of usable replications into columns over all replications, NaN elsewhere."""
    rows = np.searchsorted(whole.replications, draws.replications)
    for k, term in enumerate(draws.terms):
        if name == "covers" and np.isnan(draws.truth[k]).any():
            continue
        column = np.full(whole.size, np.nan)
        column[rows] = values[k]
        columns.setdefault(term, {})[name] = column


def _grid(columns: Mapping[str, Floats]) -> Grid:
    """Return the grid on which a term's numbers are coded: robust centre and scales, in three digits."""
    errors, spreads = columns["error"], columns[STD_ERROR]
    centre = _median(errors)
    scale = 1.4826 * _median(np.abs(errors - centre))
    # Three digits of a centre many spreads from 0 could lie spreads away from it.
    return Grid(_rounded(centre, 9), _rounded(scale) or 1.0, _rounded(_median(spreads)) or 1.0)


def _encoded(columns: Mapping[str, Floats], grid: Grid) -> dict[str, Codes]:
    """Return a term's columns as 16-bit codes."""
    # The width of an interval without a standard error is on the grid itself.
    unit = np.where(np.isnan(columns[STD_ERROR]), grid.std_error, columns[STD_ERROR])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return {
            "error": _code(np.arcsinh((columns["error"] - grid.centre) / grid.scale)),
            STD_ERROR: _code(np.log(columns[STD_ERROR] / grid.std_error)),
            "width": _code(np.log(columns["width"] / unit)),
            "covers": _code(columns["covers"] / STEPS),
            "rejects": _code(columns["rejects"] / STEPS),
        }


def _code(values: Floats) -> Codes:
    """Return numbers in steps as integers; a code of its own for missing."""
    steps = np.clip(np.rint(values * STEPS), -_MOST, _MOST)
    return np.where(np.isnan(values), _MISSING, np.nan_to_num(steps)).astype(np.int16)


def _decoded(codes: Codes) -> Floats:
    """Return codes as numbers."""
    return np.where(codes == _MISSING, np.nan, codes / STEPS)


def _median(values: Floats) -> float:
    """Return the median of the finite values, 0 where there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else 0.0


def _rounded(value: float, digits: int = 3) -> float:
    """Return a number in a few digits, as the file has it."""
    return float(f"{value:.{digits}g}")
