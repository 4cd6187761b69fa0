"""How a number of too few usable fits is marked wherever it stands: ``96.0 [50 of 60; 80.0]``. The one rule."""

from __future__ import annotations

from nestbench.reports.comparing.grades import USABLE_ENOUGH

BOUNDED = {"coverage": "misses", "rejection": "non-rejections"}
"""Measures that are also given with unusable fits counted against the method, and what those then are."""

PERCENT = f"{100 * USABLE_ENOUGH:.0f} %"
UNDER = f"under {PERCENT} of the fits are usable"
BRACKETS = "how many are, of how many, and the share with the others as misses (coverage) or non-rejections (rejection)"
FEW = f"in square brackets, where {UNDER}: {BRACKETS}"
FEW_FITS = f"in square brackets, where {UNDER}: how many are, of how many"
FEW_SETS = f"in square brackets, where both answer under {PERCENT} of the data sets: how many, of how many"
"""What brackets beside numbers say."""


def opens(measure: str, upright: bool = False) -> str:
    """Return what brackets around a figure's marks say; around `upright` ones a dotted line leads to the bound."""
    way = "a dotted line leads to where" if upright else "the bracket opens where"
    bound = f"; {way} the number would be with the others as {BOUNDED[measure]}" if measure in BOUNDED else ""
    return f"In square brackets: {UNDER}{bound}."


def too_few(n: int, attempted: int) -> bool:
    """Return whether so few of the fits are usable that their number is marked."""
    return n < USABLE_ENOUGH * attempted


def bracket(measure: str, value: float, n: int, attempted: int) -> str:
    """Return the mark of a number of too few usable fits: `` [50 of 60; 80.0]``, the bound in per cent for shares.

    A number over some of the fits must not look like one over all: the mark stands beside it wherever it is shown.

    Parameters
    ----------
    measure : str
    value : float
    n, attempted : int
        Fits behind the number, and fits that were made.
    """
    if not too_few(n, attempted):
        return ""
    bound = f"; {100.0 * value * n / attempted:.1f}" if measure in BOUNDED else ""
    return f" [{n:,} of {attempted:,}{bound}]"


def usable_words(measure: str, value: float, n: int, attempted: int) -> str:
    """Return what a hover says of a number's fits: ``60 of 60``; ``50 of 60; 80.0 % with the others as misses``."""
    words = f"{n:,} of {attempted:,}"
    if too_few(n, attempted) and measure in BOUNDED:
        words += f"; {100.0 * value * n / attempted:.1f} % with the others as {BOUNDED[measure]}"
    return words
