"""What is suggested for a name that isn't there."""

from __future__ import annotations

import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.estimators.methods import registry
from nestbench.sim.errors import NestbenchError, did_you_mean, unknown_name

NAMES = sorted(registry.known())


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ("ols-cr2", " Did you mean 'ols-cr2-satt'?"),
        ("ols-cr1", " Did you mean 'ols-cr1s-t' or 'ols-cr1s-z'?"),
        ("ols-cr22", " Did you mean 'ols-cr2-satt'?"),
        ("OLS", " Did you mean 'ols'?"),
        ("olss", " Did you mean 'ols'?"),
        ("mixedml", " Did you mean 'mixedlm'?"),
        ("jackknife-of-nothing", ""),
        ("", ""),
    ],
)
def test_suggestions(got: str, said: str) -> None:
    names = [
        "ols",
        "ols-hc1",
        "ols-hc2",
        "ols-cr1s-t",
        "ols-cr1s-z",
        "ols-cr2-satt",
        "mixedlm",
        "mixedlm-guarded",
    ]
    assert did_you_mean(got, names) == said


@given(name=st.sampled_from(NAMES), length=st.integers(2, 20))
def test_the_beginning_of_a_name_suggests_names_that_begin_so(name: str, length: int) -> None:
    typed = name[:length]
    if typed not in NAMES:
        said = str(unknown_name("estimator", typed, NAMES)).split(" Known:")[0]
        quoted = said.split("Did you mean ")[1].split("'")[1::2]
        assert 1 <= len(quoted) <= 3
        assert all(one in NAMES and one.startswith(typed) for one in quoted)


@given(typed=st.text(max_size=12))
def test_whatever_is_typed_only_names_there_are_are_suggested(typed: str) -> None:
    said = did_you_mean(typed, NAMES)
    assert not said or set(said.removeprefix(" Did you mean ").split("'")[1::2]) <= set(NAMES)


def kinds(base: type[NestbenchError]) -> list[type[NestbenchError]]:
    """Return a class and all below it that stand in the package."""
    below = [kind for child in base.__subclasses__() for kind in kinds(child)]
    return [kind for kind in (base, *below) if kind.__module__.startswith("nestbench.")]


def test_every_error_of_ours_can_go_to_another_process() -> None:
    """Its class is called with its `args` there."""
    for kind in kinds(NestbenchError):
        takes = inspect.signature(kind.__init__).parameters
        texts = [name for name in takes if name in ("formula", "why", "remedy")] or ["text"]
        error = kind(*texts)
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back)) == (kind, str(error))
        assert all(text in str(back) for text in texts)
