"""A row of a term as it is shown: rounded to what its standard errors deserve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nestbench.estimators.estimates import DF, ESTIMATE, LOWER, P_VALUE, STD_ERROR, UPPER, FitStatus


def cells_of(
    name: str, status: FitStatus, row: Any, digits: int | None, status_shown: bool
) -> dict[str, str]:
    """Return what a row of a term by a method shows, by column; without a column of statuses a star stands for one."""
    words = status.name.lower().replace("_", " ")
    interval = "-"
    if math.isfinite(row[LOWER]) or math.isfinite(row[UPPER]):
        interval = f"{number(row[LOWER], digits)}, {number(row[UPPER], digits)}"
    return {
        "method": name if status_shown or status is FitStatus.OK else f"{name} *",
        "estimate": number(row[ESTIMATE], digits),
        "SE": number(row[STD_ERROR], digits),
        "df": "-" if math.isnan(row[DF]) else "z" if math.isinf(row[DF]) else f"{row[DF]:.4g}",
        "interval": interval,
        "p": p_text(row[P_VALUE]),
        "status": words,
    }


def digits_of(std_errors: Sequence[float], figures: int) -> int | None:
    """Return the decimals that show the usual standard error with so many figures; None: use significant figures."""
    good = sorted(value for value in std_errors if math.isfinite(value) and value > 0)
    if not good:
        return None
    digits = figures - 1 - math.floor(math.log10(good[len(good) // 2]))
    return digits if 0 <= digits <= 5 else None


def number(value: float, digits: int | None) -> str:
    """Return a number with so many decimals, or five significant figures."""
    if math.isnan(value):
        return "-"
    if digits is None or not math.isfinite(value) or abs(value) >= 1e6:
        return f"{value:.4g}"
    return f"{value:.{digits}f}"


def p_text(value: float) -> str:
    """Return a p-value as it is shown."""
    if math.isnan(value):
        return "-"
    return "<.0001" if value < 1e-4 else f"{value:.4f}"[1:] if value < 1 else "1"
