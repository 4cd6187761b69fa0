"""The analysis model: what an analyst states before choosing a method."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from nestbench.sim import checks
from nestbench.sim.bars import Bars, split_bars
from nestbench.sim.batch import Floats
from nestbench.sim.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Model:
    """A formula, the group column, the random part and the confidence level.

    Attributes
    ----------
    formula : str
        Fixed part, as formulaic reads it, e.g. ``"grade ~ age + gender"``. `group_mean(x)` is x's school mean. A random
        part in lme4's notation, ``(1 + age | school)`` or ``(1 | school/class)``, moves to the fields it stands for.
    group : str
        Name of the group column (level 2).
    random : str
        Random part within a group: ``"1"`` (intercept) or e.g. ``"1 + age"`` (correlated intercept and slope).
    level : float
        Confidence level of intervals; 1 - level is the size of the tests.
    subgroup : str or None
        Name of a column of groups within groups (classes in schools), for the three-level methods.
    """

    formula: str = "grade ~ age + gender"
    group: str = "school"
    random: str = "1"
    level: float = 0.95
    subgroup: str | None = None

    def __post_init__(self) -> None:
        checks.make_plain(self)
        if (bars := split_bars(self.formula)) is not None:
            self._take(bars)
        if "~" not in self.formula:
            raise InvalidInput(
                f"expected a formula like 'grade ~ age + gender', got '{self.formula}'; put the outcome before '~'"
            )
        if self.subgroup is not None and self.subgroup == self.group:
            raise InvalidInput(
                f"expected a column of groups within '{self.group}', got subgroup = '{self.subgroup}' itself; leave it "
                "out, or name the column of the classes"
            )
        if not 0.0 < self.level < 1.0:
            raise InvalidInput(
                f"expected a confidence level between 0 and 1, got {self.level}; e.g. level = 0.95"
            )

    def _take(self, bars: Bars) -> None:
        """Set what a random part in the formula says; what was also given apart must say the same.

        Raises
        ------
        InvalidInput
            Formula and field contradict one another.
        """
        usual = {field.name: field.default for field in fields(self)}
        for name in ("random", "group", "subgroup"):
            given, said = getattr(self, name), getattr(bars, name)
            if given not in (usual[name], said):
                raise InvalidInput(
                    f"expected one {name}, got '{said}' in the formula '{self.formula}' and '{given}' beside it; leave "
                    "one of them out"
                )
            object.__setattr__(self, name, said)
        object.__setattr__(self, "formula", bars.formula)

    @property
    def alpha(self) -> float:
        """Nominal size of the tests; see `alpha_of`."""
        return alpha_of(self.level)


TIE = 1e-12
"""Relative difference within which a p-value equals alpha."""


def alpha_of(level: float) -> float:
    """Return 1 - level, exactly the decimal that is meant: 1.0 - 0.9 is 0.09999999999999998."""
    return round(1.0 - level, 12)


def rejected(p_value: Floats, level: float) -> npt.NDArray[np.bool_]:
    """Return where tests of size alpha = 1 - level reject: p <= alpha, ties included; NaN rejects nothing.

    Discrete p-values (permutation, bootstrap: k/B) often equal alpha; a comparison with ``1.0 - level`` missed them.
    """
    return np.asarray(p_value <= alpha_of(level) * (1.0 + TIE))
