"""Chi-squares of many streams at once are NumPy's, and where that can't be, NumPy draws them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from nestbench.sim import gammas, normals
from nestbench.sim.random_intercept.shocks import ManyStreams, shock
from nestbench.sim.streams import StreamSource


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """What is found of NumPy's numbers is remembered in a process: not what a test makes of it."""
    normals.layers.cache_clear()
    gammas.agrees.cache_clear()
    yield
    normals.layers.cache_clear()
    gammas.agrees.cache_clear()


@pytest.mark.parametrize("df", [0.5, 2.0, 2.01, 3.0, 5.0, 80.5])
def test_they_are_numpys(df: float) -> None:
    source, out = StreamSource(5, "key"), np.empty((3, 1000))
    states = source.states(range(4, 7), "data")
    gammas.chi_squares(source, states, df, out)
    for i in range(3):
        generator = source.new(4 + i, "data")
        np.testing.assert_array_equal(out[i], generator.chisquare(df, 1000))
        # What follows in the stream, too, whoever draws it.
        assert source.resumed(states[i]).random() == generator.random()


def test_the_loop_draws_them_where_it_can() -> None:
    assert gammas.agrees(5.0)
    assert gammas.agrees(2.5)


def test_a_million_of_them_are_numpys() -> None:
    """Some 100 000 of them by logarithms, since the squeeze didn't keep them at once."""
    source, out = StreamSource(6, "key"), np.empty((1, 1_000_000))
    gammas.chi_squares(source, source.states([0], "data"), 5.0, out)
    np.testing.assert_array_equal(out[0], source.at(0, "data").chisquare(5.0, out.shape[1]))


def test_numpy_draws_where_the_loop_would_give_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gammas, "agrees", lambda df: False)
    monkeypatch.setattr(gammas, "compiled", None)
    source, out = StreamSource(5, "key"), np.empty((2, 50))
    gammas.chi_squares(source, source.states(range(2), "data"), 5.0, out)
    np.testing.assert_array_equal(out[1], source.at(1, "data").chisquare(5.0, 50))


@pytest.mark.parametrize("shape", ["normal", "t(5)", "chi2(0.7)", "chi2(3)", "lognormal(1)", "bimodal(0.9)"])
def test_shapes_of_many_streams_are_those_of_each(shape: str) -> None:
    source, how = StreamSource(5, "key"), shock("", shape)
    z = np.random.default_rng(1).normal(size=(3, 40))
    found = how.of(z, ManyStreams(source, range(2, 5), "errors"))
    for i in range(3):
        np.testing.assert_array_equal(found[i], how.of(z[i], source.at(2 + i, "errors")))
