"""Checks of parameters, each with an error that names the parameter, the value and what is allowed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nestbench.sim.errors import InvalidInput, did_you_mean

INFINITY = math.inf
LARGEST = 1e30
"""Bound on the size of a parameter: products of a few such numbers are finite still."""


def python_value(value: Any) -> Any:
    """Return numbers of NumPy's as Python's, in lists and tuples too; anything else as it is."""
    if isinstance(value, np.generic):
        return value.item()
    return type(value)(map(python_value, value)) if type(value) in (list, tuple) else value


def make_python(fields: Any) -> None:
    """Make the numbers of a frozen dataclass Python's, in place: what is checked, hashed and stored has one type."""
    for each in dataclasses.fields(fields):
        value = getattr(fields, each.name, None)
        if isinstance(value, (np.generic, list, tuple)):
            object.__setattr__(fields, each.name, python_value(value))


def number(
    name: str,
    value: Any,
    low: float = -INFINITY,
    high: float = INFINITY,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return `value` if it is a finite number of at most `LARGEST` in the interval from `low` to `high`.

    Raises
    ------
    InvalidInput
        Not a number, not finite, too large, or outside; the message shows the interval.

    Parameters
    ----------
    name : str
        What the message calls it, e.g. ``population.icc``.
    value : Any
    low, high : float
    open_low, open_high : bool
        Whether the ends themselves are out.

    Raises
    ------
    InvalidInput
        No number, one outside the interval, or none that is finite.
    """
    if isinstance(value, (int, float)) and LARGEST < abs(value) < INFINITY:
        raise InvalidInput(
            f"expected {name} of at most {LARGEST:g} in size, got about 1e{math.log10(abs(value)):.0f}"
        )
    # True is an int to Python, and `icc = true` a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidInput(
            f"expected {name} to be a finite number, got {value!r}; {_allowed(low, high, open_low, open_high)}"
        )
    if not inside(value, low, high, open_low=open_low, open_high=open_high):
        raise InvalidInput(
            f"expected {name} {interval(low, high, open_low, open_high)}, got {value}; change {name}"
        )
    return float(value)


def inside(
    value: float,
    low: float = -INFINITY,
    high: float = INFINITY,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> bool:
    """Whether `value` is in the interval from `low` to `high`; NaN is in none."""
    return (low < value if open_low else low <= value) and (value < high if open_high else value <= high)


def count(name: str, value: Any, low: int = 0, high: float = INFINITY) -> int:
    """Return `value` if it is a whole number from `low` to `high`, else raise `InvalidInput`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(
            f"expected {name} to be a whole number, got {value!r}; e.g. {name} = {max(low, 10)}"
        )
    if not low <= value <= high:
        raise InvalidInput(f"expected {name} {interval(low, high, False, False)}, got {value}; change {name}")
    return value


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of the names allowed, else raise `InvalidInput` with the nearest one.

    Case counts: a name that differs from a known one by its case is told which one was probably meant.
    """
    names = list(allowed)
    if value not in names:
        raise InvalidInput(
            f"expected {name} to be one of {', '.join(names)}, got {value!r}.{did_you_mean(str(value), names)}"
        )
    return str(value)


def coefficients(name: str, values: Any, allowed: Iterable[str]) -> dict[str, float]:
    """Return a table of named finite numbers, else raise `InvalidInput` with the nearest known name."""
    names = list(allowed)
    if not isinstance(values, Mapping):
        raise InvalidInput(f"expected {name} to be a table such as {{ {names[0]} = 1.0 }}, got {values!r}")
    for key in values:
        if key not in names:
            raise InvalidInput(
                f"{name} has no '{key}'.{did_you_mean(str(key), names)} It may have {', '.join(names)}"
            )
    return {str(key): number(f"{name}.{key}", python_value(value)) for key, value in values.items()}


def clash(first: str, second: str, why: str, todo: str) -> InvalidInput:
    """Return the error for two parameters that can't be had together.

    Parameters
    ----------
    first, second : str
        As they stand in the file: ``population.icc = 0``.
    why, todo : str
        Why they exclude each other; what to do about it.
    """
    return InvalidInput(f"{first} and {second} can't be combined: {why}; {todo}")


def interval(
    low: float = -INFINITY, high: float = INFINITY, open_low: bool = False, open_high: bool = False
) -> str:
    """Return an interval in words: ``in [0, 1)``, ``>= 0``."""
    if high == INFINITY:
        return f"{'>' if open_low else '>='} {low:g}"
    if low == -INFINITY:
        return f"{'<' if open_high else '<='} {high:g}"
    return f"in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"


def _allowed(low: float, high: float, open_low: bool, open_high: bool) -> str:
    if low == -INFINITY and high == INFINITY:
        return "any finite number will do"
    return f"allowed are values {interval(low, high, open_low, open_high)}"
