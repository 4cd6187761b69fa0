"""What every registered law keeps, tried on its example: being in `LAWS` is being under test."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.population import Population
from nestbench.sim.checks import inside
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.registry import LAWS
from nestbench.sim.observed.batch import Category, Column
from nestbench.sim.observed.design import design_of
from nestbench.sim.parameter import Declared, declared_of
from nestbench.sim.streams import StreamSource
from tests.sim.laws.examples import NEEDS, example_of

laws = pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
RANGES = [(law, name) for law in LAWS for name, said in declared_of(law).items() if said.allowed]

NUMBERS = [
    (law, field.name)
    for law in LAWS
    for field in dataclasses.fields(law)  # type: ignore[arg-type]
    if field.init and (field.type in ("int", "float") or declared_of(law)[field.name].check)
]


@pytest.fixture
def cell(law: type[Population], tmp_path: Path) -> Cell:
    return example_of(law, tmp_path)


def numbers(column: Column) -> np.ndarray:
    return column.codes.astype(float) if isinstance(column, Category) else column


@laws
def test_the_example_is_one_of_the_law(law: type[Population], cell: Cell) -> None:
    assert type(cell.population) is law
    assert isinstance(cell.population, Population)


@laws
def test_chunks_are_invisible(cell: Cell) -> None:
    whole = cell.draw(7, range(6))
    parts = [cell.draw(7, cut) for cut in (range(2), range(2, 3), range(3, 6))]
    for name, values in whole.columns.items():
        cut = np.concatenate([numbers(part.columns[name]) for part in parts])
        np.testing.assert_array_equal(numbers(values), cut)
    labels = [label for part in parts for r in range(part.size) for label in part.replication(r).labels]
    assert [label for r in range(6) for label in whole.replication(r).labels] == labels


@laws
def test_replications_differ_and_numbers_are_finite(cell: Cell) -> None:
    batch = cell.draw(7, range(6))
    outcome = batch.once(design_of, cell.model).outcome(batch)
    first = [outcome[start] for start in batch.row_offsets[:-1]]
    assert len(set(first)) == 6
    assert all(np.isfinite(numbers(values)).all() for values in batch.columns.values())


@laws
def test_the_truth_is_what_least_squares_find_on_average(cell: Cell) -> None:
    """Means of 400 fits within 4.9 of their standard errors, for every coefficient (false alarm 1e-6 each)."""
    batch = cell.draw(20261125, range(400))
    design = batch.once(design_of, cell.model)
    x, y = design.fixed(batch).T, design.outcome(batch)
    edges = zip(batch.row_offsets[:-1], batch.row_offsets[1:], strict=True)
    fits = np.array([np.linalg.lstsq(x[a:b], y[a:b], rcond=None)[0] for a, b in edges])
    truth = np.array([cell.truth[term] for term in design.terms])
    assert (truth != 0).all(), "expected an example whose effects aren't 0"
    errors = fits.std(axis=0, ddof=1) / np.sqrt(len(fits))
    assert (np.abs(fits.mean(axis=0) - truth) <= 4.9 * errors).all(), (design.terms, fits.mean(axis=0), truth)


@laws
def test_it_survives_the_way_to_a_worker(cell: Cell) -> None:
    again = pickle.loads(pickle.dumps(cell))
    assert (again.key, again.law_key) == (cell.key, cell.law_key)
    mine, others = cell.draw(7, range(1)), again.draw(7, range(1))
    for name, values in mine.columns.items():
        np.testing.assert_array_equal(numbers(values), numbers(others.columns[name]))


@laws
def test_every_parameter_is_said_in_the_docstring(law: type[Population]) -> None:
    stated = (law.__doc__ or "").split("Attributes")[-1]
    fields: Any = dataclasses.fields(law)  # type: ignore[arg-type]
    assert [f.name for f in fields if f.init and f.name not in stated] == []


def another(name: str, field: Any, said: Declared) -> Any:
    """A value of a parameter that isn't its default."""
    if field.name == "version":
        return 1
    if said.check is not None:
        return "lognormal(1)"
    if field.type == "int":
        return field.default + 1
    return next(v for by in (0.3, -0.3, 1.0) if inside(v := field.default + by, **said.allowed))


@pytest.mark.parametrize(("law", "name"), NUMBERS, ids=[f"{law.name}-{name}" for law, name in NUMBERS])
def test_a_parameter_acts_and_is_in_the_key(law: type[Population], name: str, cell: Cell) -> None:
    """On the data of the same streams; at its default it is in no key."""
    fields: dict[str, Any] = {f.name: f for f in dataclasses.fields(law)}  # type: ignore[arg-type]
    needed = NEEDS.get(f"{law.name}.{name}", NEEDS.get(name, {}))
    layout = {key.removeprefix("layout."): value for key, value in needed.items() if "." in key}
    own = {key: value for key, value in needed.items() if "." not in key}
    value = another(name, fields[name], declared_of(law)[name])

    def made(**more: Any) -> Cell:
        population: Any = dataclasses.replace(cell.population, **own, **more)  # type: ignore[type-var]
        return Cell(population, dataclasses.replace(cell.layout, **layout), cell.model)

    usual, changed = made(**{name: fields[name].default}), made(**{name: value})
    assert usual.law_key == made().law_key != changed.law_key
    drawn = [
        each.population.draw(each.layout, StreamSource(5, "same"), range(2)) for each in (usual, changed)
    ]
    alike = [
        np.array_equal(numbers(drawn[0].columns[c]), numbers(drawn[1].columns[c])) for c in drawn[0].columns
    ]
    assert not all(alike)


@pytest.mark.parametrize(("law", "name"), RANGES, ids=[f"{law.name}-{name}" for law, name in RANGES])
def test_a_parameter_outside_its_range_is_refused_by_name(
    law: type[Population], name: str, cell: Cell
) -> None:
    allowed = declared_of(law)[name].allowed
    wrong = [allowed["low"] - 1.0] if "low" in allowed else []
    wrong += [allowed["high"] + 1.0] if "high" in allowed else []
    for value in [*wrong, float("nan")]:
        with pytest.raises(InvalidInput, match=name):
            dataclasses.replace(cell.population, **{name: value})  # type: ignore[type-var]
