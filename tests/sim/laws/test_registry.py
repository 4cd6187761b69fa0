"""The registry of laws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest

from nestbench.sim.cells.population import Population
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws import registry as laws
from nestbench.sim.random_intercept import RandomIntercept


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(laws, "_ADDED", {})
    return


def test_names_are_unique_and_laws_are_populations() -> None:
    assert len({law.name for law in laws.LAWS}) == len(laws.LAWS)
    assert laws.law_named("random-intercept") is RandomIntercept
    assert isinstance(RandomIntercept(), Population)


def test_unknown_law_suggests_the_nearest() -> None:
    with pytest.raises(InvalidInput, match=r"random_intercept'\. Did you mean 'random-intercept'\?"):
        laws.law_named("random_intercept")


@pytest.mark.usefixtures("added")
def test_a_users_law_joins_but_takes_no_built_in_name() -> None:
    @dataclass(frozen=True)
    class Mine(RandomIntercept):
        name: ClassVar[str] = "mine"

    assert laws.add_law(Mine) is Mine
    laws.add_law(Mine)
    assert laws.law_named("mine") is Mine

    @dataclass(frozen=True)
    class Thief(RandomIntercept):
        name: ClassVar[str] = "random-intercept"

    with pytest.raises(InvalidInput, match="taken by a built-in population"):
        laws.add_law(Thief)
