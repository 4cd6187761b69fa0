"""What batches add to a measure, against the measure of each batch alone."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.history.entry import BATCHES, entry_of_plain
from nestbench.history.recording import entries_of
from nestbench.reports.accuracy.baseline import KEPT, measures_of
from tests.history.runs import day
from tests.reports.accuracy.gate_studies import failing, gate_study, with_defect


def test_a_run_has_a_line_for_each_term_and_method_and_every_measure() -> None:
    run = gate_study(40, cells=2)
    entries = list(entries_of(run, day(3)))
    assert len({(one.series) for one in entries}) == len(entries) == 2 * 2 * 5
    one = entries[0]
    assert (one.commit, one.seed, one.replications, one.where) == ("c3", 1, 40, "ICC 0")
    assert set(one.points) == set(KEPT)
    expected = measures_of(run.cells[0]["plain"], run.experiment.cells[0])["Intercept"]
    assert {name: point.value for name, point in one.points.items()} == expected


def test_means_of_batches_are_those_of_their_replications() -> None:
    """Of measures that are means, exactly; codes are rounded to 1/32 767 of the largest."""
    run = gate_study(400, cells=1, methods=("plain",))
    fits, cell = run.cells[0]["plain"], run.experiment.cells[0]
    (entry,) = [one for one in entries_of(run, day(0)) if one.term == "age"]
    for name in ("bias", "coverage", "rejection", "usable_share"):
        point = entry.points[name]
        for b in range(BATCHES):
            alone = measures_of(fits.take(fits.replications % BATCHES == b), cell)["age"][name][0]
            assert point.batches is not None
            assert point.value[0] + point.batches[b] == pytest.approx(alone, abs=2e-4 * (abs(alone) + 1))


def test_batches_vary_as_the_monte_carlo_error_says() -> None:
    names = ("bias", "empirical_se", "model_se", "se_error", "coverage", "interval_width")
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(40):
        run = gate_study(400, seed, cells=1, methods=("plain",))
        (entry,) = [one for one in entries_of(run, day(0)) if one.term == "age"]
        for name in names:
            point = entry.points[name]
            assert point.batches is not None
            assert abs(point.batches.sum()) <= BATCHES * point.unit
            ratios[name].append(point.batches.var(ddof=1) / BATCHES / point.value[1] ** 2)
    # Each ratio is about chi-squared with 39 df over 39; five standard errors of the mean of 40: false alarm 1e-6.
    for name, found in ratios.items():
        assert np.mean(found) == pytest.approx(1.0, abs=5 * np.sqrt(2 / 39 / 40) + 0.03), name


def test_failed_fits_are_in_their_batches() -> None:
    run = with_defect(gate_study(400, cells=1, methods=("plain",)), "plain", failing)
    status = run.cells[0]["plain"].status
    (entry,) = [one for one in entries_of(run, day(0)) if one.term == "age"]
    point = entry.points["usable_share"]
    assert point.value[0] == np.mean(status == 0) < 1.0
    assert point.batches is not None
    shares = [np.mean(status[b::BATCHES] == 0) for b in range(BATCHES)]
    np.testing.assert_allclose(point.value[0] + point.batches, shares, atol=1e-5)


def test_a_line_reads_back() -> None:
    for one in entries_of(gate_study(40, cells=1), day(0)):
        back = entry_of_plain(one.plain)
        assert back.plain == one.plain
