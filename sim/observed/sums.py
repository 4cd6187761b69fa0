"""Sums of columns, ``grade ~ age + gender`` or ``1 + age``: read here, for loading formulaic takes longer than a fit.

formulaic is the definition: what is read here is what it would read, and whatever could be anything but a sum of
columns and ones is left to it (``0``, products, functions, backticks, dots, names beyond ASCII).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_TERM = rf"[ ]*(?:{_WORD}|1)[ ]*"
_SUM = re.compile(rf"(?:[ ]*(?P<outcome>{_WORD})?[ ]*~)?(?P<terms>{_TERM}(?:\+{_TERM})*)")


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of columns and a constant.

    Attributes
    ----------
    outcome : str or None
        The column left of ``~``.
    terms : tuple of str
        The columns right of it, each once, in order; the constant, which such a formula always has, is none.
    """

    outcome: str | None
    terms: tuple[str, ...]


def sum_of(formula: str) -> Sum | None:
    """Return a formula as the sum that it is, or None where formulaic has to read it."""
    read = _SUM.fullmatch(formula)
    if read is None:
        return None
    words = [word.strip() for word in read["terms"].split("+")]
    # Names with a meaning of their own: the constant's, and the aliases of `parsing`.
    if any(word == "Intercept" or word.startswith("_column_") for word in (read["outcome"] or "", *words)):
        return None
    return Sum(read["outcome"], tuple(dict.fromkeys(word for word in words if word != "1")))
