"""The random-intercept law: equation, streams, errors."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Category
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource

LAYOUT = Layout(schools=4, students=(3, 1, 8, 5), treated_schools=2)


def draw(law: RandomIntercept, layout: Layout = LAYOUT, replications: range = range(6)) -> Batch:
    return law.draw(layout, StreamSource(7, "key"), replications)


def values(batch: Batch, name: str) -> np.ndarray:
    column = batch.columns[name]
    return column.codes if isinstance(column, Category) else column


def test_columns_follow_the_equation() -> None:
    """Each column is the textbook formula on the 3N + 2G normals of the replication's own stream."""
    effects = {"Intercept": 3.0, "age": 0.5, "gender": -1.0, "resources": 2.0, "treated": 4.0}
    spreads = {"icc": 0.3, "total_sd": 2.0, "age_sd": 1.5, "resources_sd": 0.5}
    law = RandomIntercept(**spreads, effects=effects, age_mean=10.0, version=1)
    batch, n, schools = draw(law), 17, np.repeat(np.arange(4), [3, 1, 8, 5])
    for r in range(6):
        z = StreamSource(7, "key").new(r, "data").standard_normal(3 * n + 8)
        rows = batch.replication(r).rows
        age, male = 10.0 + 1.5 * z[:n], z[n : 2 * n] > 0
        u, resources = 2.0 * np.sqrt(0.3) * z[3 * n : 3 * n + 4], 0.5 * z[3 * n + 4 :]
        treated = np.array([1.0, 1.0, 0.0, 0.0])
        grade = 3 + 0.5 * age - male + (2.0 * resources + 4.0 * treated + u)[schools]
        grade += 2.0 * np.sqrt(0.7) * z[2 * n : 3 * n]
        np.testing.assert_allclose(values(batch, "grade")[rows], grade, rtol=1e-13)
        np.testing.assert_array_equal(values(batch, "age")[rows], age)
        np.testing.assert_array_equal(values(batch, "gender")[rows], male)
        np.testing.assert_array_equal(values(batch, "resources")[rows], resources[schools])
        np.testing.assert_array_equal(values(batch, "treated")[rows], treated[schools])


def test_frame_is_what_an_analyst_holds() -> None:
    frame = draw(RandomIntercept()).replication(2).frame()
    assert list(frame.columns) == ["grade", "age", "gender", "resources", "treated", "school"]
    assert frame["school"].tolist() == ["S01"] * 3 + ["S02"] + ["S03"] * 8 + ["S04"] * 5
    assert list(frame["gender"].cat.categories) == ["female", "male"]


@settings(deadline=None, max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 40), max_size=6), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8)
)
def test_any_chunking_draws_the_same(cuts: list[int], sizes: list[int]) -> None:
    """Replications 0 .. 39 drawn in any pieces are those drawn at once, to the bit."""
    layout, bounds = Layout(schools=len(sizes), students=tuple(sizes)), [0, *sorted(cuts), 40]
    for law in (RandomIntercept(), RandomIntercept(version=1)):
        whole = draw(law, layout, range(40))
        parts = [draw(law, layout, range(a, b)) for a, b in itertools.pairwise(bounds) if b > a]
        for name in whole.columns:
            together = np.concatenate([values(p, name) for p in parts])
            np.testing.assert_array_equal(values(whole, name), together)


def test_pieces_of_the_buffer_are_invisible(monkeypatch: pytest.MonkeyPatch) -> None:
    law = RandomIntercept(version=1)
    whole = draw(law, replications=range(30))
    monkeypatch.setattr("nestbench.sim.random_intercept.draw.PIECE", 100)
    np.testing.assert_array_equal(values(whole, "grade"), values(draw(law, replications=range(30)), "grade"))


def test_moments_of_many_draws() -> None:
    """Declared variances, shares and ICC within 4.9 standard errors (1e-6 two-sided), 4 000 x 12 schools x 10."""
    law = RandomIntercept(
        icc=0.3, total_sd=2.0, effects={}, male_share=0.3, age_mean=9.0, age_sd=0.7, resources_sd=3.0
    )
    batch = draw(law, Layout(schools=12, students=10), range(4000))
    schools = 48_000
    grade, age = values(batch, "grade").reshape(schools, 10), values(batch, "age")
    within = grade.var(axis=1, ddof=1)
    assert within.mean() == pytest.approx(4 * 0.7, abs=4.9 * within.std() / np.sqrt(schools))
    between = grade.mean(axis=1) ** 2
    assert between.mean() == pytest.approx(4 * (0.3 + 0.07), abs=4.9 * between.std() / np.sqrt(schools))
    assert values(batch, "gender").mean() == pytest.approx(0.3, abs=4.9 * np.sqrt(0.21 / 480_000))
    assert age.mean() == pytest.approx(9.0, abs=4.9 * 0.7 / np.sqrt(480_000))
    assert age.var() == pytest.approx(0.49, abs=4.9 * 0.49 * np.sqrt(2 / 480_000))
    resources = values(batch, "resources")[::10]
    assert resources.var() == pytest.approx(9.0, abs=4.9 * 9.0 * np.sqrt(2 / schools))


def test_truth() -> None:
    law = RandomIntercept(icc=0.36, total_sd=5.0, effects={"age": 2, "gender": 1})
    named = {
        "Intercept": 0.0,
        "age": 2.0,
        "gender[T.male]": 1.0,
        "resources": 0.0,
        "treated": 0.0,
        "(school_sd)": 3.0,
        "(residual_sd)": 4.0,
        "(icc)": 0.36,
    }
    assert {name: law.truth[name] for name in named} == pytest.approx(named)
    assert all(value == 0.0 for name, value in law.truth.items() if name not in named)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"icc": 1.2}, ["population.icc", "[0, 1)", "1.2"]),
        ({"icc": 1.0}, ["population.icc", "[0, 1)"]),
        ({"icc": -0.1}, ["population.icc", "-0.1"]),
        ({"icc": float("nan")}, ["population.icc", "finite"]),
        ({"icc": "high"}, ["population.icc", "'high'"]),
        ({"total_sd": 0.0}, ["population.total_sd", "> 0"]),
        ({"age_sd": -1.0}, ["population.age_sd"]),
        ({"male_share": 1.0}, ["population.male_share", "(0, 1)"]),
        ({"effects": {"agee": 1.0}}, ["population.effects", "'agee'", "Did you mean 'age'?"]),
        ({"effects": {"age": None}}, ["population.effects.age", "None"]),
        ({"effects": 3}, ["population.effects", "table"]),
    ],
)
def test_errors_name_the_parameter(parameters: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        RandomIntercept(**parameters)
    assert all(word in str(caught.value) for word in words), str(caught.value)
