"""What every estimator promises, for every estimator in the registry and each engine it has.

A new estimator is under test by being registered. Data are small, so that slow methods can afford the suite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.engines.inference import wald
from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Estimator
from nestbench.estimators.methods.registry import ESTIMATORS
from nestbench.estimators.stored_rows import to_table
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, Category, Column, batch_of_frame, offsets_of
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.estimators.declared import BY_LABEL, OWN, REFERRED

MODEL = Model(formula="grade ~ age + gender + resources + treated", subgroup="klass")
SIZES = (3, 6, 9, 4, 6, 8, 5, 7)


def engines_of(estimator: Estimator) -> list[str]:
    both = {"reference": estimator.reference, "batched": estimator.batched}
    return [name for name, engine in both.items() if engine is not None]


def marks_of(estimator: Estimator, engine: str) -> list[pytest.MarkDecorator]:
    """References of two-engine methods are slow, and seen anyway: the fast engine leaves irregular data to them."""
    seen = engine == "reference" and estimator.batched is not None
    return [pytest.mark.slow] if seen else []


ENGINES = [
    pytest.param(estimator, engine, id=f"{estimator.label}-{engine}", marks=marks_of(estimator, engine))
    for estimator in OWN
    for engine in engines_of(estimator)
]
every_engine = pytest.mark.parametrize(("estimator", "engine"), ENGINES)


@cache
def friendly() -> Batch:
    """Six replications of eight unequal schools, three of them treated, with two classes in each; statsmodels'
    optimiser arrives on all."""
    law = RandomIntercept(icc=0.3, version=1)
    batch = Cell(law, Layout(schools=len(SIZES), students=SIZES, treated_schools=3), MODEL).draw(5, range(6))
    return with_classes(batch)


def with_classes(batch: Batch) -> Batch:
    rows = np.concatenate([np.arange(size) for size in np.diff(batch.school_offsets)])
    klass = Category((rows % 2).astype(np.int32), ("a", "b"))
    return replace(batch, columns={**batch.columns, "klass": klass}, _memo={})


def fitted(estimator: Estimator, engine: str) -> Estimates:
    return _fitted(estimator.label, engine)


@cache
def _fitted(label: str, engine: str) -> Estimates:
    return BY_LABEL[label].fit(friendly(), MODEL, engine)


def loose(estimator: Estimator) -> float:
    """How far rounding may carry: an iterative method stops where its own tolerance says."""
    return 1e-9 if estimator.agreement is Agreement.DIRECT else 2e-4


def assert_same(
    got: Estimates, expected: Estimates, rtol: float, fields: tuple[str, ...] = STORED_COLUMNS
) -> None:
    np.testing.assert_array_equal(got.status, expected.status)
    for name in fields:
        np.testing.assert_allclose(
            getattr(got, name), getattr(expected, name), rtol=rtol, atol=rtol, err_msg=name
        )


@every_engine
def test_schema(estimator: Estimator, engine: str) -> None:
    got, batch = fitted(estimator, engine), friendly()
    shape = (batch.size, len(got.terms))
    assert got.terms[: len(design_of(batch, MODEL).terms)] == design_of(batch, MODEL).terms
    np.testing.assert_array_equal(got.replications, batch.replications)
    for name in STORED_COLUMNS:
        assert getattr(got, name).shape == shape, name
        assert getattr(got, name).dtype == np.float64, name
    assert got.status.shape == got.message.shape == got.seconds.shape == (batch.size,)
    assert (got.status.dtype, got.message.dtype) == (np.int8, np.int32)
    assert all(name[0] == "(" and name[-1] == ")" for name in got.quantities)
    assert all(values.shape == (batch.size,) for values in got.quantities.values())
    assert got.messages[0] == ""
    assert len(got.texts()) == batch.size
    assert to_table(estimator.label, got).num_rows == batch.size * (shape[1] + len(got.quantities))
    assert (got.seconds > 0).all()


@every_engine
def test_usable_on_friendly_data(estimator: Estimator, engine: str) -> None:
    got = fitted(estimator, engine)
    assert (got.status <= FitStatus.BOUNDARY).mean() >= 0.5, got.texts()
    good = got.usable
    assert good.any()
    assert (got.std_error[good] > 0).all()
    assert (got.lower[good] < got.upper[good]).all()
    assert ((got.p_value[good] >= 0) & (got.p_value[good] <= 1)).all()
    inside = (got.lower <= got.estimate) & (got.estimate <= got.upper)
    assert inside[good].mean() > 0.8


@every_engine
def test_a_term_without_an_answer_says_why(estimator: Estimator, engine: str) -> None:
    got = fitted(estimator, engine)
    silent = [r for r in range(got.size) if np.isnan(got.estimate[r]).any() and not got.texts()[r]]
    assert not silent


@every_engine
def test_interval_and_test_agree(estimator: Estimator, engine: str) -> None:
    """At the model's level: the interval leaves out 0 exactly when p < 1 - level (but where both are discrete)."""
    if estimator.agreement is Agreement.RANDOM:
        pytest.skip("interval by draws: it may differ from the test by one draw")
    got = fitted(estimator, engine)
    good = got.usable & (np.abs(got.p_value - MODEL.alpha) > 1e-9)
    outside = (got.lower > 0) | (got.upper < 0)
    np.testing.assert_array_equal(outside[good], (got.p_value < MODEL.alpha)[good])


