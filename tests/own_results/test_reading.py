"""A table of results and its measures, held against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import nestbench
from nestbench.estimators.estimates import ALONE
from tests.oracles.measures import oracle
from tests.own_results.studies import only, read, said, study


def test_every_measure_is_that_of_the_rows(tmp_path: Path) -> None:
    """Brute force: each measure of each condition and method, from the table's own rows."""
    frame = study()
    frame.loc[5, "estimate"] = np.nan
    run = nestbench.read_results(frame, tmp_path / "run", truth=0.5, level=0.9)
    half = stats.t(frame["df"]).ppf(0.95) * frame["se"]
    frame = frame.assign(l=frame["estimate"] - half, u=frame["estimate"] + half)
    frame["p"] = 2 * stats.t(frame["df"]).sf((frame["estimate"] / frame["se"]).abs())
    table = run.performance()
    table = table[table["term"] == "estimate"]
    assert len(table) > 150
    for row in table.itertuples():
        cell = run.experiment.levels[row.cell]
        own = frame[
            (frame["n"] == cell["factor.n"])
            & (frame["errors"] == cell["errors"])
            & (frame["method"] == row.estimator)
        ]
        rows = [
            {"t": r.estimate, "s": r.se, "l": r.l, "u": r.u, "p": r.p, "th": 0.5}
            for r in own.dropna().itertuples()
        ]
        assert row.value == pytest.approx(oracle(row.measure, rows, 0.1, len(own)), rel=1e-12), row


def test_what_is_taken_as_what_is_said() -> None:
    results = read(study())
    assert said(results, "Taken as").endswith(
        "estimate estimate, se se, df df, method method, replication rep"
    )
    assert said(results, "Factors:").startswith(
        "Factors: factor.n (2 levels), errors (2 levels); 4 conditions"
    )
    assert "number 0 is rep 1, the last 40" in said(results, "numbered from 0")
    assert "of t with the table's df" in said(results, "95 % intervals made here")
    assert said(results, "No coverage or bias of estimate")


def test_conditions_are_in_the_order_of_their_factors() -> None:
    frame = study().sample(frac=1.0, random_state=1)
    order = pd.Categorical(frame["errors"], ["skewed", "normal"])
    results = read(frame.assign(errors=order))
    levels = [(one["factor.n"], one["errors"]) for one in results.experiment.levels]
    assert levels == [(20, "skewed"), (20, "normal"), (80, "skewed"), (80, "normal")]


def test_rows_in_any_order_are_the_same_results() -> None:
    frame = study()
    mixed = frame.sample(frac=1.0, random_state=2)
    first, second = read(frame, factors="n,errors"), read(mixed, factors="n,errors")
    for one, other in zip(first.fits, second.fits, strict=False):
        assert one.keys() == other.keys()
    by_level = {
        tuple(levels.values()): fits
        for levels, fits in zip(second.experiment.levels, second.fits, strict=True)
    }
    for levels, fits in zip(first.experiment.levels, first.fits, strict=True):
        for label, estimates in fits.items():
            np.testing.assert_array_equal(
                estimates.estimate, by_level[tuple(levels.values())][label].estimate
            )


def test_intervals_and_p_values_of_the_table_stay() -> None:
    frame = study().assign(lower=0.0, upper=[1.0, 2.0] * 160, pval=np.linspace(0, 1, 320)).drop(columns="se")
    results = read(frame)
    found = results.fits[0]["robust"]
    assert (found.upper == 2.0).all()
    assert np.isnan(found.std_error).all()
    assert found.usable.all()
    assert said(results, "taken as 95 % intervals")
    assert said(results, "P-values as in the table")


def test_without_df_the_normal_is_used_and_said() -> None:
    results = read(study().drop(columns="df"))
    found = results.fits[0]["plain"]
    half = stats.norm.ppf(0.975) * found.std_error
    np.testing.assert_allclose(found.upper - found.estimate, half, rtol=1e-12)
    assert (found.df == np.inf).all()
    assert "of the normal distribution" in said(results, "intervals made here")


def test_variances_are_squares_of_standard_errors() -> None:
    frame = study()
    found = read(frame.assign(var=frame["se"] ** 2).drop(columns="se")).fits[0]["plain"]
    np.testing.assert_allclose(found.std_error, read(frame).fits[0]["plain"].std_error, rtol=1e-14)


