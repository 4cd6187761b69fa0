"""Advice on one term: a value that holds the answer and all it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from nestbench.advising.calibration import Calibration
from nestbench.advising.design import Design
from nestbench.advising.scenarios import Scenario
from nestbench.advising.validity import Choice
from nestbench.estimators.estimator import Info
from nestbench.own_data.fit import Fit
from nestbench.sim.observed.model import Model


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Advice:
    """Which method to use for one term of one's own data.

    All but `fit` depends on the design and the residuals alone: an outcome to which c times the term is added gets
    the same advice.

    Attributes
    ----------
    term : str
    model : Model
    choice : Choice
        The method named, those that are valid, and how sure that is.
    table : DataFrame
        A row a scenario and method: coverage, size, width, score, power, grade.
    scenarios : tuple of Scenario
        The scenarios that were simulated.
    design : Design
        The design of the term, with sentences.
    calibration : Calibration
    placebo : DataFrame
        Rejection rates of placebo terms on the real outcome.
    infos : dict of str to Info
        What each method is, by its label.
    planted : float
        The effect that power is of.
    replications, seed : int
    toml, design_csv : str
        The experiment and the design that it is on, to run again.
    messages : tuple of str
        What was done to the data.
    fits : tuple of Fit
        On the data: the method named first (where none is without an assumption, the one that holds with it and the
        one that falls least short without), then the usual ones.
    remarks : tuple of str
        What is to be said of the outcome itself.
    shown, html : str
        The answer for a terminal and for a notebook.
    """

    term: str
    model: Model
    choice: Choice
    table: pd.DataFrame
    laws: tuple[Scenario, ...]
    design: Design
    calibration: Calibration
    placebo: pd.DataFrame
    infos: Mapping[str, Info]
    planted: float
    replications: int
    seed: int
    toml: str
    design_csv: str
    messages: tuple[str, ...]
    fits: tuple[Fit, ...]
    remarks: tuple[str, ...] = ()
    shown: str = ""
    html: str = ""

    @property
    def method(self) -> str | None:
        """The method named; None where no method holds in every scenario."""
        return self.choice.named

    @property
    def scenarios(self) -> pd.DataFrame:
        """The scenarios: name, why, and what they set."""
        return pd.DataFrame([{"scenario": law.name, "why": law.why, **law.parameters} for law in self.laws])

    @property
    def fit(self) -> Fit:
        """What the method named says of the data; where none is named, the least bad."""
        return self.fits[0]

    def __repr__(self) -> str:
        return self.shown

    def _repr_html_(self) -> str:
        return self.html
