"""Compiled designs against formulaic's own matrices, and the messages for formulas that can't be used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.estimators.moments.school_moments import moments_of
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed import design as design_module
from nestbench.sim.observed import parsing as parsing_module
from nestbench.sim.observed.batch import Batch, Category, batch_of_frame, offsets_of
from nestbench.sim.observed.design import Design, design_of
from nestbench.sim.observed.formula import matrix_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from tests.oracles.moments import cross_products

SIZES = ([3, 1, 4], [2, 2], [5, 1, 1, 2])


@pytest.fixture
def batch() -> Batch:
    """Three ragged replications; one level of `track` never occurs in the second."""
    rng = np.random.default_rng(5)
    n = sum(map(sum, SIZES))
    track = rng.integers(0, 3, n)
    track[8:12] %= 2
    return Batch(
        columns={
            "grade": rng.normal(size=n),
            "age": rng.normal(15.0, 1.0, n),
            "gender": Category(rng.integers(0, 2, n).astype(np.int32), ("female", "male")),
            "track": Category(track.astype(np.int32), ("a:b", "x[1]", "z")),
            "my score": rng.normal(size=n),
        },
        group="school",
        school_offsets=offsets_of([size for sizes in SIZES for size in sizes]),
        replication_offsets=offsets_of([len(sizes) for sizes in SIZES]),
        replications=np.array([4, 7, 9]),
        streams=StreamSource(1, "test"),
    )


COMPILED = (
    "grade ~ 1",
    "grade ~ age + gender",
    "grade ~ 0 + age + gender",
    "grade ~ age * gender",
    "grade ~ age + gender:track",
    "grade ~ (age + gender + track)**3",
    "grade ~ C(track):age + C(gender)",
    "grade ~ `my score`:age - 1",
    "grade ~ group_mean(age) + group_centred(age)",
    "grade ~ group_mean(age):gender",
)
INTERPRETED = (
    "grade ~ log(age)",
    "log(age) ~ gender",
    "grade ~ poly(age, 2)",
    "grade ~ I(age**2) + gender",
    "grade ~ center(age)",
    "grade ~ group_mean(log(age))",
    "grade ~ C(track, contr.sum)",
)


@pytest.mark.parametrize("formula", [*COMPILED, *INTERPRETED])
def test_every_formula_gives_formulaics_matrix_in_every_replication(batch: Batch, formula: str) -> None:
    design = design_of(batch, Model(formula))
    x, y = design.fixed(batch), design.outcome(batch)
    assert (design.rhs_products is not None and design.lhs_products is not None) == (formula in COMPILED)
    for r in range(batch.size):
        rows = batch.replication(r).rows
        names, expected = matrix_of(formula, "rhs", batch, r)
        assert names == design.terms
        np.testing.assert_allclose(x[:, rows], expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(y[rows], matrix_of(formula, "lhs", batch, r)[1][0], rtol=1e-13)


def test_terms_are_named_as_formulaic_names_them(batch: Batch) -> None:
    design = design_of(batch, Model("grade ~ age*gender", random="1 + age"))
    assert design.terms == ("Intercept", "age", "gender[T.male]", "age:gender[T.male]")
    assert design.random_terms == ("Intercept", "age")
    assert design.response == "grade"
    assert design.intercept


def test_group_means_are_of_the_school_in_the_replication() -> None:
    frame = pd.DataFrame({"y": [1.0, 2, 3, 4], "x": [1.0, 3, 5, 9], "g": ["a", "a", "b", "b"]})
    batch = batch_of_frame(frame, "g")
    design = design_of(batch, Model("y ~ group_mean(x) + group_centred(x)", group="g"))
    np.testing.assert_array_equal(design.fixed(batch)[1:], [[2, 2, 7, 7], [-1, 1, -2, 2]])


def test_a_formula_is_compiled_once_for_all_batches(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    design_of(batch, Model("grade ~ age + age:track"))

    def never(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(design_module, "matrix_of", never)
    again: Design = design_of(batch.take([1, 2]), Model("grade ~ age + age:track"))
    assert again.fixed(batch).shape == (4, batch.rows)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("grade ~ agee", "Did you mean 'age'"),
        ("garde ~ age", "Did you mean 'grade'"),
        ("grade ~ age +", "formula over the columns"),
        ("grade ~ (age", "formula over the columns"),
        ("grade ~ group_man(age)", "Did you mean 'group_mean'"),
        ("grade ~ school", "methods with school dummies"),
        ("grade ~ age | gender", "without '|'"),
        ("~ age", "outcome before '~'"),
        ("gender ~ age", "one numeric outcome"),
        ("grade + age ~ gender", "one numeric outcome"),
        ("grade ~ 0", "at least one term"),
        ("grade ~ group_mean(gender)", "formula over the columns"),
        ("grade ~ 1/0", "formula over the columns"),
    ],
)
def test_unusable_formulas_say_what_to_do(batch: Batch, formula: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words.replace("(", r"\(").replace("|", r"\|")) as caught:
        design_of(batch, Model(formula))
    assert "\x1b" not in str(caught.value)


WORDS = ("grade", "age", "gender", "track", "one", "my score", "nowhere", "1", "0")
FORMULAS = st.builds(
    lambda outcome, terms, space: f"{outcome}{space}~{space}" + f"{space}+{space}".join(terms),
    st.sampled_from((*WORDS, "")),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    st.sampled_from(("", " ", "  ")),
)


LEVELS = st.lists(
    st.sampled_from(("a", "b:c", "x[1]", "a b", "_column_class_", "")), min_size=1, max_size=4, unique=True
)


@settings(max_examples=20, deadline=None)
@given(FORMULAS, LEVELS, st.booleans())
def test_a_sum_of_columns_is_read_as_formulaic_reads_it(formula: str, levels: list[str], left: bool) -> None:
    """Names, products and refusals with the sums read here, and with formulaic alone: the same."""
    signature = (
        ("grade", None, ()),
        ("age", None, ()),
        ("gender", ("female", "male"), ()),
        ("track", tuple(levels), ()),
        ("one", ("only",), ()),
        ("my score", None, ()),
    )
    answers = []
    for reader in (design_module.sum_of, lambda _: None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(design_module, "sum_of", reader)
            patch.setattr(parsing_module, "sum_of", reader)
            try:
                parsed: object = parsing_module.parse.__wrapped__(formula, ("grade", "age"), ("school",))
            except InvalidInput as error:
                parsed = str(error)
            side = "lhs" if left else "rhs"
            answers.append((parsed, design_module._compile.__wrapped__(formula, side, "school", signature)))
    assert answers[0] == answers[1]


def test_undefined_values_stay_as_nan(batch: Batch) -> None:
    columns = dict(batch.columns) | {"age": np.where(np.arange(batch.rows) == 3, 0.0, 1.0)}
    odd = Batch(
        columns, "school", batch.school_offsets, batch.replication_offsets, batch.replications, batch.streams
    )
    x = design_of(odd, Model("grade ~ I(0/age)")).fixed(odd)
    assert np.isnan(x[1]).sum() == 1


NUMBERS = st.floats(-1e6, 1e6).filter(lambda v: v != 0.0 or not np.signbit(v)) | st.integers(-3, 2030).map(
    float
)
WITH_NUMBERS = (
    "grade ~ C(time)",
    "grade ~ 0 + C(time) + age",
    "grade ~ C(time) * age",
    "grade ~ C(`time`):gender + time",
    "grade ~ group_mean(time) + C(time):C(gender)",
)


def numbered(values: list[float], sizes: list[list[int]], seed: int, complete: bool) -> Batch:
    """Ragged replications with a numeric column of few values, all of them in each replication if `complete`."""
    rng = np.random.default_rng(seed)
    rows = [sum(replication) for replication in sizes]
    times = [rng.permutation([*values, *rng.choice(values, n - len(values))]) for n in rows]
    if not complete:
        times[-1][:] = values[0]
    n = sum(rows)
    return Batch(
        columns={
            "grade": rng.normal(size=n),
            "age": rng.normal(15.0, 1.0, n),
            "time": np.concatenate(times),
            "gender": Category(np.tile([0, 1], n)[:n].astype(np.int32), ("female", "male")),
        },
        group="school",
        school_offsets=offsets_of([size for replication in sizes for size in replication]),
        replication_offsets=offsets_of([len(replication) for replication in sizes]),
        replications=np.arange(len(sizes)),
        streams=StreamSource(1, "test"),
    )


@given(
    values=st.lists(NUMBERS, min_size=2, max_size=5, unique=True),
    sizes=st.lists(st.lists(st.integers(3, 6), min_size=2, max_size=4), min_size=1, max_size=3),
    formula=st.sampled_from(WITH_NUMBERS),
    seed=st.integers(0, 99),
)
@settings(max_examples=20)
def test_a_number_as_category_is_compiled_and_equals_formulaic(
    values: list[float], sizes: list[list[int]], formula: str, seed: int
) -> None:
    batch = numbered(values, sizes, seed, complete=True)
    design = design_of(batch, Model(formula))
    assert design.rhs_products is not None
    x = design.fixed(batch)
    for r in range(batch.size):
        names, expected = matrix_of(formula, "rhs", batch, r)
        assert names == design.terms
        np.testing.assert_allclose(x[:, batch.replication(r).rows], expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("values", [[1.0, 2.0], [0.0, -0.0, 1.0], [1.0, np.nan], list(np.arange(80.0))])
def test_numbers_whose_columns_could_differ_are_left_to_formulaic(values: list[float]) -> None:
    """Values that a replication lacks, a signed zero, gaps, too many values: never compiled, never another matrix."""
    batch = numbered(values, [[50, 50], [60, 40]], 3, complete=values != [1.0, 2.0])
    design = design_of(batch, Model("grade ~ C(time)"))
    assert design.rhs_products is None
    if values == [1.0, 2.0]:
        with pytest.raises(InvalidInput, match="in every data set"):
            design.fixed(batch)


def test_moments_of_a_number_as_category_are_those_of_its_columns() -> None:
    batch = numbered([0.0, 1.5, 4.0], [[6, 5, 7], [8, 9]], 4, complete=True)
    model = Model("grade ~ C(time) + age", random="1 + C(time)")
    moments = moments_of(batch, model)
    np.testing.assert_allclose(moments.cross, cross_products(batch, model, moments), rtol=1e-10, atol=1e-11)
