"""From what a package reports and what is exact to one word: right, near, wrong, and why.

The error of an estimate is measured in exact standard errors, that of an interval's end in its exact half-width; that
of a standard error, or of df, relative to the exact one; that of a p-value as it is; that of a variance relative to
itself plus the total variance; that of a log-likelihood as it is. Up to `RIGHT` a number is right, up to `NEAR` (df of
mixed models: `NEAR_DF`, for they rest on second derivatives; p-values and ends of intervals: what such df make of them
besides) it is within what an iteration that stops early leaves, beyond it is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from nestbench.estimators.estimates import DF, ENDS, ESTIMATE, LOWER, P_VALUE, STD_ERROR, UPPER
from nestbench.league.asked import BY_TERM, LOGLIK, VARIANCE
from nestbench.league.exact import Exact
from nestbench.league.package import Way

RIGHT, NEAR, NEAR_DF = 1e-6, 1e-3, 1e-2
NONE: Mapping[str, Exact] = MappingProxyType({})
FALSE_ALARM = 5.5
"""Monte Carlo standard errors that a p-value by draws may be off: 4e-8 in the normal's two tails."""


class Outcome(StrEnum):
    """What became of a fit, from best to worst; first what isn't judged, which says nothing against the others."""

    UNJUDGED = "not judged"
    RIGHT = "right"
    NEAR = "within 1e-3"
    OTHER = "other convention"
    NOT_RUN = "not run"
    MISSING = "missing"
    REFUSED = "refused"
    WRONG = "wrong"
    HUNG = "hung"
    CRASHED = "crashed"

    @property
    def severity(self) -> int:
        """Place in the order from best to worst."""
        return list(Outcome).index(self)


@dataclass(frozen=True, slots=True)
class Number:
    """One reported number beside the exact one.

    Attributes
    ----------
    quantity, term : str
        Of what; a component's name for variances, empty for the log-likelihood.
    reported, exact, error : float
        The error in the units that the module states; NaN: not judged.
    allowed : float
        Up to what error it is not wrong.
    """

    quantity: str
    term: str
    reported: float
    exact: float
    error: float
    allowed: float = NEAR

    @property
    def wrong(self) -> bool:
        """Whether it is off by more than is allowed."""
        return self.error > self.allowed


@dataclass(frozen=True, slots=True)
class Judgement:
    """One fit of a package, judged.

    Attributes
    ----------
    outcome : Outcome
    note : str
        Why, where it isn't a matter of numbers.
    numbers : tuple of Number
    """

    outcome: Outcome
    note: str
    numbers: tuple[Number, ...]


def judge(
    answer: Mapping[str, Any], exact: Exact | None, way: Way, others: Mapping[str, Exact] = NONE
) -> Judgement:
    """Return what an answer is worth beside the exact values; None: the data have none.

    One that is wrong by the stated convention and right, in all its numbers, by another that is as good (`Way.others`)
    is of that other convention.
    """
    found = _judged(answer, exact, way)
    if found.outcome == Outcome.WRONG:
        for words, other in others.items():
            if _judged(answer, other, way).outcome in (Outcome.RIGHT, Outcome.NEAR):
                return Judgement(Outcome.OTHER, f"all numbers are those with {words}", found.numbers)
    return found


def _judged(answer: Mapping[str, Any], exact: Exact | None, way: Way) -> Judgement:
    """Return what an answer is worth by one convention."""
    if exact is None:
        return Judgement(Outcome.UNJUDGED, "no exact values: our methods refuse these data", ())
    numbers = tuple(compared(answer, exact, way))
    judged = [number for number in numbers if not math.isnan(number.error)]
    if not judged:
        return Judgement(Outcome.UNJUDGED, "nothing in these data is estimable", numbers)
    missing = [number for number in judged if math.isnan(number.reported)]
    said_no = answer.get("converged") is False
    if any(number.wrong for number in judged if not math.isnan(number.reported)):
        note = "says that it did not converge" if said_no else ""
        return Judgement(Outcome.REFUSED if said_no else Outcome.WRONG, note, numbers)
    if missing:
        names = ", ".join(dict.fromkeys(f"{n.quantity} {n.term}".strip() for n in missing))
        return Judgement(Outcome.REFUSED, f"gives no {names}", numbers)
    note = "says that it did not converge" if said_no else ""
    # A p-value by draws is right within its Monte Carlo error.
    drawn = (P_VALUE,) if exact.values.get("draws", way.draws) else ()
    near = any(number.error > RIGHT for number in judged if number.quantity not in drawn)
    return Judgement(Outcome.NEAR if near else Outcome.RIGHT, note, numbers)


