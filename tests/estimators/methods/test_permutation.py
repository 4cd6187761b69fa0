"""Permutation of a school-level treatment, against brute force and its own definition."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.methods.permutation import PERMUTATION, assignments
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MODEL = Model(formula="grade ~ age + resources + treated")
SIZES = (2, 9, 14, 4, 5, 12, 7, 10)
engines = pytest.mark.parametrize("engine", ["reference", "batched"])


@cache
def batch(treated: int = 3, replications: int = 4, schools: int = 8) -> Batch:
    students = SIZES if schools == 8 else 6
    layout = Layout(schools=schools, students=students, treated_schools=treated)
    return Cell(RandomIntercept(icc=0.2), layout, MODEL).draw(7, range(replications))


def brute_force(data: Batch, r: int, effect: float = 0.0) -> tuple[float, float]:
    """Return (coefficient, p) of y - effect * treated by refitting every assignment."""
    frame = data.replication(r).frame()
    names = sorted(set(frame["school"]))
    y = (frame["grade"] - effect * frame["treated"]).to_numpy()
    others = np.column_stack([np.ones(len(frame)), frame["age"], frame["resources"]])

    def coefficient(chosen: set[str]) -> float:
        d = frame["school"].isin(chosen).to_numpy(dtype=float)
        return float(np.linalg.lstsq(np.column_stack([others, d]), y)[0][-1])

    treated = set(frame.loc[frame["treated"] == 1, "school"])
    own = coefficient(treated)
    every = [coefficient(set(chosen)) for chosen in combinations(names, len(treated))]
    return own, float(np.mean(np.abs(every) >= abs(own) * (1 - 1e-9)))


def treated_of(got: Estimates, name: str) -> np.ndarray:
    return np.asarray(getattr(got, name)[:, got.terms.index("treated")])


@engines
def test_every_assignment_is_refitted(engine: str) -> None:
    got = PERMUTATION.fit(batch(), MODEL, engine)
    for r in range(got.size):
        own, p = brute_force(batch(), r)
        assert treated_of(got, "estimate")[r] == pytest.approx(own, rel=1e-9)
        assert treated_of(got, "p_value")[r] == pytest.approx(p, abs=1e-12)


@engines
def test_limits_are_where_the_test_begins_to_reject(engine: str) -> None:
    model = replace(MODEL, level=0.8)
    got = PERMUTATION.fit(batch(), model, engine)
    checked = 0
    for r in range(got.size):
        for side, outward in (("lower", -1.0), ("upper", 1.0)):
            limit = treated_of(got, side)[r]
            if np.isfinite(limit):
                step = outward * 1e-6
                assert brute_force(batch(), r, limit - step)[1] > 0.2
                assert brute_force(batch(), r, limit + step)[1] <= 0.2
                checked += 1
    assert checked >= 4


def test_engines_agree_on_random_assignments() -> None:
    data = batch(9, 3, 30)
    slow, fast = (PERMUTATION.fit(data, MODEL, engine) for engine in ("reference", "batched"))
    for name in ("estimate", "std_error", "lower", "upper", "p_value"):
        np.testing.assert_allclose(treated_of(fast, name), treated_of(slow, name), rtol=1e-9)
    thousandths = treated_of(fast, "p_value") * 1000
    np.testing.assert_allclose(thousandths, np.round(thousandths))


def test_too_few_assignments_give_an_infinite_interval_not_a_narrow_one() -> None:
    data = batch(1)
    got = PERMUTATION.fit(data, MODEL)
    assert (treated_of(got, "p_value") >= 1 / 8).all()
    assert np.isneginf(treated_of(got, "lower")).all()
    assert np.isposinf(treated_of(got, "upper")).all()


def test_size_is_what_enumeration_allows() -> None:
    """Under the sharp null p is uniform on its grid: P(p <= .1) is at most .1, and near it with 70 assignments.

    400 data sets; both bounds fail by chance with probability below 1e-6 (binomial tails at .0857 and .1).
    """
    law = RandomIntercept(icc=0.3, effects={"Intercept": 50.0, "age": 0.0, "gender": 0.0, "resources": 0.0})
    model = Model(formula="grade ~ treated")
    data = Cell(law, Layout(schools=8, students=4, treated_schools=4), model).draw(2, range(400))
    got = PERMUTATION.fit(data, model)
    rejected = int((treated_of(got, "p_value") <= 0.1).sum())
    assert 12 <= rejected <= 76


def test_all_assignments_when_they_are_few() -> None:
    generator = np.random.default_rng(1)
    every, complete = assignments(np.array([0.0, 1.0, 0.0, 5.0 - 4.0]), 19, generator)
    every = np.concatenate(list(every))
    assert complete
    assert len({tuple(row) for row in every}) == len(every) == 6
    some, complete = assignments(np.arange(6.0), 50, generator)
    some = np.concatenate(list(some))
    assert not complete
    assert (np.sort(some, axis=1) == np.arange(6.0)).all()


@engines
@pytest.mark.parametrize(
    ("formula", "term", "status", "message"),
    [
        (
            "grade ~ age + resources",
            "",
            FitStatus.FAILED,
            "expected one school-level term with two values, got none",
        ),
        ("grade ~ age + treated", "age", FitStatus.FAILED, "age varies within schools"),
        ("grade ~ age + treated + resources", "resources", FitStatus.OK, "permutes resources alone"),
    ],
)
def test_which_term(engine: str, formula: str, term: str, status: FitStatus, message: str) -> None:
    got = PERMUTATION.with_options({"term": term}).fit(batch(), Model(formula=formula), engine)
    assert set(got.status.tolist()) == {status}
    assert all(text.startswith(message) for text in got.texts())


@engines
@pytest.mark.parametrize(
    ("options", "words"), [({"term": "treatd"}, "Did you mean 'treated'"), ({"draws": 3}, "at least 19")]
)
def test_wrong_options(engine: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        PERMUTATION.with_options(options).fit(batch(), MODEL, engine)
