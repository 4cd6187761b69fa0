"""Populations for the trial of the advice, of kinds that analysts meet, drawn at random within each kind.

The advice knows of none of them: it sees a data set, and its scenarios are made of that. None was taken out or changed
after it had been advised on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept.law import RandomIntercept


@dataclass(frozen=True, slots=True)
class Case:
    """A population with its layout and model, the kind it is of, and the term that is asked about."""

    kind: str
    number: int
    cell: Cell
    term: str


Drawn = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""Term, and what population and layout set."""


def cases(populations: int, seed: int) -> list[Case]:
    """Return so many populations of each kind."""
    return [
        _case(kind, number, draw(np.random.default_rng([seed, at, number])))
        for at, (kind, draw) in enumerate(KINDS.items())
        for number in range(populations)
    ]


def _case(kind: str, number: int, drawn: Drawn) -> Case:
    term, population, layout = drawn
    model = Model("grade ~ treated + age + gender", subgroup="class" if "classes" in layout else None)
    return Case(kind, number, Cell(RandomIntercept(**population), Layout(**layout), model), term)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(f"{rng.uniform(low, high):.2g}")


def _schools(
    rng: np.random.Generator, low: int, high: int, students: tuple[int, int] = (10, 30)
) -> dict[str, Any]:
    """Return a layout with about half of its schools treated."""
    schools = int(rng.integers(low, high + 1))
    treated = int(rng.integers(schools // 3, schools - schools // 3 + 1))
    return {"schools": schools, "students": int(rng.integers(*students)), "treated_schools": max(treated, 2)}


def _few(rng: np.random.Generator) -> Drawn:
    return "treated", {"icc": _between(rng, 0.05, 0.4)}, _schools(rng, 6, 12)


def _unequal(rng: np.random.Generator) -> Drawn:
    layout = _schools(rng, 12, 30) | {"size_cv": _between(rng, 0.6, 1.5)}
    return "treated", {"icc": _between(rng, 0.05, 0.4)}, layout


def _giant(rng: np.random.Generator) -> Drawn:
    layout = _schools(rng, 10, 20) | {"giant_school": int(rng.integers(100, 300))}
    return "treated", {"icc": _between(rng, 0.05, 0.4)}, layout


def _few_treated(rng: np.random.Generator) -> Drawn:
    layout = _schools(rng, 20, 40) | {"treated_schools": int(rng.integers(2, 6))}
    return "treated", {"icc": _between(rng, 0.05, 0.4)}, layout


def _confounded(rng: np.random.Generator) -> Drawn:
    population = {
        "icc": _between(rng, 0.1, 0.4),
        "age_icc": _between(rng, 0.15, 0.5),
        "age_confounding": _between(rng, 0.4, 0.9),
    }
    return "age", population, _schools(rng, 15, 40)


def _unequal_arms(rng: np.random.Generator) -> Drawn:
    population = {
        "icc": _between(rng, 0.05, 0.3),
        "treated_variance_ratio": _between(rng, 2.0, 6.0),
        "treated_school_variance_ratio": _between(rng, 1.0, 6.0),
    }
    return "treated", population, _schools(rng, 12, 40)


def _random_slopes(rng: np.random.Generator) -> Drawn:
    return (
        "age",
        {"icc": _between(rng, 0.05, 0.4), "slope_sd": _between(rng, 0.2, 0.6)},
        _schools(rng, 10, 30),
    )


def _heavy_tails(rng: np.random.Generator) -> Drawn:
    population = {
        "icc": _between(rng, 0.05, 0.4),
        "residual_shape": str(rng.choice(["t(3)", "t(4)", "chi2(2)", "lognormal(1)"])),
        "school_errors": str(rng.choice(["t(3)", "chi2(2)", "lognormal(1)"])),
    }
    return "treated", population, _schools(rng, 8, 30)


def _classes(rng: np.random.Generator) -> Drawn:
    population = {"icc": _between(rng, 0.02, 0.2), "class_icc": _between(rng, 0.05, 0.25)}
    return "treated", population, _schools(rng, 10, 24, (12, 30)) | {"classes": int(rng.integers(2, 5))}


def _any_icc(rng: np.random.Generator) -> Drawn:
    return "treated", {"icc": float(rng.choice([0.0, 0.01, 0.1, 0.3, 0.5]))}, _schools(rng, 8, 50)


def _one_treated(rng: np.random.Generator) -> Drawn:
    layout = _schools(rng, 10, 30) | {"treated_schools": 1}
    return "treated", _unlike(rng), layout


def _two_treated(rng: np.random.Generator) -> Drawn:
    layout = _schools(rng, 10, 30) | {"treated_schools": 2}
    return "treated", _unlike(rng), layout


def _unlike(rng: np.random.Generator) -> dict[str, Any]:
    """Return a population whose treated schools vary far more than the others: what few of them can't show."""
    return {"icc": _between(rng, 0.1, 0.4), "treated_school_variance_ratio": _between(rng, 4.0, 10.0)}


def _three(rng: np.random.Generator) -> Drawn:
    layout = {"schools": 3, "students": int(rng.integers(10, 30)), "treated_schools": 1}
    return "treated", {"icc": _between(rng, 0.1, 0.4)}, layout | {"size_cv": _between(rng, 0.6, 1.2)}


KINDS: Mapping[str, Callable[[np.random.Generator], Drawn]] = {
    "few schools": _few,
    "unequal schools": _unequal,
    "one giant school": _giant,
    "few treated": _few_treated,
    "confounded": _confounded,
    "unequal arms": _unequal_arms,
    "random slopes": _random_slopes,
    "heavy tails": _heavy_tails,
    "classes": _classes,
    "ICC 0 to .5": _any_icc,
    "one treated, unlike": _one_treated,
    "two treated, unlike": _two_treated,
    "three schools": _three,
}
"""The last three are those of which few methods hold, or none."""
