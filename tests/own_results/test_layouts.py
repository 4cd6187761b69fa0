"""The layouts that other packages document, long and wide: the same results of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nestbench.own_results.reading import Results
from nestbench.sim.errors import InvalidInput
from tests.own_results.studies import read, said

REPS = 12


def values(kind: int, term: str, method: str, dgm: int) -> Any:
    """Made-up numbers that no other column has."""
    seed = [kind, ord(term[0]), ord(method[0]), dgm]
    return np.random.default_rng(seed).normal(size=REPS) + (3.0 if kind else 0.0)


def long(terms: tuple[str, ...] = ("beta", "gamma"), methods: tuple[str, ...] = ("A", "B")) -> pd.DataFrame:
    """siman's first format, long targets and methods."""
    parts = [
        pd.DataFrame(
            {
                "rep": np.arange(1, REPS + 1),
                "dgm": dgm,
                "target": term,
                "method": method,
                "est": values(0, term, method, dgm),
                "se": values(1, term, method, dgm),
                "true": 0.0,
            }
        )
        for dgm in (1, 2)
        for term in terms
        for method in methods
    ]
    return pd.concat(parts, ignore_index=True)


def numbers(results: Results) -> dict[tuple[Any, ...], float]:
    """Return estimate and standard error by condition, method, term and replication."""
    return {
        (results.experiment.levels[i]["dgm"], label, term, r): (e.estimate[r, k], e.std_error[r, k])
        for i, fits in enumerate(results.fits)
        for label, e in fits.items()
        for k, term in enumerate(e.terms)
        for r in range(e.size)
    }


WANTED = numbers(read(long()))


def wide(name: str, over: list[str], rows: list[str]) -> pd.DataFrame:
    """Spread estimates and standard errors over columns called by a pattern."""
    frame = long()
    frame["column"] = [name.format(**dict(zip(over, key, strict=True))) for key in frame[over].to_numpy()]
    parts = [
        frame.pivot_table(index=rows, columns="column", values=stub).add_prefix(stub)
        for stub in ("est", "se")
    ]
    return pd.concat(parts, axis=1).reset_index()


def test_long_targets_and_methods() -> None:
    assert len(WANTED) == 2 * 2 * 2 * REPS
    cell = read(long()).experiment.cells[0]
    assert cell.truth == {"beta": 0.0, "gamma": 0.0}


def test_methods_side_by_side_are_found() -> None:
    results = read(wide("_{method}", ["method"], ["rep", "dgm", "target"]))
    assert numbers(results) == WANTED
    assert said(results, "Read from columns side by side: methods A, B")


def test_targets_side_by_side_are_found_without_a_mark_in_between() -> None:
    assert numbers(read(wide("{target}", ["target"], ["rep", "dgm", "method"]))) == WANTED


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("_{method}_{target}", {"estimate": "est_{method}_{term}", "se": "se_{method}_{term}"}),
        ("{method}{target}", {"estimate": "est{method}{term}", "se": "se{method}{term}", "methods": "A,B"}),
        (
            "{target}{method}",
            {"estimate": "est{term}{method}", "se": "se{term}{method}", "terms": "beta,gamma"},
        ),
    ],
)
def test_both_side_by_side_by_patterns(name: str, asked: dict[str, str]) -> None:
    assert numbers(read(wide(name, ["method", "target"], ["rep", "dgm"]), **asked)) == WANTED


def test_a_column_a_method_as_simulation_programs_save_them() -> None:
    """SimDesign: conditions, `REPLICATION`, a column for each name that the analysis returned."""
    part = long(terms=("beta",)).pivot_table(index=["dgm", "rep"], columns="method", values=["est", "se"])
    frame = part.set_axis(["ols", "gee", "ols.se", "gee.se"], axis=1).reset_index()
    frame = frame.rename(columns={"rep": "REPLICATION"})
    results = read(frame, estimate=["ols", "gee"], se=["ols.se", "gee.se"], truth=0)
    found = {
        (dgm, {"ols": "A", "gee": "B"}[m], "beta", r): v for (dgm, m, _, r), v in numbers(results).items()
    }
    assert found == {key: value for key, value in WANTED.items() if key[2] == "beta"}
    assert said(results, "methods ols, gee")
    alone = read(frame, estimate="{method}.se", truth=0)
    assert list(alone.fits[0]) == ["ols", "gee"]


