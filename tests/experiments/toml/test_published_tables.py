"""Published tables in experiments: reading, mistakes, and the catalogue's own."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.experiments import catalog
from nestbench.experiments.toml.published_tables import published_of
from nestbench.experiments.toml.reading import experiment_from, read_experiment
from nestbench.sim.errors import InvalidInput

TABLE: dict[str, Any] = {
    "source": "A paper",
    "term": "age",
    "measure": "coverage",
    "replications": 1000,
    "factors": ["layout.schools", "population.icc"],
    "estimators": ["ols", "ols-cr1s-t"],
    "rows": [[6, 0.0, 0.95, 0.91], [10, 0.2, 0.7, "-"]],
}


def experiment(*published: dict[str, Any]) -> Any:
    return experiment_from(
        {
            "experiment": {"name": "x", "estimators": ["ols", "ols-cr1s-t"]},
            "factors": {"layout.schools": [6, 10], "population.icc": [0.0, 0.2]},
            "published": list(published),
        }
    )


def test_each_cell_of_a_table_is_a_number() -> None:
    numbers = published_of(experiment(TABLE))
    assert [(n.estimator, n.value, dict(n.levels)) for n in numbers] == [
        ("ols", 0.95, {"layout.schools": 6, "population.icc": 0.0}),
        ("ols-cr1s-t", 0.91, {"layout.schools": 6, "population.icc": 0.0}),
        ("ols", 0.7, {"layout.schools": 10, "population.icc": 0.2}),
    ]
    assert {(n.term, n.measure, n.replications, n.source) for n in numbers} == {
        ("age", "coverage", 1000, "A paper")
    }


def test_columns_may_be_measures() -> None:
    table = {k: v for k, v in TABLE.items() if k not in ("measure", "estimators", "replications")}
    table |= {"measures": ["bias", "model_se"], "exact": True, "factors": [], "rows": [["ols", 0.1, 0.2]]}
    numbers = published_of(experiment(table))
    assert [(n.estimator, n.measure, n.value, n.replications) for n in numbers] == [
        ("ols", "bias", 0.1, None),
        ("ols", "model_se", 0.2, None),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"factors": ["layout.school", "population.icc"]},
            ["layout.school", "layout.schools, population.icc"],
        ),
        ({"rows": [[7, 0.0, 0.95, 0.9]]}, ["layout.schools = 7", "[6, 10]"]),
        ({"rows": [[6, 0.0, 0.95]]}, ["should have 4 entries"]),
        ({"rows": [[6, 0.0, 0.95, "x"]]}, ["neither numbers"]),
        ({"exact": True}, ["either replications", "exact"]),
        ({"measures": ["bias"]}, ["either `measure` and `estimators`, or `measures`"]),
        ({"columns": []}, ["published[1].columns"]),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        experiment({**TABLE, **changes})
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("name", catalog.names())
def test_every_catalogue_experiment_reads_and_states_its_theory(name: str) -> None:
    found = read_experiment(name)
    assert found.cells
    assert found.name == name
    assert "Theory" in found.aims or name in ("three-schools", "no-clustering")
    assert found.title


@pytest.mark.parametrize("name", [n for n in catalog.names() if n.startswith("study-")])
def test_published_numbers_belong_to_methods_and_terms_of_the_study(name: str) -> None:
    """Each stored number names a method of the study and a term its law knows the truth of (or a whole fit)."""
    found = read_experiment(name)
    numbers = published_of(found)
    assert numbers
    assert {n.estimator for n in numbers} <= {e.label for e in found.estimators}
    known = set.intersection(*(set(cell.truth) for cell in found.cells)) | {"(fit)"}
    assert {n.term for n in numbers} <= known
    rates = [n.value for n in numbers if n.measure in ("coverage", "rejection", "share_boundary")]
    assert all(0.0 <= rate <= 1.0 for rate in rates)
