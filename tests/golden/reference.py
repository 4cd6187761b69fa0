"""Stored reference values (README.md in this folder says where they come from) and the data they belong to.

from tests.golden.reference import golden, models_with

case = golden("bal10", "m1")
case.frame()                                        # the data
case.values("exact", "cr", "CR2", "se")             # {"Intercept": ..., "age": ..., "gender[T.male]": ...}
case.values("lmm", "ri", "REML", "kenward_roger", "df")
case.at("lmm", "ri", "REML", "theta")               # the raw entry

@pytest.mark.parametrize("case", models_with("wcb"), ids=str)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from nestbench.sim.observed.batch import Batch, batch_of_frame
from nestbench.sim.observed.model import Model

HERE = Path(__file__).parent
RENAMED = {"(Intercept)": "Intercept", "gendermale": "gender[T.male]"}
"""R's names of terms -> formulaic's; all others are the same."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Reference values of one model on one data set."""

    dataset: str
    model: str

    def __str__(self) -> str:
        return f"{self.dataset}-{self.model}"

    @property
    def formula(self) -> str:
        """Fixed part."""
        return str(self.at("formula"))

    @property
    def group(self) -> str:
        """Name of the group column."""
        return str(_stored()["datasets"][self.dataset]["cluster"])

    @property
    def terms(self) -> tuple[str, ...]:
        """Formulaic names of the coefficients, in the order the vectors are stored in."""
        return tuple(named(term) for term in self.at("terms"))

    def frame(self) -> pd.DataFrame:
        """Return the data, labels as strings."""
        return _frame(self.dataset).copy()

    def batch(self) -> Batch:
        """Return the data as a batch of one replication."""
        return batch_of_frame(self.frame(), self.group)

    def spec(self, **changes: Any) -> Model:
        """Return the analysis model; `changes` are fields such as ``random="1 + age"``."""
        return Model(**{"formula": self.formula, "group": self.group, **changes})

    def has(self, *path: str) -> bool:
        """Whether an entry is stored."""
        try:
            return self.at(*path) is not None
        except KeyError:
            return False

    def at(self, *path: str) -> Any:
        """Return a stored entry, by its keys."""
        entry: Any = _stored()["datasets"][self.dataset]["models"][self.model]
        for key in path:
            entry = entry[key]
        return entry

    def values(self, *path: str) -> dict[str, float]:
        """Return a stored vector by formulaic term; the nearest `terms` on the path apply."""
        terms: list[str] = self.at("terms")
        for stop in range(1, len(path)):
            block = self.at(*path[:stop])
            if isinstance(block, Mapping) and "terms" in block:
                terms = block["terms"]
        vector = self.at(*path)
        return {
            named(term): float("nan") if v is None else float(v)
            for term, v in zip(terms, vector, strict=True)
        }

    def by_term(self, *path: str) -> dict[str, Any]:
        """Return a stored mapping whose keys are terms (the ``wcb`` blocks) with formulaic names."""
        return {named(term): entry for term, entry in self.at(*path).items()}


def golden(dataset: str, model: str) -> Golden:
    """Return the reference values of one model on one data set."""
    _stored()["datasets"][dataset]["models"][model]
    return Golden(dataset, model)


def models_with(*path: str) -> list[Golden]:
    """Return every model with an entry, e.g. ``models_with("lmm", "rs")``; without a path, all of them."""
    every = [Golden(name, model) for name, data in _stored()["datasets"].items() for model in data["models"]]
    return [case for case in every if case.has(*path)]


def named(term: str) -> str:
    """Return formulaic's name of one of R's terms."""
    return RENAMED.get(term, term)


@cache
def _stored() -> Any:
    return json.loads((HERE / "reference.json").read_text(encoding="utf-8"))


@cache
def _frame(dataset: str) -> pd.DataFrame:
    labels = {_stored()["datasets"][dataset]["cluster"]: str, "class": str, "gender": str}
    return pd.read_csv(HERE / "data" / f"{dataset}.csv", dtype=labels)
