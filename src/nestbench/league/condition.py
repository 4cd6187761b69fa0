"""The league's conditions: what is drawn, what is made of it, which model is asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from importlib.resources import files
from typing import Any

import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.reading import experiment_from
from nestbench.league.asked import Asked
from nestbench.league.making import MAKING
from nestbench.sim.errors import unknown_name

SEED = 20261126


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the league.

    Attributes
    ----------
    name, says : str
        Its name, and what it is in words.
    asked : Asked
        The model.
    made : tuple of str
        What is done to the drawn table, by names of `making.MAKING`.
    tables : dict
        Layout and population, as in an experiment's file.
    """

    name: str
    says: str
    asked: Asked
    made: tuple[str, ...]
    tables: dict[str, Any]

    def data_set(self, number: int, seed: int = SEED) -> pd.DataFrame:
        """Return a data set as a user would hold it: the columns of the model, a row a student."""
        drawn = self._experiment(seed).data_set(0, number).frame()
        asked = self.asked
        made: pd.DataFrame = reduce(lambda data, name: MAKING[name](data), self.made, drawn)
        names = asked.formula.replace("~", "+").split("+")
        columns = [*(name.strip() for name in names), asked.subgroup, asked.group]
        return made[[name for name in columns if name]]

    def _experiment(self, seed: int) -> Experiment:
        # Methods are never fitted here: an experiment has one.
        settings = {"name": "league", "estimators": ["ols"], "seed": seed}
        return experiment_from({"experiment": settings, **self.tables}, where=f"condition {self.name}")


@cache
def conditions() -> tuple[Condition, ...]:
    """Return all conditions, in the order of their file."""
    read = tomllib.loads(files("nestbench.league").joinpath("conditions.toml").read_text(encoding="utf-8"))
    return tuple(_condition(table, read["usual"]) for table in read["condition"])


def _condition(table: dict[str, Any], usual: dict[str, Any]) -> Condition:
    """Return a condition of its table, with what is usual where it says nothing."""
    asked = Asked(
        table.get("formula", usual["formula"]),
        slope=table.get("slope", ""),
        subgroup=table.get("subgroup", ""),
    )
    tables = {part: {**usual[part], **table.get(part, {})} for part in ("layout", "population")}
    return Condition(table["name"], table["says"], asked, tuple(table.get("made", ())), tables)


def chosen(names: Sequence[str]) -> list[Condition]:
    """Return conditions by name, all without any.

    Raises
    ------
    InvalidInput
        No condition of a name; the message has the nearest.
    """
    known = {condition.name: condition for condition in conditions()}
    for name in names:
        if name not in known:
            raise unknown_name("condition", name, known)
    return [known[name] for name in names] if names else list(known.values())
