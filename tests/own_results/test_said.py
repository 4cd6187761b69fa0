"""What is odd in a table is said, or refused by name; nothing is passed over in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.measures.performance import performance_of_cell
from nestbench.sim.errors import InvalidInput
from tests.own_results.studies import read, said, study


def test_rows_that_repeat_another_are_left_out_and_counted() -> None:
    frame = study()
    results = read(pd.concat([frame, frame.iloc[:7]]))
    assert said(results, "Duplicated") == "Duplicated: 7 rows repeated an earlier one, left out"
    assert results.fits[0]["plain"].size == 40


def test_rows_that_contradict_another_are_refused() -> None:
    frame = study()
    frame.loc[0, "rep"] = 2
    with pytest.raises(
        InvalidInput, match=r"got several with different numbers: 1 row too many.*method 'plain'"
    ):
        read(frame)


def test_a_fit_that_the_table_lacks_has_failed_but_not_after_the_last() -> None:
    frame = study()
    gone = (frame["method"] == "robust") & (frame["n"] == 20) & (frame["errors"] == "normal")
    lacking = frame[~(gone & frame["rep"].isin([3, 9]))]
    results = read(lacking)
    assert said(results, "Missing:").endswith("'robust' 2")
    found = results.fits[0]["robust"]
    assert found.size == 40
    assert np.flatnonzero(found.status == FitStatus.FAILED).tolist() == [2, 8]
    assert found.texts()[2] == "not in the table"
    short = read(frame[~(gone & (frame["rep"] > 10))])
    assert short.fits[0]["robust"].size == 10
    assert said(short, "fewer replications than other methods") == (
        "Unbalanced: fewer replications than other methods: 'robust' in 1 condition"
    )


def test_a_term_that_a_fit_lacks_beside_others_is_said() -> None:
    both = pd.concat([study().assign(term=term) for term in ("age", "sex")])
    gone = (both["rep"] == 4) & (both["term"] == "sex") & (both["n"] == 20) & (both["method"] == "plain")
    results = read(both[~gone])
    assert said(results, "Missing: rows of terms in fits that have others").endswith("'plain' 2")
    found = results.fits[0]["plain"]
    assert (found.size, found.status[3]) == (40, FitStatus.OK)
    assert found.usable[3].tolist() == [True, False]


def test_conditions_and_methods_that_are_not_crossed_are_said() -> None:
    frame = study()
    results = read(frame[(frame["method"] == "plain") | (frame["n"] == 20)])
    assert (
        said(results, "not in every condition")
        == "Unbalanced: not in every condition: 'robust' in 2 conditions"
    )
    uneven = read(frame[(frame["n"] == 20) | (frame["rep"] <= 30)])
    assert said(uneven, "conditions have") == "Unbalanced: conditions have 30 to 40 replications"


def test_constant_standard_errors_are_said() -> None:
    frame = study()
    frame.loc[frame["method"] == "robust", "se"] = 0.1
    assert said(read(frame), "Constant standard errors").endswith("'robust' (4 places)")


def test_infinite_and_missing_estimates_are_failed_fits() -> None:
    frame = study()
    frame.loc[0, "estimate"], frame.loc[2, "estimate"] = np.inf, np.nan
    results = read(frame)
    found = results.fits[0]["plain"]
    assert found.status[:3].tolist() == [FitStatus.FAILED, FitStatus.FAILED, FitStatus.OK]
    assert found.texts()[:2] == ["infinite estimate", "no estimate in the table"]
    assert said(results, "Infinite estimate in 1 row")
    assert said(results, "No estimate in the table in 1 row")


def test_errors_below_zero_or_infinite_are_no_answers() -> None:
    frame = study()
    frame.loc[0, "se"], frame.loc[2, "se"] = -0.1, np.inf
    results = read(frame)
    assert results.fits[0]["plain"].usable[:3, 0].tolist() == [False, False, True]
    assert (
        said(results, "Standard errors below 0")
        == "Standard errors below 0, taken as missing in 1 of 320 rows"
    )
    assert said(results, "Infinite standard errors")


STATUSES: list[tuple[str, list[Any], list[bool]]] = [
    ("converged", [True, True, False], [True, True, False]),
    ("converged", [1, 1, 0], [True, True, False]),
    ("converged", ["yes", "yes", "no"], [True, True, False]),
    ("convergence", [0, 0, 52], [True, True, False]),
    ("status", ["ok", "converged", "max iterations"], [True, True, False]),
    ("status", ["OK", "BOUNDARY", "NOT_CONVERGED"], [True, True, False]),
    ("error", ["", np.nan, "singular matrix"], [True, True, False]),
    ("failed", [0, 0, 1], [True, True, False]),
    ("failed", ["FALSE", "FALSE", "TRUE"], [True, True, False]),
]


@pytest.mark.parametrize(("name", "values", "usable"), STATUSES)
def test_statuses_as_people_write_them(name: str, values: list[Any], usable: list[bool]) -> None:
    frame = study().query("method == 'plain' and n == 20 and errors == 'normal'").iloc[:30]
    results = read(frame.assign(**{name: values * 10}))
    (fits,) = results.fits
    assert (fits["plain"].status <= FitStatus.BOUNDARY)[:3].tolist() == usable
    assert fits["plain"].usable[:3, 0].tolist() == usable
    if values[2] == "singular matrix":
        assert fits["plain"].texts()[2] == "error: singular matrix"


@pytest.mark.parametrize(("written", "other"), [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_true_and_false_in_a_file_are_words_whatever_the_column_is_called(
    tmp_path: Path, written: str, other: str
) -> None:
    """Of numbers, 0 may mean success."""
    frame = study().assign(fini=[written, written, written, other] * 80)
    frame.to_csv(tmp_path / "found.csv", index=False)
    results = read(tmp_path / "found.csv", status="fini")
    assert "'fini' says 'TRUE' of usable fits, 80 rows aren't" in results.said
    assert (results.fits[0]["robust"].status == FitStatus.NOT_CONVERGED).sum() == 20


def test_a_truth_with_a_decimal_comma_is_refused_as_a_number() -> None:
    with pytest.raises(
        InvalidInput, match=r"expected a truth such as 0\.5, .*, got '0,3'; give a finite number"
    ):
        read(study(), truth="0,3")


def test_codes_that_may_mean_either_are_asked_about() -> None:
    frame = study().assign(status=[1, 1, 1, 0] * 80)
    with pytest.raises(
        InvalidInput, match=r"which values of 'status' mean a usable fit, got '1', '0'; say them"
    ):
        read(frame)
    results = read(frame, usable="1")
    assert (results.fits[0]["robust"].status == FitStatus.NOT_CONVERGED).sum() == 20
    with pytest.raises(InvalidInput, match="got fine, which it doesn't have; it has '1', '0'"):
        read(frame, usable="fine")


def test_messages_go_with_failed_fits() -> None:
    frame = study().assign(converged=True, message="")
    frame.loc[0, ["converged", "message"]] = [False, "ran out of steps"]
    found = read(frame).fits[0]["plain"]
    assert found.texts()[0] == "converged: False; ran out of steps"
    assert found.status[0] == FitStatus.NOT_CONVERGED


def test_a_column_with_a_level_a_row_is_no_factor() -> None:
    frame = study()
    results = read(frame.assign(seconds=np.linspace(0.1, 3, len(frame))))
    assert (
        said(results, "'seconds' isn't a factor")
        == "'seconds' isn't a factor: 320 values in 320 rows, left out"
    )
    assert len(results.fits) == 4


def test_what_differs_between_the_fits_of_a_data_set_is_no_factor() -> None:
    results = read(study().assign(iterations=np.arange(320) % 7))
    assert said(results, "'iterations' isn't a factor")
    assert len(results.fits) == 4


def test_what_belongs_to_methods_is_no_factor() -> None:
    frame = study()
    results = read(frame.assign(package=frame["method"].map({"plain": "stats", "robust": "sandwich"})))
    assert said(results, "'package' belongs to the methods")


def test_a_number_of_the_condition_is_no_factor_beside_what_it_numbers() -> None:
    frame = study()
    dgm = frame.groupby(["n", "errors"]).ngroup() + 1
    results = read(frame.assign(dgm=dgm))
    assert said(results, "'dgm' numbers the conditions")
    alone = read(frame.assign(dgm=dgm).drop(columns=["n", "errors"]))
    assert [levels["dgm"] for levels in alone.experiment.levels] == [1, 2, 3, 4]


def test_factors_that_leave_no_replications_are_refused_by_name() -> None:
    frame = study().assign(draw=np.arange(320) // 2)
    with pytest.raises(
        InvalidInput, match=r"160 conditions of about one from 'draw' \(160 levels\).*--ignore"
    ):
        read(frame, factors="draw")


def test_factors_may_be_chosen_and_the_rest_is_named() -> None:
    frame = study().query("n == 20").assign(lab="x")
    results = read(frame, factors="errors")
    assert [dict(levels) for levels in results.experiment.levels] == [
        {"errors": "normal"},
        {"errors": "skewed"},
    ]
    assert said(results, "not among the factors")


def test_a_missing_level_is_a_level() -> None:
    frame = study()
    frame["errors"] = frame["errors"].where(frame["errors"] == "normal")
    results = read(frame)
    assert [levels["errors"] for levels in results.experiment.levels] == ["normal", "(missing)"] * 2
    assert said(results, "is missing in 160 rows")


def test_numbers_as_text_are_numbers_and_slips_are_said() -> None:
    frame = study()
    as_text = frame.assign(estimate=frame["estimate"].map("{:.17g}".format))
    as_text.loc[0, "estimate"] = "did not run"
    results = read(as_text)
    assert "'did not run' (1) among numbers" in said(results, "among numbers")
    np.testing.assert_allclose(
        results.fits[0]["plain"].estimate[1:], read(frame).fits[0]["plain"].estimate[1:], rtol=1e-15
    )
    with pytest.raises(InvalidInput, match="expected numbers in 'estimate', got 'a' in row 1"):
        read(frame.assign(estimate=["a", "b"] * 160), estimate="estimate")


def test_decimal_commas_are_read(tmp_path: Any) -> None:
    frame = study()
    path = tmp_path / "comma.csv"
    frame.to_csv(path, sep=";", decimal=",", index=False)
    results = read(path)
    np.testing.assert_array_equal(results.fits[0]["plain"].estimate, read(frame).fits[0]["plain"].estimate)
    assert any("decimal commas" in sentence for sentence in results.said)


def test_a_truth_of_a_few_values_within_a_condition_is_refused_with_what_to_do() -> None:
    frame = study()
    with pytest.raises(InvalidInput, match=r"expected one true value.*name it among --factors"):
        read(frame.assign(true=np.where(frame["rep"] % 2, 0.5, 0.7)), factors="n,errors")


def test_a_truth_drawn_anew_must_be_in_every_row() -> None:
    frame = study()
    frame = frame.assign(true=np.repeat(np.random.default_rng(1).normal(size=160), 2))
    frame.loc[[3, 8], "true"] = np.nan
    with pytest.raises(
        InvalidInput, match=r"expected a true value in every row of 'true'.*got none in 2 rows"
    ):
        read(frame)


def test_a_given_truth_comes_before_a_column_of_the_name() -> None:
    results = read(study().assign(true=np.tile([0.1, 0.2, 0.3, 0.4], 80)), truth=0.5)
    assert results.experiment.cells[0].truth == {"estimate": 0.5}
    assert said(results, "for the truth was given: 'true'")
    assert len(results.fits) == 4


def test_ends_the_wrong_way_round_are_refused() -> None:
    frame = study().assign(lower=1.0, upper=0.0)
    with pytest.raises(InvalidInput, match="give the two the other way round"):
        read(frame)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(), pd.DataFrame({"estimate": [np.nan] * 3}), study().iloc[:0]]
)
def test_tables_without_rows_are_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="got no rows in a DataFrame"):
        read(frame)


def test_columns_of_one_name_are_refused() -> None:
    frame = study()
    with pytest.raises(InvalidInput, match="got 'se' twice"):
        read(pd.concat([frame, frame[["se"]]], axis=1))


def test_names_that_move_a_cursor_are_shown() -> None:
    frame = study()
    frame["method"] = frame["method"].replace("plain", "pl\x1b[2Jain")
    assert list(read(frame).fits[0]) == ["pl\\x1b[2Jain", "robust"]


def test_rows_without_a_replication_or_a_method_are_said() -> None:
    frame = study()
    with pytest.raises(InvalidInput, match="expected a replication in every row, got none in 46 rows of rep"):
        read(frame.assign(rep=frame["rep"].where(frame.index % 7 > 0)))
    assert said(read(frame.assign(method=None)[::2]), "No method is named") == (
        "No method is named in 160 rows: called (missing)"
    )


ODD: list[tuple[dict[str, Any], str]] = [
    ({"method": "a" * 201}, "at most 200 letters"),
    ({"estimate": "1,234"}, "which may be 1.234 or 1234"),
    ({"estimate": 1 + 1j}, "expected numbers in 'estimate'"),
]


@pytest.mark.parametrize(("column", "words"), ODD)
def test_odd_columns_are_refused_in_words(column: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as told:
        read(study().assign(**column), estimate="estimate")
    assert words in str(told.value)


def test_odd_columns_that_mean_something_are_read(tmp_path: Any) -> None:
    frame = study()
    frame["parts"] = [[1, 2]] * len(frame)
    comma = frame.assign(estimate=frame["estimate"].map(lambda v: f"{v:.6f}".replace(".", ",")))
    np.testing.assert_allclose(
        read(comma).fits[0]["plain"].estimate, read(frame).fits[0]["plain"].estimate, atol=1e-6
    )
    for kinds in ({"method": "category", "errors": "category"}, {"method": "string"}):
        assert len(read(study().astype(kinds)).fits) == 4
    assert read(study().convert_dtypes()).fits[0]["robust"].size == 40


@pytest.mark.parametrize("truth", [None, 0.5])
@pytest.mark.parametrize(
    "column",
    [{"estimate": np.nan}, {"estimate": 1e300}, {"se": 0.0}, {"df": 0}, {"term": "(fit)"}, {"term": "*"}],
    ids=str,
)
def test_no_table_is_too_odd_for_its_performance_table(column: dict[str, Any], truth: float | None) -> None:
    results = read(study(8).assign(**column), **({} if truth is None else {"truth": truth}))
    cells = zip(results.fits, results.experiment.cells, strict=True)
    assert all(len(performance_of_cell(dict(fits), cell.truth, cell.model)) for fits, cell in cells)
