"""Random parts in lme4's notation."""

from __future__ import annotations

import pytest

from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.bars import split_bars
from nestbench.sim.observed.model import Model


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ x + (1 | school)", Model("y ~ x")),
        ("y ~ (1 | school) + x", Model("y ~ x")),
        ("y ~ x + (1 + x | g)", Model("y ~ x", "g", "1 + x")),
        ("y ~ x + (0 + x | g)", Model("y ~ x", "g", "0 + x")),
        ("y ~ x + (1 | school/class)", Model("y ~ x", subgroup="class")),
        ("y ~ x + (1 | a) + (1 | a:b)", Model("y ~ x", "a", subgroup="b")),
        ("y ~ x + (1 | b:a) + (1 | a)", Model("y ~ x", "a", subgroup="b")),
        ("y ~ (1 | g)", Model("y ~ 1", "g")),
        ("y ~ (a + b)**2 + (1 | `my school`)", Model("y ~ (a + b)**2", "my school")),
        ("y ~ np.log((x)) + (1 | g)", Model("y ~ np.log((x))", "g")),
    ],
)
def test_a_model_takes_the_random_part_from_its_formula(formula: str, expected: Model) -> None:
    """It is the same model as one with the parts given apart, down to its key."""
    assert Model(formula=formula) == expected


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (1 | a) + (1 | b)",
        "y ~ x + (1 + x || g)",
        "y ~ x + (1 + x | a/b)",
        "y ~ x + (| a)",
        "y ~ x + (1 |)",
        "y ~ x + (1 | a/b/c)",
        "y ~ x + (1 | a | b)",
        "y ~ x + (1 | a:b)",
    ],
)
def test_other_groupings_are_refused(formula: str) -> None:
    """What no method here can fit is said, not dropped."""
    with pytest.raises(InvalidInput):
        Model(formula=formula)


def test_formula_and_options_may_not_contradict_one_another() -> None:
    """The same said twice is fine."""
    assert Model("y ~ x + (1 | g)", group="g").group == "g"
    with pytest.raises(InvalidInput, match="expected one group"):
        Model("y ~ x + (1 | g)", group="h")
    with pytest.raises(InvalidInput, match="expected one random"):
        Model("y ~ x + (1 | g)", random="1 + x")


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ I((x) | (z))", "y ~ `a (1|b)`", "y ~ C(x, 'a|b')"])
def test_no_random_part(formula: str) -> None:
    """Bars elsewhere are none."""
    assert split_bars(formula) is None
