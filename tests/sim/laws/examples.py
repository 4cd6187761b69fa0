"""An example of every registered law: what the law's contract is tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.population import Population
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

Example = Callable[[Path], Cell]
"""``example(folder)`` -> the law with effects that aren't 0, a layout, a model that the law's mean is in."""


def _random_intercept(folder: Path) -> Cell:
    effects = {"Intercept": 5.0, "age": 0.5, "resources": -0.3, "treated": 0.4}
    layout = Layout(schools=12, students=8, treated_schools=4)
    return Cell(RandomIntercept(effects=effects), layout, Model("grade ~ age + resources + treated"))


def _fixed_design(folder: Path) -> Cell:
    rng = np.random.default_rng(4)
    school = np.arange(60) % 9
    columns = {
        "hours": rng.normal(size=60),
        "school": school,
        "treated": school < 4,
        "class": np.arange(60) % 2,
    }
    pd.DataFrame(columns).to_csv(folder / "design.csv", index=False)
    effects = {"Intercept": 1.0, "hours": 0.5}
    terms = {"slope": "hours", "spread": "treated", "subgroup": "class"}
    law = FixedDesign(data=str(folder / "design.csv"), formula="hours + treated", effects=effects, **terms)
    return Cell(law, Layout(), Model("grade ~ hours"))


NEEDS: dict[str, dict[str, Any]] = {
    "age_confounding": {"age_icc": 0.3},
    "slope_correlation": {"slope_sd": 0.5},
    "slope_sd_resources": {"slope_sd": 0.5},
    "size_correlation": {"layout.size_cv": 0.5},
    "class_icc": {"layout.classes": 2},
    "fixed-design.class_icc": {},
    "missing_age": {"missing": 0.3},
    "missing_resources": {"missing_schools": 3},
}
"""What a parameter, perhaps of one population alone, acts with: others, and keys of the layout."""

EXAMPLES: dict[str, Example] = {RandomIntercept.name: _random_intercept, FixedDesign.name: _fixed_design}


def example_of(law: type[Population], folder: Path) -> Cell:
    """Return the law's example; a law without one fails here, and the words say where it goes."""
    assert law.name in EXAMPLES, (
        f"expected an example of the law '{law.name}' in EXAMPLES (tests/sim/laws/examples.py), got none: add a "
        "function that returns a Cell with effects that aren't 0"
    )
    return EXAMPLES[law.name](folder)