def test_estimates_alone_have_bias_and_spread_and_nothing_of_tests(tmp_path: Path) -> None:
    run = nestbench.read_results(study().drop(columns=["se", "df"]), tmp_path / "run", truth=0.5)
    measures = set(run.performance()["measure"])
    assert {"bias", "rmse", "empirical_se", "usable_share"} <= measures
    assert not measures & {"coverage", "rejection", "model_se", "interval_width"}
    assert (run.performance().query("measure == 'usable_share'")["value"] == 1.0).all()
    assert (run.store.estimates(0)["plain"].df == ALONE).all()


def test_a_truth_by_condition_by_term_and_for_all() -> None:
    frame = study().assign(theta=lambda f: np.where(f["n"] == 20, 0.5, 0.7))
    by_column = read(frame, truth="theta").experiment
    assert [cell.truth["estimate"] for cell in by_column.cells] == [0.5, 0.5, 0.7, 0.7]
    assert all("theta" not in levels for levels in by_column.levels)
    two = pd.concat([frame.assign(term="a"), frame.assign(term="b")])
    by_term = read(two, truth={"a": 0.5}).experiment.cells[0]
    assert by_term.truth == {"a": 0.5}
    assert "--truth" in by_term.truth_reasons["b"]
    assert read(two, truth=1).experiment.cells[0].truth == {"a": 1.0, "b": 1.0}


def test_a_true_effect_that_nothing_else_tells_is_a_factor() -> None:
    frame = study().assign(effect=np.tile([0.5, 0.5, 0.0, 0.0], 80))
    cells = read(frame, truth="effect", factors="n,errors,effect").experiment.cells
    assert sorted({cell.truth["estimate"] for cell in cells}) == [0.0, 0.5]
    found = read(frame, truth="effect").experiment
    assert len(found.cells) == 8
    assert [cell.truth["estimate"] for cell in found.cells] == [levels["effect"] for levels in found.levels]


def test_the_intercept_of_r_is_a_term_and_a_variance_a_quantity() -> None:
    frame = study()
    parts = [frame.assign(term=term) for term in ("(Intercept)", "x")]
    parts.append(frame.assign(term="(icc)", se=np.nan, df=np.nan))
    found = read(pd.concat(parts)).fits[0]["plain"]
    assert found.terms == ("Intercept", "x")
    np.testing.assert_array_equal(found.quantities["(icc)"], found.estimate[:, 0])


@pytest.mark.parametrize("suffix", ["csv", "parquet", "dta", "csv.gz"])
def test_files_of_all_kinds_are_the_same_results(suffix: str, tmp_path: Path) -> None:
    frame, path = study(), tmp_path / f"results.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    elif suffix == "dta":
        frame.to_stata(path, write_index=False)
    else:
        frame.to_csv(path, index=False)
    first, second = read(frame), read(path)
    for one, other in zip(first.fits, second.fits, strict=True):
        for label in one:
            np.testing.assert_array_equal(one[label].estimate, other[label].estimate)
    assert second.experiment.name == "results"


def test_a_table_without_methods_and_replications_is_one_method() -> None:
    frame = study().query("method == 'plain'")[["n", "estimate", "se"]]
    results = read(frame)
    assert list(results.fits[0]) == ["results"]
    assert only(results).size == 80
    assert said(results, "No column of replications")


def test_a_truth_drawn_anew_in_each_replication_leaves_errors_coverage_and_tests(tmp_path: Path) -> None:
    """Brute force, each replication against its own true value."""
    frame = study().query("n == 20 and errors == 'normal' and method == 'plain'").copy()
    frame["th"] = np.random.default_rng(5).normal(size=len(frame))
    frame["estimate"] += frame["th"] - 0.5
    run = nestbench.read_results(frame, tmp_path / "run", truth="th")
    table = run.performance().set_index("measure")
    error, half = frame["estimate"] - frame["th"], stats.t(frame["df"]).ppf(0.975) * frame["se"]
    wanted = {
        "bias": error.mean(),
        "rmse": (error**2).mean() ** 0.5,
        "empirical_se": error.std(),
        "coverage": (error.abs() <= half).mean(),
        "interval_width": (2 * half).mean(),
        "relative_bias": error.mean() / frame["th"].mean(),
        "rejection": (frame["estimate"].abs() > half).mean(),
    }
    assert table.loc[[*wanted], "value"].to_dict() == pytest.approx(wanted, rel=1e-12)
    assert said(read(frame, truth="th"), "differ between replications").startswith(
        "True values of 'th' differ"
    )


