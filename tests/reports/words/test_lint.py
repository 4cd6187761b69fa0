"""Each remark of the lint, provoked and absent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.lint import lint, replications_needed
from nestbench.sim.cell import Cell
from tests.reports.synthetic import FakeResults, Law, school_study


def rules(study: FakeResults) -> set[str]:
    return {remark.rule for remark in lint(study, performance_table(study))}


@pytest.fixture
def study() -> FakeResults:
    return school_study(reps=200, schools=(10,), icc=(0.2,))


def changed(study: FakeResults, **arrays: np.ndarray) -> FakeResults:
    first = study.cells[0]
    return FakeResults(study.experiment, [{**first, "ols": replace(first["ols"], **arrays)}])


@dataclass(frozen=True)
class NullLaw(Law):
    """The test law without an effect of resources."""

    @property
    def truth(self) -> dict[str, float]:
        return {**super().truth, "resources": 0.0}


def test_too_few_replications_and_how_many_would_do(study: FakeResults) -> None:
    found = lint(study, performance_table(study))
    remark = next(r for r in found if r.rule == "too few replications")
    assert "n down to 1" in remark.found or "n down to 2" in remark.found
    assert replications_needed(0.95, 0.007) == 970
    assert replications_needed(0.5, 0.01) == 2500


def test_enough_replications_are_not_remarked() -> None:
    assert "too few replications" not in rules(school_study(reps=9000, schools=(6,), icc=(0.0,)))


def test_no_null_effect_and_with_one(study: FakeResults) -> None:
    assert "no null effect" in rules(study)
    cell = study.experiment.cells[0]
    null = replace(study.experiment, cells=(Cell(NullLaw(), cell.layout, cell.model),))
    assert "no null effect" not in rules(FakeResults(null, study.cells))


def test_truth_outside_the_range(study: FakeResults) -> None:
    assert "truth outside the sampled range" not in rules(study)
    assert "truth outside the sampled range" in rules(
        changed(study, estimate=study.cells[0]["ols"].estimate + 100)
    )


def test_duplicates(study: FakeResults) -> None:
    assert "duplicated replications" not in rules(study)
    estimate = study.cells[0]["ols"].estimate.copy()
    estimate[7] = estimate[3]
    assert "duplicated replications" in rules(changed(study, estimate=estimate))


def test_failures_that_go_with_the_estimate(study: FakeResults) -> None:
    assert "failures related to the estimate" not in rules(study)
    ols = study.cells[0]["ols"]
    status = np.where(
        ols.estimate[:, 3] > np.quantile(ols.estimate[:, 3], 0.8), FitStatus.NOT_CONVERGED, FitStatus.OK
    )
    assert "failures related to the estimate" in rules(changed(study, status=status.astype(np.int8)))


def test_constant_estimates(study: FakeResults) -> None:
    estimate = study.cells[0]["ols"].estimate.copy()
    estimate[:, 1] = 2.0
    assert "constant estimates" in rules(changed(study, estimate=estimate))


def test_timings_are_qualified(study: FakeResults) -> None:
    assert "timings made under load" in rules(study)
