"""What became of a fit, by the column that says so: statuses in words, R's codes, `converged`, messages of errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nestbench.estimators.estimates import FitStatus
from nestbench.own_results.names import folded
from nestbench.own_results.values import MISSING, labels
from nestbench.sim.errors import InvalidInput

FAILING = frozenset(["failed", "fail", "failure", "error", "errors", "nonconvergence", "notconverged"])
"""Names of columns that say yes, or why, of a fit that failed."""
SOUND = frozenset(["converged", "conv", "success", "ok", "valid", "usable"])
"""Names of columns that say yes of a fit that didn't."""
YES = SOUND - {"conv", "usable"} | {"1", "true", "t", "yes", "y", "successful", "completed", "done"}
NO = frozenset(["0", "false", "f", "no", "n", "none"])
NOTHING = MISSING


@dataclass(frozen=True, slots=True, eq=False)
class Statuses:
    """Status of the fit of each row, with what its column says where it isn't usable, and words on the reading; `own`
    where the column has this package's statuses, which are taken at their word."""

    codes: npt.NDArray[np.int8]
    texts: list[str]
    said: str = ""
    own: bool = False


def like_statuses(column: pd.Series[Any]) -> bool:
    """Whether a column that is called like a status holds any: ``errors`` may be a factor, "normal" and "skewed".

    Words of statuses, whole numbers with a 0 or a 1 among a few, or messages that most rows don't have, or "ok".
    """
    known = column.dropna().astype(str).str.strip().str.casefold()
    known = known[known != ""]
    own = {status.name.casefold() for status in FitStatus}
    if set(known) <= YES | NO | own:
        return True
    whole = pd.to_numeric(known, errors="coerce")
    if whole.notna().all():
        return bool((whole % 1 == 0).all() and whole.nunique() <= 10 and whole.isin((0, 1)).any())
    sound = known.isin((YES | {FitStatus.OK.name.casefold()}) - {"1"})
    return len(known) - int(sound.sum()) < 0.5 * len(column)


def without_status(rows: int) -> Statuses:
    """Return the statuses of rows that no column says anything of."""
    return Statuses(np.zeros(rows, dtype=np.int8), [""] * rows)


def statuses_of(frame: pd.DataFrame, name: str, usable: Sequence[str]) -> Statuses:
    """Return the statuses that a column says.

    Parameters
    ----------
    frame : DataFrame
    name : str
        The column.
    usable : sequence of str
        Values that mean a usable fit; none: by the column's name and its values.

    Raises
    ------
    InvalidInput
        It can't be told which values mean a usable fit.
    """
    texts = labels(frame, (name,))
    own = {status.name for status in FitStatus}
    if not usable and set(texts.unique()) <= own:
        named = texts.map({status.name: int(status) for status in FitStatus})
        return Statuses(np.asarray(named, dtype=np.int8), [""] * len(texts), own=True)
    good = _good(texts, name, usable)
    codes = np.where(good, FitStatus.OK, FitStatus.NOT_CONVERGED).astype(np.int8)
    words = [("" if fine else f"{name}: {text}") for fine, text in zip(good, texts, strict=True)]
    taken = ", ".join(repr(text) for text in texts[good].unique()[:5]) or "no value"
    return Statuses(codes, words, f"'{name}' says {taken} of usable fits, {int((~good).sum()):,} rows aren't")


def _good(texts: pd.Series[Any], name: str, usable: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which rows are of usable fits [rows]."""
    folds = texts.str.casefold()
    if usable:
        wanted = {text.casefold() for text in usable}
        if not wanted & set(folds):
            raise InvalidInput(
                f"expected values of '{name}' that mean a usable fit, got {', '.join(usable)}, which it doesn't have; "
                f"it has {', '.join(map(repr, texts.unique()[:8]))}"
            )
        return folds.isin(wanted).to_numpy()
    known = folded(name)
    if known in FAILING:
        return folds.isin(NO | {NOTHING}).to_numpy()
    if known in SOUND:
        return folds.isin(YES).to_numpy()
    return _by_values(folds, name)


def _by_values(folds: pd.Series[Any], name: str) -> npt.NDArray[np.bool_]:
    """Return which rows are of usable fits, by words or, of numbers, by R's codes: 0 is success."""
    numeric = pd.to_numeric(folds.replace(NOTHING, "0"), errors="coerce").notna().all()
    good = folds.isin({"0", NOTHING}) if numeric else folds.isin((YES - {"1"}) | {NOTHING})
    # Codes of 1 for success are as frequent: what most fits have is a success in a study worth reading.
    if good.mean() < 0.5:
        found = ", ".join(map(repr, folds.unique()[:6]))
        raise InvalidInput(
            f"expected to know which values of '{name}' mean a usable fit, got {found}; say them "
            "with --usable VALUE (usable=...), or leave the column out with --ignore"
        )
    return good.to_numpy()