def compared(answer: Mapping[str, Any], exact: Exact, way: Way) -> Iterator[Number]:
    """Yield every number that a way claims beside the exact one."""
    values = exact.values
    for quantity in BY_TERM:
        if quantity in way.claims:
            reported = {plain(str(name)): value for name, value in _named(answer, quantity).items()}
            for term, true in values[quantity].items():
                got = _number(reported.get(plain(term)))
                scale = _scale(quantity, true, values, term)
                settled = not (exact.boundary and quantity in UNSETTLED and math.isfinite(values[DF][term]))
                allowed = _allowed(quantity, values, term, way)
                yield _compare(quantity, term, got, true, scale if settled else math.nan, allowed)
    if VARIANCE in way.claims:
        variances = _named(answer, VARIANCE)
        for name, true in values[VARIANCE].items():
            yield _compare(VARIANCE, name, _number(variances.get(name)), true, exact.scales[name], NEAR)
    if LOGLIK in way.claims:
        yield _compare(LOGLIK, "", _number(answer.get(LOGLIK)), values[LOGLIK], 1.0, NEAR)


def _named(answer: Mapping[str, Any], quantity: str) -> Mapping[str, Any]:
    """Return what an answer has by name of a quantity; nothing where it has something else there."""
    values = answer.get(quantity)
    return values if isinstance(values, Mapping) else {}


UNSETTLED = (DF, P_VALUE, LOWER, UPPER)
"""What rests on estimated df, which at a boundary depend on how the variances are parametrised: not judged there."""


def plain(term: str) -> str:
    """Return a term's name without what packages write differently: ``arm[T.True]``, ``armTRUE``, ``(Intercept)``."""
    if term in ("1", "const", "(Intercept)", "_cons"):
        return "intercept"
    # A column of true and false is a number to some, a category to others.
    return re.sub(r"\[T\.|[\[\]() ]", "", re.sub(r"\[(T\.)?True\]$|TRUE$|True$|true$", "", term)).lower()


def _scale(quantity: str, true: float, values: Mapping[str, Any], term: str) -> float:
    """Return what the error of a quantity is measured in."""
    if quantity == ESTIMATE:
        return float(values[STD_ERROR].get(term, math.nan))
    if quantity in ENDS:
        return abs(true - float(values[ESTIMATE][term]))
    return 1.0 if quantity == P_VALUE else abs(true)


def _allowed(quantity: str, values: Mapping[str, Any], term: str, way: Way) -> float:
    """Return up to what error a number of a coefficient is not wrong; 0 draws: nothing is random."""
    true, draws = float(values[quantity][term]), int(values.get("draws", way.draws))
    if quantity == P_VALUE and draws:
        return FALSE_ALARM * math.sqrt(max(true * (1.0 - true), 0.0) / draws) + 2.0 / draws
    if not (way.mixed and DF in way.claims):
        return NEAR
    return NEAR_DF if quantity == DF else NEAR + _by_df(quantity, values, term)


def _by_df(quantity: str, values: Mapping[str, Any], term: str) -> float:
    """Return what df that are off by `NEAR_DF`, which are not wrong, make of a p-value or an interval's end: of few df
    the latter moves by more than `NEAR`."""
    estimate, error, df = (values[name][term] for name in (ESTIMATE, STD_ERROR, DF))
    if quantity not in (P_VALUE, *ENDS) or not (0.0 < df < math.inf and error > 0.0):
        return 0.0
    from scipy.special import stdtr, stdtrit

    dfs = [df * factor for factor in (1.0 - NEAR_DF, 1.0, 1.0 + NEAR_DF)]
    if quantity == P_VALUE:
        low, at, high = (2.0 * float(stdtr(one, -abs(estimate / error))) for one in dfs)
        moved = max(abs(low - at), abs(high - at))
    else:
        low, at, high = (float(stdtrit(one, 0.5 + values["level"] / 2.0)) for one in dfs)
        moved = max(low - at, at - high) / at
    return moved if math.isfinite(moved) else 0.0


def _compare(quantity: str, term: str, reported: float, true: float, scale: float, allowed: float) -> Number:
    """Return a number with its error; none where there is no exact value."""
    if not (math.isfinite(true) and scale > 0.0):
        return Number(quantity, term, reported, true, math.nan)
    # A number that isn't there is off by more than anything; NaN would say that it isn't judged.
    error = math.inf if math.isnan(reported) else abs(reported - true) / scale
    return Number(quantity, term, reported, true, error, allowed)


def _number(value: Any) -> float:
    """Return a reported value as a number; NaN where there is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