@every_engine
def test_any_block_of_replications_gives_the_same_bytes(estimator: Estimator, engine: str) -> None:
    whole = fitted(estimator, engine)
    for block in ([0], [1, 2, 3], [5, 4]):
        part = estimator.fit(friendly().take(block), MODEL, engine)
        np.testing.assert_array_equal(part.replications, whole.replications[block])
        np.testing.assert_array_equal(part.status, whole.status[block])
        assert part.texts() == [whole.texts()[i] for i in block]
        for name in STORED_COLUMNS:
            assert getattr(part, name).tobytes() == getattr(whole, name)[block].tobytes(), name
        for name, values in whole.quantities.items():
            assert part.quantities[name].tobytes() == values[block].tobytes(), name


@every_engine
def test_twice_is_the_same(estimator: Estimator, engine: str) -> None:
    again = estimator.fit(replace(friendly(), _memo={}), MODEL, engine)
    for name in STORED_COLUMNS:
        assert getattr(again, name).tobytes() == getattr(fitted(estimator, engine), name).tobytes(), name


Change = Callable[[pd.DataFrame], pd.DataFrame]


def changed(**columns: object) -> Change:
    return lambda frame: frame.assign(**columns)


def renamed(frame: pd.DataFrame) -> pd.DataFrame:
    new = dict(zip(sorted(set(frame["school"])), ("q", "b", "z", "a", "m", "c", "y", "d"), strict=True))
    return frame.assign(school=frame["school"].map(new))


PLAIN: dict[str, Change] = {
    "plain": lambda frame: frame,
    "shuffled": lambda frame: frame.sample(frac=1.0, random_state=3),
    "renamed": renamed,
    "outcome 1e6": changed(grade=lambda f: f["grade"] * 1e6),
    "outcome 1e-6": changed(grade=lambda f: f["grade"] * 1e-6),
    "regressor 1e6": changed(age=lambda f: f["age"] * 1e6),
    "regressor 1e-6": changed(age=lambda f: f["age"] * 1e-6),
}
NASTY: dict[str, Change] = {
    "collinear": changed(resources=lambda f: 12 * f["age"] + 3),
    "nearly collinear": changed(resources=lambda f: f["age"] + 1e-9 * f["resources"]),
    "constant regressor": changed(age=15.0),
    "zero regressor": changed(age=0.0),
    "constant outcome": changed(grade=50.0),
    "zero outcome": changed(grade=0.0),
    "outcome is a regressor": changed(grade=lambda f: f["age"]),
    "outcome constant in schools": changed(grade=lambda f: f["resources"]),
    "one school": lambda f: f[f["school"] == "S03"],
    "two schools": lambda f: f[f["school"].isin(["S03", "S05"])],
    "one student a school": lambda f: f.groupby("school").head(1),
    "fewer students than terms": lambda f: f.head(3),
    "as many students as terms": lambda f: f.head(5),
    "one student": lambda f: f.head(1),
    "one school varies": changed(age=lambda f: np.where(f["school"] == "S03", f["age"], 15.0)),
    "one treated school": changed(treated=lambda f: (f["school"] == "S02").astype(float)),
    "nobody treated": changed(treated=0.0),
    "huge": changed(grade=lambda f: f["grade"] * 1e12, age=lambda f: f["age"] * 1e12),
    "tiny": changed(grade=lambda f: f["grade"] * 1e-12, age=lambda f: f["age"] * 1e-12),
    "far from zero": changed(grade=lambda f: f["grade"] + 1e8, age=lambda f: f["age"] + 1e8),
    "outlier": changed(grade=lambda f: np.where(np.arange(len(f)) == 4, 1e9, f["grade"])),
}
SPOILED = [(column, value) for column in ("grade", "age") for value in (np.nan, np.inf)]
VARIANTS = [*PLAIN, *NASTY, *(f"{column} {value}" for column, value in SPOILED)]


