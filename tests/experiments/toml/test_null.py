"""Null values stated in ``[model]``: what they are checked against, keys, factors, and what a run makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.toml.reading import experiment_from
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.reports.conditions import conditions
from nestbench.reports.figures.records import sized
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.ademp import estimand_words
from nestbench.reports.words.lint import lint
from nestbench.sim.errors import InvalidInput

EFFECTS = {"age": 1.0, "treated": 0.3}


def study(null: dict[str, Any] | None = None, **factors: Any) -> dict[str, Any]:
    return {
        "experiment": {
            "name": "null",
            "estimators": ["ols", "ols-cr1s-t"],
            "replications": 40,
            "seed": 3,
            "audit": 4,
        },
        "population": {"icc": 0.1, "effects": EFFECTS},
        "layout": {"schools": 6, "students": 6, "treated_schools": 3},
        "model": {"formula": "grade ~ age + treated", **({} if null is None else {"null": null})},
        "factors": factors,
    }


def test_keys_change_with_a_null_value_alone() -> None:
    plain, zero, empty, stated = (
        experiment_from(study(null)).cells[0] for null in (None, {"treated": 0.0}, {}, {"treated": 0.3})
    )
    assert plain.key == zero.key == empty.key != stated.key
    assert plain.law_key == stated.law_key, "the same data"
    assert plain.truth == stated.truth
    assert (plain.is_null("treated"), stated.is_null("treated"), stated.is_null("age")) == (
        False,
        True,
        False,
    )


def test_it_is_kept_with_the_run(tmp_path: Path) -> None:
    made = experiment_from(study({"treated": 0.3, "age": 1}))
    assert from_stored(to_stored(made), tmp_path).cells == made.cells
    assert to_stored(made)["cells"][0]["model"]["null"] == {"age": 1.0, "treated": 0.3}


def test_a_term_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'treated'"):
        experiment_from(study({"treatd": 0.0}))
    with pytest.raises(InvalidInput, match=r"model\.null"):
        experiment_from(study({"treated": "much"}))


def test_it_may_vary_and_its_terms_may_hold_dots() -> None:
    tables = study(**{"model.null.treated": [0.0, 0.3]})
    found = experiment_from(tables)
    assert [cell.model.null_of("treated") for cell in found.cells] == [0.0, 0.3]
    assert conditions(found) == ["test of treated = 0", "test of treated = 0.3"]
    assert "tests of 0 (treated: 0 or 0.3)" in estimand_words(found)
    dotted = study(**{"model.null.np.log(age)": [0.0, 2.5]})
    dotted["model"]["formula"] = "grade ~ np.log(age)"
    dotted["layout"] = {"schools": 6}
    assert experiment_from(dotted).cells[1].model.null == {"np.log(age)": 2.5}


def test_rejections_of_a_true_null_are_type_i_errors(tmp_path: Path) -> None:
    made = experiment_from(study(**{"model.null.treated": [0.0, 0.3]}))
    store = run_experiment(made, tmp_path / "run", workers=1)
    table = performance_table(store)
    states = {(r["cell"], r["term"]): r["kind"] for r in sized(table, made)}
    assert states[0, "treated"] == "power"
    assert states[1, "treated"] == "type I error"
    assert states[1, "age"] == "power"
    has = {(int(c), t) for c, t in table.loc[table["measure"] == "type_s", ["cell", "term"]].to_numpy()}
    assert (0, "treated") in has
    assert (1, "treated") not in has
    for measure in ("relative_bias", "bias", "coverage"):
        rows = table[(table["measure"] == measure) & (table["term"] == "treated")]
        of_zero, of_truth = rows["value"].to_numpy().reshape(2, -1)
        np.testing.assert_allclose(of_zero, of_truth, rtol=1e-9)
    assert "no null effect" not in {remark.rule for remark in lint(store, table)}
    audits = store.audits()
    assert len(audits) > 0
    assert (audits["disagreements"] == 0).all()


def test_sign_and_size_are_those_of_the_distance_from_the_null_value(tmp_path: Path) -> None:
    store = run_experiment(experiment_from(study({"treated": 1.5})), tmp_path / "run", workers=1)
    table = performance_table(store)
    got = store.estimates(0)["ols"]
    k = got.terms.index("treated")
    t, p = got.estimate[:, k], got.p_value[:, k]
    hit = p <= 0.05
    assert hit.any()
    rows = table[(table["term"] == "treated") & (table["estimator"] == "ols")].set_index("measure")["value"]
    assert rows["type_s"] == pytest.approx((np.sign(t - 1.5) != np.sign(0.3 - 1.5))[hit].mean())
    assert rows["exaggeration"] == pytest.approx((np.abs(t - 1.5) / 1.2)[hit].mean())
