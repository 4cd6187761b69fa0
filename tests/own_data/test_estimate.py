"""Methods on a user's own data: from Python and from the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import nestbench
from nestbench.cli import app
from nestbench.estimators.estimates import FitStatus
from nestbench.own_data import side_by_side
from nestbench.own_data.estimate import estimate
from nestbench.own_data.fit import COLUMNS
from nestbench.own_data.side_by_side import fit_all, print_tables
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from tests.golden.reference import HERE, golden

DATA = HERE / "data"
FAST = "ols,ols-cr1s-t,dummies,means"


@pytest.fixture
def frame() -> pd.DataFrame:
    return golden("unbal8", "m2").frame()


def fit(frame: pd.DataFrame, name: str = "ols-cr1s-t", **changes: object) -> nestbench.Fit:
    return estimate(frame, name, **{"formula": "grade ~ age + gender + funding", **changes})  # type: ignore[arg-type]


class TestFit:
    def test_holds_the_reference_values(self, frame: pd.DataFrame) -> None:
        case = golden("unbal8", "m2")
        got = nestbench.estimate(frame, "ols-cr1s-t", formula=case.formula, group="school")
        assert list(got.terms.columns) == list(COLUMNS)
        assert got.terms.index.name == "term"
        for term, value in case.values("exact", "cr", "CR1S", "se").items():
            assert got.terms.loc[term, "std_error"] == pytest.approx(value, rel=1e-9)
        row = got.terms.loc["funding"]
        assert row["statistic"] == pytest.approx(row["estimate"] / row["std_error"])
        assert row["lower"] < row["estimate"] < row["upper"]
        assert (row["df"], got.n, got.groups, got.status, got.usable) == (7, 192, 8, FitStatus.OK, True)
        assert (got.estimator, got.engine in ("reference", "batched"), got.messages) == (
            "ols-cr1s-t",
            True,
            (),
        )
        assert got.loglik is None

    def test_variance_and_loglik_where_the_method_has_them(self, frame: pd.DataFrame) -> None:
        case = golden("unbal8", "m2")
        got = fit(frame, "mixedlm-guarded", formula=case.formula)
        assert got.loglik == pytest.approx(case.at("lmm", "ri", "REML", "loglik"), abs=1e-5)
        tau2 = case.at("lmm", "ri", "REML", "covariance_components", "var school")
        sigma = case.at("lmm", "ri", "REML", "sigma")
        assert got.variance["school_sd"] ** 2 == pytest.approx(tau2, rel=1e-4)
        assert got.variance["residual_sd"] == pytest.approx(sigma, rel=1e-5)
        assert got.variance["icc"] == pytest.approx(tau2 / (tau2 + sigma**2), rel=1e-4)

    def test_random_slope(self) -> None:
        case = golden("slope25", "m1c")
        got = fit(case.frame(), "mixedlm-guarded", formula=case.formula, random="1 + agec")
        assert got.loglik == pytest.approx(case.at("lmm", "rs", "REML", "loglik"), abs=1e-3)

    def test_options_and_level(self, frame: pd.DataFrame) -> None:
        got = fit(frame, "means", weights="size", level=0.8)
        assert got.estimator == "means(weights=size)"
        half = fit(frame, "means", weights="size", level=0.5)
        assert half.terms.loc["funding", "upper"] < got.terms.loc["funding", "upper"]

    def test_repr_shows_what_a_person_needs(self, frame: pd.DataFrame) -> None:
        frame.loc[frame.index[:3], "age"] = np.nan
        text = repr(fit(frame, "mixedlm-guarded"))
        for part in (
            "mixedlm-guarded: OK, 189 rows in 8 groups",
            "funding",
            "icc",
            "loglik",
            "dropped 3 of 192",
        ):
            assert part in text

    def test_two_calls_share_nothing(self, frame: pd.DataFrame) -> None:
        before = frame.copy(deep=True)
        first, second = fit(frame), fit(frame)
        pd.testing.assert_frame_equal(frame, before)
        pd.testing.assert_frame_equal(first.terms, second.terms)


class TestData:
    """Any column names and types a table may have."""

    def test_missing_values_are_dropped_and_counted(self, frame: pd.DataFrame) -> None:
        frame["unused"] = np.nan
        frame.loc[frame.index[:5], "age"] = np.nan
        frame.loc[frame.index[3:9], "school"] = None
        got = fit(frame)
        assert got.n == 183
        assert got.messages[0] == "dropped 9 of 192 rows with missing values (age 5, school 6)"
        clean = fit(frame.dropna(subset=["age", "school"]))
        pd.testing.assert_frame_equal(got.terms, clean.terms)

    def test_names_with_blanks_quotes_and_numbers(self, frame: pd.DataFrame) -> None:
        renamed = frame.rename(columns={"grade": "final grade", "age": "2 age (y)", "school": "the school"})
        got = fit(renamed, formula="`final grade` ~ `2 age (y)` + gender + funding", group="the school")
        assert got.terms.loc["2 age (y)", "estimate"] == fit(frame).terms.loc["age", "estimate"]

    def test_column_names_that_are_not_text(self, frame: pd.DataFrame) -> None:
        renamed = frame.rename(columns={"school": 2026})
        assert fit(renamed, group="2026").terms.equals(fit(frame).terms)

    @pytest.mark.parametrize("dtype", ["category", "string", object, "str"])
    def test_text_in_any_type(self, frame: pd.DataFrame, dtype: object) -> None:
        typed = frame.assign(gender=frame["gender"].astype(dtype), school=frame["school"].astype(dtype))
        pd.testing.assert_frame_equal(fit(typed).terms, fit(frame).terms)

    @pytest.mark.parametrize("dtype", ["int64", "Int64", "float32", "Float64"])
    def test_numbers_in_any_type(self, frame: pd.DataFrame, dtype: str) -> None:
        whole = frame.assign(funding=frame["funding"].round())
        typed = whole.assign(funding=whole["funding"].astype(dtype))
        pd.testing.assert_frame_equal(fit(typed).terms, fit(whole).terms)

    @pytest.mark.parametrize("dtype", [bool, "boolean"])
    def test_truth_values_are_zero_and_one(self, frame: pd.DataFrame, dtype: object) -> None:
        got = fit(
            frame.assign(boy=(frame["gender"] == "male").astype(dtype)), formula="grade ~ age + boy + funding"
        )
        expected = fit(frame).terms.loc["gender[T.male]", "estimate"]
        assert got.terms.loc["boy", "estimate"] == pytest.approx(expected, rel=1e-12)

    def test_a_level_that_no_row_has_is_no_column(self, frame: pd.DataFrame) -> None:
        levels = pd.CategoricalDtype(["diverse", "female", "male"])
        got = fit(frame.assign(gender=frame["gender"].astype(levels)))
        pd.testing.assert_frame_equal(got.terms, fit(frame).terms)

    def test_numbered_schools(self, frame: pd.DataFrame) -> None:
        numbered = frame.assign(school=frame["school"].astype("category").cat.codes + 100)
        got = fit(numbered)
        np.testing.assert_allclose(got.terms["std_error"], fit(frame).terms["std_error"], rtol=1e-10)

    def test_functions_interactions_and_school_means(self, frame: pd.DataFrame) -> None:
        got = fit(frame, formula="np.log(grade + 100) ~ age * gender + group_mean(age) + I(funding ** 2)")
        assert {"age:gender[T.male]", "group_mean(age)"} <= set(got.terms.index)
        assert got.status is FitStatus.OK

    def test_rows_in_any_order_and_any_index(self, frame: pd.DataFrame) -> None:
        mixed = frame.sample(frac=1.0, random_state=1).set_index(pd.Index(np.zeros(len(frame))))
        np.testing.assert_allclose(fit(mixed).terms, fit(frame).terms, rtol=1e-9)


class TestRefusals:
    """Each error says what was expected, what was got and what to do."""

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"group": "schol"}, r"expected a column 'schol'.*Did you mean 'school'\?"),
            ({"formula": "grade ~ aeg"}, r"names 'aeg', which is not a column\. Did you mean 'age'\?"),
            ({"formula": "grde ~ age"}, r"'grde', which is not a column\. Did you mean 'grade'\?"),
            ({"formula": "gender ~ age"}, r"expected a numeric outcome, got the column 'gender'.*'"),
            ({"formula": "grade ~ age + school"}, r"without the group column.*'dummies'"),
            ({"formula": "grade"}, r"expected a formula like"),
            ({"formula": "grade ~ age +"}, r"got 'grade ~ age \+'"),
            ({"formula": "~ age"}, r"outcome"),
            ({"level": 95}, r"confidence level between 0 and 1, got 95"),
            ({"random": "1 + hight"}, r"'hight', which is not a column"),
            ({"engine": "fast"}, r"unknown engine 'fast'\. Known: auto, batched, reference"),
            (
                {"subgroup": "class"},
                r"expected a column 'class'.*groups in groups with --subgroup \(subgroup=\.\.\.\)",
            ),
            ({"weights": "size"}, r"method 'ols-cr1s-t' has no option 'weights'"),
        ],
    )
    def test_wrong_arguments(self, frame: pd.DataFrame, changes: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            fit(frame, **changes)  # type: ignore[arg-type]

    def test_unknown_estimator(self, frame: pd.DataFrame) -> None:
        with pytest.raises(InvalidInput, match=r"unknown method 'mixedml'\. Did you mean 'mixedlm'\?"):
            fit(frame, "mixedml")

    def test_a_single_school(self, frame: pd.DataFrame) -> None:
        with pytest.raises(InvalidInput, match=r"at least two different values in the group column 'school'"):
            fit(frame.assign(school="only"))

    def test_nothing_left(self, frame: pd.DataFrame) -> None:
        with pytest.raises(InvalidInput, match=r"none of 192 \(missing values: age 192\)"):
            fit(frame.assign(age=np.nan))

    def test_a_column_named_twice(self, frame: pd.DataFrame) -> None:
        twice = pd.concat([frame, frame[["age"]]], axis="columns")
        with pytest.raises(InvalidInput, match=r"expected one column 'age', got several"):
            fit(twice)

    def test_not_a_table(self) -> None:
        with pytest.raises(InvalidInput, match=r"expected a pandas DataFrame, got list"):
            fit([1, 2])  # type: ignore[arg-type]

    def test_a_wrong_weight(self, frame: pd.DataFrame) -> None:
        with pytest.raises(InvalidInput, match=r"one of none, size, got 'sise'\. ?Did you mean 'size'"):
            fit(frame, "means", weights="sise")


def run(*arguments: str, columns: int = 100) -> str:
    result = CliRunner().invoke(
        app, ["estimate", *arguments], env={"COLUMNS": str(columns)}, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


class TestCommand:
    model = ("--formula", "grade ~ age + funding", "--estimators", FAST)
    path = str(DATA / "unbal8.csv")

    @pytest.mark.parametrize("columns", [60, 80, 120])
    def test_tables_fit_the_terminal_and_no_number_is_cut(self, columns: int) -> None:
        text = run(self.path, *self.model, columns=columns)
        assert max(map(len, text.splitlines())) <= columns
        assert "…" not in text
        for part in ("192 rows in 8 groups", "funding", "ols-cr1s-t", "means: varies within schools"):
            assert part in text
        assert ("status" in text) == (columns > 76)

    def test_wide_numbers_in_a_narrow_terminal(self, tmp_path: Path) -> None:
        frame = golden("unbal8", "m2").frame()
        frame["grade"] *= 12345.678
        frame.to_csv(tmp_path / "wide.csv", index=False)
        text = run(str(tmp_path / "wide.csv"), *self.model, columns=60)
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= 60

    def test_json(self) -> None:
        found = json.loads(run(self.path, *self.model, "--json"))
        assert (found["n"], found["groups"], found["level"]) == (192, 8, 0.95)
        by_name = {entry["estimator"]: entry for entry in found["fits"]}
        assert list(by_name) == FAST.split(",")
        rows = {row["term"]: row for row in by_name["ols-cr1s-t"]["terms"]}
        assert rows["funding"]["df"] == 7
        none = {row["term"]: row for row in by_name["dummies"]["terms"]}["funding"]
        assert none["estimate"] is None
        assert by_name["dummies"]["variance"]["residual_sd"] > 0

    def test_json_of_a_normal_reference(self) -> None:
        found = json.loads(run(self.path, "--formula", "grade ~ age", "--estimators", "ols-cr1s-z", "--json"))
        assert {row["df"] for row in found["fits"][0]["terms"]} == {"inf"}

    def test_csv(self) -> None:
        rows = list(csv.DictReader(io.StringIO(run(self.path, *self.model, "--csv"))))
        assert {row["estimator"] for row in rows} == set(FAST.split(","))
        assert {row["term"] for row in rows} >= {"Intercept", "age", "funding", "(residual_sd)"}
        assert {row["status"] for row in rows} == {"OK"}

    def test_usual_methods_by_default_and_every_one_where_asked(self) -> None:
        data = str(DATA / "bal10.csv")
        text = run(data, "--formula", "grade ~ age + treat")
        assert "treat: constant in 10 schools, 5 with treat = 1: see nestbench advise" in text
        assert "age: varies within 10 schools" in text
        assert "8 of " in text.splitlines()[-1]
        assert "reml-kr" in text
        assert "gee-z" not in text
        rows = list(
            csv.DictReader(io.StringIO(run(data, "--formula", "grade ~ age + treat", "--all", "--csv")))
        )
        assert {"ols", "mixedlm", "gee-z", "means", "dummies"} <= {row["estimator"] for row in rows}

    def test_lme4s_notation(self) -> None:
        data = str(DATA / "bal10.csv")
        barred = run(
            data, "--formula", "grade ~ age + treat + (1 + age | school)", "--methods", "reml-kr", "--json"
        )
        apart = run(
            data, "--formula", "grade ~ age + treat", "--random", "1 + age", "--methods", "reml-kr", "--json"
        )
        assert json.loads(barred) == json.loads(apart)

    def test_a_method_that_fails_does_not_stop_the_others(self, tmp_path: Path) -> None:
        frame = golden("bal3", "m1").frame().groupby("school").head(1)
        frame.to_csv(tmp_path / "tiny.csv", index=False)
        text = run(
            str(tmp_path / "tiny.csv"),
            "--formula",
            "grade ~ age",
            "--estimators",
            "ols,dummies,mixedlm-guarded",
        )
        assert (
            "dummies: failed: not estimable beside school dummies: Intercept, age; no term varies"
            in " ".join(text.split())
        )
        assert re.search(r"ols +-?\d", text)

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_separators_and_a_byte_order_mark(self, tmp_path: Path, separator: str) -> None:
        path = tmp_path / "data.csv"
        golden("unbal8", "m2").frame().to_csv(path, sep=separator, index=False, encoding="utf-8-sig")
        assert run(str(path), *self.model, "--csv") == run(self.path, *self.model, "--csv")

    def test_parquet(self, tmp_path: Path) -> None:
        path = tmp_path / "data.parquet"
        golden("unbal8", "m2").frame().to_parquet(path)
        assert run(str(path), *self.model, "--csv") == run(self.path, *self.model, "--csv")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "got none"),
            (b"grade,age,school\n", "got none"),
            (b"\x00\xff\xfe\x80binary\n\x81\x82", "got binary data"),
            (b'grade,age\n1,2\n3,4,5,6\n"', "got 4 in line 3"),
            (b"a,b\n1,2\n", "names 'age', which is not a column|expected a column 'school'"),
        ],
    )
    def test_files_that_are_no_table(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "data.csv"
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=message):
            CliRunner().invoke(app, ["estimate", str(path)], catch_exceptions=False)

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=r"could not read .*nowhere\.csv \(No such file"):
            CliRunner().invoke(app, ["estimate", str(tmp_path / "nowhere.csv")], catch_exceptions=False)

    def test_json_and_csv_at_once(self) -> None:
        with pytest.raises(InvalidInput, match="expected one of --json and --csv, got both"):
            CliRunner().invoke(app, ["estimate", self.path, "--json", "--csv"], catch_exceptions=False)


def test_data_that_no_method_can_be_fitted_to_are_bad_input(frame: pd.DataFrame, tmp_path: Path) -> None:
    """The tables say of each method why; the command ends as with other bad input."""
    frame.assign(copied=2.0 * frame["age"]).to_csv(tmp_path / "copied.csv", index=False)
    words = ["estimate", str(tmp_path / "copied.csv"), "--formula", "copied ~ age"]
    with pytest.raises(InvalidInput, match="a failure of each: the outcome is fitted exactly"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    frame.assign(copied=4).to_csv(tmp_path / "copied.csv", index=False)
    with pytest.raises(InvalidInput, match=r"an outcome that varies, got 'copied', which is 4 in 192 rows"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_brackets_in_names_are_not_markup(frame: pd.DataFrame) -> None:
    renamed = frame.rename(columns={"funding": "[red]fund"})
    found = fit_all(renamed, Model(formula="grade ~ `[red]fund`"), ["ols"])
    out = io.StringIO()
    print_tables(found, Console(file=out, width=100, highlight=False))
    assert "[red]fund" in out.getvalue()


def test_methods_from_a_file(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import nestbench\n\n\n@nestbench.estimator('mine-of-a-file')\ndef mine(frame, model):\n"
        "    return {'age': {'estimate': 7.25, 'std_error': 1.0}}\n"
    )
    frame.to_csv(tmp_path / "data.csv", index=False)
    words = ["estimate", str(tmp_path / "data.csv"), "--estimators", "mine-of-a-file,ols", "--csv"]
    done = CliRunner().invoke(app, [*words, "--plugin", str(tmp_path / "mine.py")], catch_exceptions=False)
    assert "mine-of-a-file" in done.stdout
    assert "7.25" in done.stdout
    with pytest.raises(InvalidInput, match="no such file"):
        CliRunner().invoke(app, [*words, "--plugin", "nowhere.py"], catch_exceptions=False)


def test_several_methods_side_by_side(frame: pd.DataFrame) -> None:
    formula = "grade ~ age + gender + funding"
    found = nestbench.estimate(
        frame, ["ols", {"name": "means", "weights": "size"}, "reml-kr"], formula=formula
    )
    assert [one.estimator for one in found.fits] == ["ols", "means(weights=size)", "reml-kr"]
    pd.testing.assert_frame_equal(found["reml-kr"].terms, fit(frame, "reml-kr").terms)
    assert "reml-kr" in repr(found)
    with pytest.raises(InvalidInput, match=r"'reml-k'\. Did you mean 'reml-kr'"):
        found["reml-k"]
    with pytest.raises(InvalidInput, match="each method once, got 'ols' 2 times"):
        nestbench.estimate(frame, ["ols", "ols"], formula=formula)
    with pytest.raises(InvalidInput, match="at least one method"):
        nestbench.estimate(frame, [], formula=formula)
    with pytest.raises(InvalidInput, match="give each its own"):
        nestbench.estimate(frame, ["means"], formula=formula, weights="size")  # type: ignore[call-overload]


@pytest.mark.parametrize("width", [50, 80, 160])
def test_no_fit_level_number_is_broken(frame: pd.DataFrame, width: int) -> None:
    """Each line of the Fit table has as many entries as the table has columns, each a whole number of that fit."""
    names = ["reml-z", "mixedlm", "gee-z"]
    found = fit_all(frame, Model(formula="grade ~ age + gender"), names)
    out = io.StringIO()
    print_tables(found, Console(file=out, width=width, highlight=False))
    after = out.getvalue().split("\nFit")[1].splitlines()
    rows = {
        line.split()[0]: line.split()[1:] for line in after if line.split()[:1] and line.split()[0] in names
    }
    assert set(rows) == set(names)
    assert len({len(row) for row in rows.values()}) == 1
    for name, row in rows.items():
        whole = [f"{value:.4g}" for value in side_by_side._quantities(found[name]).values()]
        assert set(row) - {"-"} <= set(whole)
    assert ("with --json" in out.getvalue()) == (width == 50)


@pytest.mark.parametrize("name", ["pre score", "score (z)"])
def test_a_column_that_is_no_word_wants_backticks(frame: pd.DataFrame, name: str) -> None:
    data = frame.rename(columns={"age": name})
    with pytest.raises(InvalidInput, match=re.escape(f"write it in backticks: `{name}`")):
        estimate(data, "ols", formula=f"grade ~ {name} + gender")
    quoted = estimate(data, "ols", formula=f"grade ~ `{name}` + gender")
    np.testing.assert_array_equal(
        quoted.terms["estimate"], fit(frame, "ols", formula="grade ~ age + gender").terms["estimate"]
    )