@cache
def variants() -> Batch:
    """One data set in many versions, as the replications of one batch, all with the random streams of replication 1."""
    frame = friendly().replication(1).frame()
    changes = {**PLAIN, **NASTY}
    parts = [batch_of_frame(change(frame), "school") for change in changes.values()]
    parts += [spoiled(batch_of_frame(frame, "school"), column, value) for column, value in SPOILED]
    return replace(
        parts[0],
        columns={name: stacked([part.columns[name] for part in parts]) for name in parts[0].columns},
        school_offsets=offsets_of(np.concatenate([np.diff(part.school_offsets) for part in parts])),
        replication_offsets=offsets_of([len(part.school_offsets) - 1 for part in parts]),
        replications=np.ones(len(parts), dtype=np.int64),
        school_labels=tuple(label for part in parts for label in part.school_labels or ()),
        _memo={},
    )


def spoiled(batch: Batch, column: str, value: float) -> Batch:
    values = np.array(batch.columns[column])
    values[2] = value
    return replace(batch, columns={**batch.columns, column: values}, _memo={})


def stacked(columns: list[Column]) -> Column:
    if isinstance(columns[0], Category):
        codes = np.concatenate([column.codes for column in columns if isinstance(column, Category)])
        return Category(codes, columns[0].levels)
    return np.concatenate(columns)  # type: ignore[arg-type]


def version(estimator: Estimator, engine: str, name: str) -> Estimates:
    """The fit of one version, as estimates of one replication."""
    return row(_all_versions(estimator.label, engine), VARIANTS.index(name))


@cache
def _all_versions(label: str, engine: str) -> Estimates:
    return BY_LABEL[label].fit(variants(), MODEL, engine)


def row(estimates: Estimates, r: int) -> Estimates:
    fields = (*STORED_COLUMNS, "replications", "status", "message", "seconds")
    return replace(
        estimates,
        **{name: getattr(estimates, name)[[r]] for name in fields},
        quantities={name: values[[r]] for name, values in estimates.quantities.items()},
    )


@every_engine
def test_hard_neighbours_in_a_batch_change_nothing(estimator: Estimator, engine: str) -> None:
    alone = estimator.fit(variants().take([0]), MODEL, engine)
    among = version(estimator, engine, "plain")
    for name in (*STORED_COLUMNS, "status"):
        assert getattr(among, name).tobytes() == getattr(alone, name).tobytes(), name


@every_engine
def test_order_of_students_does_not_matter(estimator: Estimator, engine: str) -> None:
    plain, shuffled = (version(estimator, engine, name) for name in ("plain", "shuffled"))
    assert_same(shuffled, plain, loose(estimator))


@every_engine
def test_names_of_schools_do_not_matter(estimator: Estimator, engine: str) -> None:
    plain, other = (version(estimator, engine, name) for name in ("plain", "renamed"))
    fields = ("estimate",) if estimator.agreement is Agreement.RANDOM else STORED_COLUMNS
    assert_same(other, plain, loose(estimator), fields)


@every_engine
@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_units_of_the_outcome_do_not_matter(estimator: Estimator, engine: str, factor: float) -> None:
    plain, scaled = (
        version(estimator, engine, "plain"),
        version(estimator, engine, f"outcome 1e{np.log10(factor):.0f}"),
    )
    np.testing.assert_array_equal(scaled.status, plain.status)
    rtol = max(loose(estimator), 1e-8)
    for name in ("estimate", "std_error", "lower", "upper"):
        np.testing.assert_allclose(
            getattr(scaled, name) / factor, getattr(plain, name), rtol=rtol, atol=rtol, err_msg=name
        )
    np.testing.assert_allclose(scaled.p_value, plain.p_value, rtol=100 * rtol, atol=rtol)


@every_engine
@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_units_of_a_regressor_do_not_matter(estimator: Estimator, engine: str, factor: float) -> None:
    plain, scaled = (
        version(estimator, engine, "plain"),
        version(estimator, engine, f"regressor 1e{np.log10(factor):.0f}"),
    )
    j, rtol = plain.terms.index("age"), max(loose(estimator), 1e-8)
    np.testing.assert_array_equal(scaled.status, plain.status)
    np.testing.assert_allclose(scaled.estimate[0, j] * factor, plain.estimate[0, j], rtol=rtol)
    np.testing.assert_allclose(scaled.std_error[0, j] * factor, plain.std_error[0, j], rtol=rtol)
    np.testing.assert_allclose(scaled.p_value, plain.p_value, rtol=100 * rtol, atol=rtol)


