"""True values that a population states: by name, or by the mean of its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.frame_law import complete
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model


@dataclass(frozen=True)
class Named:
    """A frame law that states true values by name."""

    name: ClassVar[str] = "named-only"
    contextual: float = 0.0

    @property
    def truth(self) -> Mapping[str, float]:
        return {"Intercept": 1.0, "x": 2.0, "group_mean(x)": self.contextual, "(icc)": 0.1}

    def frame(self, layout: Layout, rng: np.random.Generator) -> pd.DataFrame:
        school = np.repeat(np.arange(layout.schools), layout.sizes())
        x, w = rng.normal(3, 1, len(school)), rng.normal(1, 1, len(school))
        means = pd.Series(x).groupby(school).transform("mean").to_numpy()
        y = 1.0 + 2.0 * x + self.contextual * means + rng.normal(size=len(school))
        return pd.DataFrame({"y": y, "x": x, "w": w, "school": school})


@dataclass(frozen=True)
class WithMean(Named):
    """The same, with its mean as a function."""

    name: ClassVar[str] = "with-mean"

    def mean(self, layout: Layout, data: pd.DataFrame) -> np.ndarray:
        return np.asarray(
            1.0 + 2.0 * data["x"] + self.contextual * data.groupby("school")["x"].transform("mean")
        )


@dataclass(frozen=True)
class WrongMean(Named):
    """A mean that isn't one number a row."""

    name: ClassVar[str] = "wrong-mean"

    def mean(self, layout: Layout, data: pd.DataFrame) -> float:
        return 1.0


for _law in (Named, WithMean, WrongMean):
    complete(_law)

BOTH = "y ~ group_centred(x) + group_mean(x)"
WITHIN_BETWEEN = {"Intercept": 1.0, "group_centred(x)": 2.0, "group_mean(x)": 2.5}


@pytest.mark.parametrize(
    ("law", "formula", "expected"),
    [
        (Named(), "y ~ x", {"Intercept": 1.0, "x": 2.0}),
        (Named(), "y ~ x + w", {"Intercept": 1.0, "x": 2.0}),
        (Named(), "y ~ I(x / 10)", {"Intercept": 1.0, "I(x / 10)": 20.0}),
        (Named(), "y ~ center(x)", {"center(x)": 2.0}),
        (Named(), "y ~ w", {}),
        (Named(), "y ~ np.log(x + 20)", {}),
        (Named(0.5), BOTH, WITHIN_BETWEEN),
        (WithMean(0.5), BOTH, WITHIN_BETWEEN),
        (WithMean(), "y ~ x + w", {"Intercept": 1.0, "x": 2.0, "w": 0.0}),
        (WithMean(), "np.log(y + 99) ~ x", {}),
    ],
)  # fmt: skip
def test_laws_that_name_their_truth(law: Named, formula: str, expected: dict[str, float]) -> None:
    """A named value counts unless another term shares the effect; a mean function says the rest."""
    made = Cell(law, Layout(6, 9), Model(formula))  # type: ignore[arg-type]
    terms = design_of(made.draw(1, range(1)), made.model).terms
    assert {term: made.truth[term] for term in terms if term in made.truth} == pytest.approx(expected)
    assert set(terms) - set(made.truth_reasons) == set(expected)


def test_a_mean_that_is_no_mean_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a finite number for each of 54 rows"):
        _ = Cell(WrongMean(), Layout(6, 9), Model("y ~ x")).truth  # type: ignore[arg-type]
