"""Comparing runs: paired where the data sets are the same, independent where not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestbench.reports.comparing.two_runs import compare_runs
from nestbench.sim.errors import InvalidInput
from tests.reports.synthetic import FakeResults, school_study


@pytest.fixture(scope="module")
def study() -> FakeResults:
    return school_study(reps=300, schools=(10,), icc=(0.0, 0.2))


def test_a_run_does_not_differ_from_itself(study: FakeResults) -> None:
    table = compare_runs(study, study)
    assert table["paired"].all()
    assert not table["beyond"].any()
    assert (table["change"] == 0).all()


def test_a_small_paired_change_is_seen(study: FakeResults) -> None:
    """A shift of a twentieth of a standard error is far inside the unpaired Monte Carlo error."""
    old = study.cells[1]["ols"]
    new = replace(old, estimate=old.estimate + 0.05 * old.estimate.std(axis=0))
    other = FakeResults(study.experiment, [study.cells[0], {**study.cells[1], "ols": new}])
    table = compare_runs(study, other, ("bias",)).set_index(["cell", "estimator", "term"])
    row = table.loc[(1, "ols", "resources")]
    assert row["beyond"]
    assert row["change"] == pytest.approx(0.05 * old.estimate[:, 3].std())
    rest = table.reset_index().query("not (cell == 1 and estimator == 'ols')")
    assert not rest["beyond"].any()


def test_other_seeds_are_compared_as_independent(study: FakeResults) -> None:
    other = school_study(reps=300, seed=99, schools=(10,), icc=(0.0, 0.2))
    other.experiment = replace(other.experiment, seed=1)
    table = compare_runs(study, other)
    assert not table["paired"].any()
    a, b = study.cells[0]["ols"].estimate[:, 3], other.cells[0]["ols"].estimate[:, 3]
    row = table.set_index(["cell", "estimator", "term", "measure"]).loc[(0, "ols", "resources", "bias")]
    assert row["mcse"] == pytest.approx(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 300))
    assert table["beyond"].mean() < 0.2


def test_cells_are_matched_by_what_they_are_not_by_number(study: FakeResults) -> None:
    turned = replace(
        study.experiment, cells=study.experiment.cells[::-1], levels=study.experiment.levels[::-1]
    )
    table = compare_runs(study, FakeResults(turned, study.cells[::-1]))
    assert (table["change"] == 0).all()


def test_nothing_in_common_is_an_error(study: FakeResults) -> None:
    with pytest.raises(InvalidInput, match="conditions in common, got none"):
        compare_runs(study, school_study(reps=5, schools=(7,), icc=(0.1,)))