@every_engine
def test_nasty_data_give_a_status_and_never_an_exception(estimator: Estimator, engine: str) -> None:
    for nasty in NASTY:
        got = version(estimator, engine, nasty)
        status = FitStatus(int(got.status[0]))
        assert status.usable or got.texts()[0], f"{nasty}: a fit that is not usable says why"
        good = got.usable[0]
        assert (got.std_error[0][good] > 0).all(), nasty
        assert np.isfinite(got.estimate[0][good]).all(), nasty
        assert set(got.quantities) == set(fitted(estimator, engine).quantities), nasty


@every_engine
def test_values_that_are_not_finite_give_a_status(estimator: Estimator, engine: str) -> None:
    for column, value in SPOILED:
        got = version(estimator, engine, f"{column} {value}")
        assert not FitStatus(int(got.status[0])).usable, (column, value)
        assert got.texts()[0], (column, value)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["reference", "batched"])
@pytest.mark.parametrize("estimator", REFERRED, ids=lambda e: e.label)
def test_another_reference_distribution_is_another_quantile_of_the_same_numbers(
    estimator: Estimator, engine: str
) -> None:
    """So every law above holds for it too: on friendly, moved and nasty data, and for the words about them."""
    for fit in (fitted, lambda chosen, engine: _all_versions(chosen.label, engine)):
        got, plain = fit(estimator, engine), fit(BY_LABEL[estimator.name], engine)
        # Where there is no G - p the textbook engine answers instead, which differs by rounding.
        answered = ~(np.isnan(got.df) & ~np.isnan(plain.df)).any(axis=1)
        for name in ("estimate", "std_error", "status"):
            ours, theirs = getattr(got, name), getattr(plain, name)
            assert ours[answered].tobytes() == theirs[answered].tobytes(), name
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, err_msg=name)
        assert answered.all() or "reference=t(G-p)" in estimator.label
        assert got.quantities.keys() == plain.quantities.keys()
        tests = wald(got.estimate, got.std_error, got.df, MODEL.level)
        for name, expected in zip(("lower", "upper", "p_value"), tests, strict=True):
            assert getattr(got, name).tobytes() == expected.tobytes(), name
        silent = np.isnan(got.estimate).any(axis=1) | np.isnan(got.df).any(axis=1)
        assert all(got.texts()[r] for r in np.flatnonzero(silent | (got.status > FitStatus.SINGULAR)))


@every_engine
def test_collinear_columns_leave_the_other_terms_their_numbers(estimator: Estimator, engine: str) -> None:
    batch = friendly().take([1])
    months = np.asarray(batch.columns["age"]) * 12
    wide = replace(batch, columns={**batch.columns, "months": months}, _memo={})
    got = estimator.fit(wide, replace(MODEL, formula=MODEL.formula + " + months"), engine)
    plain = row(fitted(estimator, engine), 1)
    for term in ("age", "months"):
        assert np.isnan(got.estimate[0, got.terms.index(term)])
    foreseen = np.isnan(plain.estimate[0, plain.terms.index("age")])
    assert foreseen or got.status[0] in (FitStatus.SINGULAR, FitStatus.NOT_CONVERGED, FitStatus.FAILED)
    if got.status[0] == FitStatus.SINGULAR and plain.status[0] <= FitStatus.BOUNDARY:
        for term in ("gender[T.male]", "resources"):
            here, there = got.terms.index(term), plain.terms.index(term)
            for name in ("estimate", "std_error"):
                np.testing.assert_allclose(
                    getattr(got, name)[0, here],
                    getattr(plain, name)[0, there],
                    rtol=max(1e-7, loose(estimator)),
                )


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.name)
def test_describes_itself(estimator: Estimator) -> None:
    assert estimator.name == estimator.name.lower()
    assert " " not in estimator.name
    assert estimator.version >= 1
    assert all(
        getattr(estimator.info, field) for field in ("label", "summary", "assumes", "df", "source", "formula")
    )
    assert "\n" not in estimator.info.summary
    assert engines_of(estimator)
    if len(engines_of(estimator)) == 2:
        assert estimator.agreement is not None


def test_names_and_labels_are_distinct() -> None:
    assert len({estimator.name for estimator in ESTIMATORS}) == len(ESTIMATORS)
    assert len({estimator.info.label for estimator in ESTIMATORS}) == len(ESTIMATORS)
