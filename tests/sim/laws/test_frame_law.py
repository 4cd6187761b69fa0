"""Laws that make one data set as a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.population import Population
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.frame_law import complete
from nestbench.sim.observed.batch import Category
from nestbench.sim.observed.model import Model


def law_of(make: Any) -> Any:
    @dataclass(frozen=True)
    class Own:
        name: ClassVar[str] = "own"
        shift: float = 0.0

        @property
        def truth(self) -> Mapping[str, float]:
            return {"Intercept": self.shift}

        def frame(self, layout: Layout, rng: np.random.Generator) -> Any:
            return make(layout, rng)

    complete(Own)
    return Own()


def pupils(layout: Layout, rng: np.random.Generator) -> pd.DataFrame:
    """Schools of random size under labels out of order; a kind that not every data set has all of."""
    sizes = rng.integers(1, 5, layout.schools)
    school = np.repeat(np.arange(layout.schools), sizes)
    y = rng.normal(size=layout.schools)[school] + rng.normal(size=len(school))
    kind = np.array(["a", "b", "c"])[rng.integers(0, 3, len(school))]
    return pd.DataFrame({"y": y, "kind": kind, "school": [f"no. {9 - s}" for s in school]})


def draw(law: Population, replications: range) -> Any:
    return Cell(law, Layout(schools=3), Model("y ~ 1")).draw(7, replications)


def test_a_law_of_frames_is_a_population() -> None:
    law = law_of(pupils)
    assert isinstance(law, Population)
    assert law.theory(Layout(schools=3)) == {}


def test_each_data_set_is_what_the_function_made() -> None:
    """Generators as the streams say; rows sorted by school, whatever the labels; one set of levels for the batch."""
    batch = draw(law_of(pupils), range(20))
    assert batch.size == 20
    kinds = batch.columns["kind"]
    assert isinstance(kinds, Category)
    assert kinds.levels == ("a", "b", "c")
    for r in range(20):
        made = pupils(Layout(schools=3), batch.streams.new(r, "data"))
        made = made.sort_values("school", kind="stable").reset_index(drop=True)
        got = batch.replication(r).frame()
        assert got["school"].tolist() == made["school"].tolist()
        assert got["kind"].astype(str).tolist() == made["kind"].tolist()
        np.testing.assert_array_equal(got["y"], made["y"])


def test_chunks_are_invisible() -> None:
    whole = draw(law_of(pupils), range(12))
    for part in (range(5), range(5, 6), range(6, 12)):
        alone = draw(law_of(pupils), part)
        for i, r in enumerate(part):
            there, here = whole.replication(r).frame(), alone.replication(i).frame()
            pd.testing.assert_frame_equal(there, here, check_categorical=False)


def test_a_batch_without_some_level_keeps_the_levels_it_has() -> None:
    def alternating(layout: Layout, rng: np.random.Generator) -> pd.DataFrame:
        kind = "x" if rng.random() < 0.5 else "y"
        return pd.DataFrame({"y": [1.0, 2.0], "kind": kind, "school": ["a", "b"]})

    kinds = draw(law_of(alternating), range(30)).columns["kind"]
    assert kinds.levels == ("x", "y")
    assert 0.1 < kinds.codes.mean() < 0.9


def fails(*_: object) -> None:
    raise KeyError("nowhere")


def changing(layout: Layout, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame({rng.choice(["p", "q"]): [1.0], "school": ["a"]})


def mixed(layout: Layout, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame({"y": [1.0 if rng.random() < 0.5 else "one"], "school": ["a"]})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (fails, r"the population 'own' raised KeyError: 'nowhere' \(test_frame_law.py, line \d+\)"),
        (lambda *_: 3, "got int"),
        (lambda *_: pd.DataFrame({"y": [1.0], "class": ["a"]}), "column 'school', got 1 rows with y, class"),
        (lambda *_: pd.DataFrame({"y": [], "school": []}), "got 0 rows"),
        (lambda *_: pd.DataFrame({"y": [np.nan], "school": ["a"]}), "missing values, got some in y"),
        (changing, "the same columns in every data set"),
        (mixed, "column 'y' as numbers in every data set of a population or in none"),
    ],
)
def test_what_a_law_can_get_wrong(make: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        draw(law_of(make), range(20))


def test_another_group_column() -> None:
    law = law_of(lambda *_: pd.DataFrame({"y": [1.0, 2.0], "clinic": ["a", "b"]}))
    type(law).group = "clinic"
    assert draw(law, range(2)).group == "clinic"
