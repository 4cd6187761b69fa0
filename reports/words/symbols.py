"""Definitions of measures as readers see them: every symbol is one that is explained."""

from __future__ import annotations

import re

EXPLAINED = (
    "t, s, [l, u] and p are the estimate, standard error, interval and p-value of one fit, θ is the true value, "
    "d = t - θ the error and b0 the value tested (0 unless the model states another); means, medians and standard "
    "deviations (sd) are over the K usable of N fits; S = sd t is the empirical SE, sqrt(mean s^2) the model SE; alpha "
    "is 1 minus the level of the intervals; (x)+ is x where positive, else 0."
)

_SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠"}


def formula_words(formula: str) -> str:
    """Return a measure's formula in the symbols that `EXPLAINED` explains: ``mean (l ≤ θ ≤ u)``."""
    text = re.sub(r"\bth\b", "θ", formula)
    for typed, sign in _SIGNS.items():
        text = text.replace(typed, sign)
    return text
