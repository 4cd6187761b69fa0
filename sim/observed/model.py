"""The analysis model: what an analyst states before choosing a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import overload

import numpy as np
import numpy.typing as npt

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput
from nestbench.sim.frozen import FrozenTable
from nestbench.sim.observed.bars import Bars, split_bars
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.parsing import Parsed, parse
from nestbench.sim.parameter import declared_of, documented, parameter


@documented
@dataclass(frozen=True, slots=True)
class Model:
    """A formula, the group column, the random part, the confidence level and what is tested."""

    formula: str = parameter(
        "grade ~ age + gender",
        'Fixed part, as formulaic reads it, e.g. ``"grade ~ age + gender"``. ``group_mean(x)`` is x\'s school mean. A '
        "random part in lme4's notation, ``(1 + age | school)`` or ``(1 | school/class)``, moves to the fields it "
        "stands for.",
    )
    group: str = parameter("school", "Name of the group column (level 2).")
    random: str = parameter(
        "1",
        'Random part within a group: ``"1"`` (intercept) or e.g. ``"1 + age"`` (correlated intercept and slope).',
    )
    level: float = parameter(
        0.95,
        "Confidence level of intervals; 1 - level is the size of the tests.",
        low=0.0,
        high=1.0,
        open_low=True,
        open_high=True,
    )
    subgroup: str | None = parameter(
        None, "Name of a column of groups within groups (classes in schools), for the three-level methods."
    )
    null: Mapping[str, float] = parameter(
        factory=dict,
        meaning="Term -> the value that its test is of; terms that aren't named are tested for 0. p-values depend on "
        "it; estimates, standard errors and intervals don't.",
    )

    def __post_init__(self) -> None:
        checks.make_python(self)
        for name in ("formula", "group", "random", "subgroup"):
            given = getattr(self, name)
            if not isinstance(given, str) and (name != "subgroup" or given is not None):
                raise InvalidInput(
                    f"expected {name} to be a text, got {given!r}; e.g. {name} = {_USUAL[name]!r}"
                )
        object.__setattr__(self, "null", _values_of(self.null))
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
        numeric = isinstance(self.level, (int, float)) and not isinstance(self.level, bool)
        if not numeric or not checks.inside(self.level, **declared_of(Model)["level"].allowed):
            raise InvalidInput(
                f"expected a confidence level between 0 and 1, got {self.level!r}; e.g. level = 0.95"
            )
        self._refuse_own_outcome()

    def _refuse_own_outcome(self) -> None:
        outcome, _, right = self.formula.partition("~")
        if outcome.strip().strip("`") not in f"{right} {self.random}":
            return  # nothing to read: formulaic takes long to load
        try:
            fixed, random = parse(self.formula), parse(f"~ {self.random}")
        except InvalidInput:
            return  # said better where the columns are known
        refuse_own_outcome(self, fixed, random)

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

    @property
    def spelled(self) -> Model:
        """The model as its key is made from it: a null value of 0 written out is none."""
        if all(self.null.values()):
            return self
        return replace(self, null={term: value for term, value in self.null.items() if value})

    def null_of(self, term: str) -> float:
        """Return the value that a term's test is of."""
        return self.null.get(term, 0.0)


_USUAL = {"formula": "grade ~ age + gender", "group": "school", "random": "1", "subgroup": "class"}


def _values_of(null: Mapping[str, float]) -> FrozenTable:
    """Return null values as an immutable table of numbers."""
    if not isinstance(null, Mapping):
        raise InvalidInput(
            f"expected null to be a table of terms and values such as {{ treated = 0.3 }}, got {null!r}"
        )
    return FrozenTable({str(t): checks.number(f"null.{t}", checks.python_value(v)) for t, v in null.items()})


TIE = 1e-12
"""Relative difference within which a p-value equals alpha."""


@overload
def alpha_of(level: float) -> float: ...
@overload
def alpha_of(level: Floats) -> Floats: ...
def alpha_of(level: float | Floats) -> float | Floats:
    """Return 1 - level, exactly the decimal that is meant: 1.0 - 0.9 is 0.09999999999999998."""
    return np.asarray(np.round(1.0 - level, 12)) if isinstance(level, np.ndarray) else round(1.0 - level, 12)


def rejected(p_value: Floats, level: float) -> npt.NDArray[np.bool_]:
    """Return where tests of size alpha = 1 - level reject: p <= alpha, ties included; NaN rejects nothing.

    Discrete p-values (permutation, bootstrap: k/B) often equal alpha; a comparison with ``1.0 - level`` missed them.
    """
    return np.asarray(p_value <= alpha_of(level) * (1.0 + TIE))


def refuse_own_outcome(model: Model, fixed: Parsed, random: Parsed) -> None:
    """Refuse a model with its outcome among its terms.

    Raises
    ------
    InvalidInput
    """
    if fixed.outcome is not None and fixed.outcome in (*fixed.right, *random.right):
        raise InvalidInput(
            f"expected terms without the outcome, got '{model.formula}' with random part '{model.random}', where "
            f"'{fixed.outcome}' stands on both sides; leave it out on the right"
        )
