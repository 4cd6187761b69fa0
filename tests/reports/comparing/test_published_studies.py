"""Published studies, run again: data sets drawn by statistics and student by student both find their numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from nestbench.experiments import catalog
from nestbench.experiments.running.in_memory import InMemory
from nestbench.experiments.toml.reading import read_experiment
from nestbench.reports.comparing.published import compare_published
from nestbench.reports.measures.performance import performance_table

STUDIES = [name for name in catalog.names() if name.startswith("study-")]
SLOW_METHOD = "ols-wild(draws=499)"
"""Takes longer than all else together; its numbers don't come from how data sets are drawn."""


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", STUDIES)
def test_published_numbers_are_found(name: str, version: int) -> None:
    """Of T numbers each differs by more than Monte Carlo errors of both sides explain with a chance of 1e-6 / T."""
    study = read_experiment(name)
    populations: list[Any] = [cell.population for cell in study.cells]
    cells = [
        replace(cell, population=replace(law, version=version))
        for cell, law in zip(study.cells, populations, strict=True)
    ]
    methods = tuple(e for e in study.estimators if e.label != SLOW_METHOD)
    study = replace(study, cells=tuple(cells), estimators=methods, replications=1000, audit=0)
    assert {bool(cell.strata()) for cell in cells} == {version == 2}
    compared = compare_published(performance_table(InMemory(study), workers=1), study)
    assert len(compared) > 5
    furthest = compared.loc[compared["errors"].abs().idxmax()]
    assert abs(furthest["errors"]) < stats.norm.isf(5e-7 / len(compared)), furthest.to_dict()
