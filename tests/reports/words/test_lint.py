"""Each remark of the lint, provoked and absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.lint import (
    BLOCK_RULES,
    METHOD_RULES,
    TABLE_RULES,
    lint,
    replications_needed,
)
from nestbench.sim.cells.cell import Cell
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


@dataclass(frozen=True)
class HalfLaw(Law):
    """The test law with a hardly visible effect of resources."""

    @property
    def truth(self) -> dict[str, float]:
        return {**super().truth, "resources": 0.01}


def first(found: Estimates, number: int) -> Estimates:
    """The first replications."""
    names = (
        "replications",
        "estimate",
        "std_error",
        "df",
        "lower",
        "upper",
        "p_value",
        "status",
        "message",
        "seconds",
    )
    cut = {name: getattr(found, name)[:number] for name in names}
    return replace(found, **cut, quantities={k: v[:number] for k, v in found.quantities.items()})


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


def test_a_method_that_fails_often(study: FakeResults) -> None:
    often = np.where(np.arange(200) % 5 == 0, FitStatus.NOT_CONVERGED, FitStatus.OK)
    assert "many failures" in rules(changed(study, status=often.astype(np.int8)))


class Untimed(FakeResults):
    """A run without times."""

    def timings(self, cell: int) -> pd.DataFrame:
        return super().timings(cell).iloc[:0]


@pytest.fixture(scope="module")
def clean() -> Untimed:
    """Enough data sets, a null effect, no failures, no times: nothing to remark."""
    big = school_study(reps=9000, schools=(10,), icc=(0.0,))
    cell = big.experiment.cells[0]
    kept = tuple(e for e in big.experiment.estimators if e.name != "mixedlm")
    experiment = replace(big.experiment, cells=(Cell(NullLaw(), cell.layout, cell.model),), estimators=kept)
    found = {e.label: centred(big.cells[0][e.label]) for e in kept}
    return Untimed(experiment, [found])


def centred(found: Estimates) -> Estimates:
    """Estimates of `NullLaw`: those of the test law without its effect of resources."""
    moved = np.array([0.0, 0.0, 0.0, 0.5])
    names = ("estimate", "lower", "upper")
    return replace(found, **{name: getattr(found, name) - moved for name in names})


def failing_where_large(found: Estimates) -> Estimates:
    large = found.estimate[:, 3] > np.quantile(found.estimate[:, 3], 0.97)
    return replace(found, status=np.where(large, FitStatus.NOT_CONVERGED, FitStatus.OK).astype(np.int8))


def failing_anywhere(found: Estimates) -> Estimates:
    often = np.arange(found.size) % 16 == 0
    return replace(found, status=np.where(often, FitStatus.NOT_CONVERGED, FitStatus.OK).astype(np.int8))


def repeating(found: Estimates) -> Estimates:
    estimate = found.estimate.copy()
    estimate[7] = estimate[3]
    return replace(found, estimate=estimate)


def constant(found: Estimates) -> Estimates:
    estimate = found.estimate.copy()
    estimate[:, 1] = 2.0
    return replace(found, estimate=estimate)


def far_off(found: Estimates) -> Estimates:
    """Estimates of age far from its truth."""
    moved = np.array([0.0, 100.0, 0.0, 0.0])
    return replace(found, estimate=found.estimate + moved)


SPOILT: dict[str, Callable[[Estimates], Estimates]] = {
    "failures related to the estimate": failing_where_large,
    "many failures": failing_anywhere,
    "duplicated replications": repeating,
    "constant estimates": constant,
    "truth outside the sampled range": far_off,
}


def test_a_clean_study_has_no_remark(clean: Untimed) -> None:
    assert rules(clean) == set()


@pytest.mark.parametrize("rule", SPOILT)
def test_spoiling_one_method_gives_that_remark_alone(clean: Untimed, rule: str) -> None:
    found = clean.cells[0]
    spoilt = Untimed(clean.experiment, [{**found, "ols": SPOILT[rule](found["ols"])}])
    assert rules(spoilt) == {rule}


def test_spoiling_the_study_gives_that_remark_alone(clean: Untimed) -> None:
    few = {label: first(found, 300) for label, found in clean.cells[0].items()}
    assert rules(Untimed(clean.experiment, [few])) == {"too few replications"}
    assert rules(FakeResults(clean.experiment, clean.cells)) == {"timings made under load"}
    cell = clean.experiment.cells[0]
    effect = replace(clean.experiment, cells=(Cell(HalfLaw(), cell.layout, cell.model),))
    assert rules(Untimed(effect, clean.cells)) == {"no null effect"}


def test_every_rule_is_provoked_here() -> None:
    alone = {"too few replications", "timings made under load", "no null effect"}
    assert len(alone | set(SPOILT)) == len(TABLE_RULES + BLOCK_RULES + METHOD_RULES)