def test_columns_as_rsimsum_has_them() -> None:
    frame = long().rename(columns={"rep": "dataset", "target": "par", "est": "b"}).drop(columns="true")
    results = read(frame, truth={"beta": 0, "gamma": 0})
    assert numbers(results) == WANTED
    split = frame.assign(m1=frame["method"], m2="x").drop(columns="method")
    assert list(read(split, method="m1,m2").fits[0]) == ["A x", "B x"]


def test_columns_as_simhelpers_has_them() -> None:
    """No replications; a seed and a number of iterations a condition; variances; a true effect that varies."""
    frame = long(terms=("beta",)).rename(columns={"dgm": "n2"}).drop(columns=["rep", "true", "target"])
    frame = frame.assign(
        var=frame["se"] ** 2,
        seed=frame["n2"] * 71,
        iterations=REPS,
        p_val=0.5,
        lower_bound=-1.0,
        upper_bound=1.0,
    ).drop(columns="se")
    results = read(frame, p="p_val", truth=0)
    assert [dict(levels) for levels in results.experiment.levels] == [{"n2": 1}, {"n2": 2}]
    assert said(results, "'seed' numbers the conditions")
    assert "iterations 12" in said(results, "the same everywhere")
    found = results.fits[0]["A"]
    assert (found.lower == -1.0).all()
    np.testing.assert_allclose(found.std_error[:, 0], values(1, "beta", "A", 1), rtol=1e-12)


def test_columns_as_stored_rows_have_them() -> None:
    frame = long().rename(
        columns={
            "rep": "replication",
            "target": "term",
            "method": "estimator",
            "est": "estimate",
            "se": "std_error",
        }
    )
    assert numbers(read(frame)) == WANTED


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"estimate": "est_{method}"}, "expected columns like 'est_{method}'"),
        ({"estimate": "est,rep", "se": "se,dgm,true"}, "expected a column of each method's se, 2"),
        ({"estimate": "beta_hat"}, "unknown column for estimate 'beta_hat'"),
        ({"estimate": "est", "se": "est"}, "expected one role a column, got 'est'"),
        ({"estimate": "est", "se": "se", "variance": "true"}, "got a column of each"),
        ({"colour": "est"}, "unknown role of a column 'colour'"),
        ({"estimate": "est", "factors": "dgmm"}, "unknown column for --factors 'dgmm'. Did you mean 'dgm'?"),
        ({"estimate": "est", "level": 1.5}, "level"),
        ({"estimate": "est", "truth": "beta=a"}, "expected a truth such as 0.5"),
        ({"estimate": "est", "truth": "delta=1"}, "unknown term in the truth 'delta'"),
        ({"estimate": "est", "lower": "true"}, "expected both ends of the intervals"),
    ],
)
def test_wrong_names_are_refused_with_what_there_is(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as told:
        read(long(), **asked)
    assert words in str(told.value)


def test_a_table_without_estimates_says_how_to_name_them() -> None:
    with pytest.raises(InvalidInput, match="name it with --estimate COLUMN"):
        read(pd.DataFrame({"rep": [1, 2], "outcome": [0.1, 0.2]}))


@pytest.mark.parametrize("asked", [{"p": "welch,pooled"}, {"p": "{method}", "methods": "welch,pooled"}])
def test_p_values_a_method_as_simulation_programs_save_them(asked: dict[str, str]) -> None:
    """SimDesign: what an analysis of tests returns."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.uniform(size=(80, 2)), columns=["welch", "pooled"]).assign(
        N=[30] * 40 + [60] * 40
    )
    results = read(frame, **asked)
    assert [dict(levels) for levels in results.experiment.levels] == [{"N": 30}, {"N": 60}]
    assert list(results.fits[0]) == ["welch", "pooled"]
    found = results.fits[1]["pooled"].p_value[:, 0]
    np.testing.assert_array_equal(found, frame.loc[frame["N"] == 60, "pooled"])
    assert said(results, "P-values alone")
    assert not [sentence for sentence in results.said if "true value" in sentence]
