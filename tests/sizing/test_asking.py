"""Answers against the noncentral t, for any number of workers; and questions that can't be asked."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import nestbench
from nestbench.cli import app
from nestbench.sim.errors import InvalidInput
from nestbench.sizing import drawing
from nestbench.sizing.as_json import plain_of
from tests.sizing.test_exact import FAST, exact_power, exact_schools


def test_workers_change_nothing() -> None:
    options: dict[str, Any] = {"solve": "schools", "students": 8, "icc": 0.15, "effect": 0.9}
    one = nestbench.size(**options, methods="means,ols", workers=1)
    two = nestbench.size(**options, methods="means,ols", workers=2)
    assert plain_of(one) == plain_of(two)
    assert json.loads(json.dumps(plain_of(one))) == plain_of(one)


def test_a_test_that_rejects_too_often_is_not_named() -> None:
    found = nestbench.size(solve="schools", students=50, icc=0.2, effect=1.0, methods="ols,means", workers=1)
    answers = {a.method: a for a in found.answers}
    assert found.named == "means"
    assert answers["ols"].value < answers["means"].value
    assert not answers["ols"].valid
    assert answers["ols"].size > 0.2
    assert "not valid" in found.shown
    assert max(map(len, found.shown.splitlines())) <= 80


def test_the_experiment_runs_again(tmp_path: Any) -> None:
    """The TOML of the answer draws the very data sets that the answer is from."""
    found = nestbench.size(solve="schools", students=8, icc=0.15, effect=0.9, **FAST)
    file = tmp_path / "again.toml"
    file.write_text(found.toml)
    run = nestbench.run(file, out=tmp_path / "run", workers=1)
    table = run.performance()
    rows = table[(table["measure"] == "rejection") & (table["term"] == "treated")]
    answer = found.answer
    assert answer is not None
    power = rows[rows["model.null.treated"] == 0.0]
    assert int(power["n"].iloc[0]) == answer.n
    # the plain share and the poststratified one are of the same data sets
    assert abs(float(power["value"].iloc[0]) - answer.power) < 4 * float(power["mcse"].iloc[0])
    assert {0.0, 0.9} == set(rows["model.null.treated"])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"solve": "schols", "students": 20, "icc": 0.1, "effect": 0.3}, "Did you mean 'schools'"),
    ({"students": 20, "icc": 0.1}, "expected the effect"),
    ({"students": 20, "icc": 0.1, "effect": 0.0}, "other than 0"),
    ({"students": 20, "icc": 0.1, "effect": math.nan}, "a finite number, got nan"),
    ({"students": 20, "icc": 1.0, "effect": 0.3}, "ICC of 1"),
    ({"students": 20, "icc": math.nan, "effect": 0.3}, r"icc in \[0, 1\), got nan$"),
    (
        {"students": 20, "icc": 0.1, "effect": 0.3, "treated_share": 0.5, "treated_schools": 5},
        "as a share or as a number",
    ),
    ({"students": 20, "icc": -0.1, "effect": 0.3}, "icc in"),
    ({"students": 20.5, "icc": 0.1, "effect": 0.3}, "use 21"),
    ({"students": 20, "effect": 0.3}, "expected icc of the trial"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "schools": 10}, "to be unknown"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "power": 1.0}, "below 1"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "power": 80.0}, "write 80 % as 0.8"),
    ({"students": 20, "icc": 10.0, "effect": 0.3}, "write 10 % as 0.1"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "treated_share": 50.0}, "write 50 % as 0.5"),
    ({"students": 20, "icc": 0.1, "effect": 25.0}, "effect in SDs of the outcome"),
    ({"students": 20}, "expected icc, effect of the trial"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "power": 0.05}, "above alpha"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "power": 0.8, "half_width": 0.1}, "got both"),
    ({"students": 20, "icc": 0.0, "effect": 0.3, "r2_school": 0.4}, "no variance to explain"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "treated_share": 1.0}, "both arms"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "r2": 0.5}, "Did you mean 'r2_class'"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "kind": "block"}, "Did you mean 'blocks'"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "kind": "blocks"}, "schools a block"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "kind": "blocks", "block_size": 5}, "multiple of 1 / 5"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "block_size": 4}, 'trial = "blocks"'),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "budget": 9000.0}, "school and a student cost"),
    (
        {"icc": 0.1, "effect": 0.3, "budget": 9000.0, "cost": (300.0, 10.0)},
        "expected effect to solve for",
    ),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "cost": (300.0, 10.0)}, "to be looked for"),
    ({"icc": 0.1, "effect": 0.3, "cost": (0.0, 10.0)}, "cost.school"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "class_icc": 0.1}, 'trial = "classes"'),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "workers": 0}, "workers >= 1"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "methods": "ols-cr9"}, "unknown method"),
    ({"students": 20, "icc": 0.1, "effect": 0.3, "term": "treatd"}, "Did you mean 'treated'"),
    (
        {"solve": "effect", "schools": 10, "students": 20, "icc": 0.1, "half_width": 0.1},
        "doesn't depend on it",
    ),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_questions_that_can_not_be_asked(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        nestbench.size(**{"solve": "schools", **options})


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--students", "20.5", "got 20.5; use 21"),
        ("--schools", "1e400", "whole number, got 1e400"),
        ("--classes", "two", "number, got two"),
    ],
)
def test_fractions_of_schools(option: str, value: str, words: str) -> None:
    done = CliRunner().invoke(app, ["size", "--icc", ".1", "--effect", ".3", option, value])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


def test_icc_0_is_a_question_like_another() -> None:
    found = nestbench.size(solve="schools", students=20, icc=0.0, effect=0.5, **FAST)
    assert abs(found.value - exact_schools(0.5, 20, 0.0, 0.5, 0.8)) <= 1


def test_a_negative_effect_is_as_hard_to_find() -> None:
    options: dict[str, Any] = {"solve": "schools", "students": 8, "icc": 0.15, **FAST}
    plus, minus = (nestbench.size(**options, effect=e) for e in (0.9, -0.9))
    assert abs(plus.value - minus.value) <= 1
    assert np.isclose(plus.answers[0].power, minus.answers[0].power, atol=0.06)


def test_schools_limit_it_not_students() -> None:
    """The ceiling as students grow, in closed form and simulated; and what would reach the target."""
    found = nestbench.size(solve="students", schools=12, icc=0.3, effect=0.5, **FAST)
    assert found.named is None
    assert found.closed is not None
    assert math.isinf(found.closed.value)
    (words,) = found.limits
    most = exact_power(12, 6, 10**9, 0.3, 0.5)
    assert f"at most {most:.2f}" in words
    least = exact_schools(0.5, 10**9, 0.3, 0.5, 0.8)
    assert f"at least {least} are needed" in words
    with pytest.raises(InvalidInput, match="with one school an arm"):
        nestbench.size(solve="effect", schools=2, students=20, icc=0.1, **FAST)


def test_the_closed_form_stands_beside() -> None:
    found = nestbench.size(solve="treated", schools=40, students=10, icc=0.1, effect=0.8, **FAST)
    assert found.closed is not None
    assert abs(found.closed.value - found.value) <= 1
    assert found.closed.agrees
    assert found.closed.power == pytest.approx(exact_power(40, int(found.value), 10, 0.1, 0.8), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "trial",
    [
        {"kind": "pairs", "students": 20, "icc": 0.2, "r2_school": 0.6, "effect": 0.5, "methods": "means"},
        {
            "kind": "blocks",
            "block_size": 4,
            "students": 20,
            "icc": 0.2,
            "r2_school": 0.6,
            "effect": 0.5,
            "methods": "means",
        },
        {"kind": "students", "students": 20, "icc": 0.2, "effect": 0.3, "methods": "dummies"},
        {
            "kind": "classes",
            "students": 40,
            "classes": 2,
            "icc": 0.1,
            "class_icc": 0.1,
            "effect": 0.6,
            "methods": "means",
        },
        {
            "students": 40,
            "icc": 0.1,
            "r2_school": 0.5,
            "r2_student": 0.3,
            "effect": 0.4,
            "methods": "reml-satt",
        },
        {
            "students": 40,
            "icc": 0.1,
            "lost_schools": 0.2,
            "lost_students": 0.2,
            "effect": 0.6,
            "methods": "reml-satt",
        },
    ],
    ids=lambda trial: trial.get("kind", "schools") + ("-lost" if "lost_schools" in trial else ""),
)
def test_closed_forms_of_the_other_trials(trial: dict[str, Any]) -> None:
    """Within a step of their grid and the approximations that the formulas make."""
    found = nestbench.size(solve="schools", workers=1, **trial)
    assert found.closed is not None
    assert abs(found.closed.value - found.value) <= max(2.0, trial.get("block_size", 0), 0.06 * found.value)


def test_a_stopped_search_goes_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after a few chunks, one of them damaged: the same call gives the same answer and draws only the rest."""
    options: dict[str, Any] = {"solve": "schools", "students": 8, "icc": 0.15, "effect": 0.9, **FAST}
    whole = nestbench.size(**options)
    drawn: list[range] = []
    fit = drawing.fit_all

    def counted(cell: Any, seed: int, chunk: range, *rest: Any, **more: Any) -> Any:
        if stop and len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(chunk)
        return fit(cell, seed, chunk, *rest, **more)

    monkeypatch.setattr(drawing, "fit_all", counted)
    stop = True
    with pytest.raises(KeyboardInterrupt):
        nestbench.size(**options, out=tmp_path)
    kept = sorted((tmp_path / "draws").glob("*.bin"))
    assert len(kept) == 3
    damaged = bytearray(kept[1].read_bytes())
    damaged[200] ^= 1
    kept[1].write_bytes(damaged)
    stop = False
    drawn.clear()
    again = nestbench.size(**options, out=tmp_path)
    assert plain_of(again) == plain_of(whole)
    assert len(drawn) == len(list((tmp_path / "draws").glob("*.bin"))) - 2
    assert json.loads((tmp_path / "size.json").read_text()) == plain_of(whole)
    assert nestbench.load(tmp_path / "run").finished
    drawn.clear()
    assert plain_of(nestbench.size(**options, out=tmp_path)) == plain_of(whole)
    assert drawn == []
