"""One test of identifiability for every family, on small designs of any kind, against algebra."""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.estimators.methods.registry import get
from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource

FAMILY = ("mixedlm", "mixedlm-guarded", "reml-z", "reml-satt", "gee-z", "gee-md-z")
MODEL = Model("y ~ x + t", group="g")


def batch_of(sizes: list[int], levels: list[int], seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    columns = {"y": rng.normal(size=n), "x": rng.normal(size=n), "t": np.repeat(levels, sizes).astype(float)}
    return Batch(
        columns=columns,
        group="g",
        school_offsets=offsets_of(sizes),
        replication_offsets=np.array([0, len(sizes)]),
        replications=np.zeros(1, dtype=np.int64),
        streams=StreamSource(seed, "identified"),
    )


def told_apart(x: npt.NDArray[np.float64], sizes: list[int]) -> bool:
    """Whether Var(K'y) = sigma^2 I + tau^2 K'DD'K determines both variances, K'K = I and K'X = 0: K'DD'K is no
    multiple of I."""
    u, s, _ = np.linalg.svd(x, full_matrices=True)
    k = u[:, int((s > 1e-9 * s[0]).sum()) :]
    d = np.repeat(np.eye(len(sizes)), sizes, axis=0)
    m = k.T @ d @ d.T @ k
    return bool(np.abs(m - np.trace(m) / len(m) * np.eye(len(m))).max() > 1e-9) if len(m) else False


designs = st.integers(2, 5).flatmap(
    lambda g: st.tuples(
        st.one_of(st.just([1] * g), st.lists(st.integers(1, 4), min_size=g, max_size=g)),
        st.lists(st.integers(0, 1), min_size=g, max_size=g).filter(lambda t: len(set(t)) > 1),
        st.integers(0, 10**6),
    )
)


@given(designs)
@settings(max_examples=25, deadline=None)
def test_no_family_answers_what_the_data_cannot_tell(design: tuple[list[int], list[int], int]) -> None:
    sizes, levels, seed = design
    batch = batch_of(sizes, levels, seed)
    usable = {name: bool(get(name).fit(batch, MODEL).usable.any()) for name in FAMILY}
    x = np.column_stack([np.ones(batch.rows), np.asarray(batch.columns["x"]), np.asarray(batch.columns["t"])])
    if not told_apart(x, sizes):
        assert not any(usable.values()), (sizes, levels, usable)
    assert usable["mixedlm-guarded"] == usable["reml-z"] == usable["reml-satt"], (sizes, levels)
    assert usable["reml-z"] or not usable["mixedlm"]


@given(designs)
@settings(max_examples=25, deadline=None)
def test_both_engines_of_gee_ask_the_same(design: tuple[list[int], list[int], int]) -> None:
    batch = batch_of(*design)
    for name in ("gee-z", "gee-md-z"):
        both = [get(name).fit(batch, MODEL, engine) for engine in ("reference", "batched")]
        assert both[0].status.tolist() == both[1].status.tolist(), design
        assert both[0].texts() == both[1].texts(), design


def test_the_weights_of_many_schools_can_be_counted() -> None:
    batch = batch_of([2] * 1100, [0, 1] * 550, 1)
    for weights in ("rademacher", "webb"):
        found = get({"name": "ols-wild-u", "draws": 49, "weights": weights}).fit(batch, MODEL)
        assert found.usable.all()


@pytest.mark.parametrize("engine", ["reference", "batched"])
@pytest.mark.parametrize("schools", [2, 3, 4, 7])
@pytest.mark.parametrize(
    ("method", "distinct"),
    [
        ("pairs-bootstrap", lambda g: comb(2 * g - 1, g)),
        ("ols-wild", lambda g: 2**g),
        ("ols-wild-u", lambda g: 2**g),
        ("ols-wild-u(weights=webb)", lambda g: 6**g),
    ],
)
def test_no_p_value_below_one_over_the_number_of_draws(
    method: str, distinct: object, schools: int, engine: str
) -> None:
    """y depends on x so strongly that every draw agrees; below 1/.05 draws no effect is excluded."""
    name, _, options = method.partition("(")
    estimator = get({"name": name, **({"weights": "webb"} if options else {})})
    batch = batch_of([6] * schools, [0] * schools, 5)
    y = 5.0 * np.asarray(batch.columns["x"]) + 0.1 * np.asarray(batch.columns["y"])
    batch = Batch(
        {"y": y, "x": batch.columns["x"]},
        "g",
        batch.school_offsets,
        batch.replication_offsets,
        batch.replications,
        batch.streams,
    )
    found = estimator.fit(batch, Model("y ~ x", group="g"), engine)
    count = distinct(schools)  # type: ignore[operator]
    p, low, high = (float(v[0, 1]) for v in (found.p_value, found.lower, found.upper))
    assert p >= 1.0 / count
    assert (low, high) == (-np.inf, np.inf) if count < 20 else p < 0.05
    assert ("different draws" in found.texts()[0]) == (count < 20)
    if count >= 20 and method != "ols-wild":
        assert low < 5.0 < high
        assert np.isfinite([low, high]).all()
