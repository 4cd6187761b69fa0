"""An experiment: plain data that says what is drawn, what is fitted and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nestbench.estimators.estimator import Estimator
from nestbench.sim.cell import Cell


@dataclass(frozen=True, slots=True)
class Experiment:
    """A study.

    Attributes
    ----------
    name, title, aims : str
    cells : tuple of Cell
        The factors crossed, first factor slowest.
    levels : tuple of mapping
        For each cell, factor (dotted key such as ``layout.schools``) -> its level.
    estimators : tuple of Estimator
        With their options set.
    replications : int
    seed : int
    engine : str
        ``auto``, ``reference`` or ``batched``.
    reference_replications : int
        Bound on the replications of estimators without a batched engine (under ``auto``).
    audit : int
        Replications of each cell refitted with the other engine.
    plugins : tuple of str
        Files with the user's own estimators or laws.
    source : str
        The TOML text it was read from, or one written for it.
    """

    name: str
    title: str
    aims: str
    cells: tuple[Cell, ...]
    levels: tuple[Mapping[str, Any], ...]
    estimators: tuple[Estimator, ...]
    replications: int = 1000
    seed: int = 20261122
    engine: str = "auto"
    reference_replications: int = 200
    audit: int = 20
    plugins: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
