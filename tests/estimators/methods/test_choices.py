"""Methods typed on one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.estimators.methods import registry
from nestbench.estimators.methods.choices import choices_of
from nestbench.sim.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("ols", ["ols"]),
        (" ols , ols-cr1s-t,", ["ols", "ols-cr1s-t"]),
        ("ols-wild:draws=9999", [{"name": "ols-wild", "draws": 9999}]),
        (
            "ols-wild:draws=999:weights=webb,ols",
            [{"name": "ols-wild", "draws": 999, "weights": "webb"}, "ols"],
        ),
        (
            "means(weights=size, variance=hc2),ols",
            [{"name": "means", "weights": "size", "variance": "hc2"}, "ols"],
        ),
        ("gls:theta=0.5", [{"name": "gls", "theta": 0.5}]),
        ("ols-cr2-satt:diagnostics=true", [{"name": "ols-cr2-satt", "diagnostics": True}]),
        ("permutation:term=age:treated", None),
        ("ols-wild:draws", None),
        ("ols-wild:draws=9:draws=8", None),
        ("", None),
        (",", None),
    ],
)
def test_what_is_typed(text: str, choices: list[Any] | None) -> None:
    if choices is None:
        with pytest.raises(InvalidInput, match="expected"):
            choices_of(text)
    else:
        assert choices_of(text) == choices


@pytest.mark.parametrize("name", [n for n, e in registry.known().items() if e.options])
def test_the_label_of_a_method_names_it(name: str) -> None:
    """What a table of results calls a method can be typed: label -> method -> the same label."""
    estimator = registry.get(name)
    for key, value in estimator.options.items():
        if isinstance(value, int) and not isinstance(value, bool):
            changed = estimator.with_options({key: value + 100})
            (choice,) = choices_of(changed.label)
            assert registry.get(choice) == changed
            (typed,) = choices_of(f"{name}:{key}={value + 100}")
            assert registry.get(typed) == changed


@given(st.text(max_size=40))
def test_anything_typed_is_read_or_refused(text: str) -> None:
    try:
        choices = choices_of(text)
    except InvalidInput:
        return
    assert choices
    for choice in choices:
        assert isinstance(choice, str) or set(choice) > {"name"}


@pytest.mark.parametrize("number", [np.int64(99), np.int32(99), np.array(99)[()]])
@pytest.mark.parametrize("name", ["ols-wild", "permutation", "pairs-bootstrap"])
def test_options_may_be_numbers_of_numpy(name: str, number: object) -> None:
    """They mean, are called and are stored as Python's."""
    chosen = registry.get({"name": name, "draws": number})
    assert chosen == registry.get({"name": name, "draws": 99})
    assert type(chosen.options["draws"]) is int
    assert chosen.label == f"{name}(draws=99)"