def test_a_method_with_fewer_rows_moves_the_mean_truth_of_none() -> None:
    frame = study().query("n == 20")
    frame = frame.assign(th=np.repeat(np.random.default_rng(5).normal(size=80), 2))
    results = read(frame[(frame["method"] == "plain") | (frame["rep"] <= 10)], truth="th")
    mean = frame.query("errors == 'normal'")["th"].mean()
    assert results.experiment.cells[0].truth["estimate"] == pytest.approx(mean, rel=1e-12)


def test_tests_of_other_values_than_0(tmp_path: Path) -> None:
    frame = study()
    run = nestbench.read_results(frame, tmp_path / "run", truth=0.5, null=0.5)
    found = run.store.estimates(0)["plain"]
    part = frame.query("n == 20 and errors == 'normal' and method == 'plain'")
    p = 2 * stats.t(part["df"]).sf(((part["estimate"] - 0.5) / part["se"]).abs())
    np.testing.assert_allclose(found.p_value[:, 0], p, rtol=1e-12)
    assert nestbench.load(run.directory).cells[0].model.null == {"estimate": 0.5}
    two = pd.concat([frame.assign(term="(Intercept)"), frame.assign(term="x")])
    model = read(two, null={"(Intercept)": 0.5}).experiment.cells[0].model
    assert model.null == {"Intercept": 0.5}
    # Where tests are of 0, nothing says so, and keys stay what they were.
    assert read(frame, null=0).experiment.key == read(frame).experiment.key


def test_p_values_alone_say_how_often_tests_reject(tmp_path: Path) -> None:
    frame = (
        study().assign(p=np.random.default_rng(1).uniform(size=320)).drop(columns=["estimate", "se", "df"])
    )
    frame.loc[0, "p"] = np.nan
    run = nestbench.read_results(frame, tmp_path / "run", truth=0)
    table = run.performance()
    assert set(table["measure"]) == {
        "rejection",
        "rejection_bound",
        "usable_share",
        "share_ok",
        "share_failed",
    }
    for row in table.query("measure == 'rejection'").itertuples():
        levels = run.experiment.levels[row.cell]
        part = frame.query(
            f"n == {levels['factor.n']} and errors == '{levels['errors']}' and method == '{row.estimator}'"
        )
        assert (row.value, row.n) == (
            pytest.approx((part["p"].dropna() <= 0.05).mean()),
            part["p"].notna().sum(),
        )
    assert said(read(frame), "No p-value in the table in 1 row")
    text = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "P-values alone" in text


def test_the_mcse_of_the_rmse_is_the_jackknifes_and_simhelpers_adds_to_it(tmp_path: Path) -> None:
    """simhelpers leaves one out of sqrt(bias^2 + S^2), S^2 with divisor K - 1, around sqrt(mean d^2): the square of
    its MCSE is larger by RMSE^2 / 4K, what the two definitions of the RMSE differ by."""
    frame = study(400).query("n == 20 and errors == 'normal' and method == 'plain'")
    table = nestbench.read_results(frame, tmp_path / "run", truth=0.5).performance().set_index("measure")
    mcse, rmse = table.loc["rmse", "mcse"], table.loc["rmse", "value"]
    error = frame["estimate"].to_numpy() - 0.5
    k = len(error)
    total, squares = error.sum() - error, (error**2).sum() - error**2
    own = np.sqrt(squares / (k - 1))
    theirs = np.sqrt((total / (k - 1)) ** 2 + (squares - total**2 / (k - 1)) / (k - 2))
    jackknife = [((k - 1) / k * np.sum((left - rmse) ** 2)) ** 0.5 for left in (own, theirs)]
    assert mcse == pytest.approx(jackknife[0], rel=2 / k)
    assert (mcse**2 + rmse**2 / (4 * k)) ** 0.5 == pytest.approx(jackknife[1], rel=5 / k)
    assert jackknife[1] > 1.1 * mcse
