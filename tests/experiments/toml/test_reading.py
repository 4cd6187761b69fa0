"""Experiments from TOML: what is read, and how every mistake is said."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.experiments import catalog
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import plan
from nestbench.experiments.toml.reading import experiment_from, read_experiment
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.experiments.toml.template import write_template
from nestbench.experiments.toml.writing import to_toml
from nestbench.sim.errors import InvalidInput


def message_of(tables: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        experiment_from(tables)
    return str(caught.value)


def test_factors_are_crossed_first_slowest(tiny: Experiment) -> None:
    assert [tuple(levels.values()) for levels in tiny.levels] == [
        (5, 0.0), (5, 0.2), ("3, 4, 5, 6", 0.0), ("3, 4, 5, 6", 0.2),
    ]  # fmt: skip
    assert tiny.cells[2].layout.students == (3, 4, 5, 6)
    assert [cell.population.icc for cell in tiny.cells] == [0.0, 0.2, 0.0, 0.2]  # type: ignore[attr-defined]


def test_nested_keys_tables_and_joint_factors(tables: dict[str, Any]) -> None:
    tables["factors"] = {
        "population.effects.resources": [0.0, 1.0],
        "model.formula": ["grade ~ age", "grade ~ age + resources"],
        "design": [
            {"layout.schools": 4, "layout.students": 9, "label": "few large"},
            {"layout.schools": 9, "layout.students": 4},
        ],
        "population": [{"icc": 0.1}, {"icc": 0.3, "total_sd": 2.0}],
    }
    read = experiment_from(tables)
    assert len(read.cells) == 16
    assert read.cells[0].truth["resources"] == 0.0
    assert read.cells[8].truth["resources"] == 1.0
    assert read.cells[8].truth["age"] == 1.0, "an effect beside the one set keeps its value"
    assert read.levels[0]["design"] == "few large"
    assert read.levels[2]["design"] == "layout.schools=9, layout.students=4"
    assert (read.cells[2].layout.schools, read.cells[2].layout.students) == (9, 4)
    assert read.cells[1].truth["(icc)"] == pytest.approx(0.3)
    assert {cell.model.formula for cell in read.cells[4:8]} == {"grade ~ age + resources"}


def test_all_mistakes_of_a_file_are_listed_at_once(tables: dict[str, Any]) -> None:
    tables["titel"] = 1
    tables["experiment"] |= {
        "estimators": ["olss", {"name": "ols", "drwas": 3}, 3, "ols", "ols"],
        "replications": -5,
        "sed": 2,
        "name": "a b",
        "plugins": ["nowhere.py"],
    }
    tables["population"]["effects"] = {"age": "two"}
    tables["layout"]["students"] = -3
    tables["factors"] = {"layot.schools": [1, 2], "layout.schools": 3, "model.level": [0.9, 0.9]}
    message = message_of(tables)
    for part in (
        "unknown key titel",
        "unknown key experiment.sed. Did you mean 'seed'?",
        "experiment.replications should be greater than or equal to 1, got -5",
        "experiment.name should be a name of letters",
        "experiment.estimators.2 should be a text or a table, got 3",
        "unknown method 'olss'. Did you mean 'ols'?",
        "has no option 'drwas'",
        "'ols' 2 times",
        'got "nowhere.py"',
        'population.effects.age should be a number, got "two"',
        "layout.students",
        'factors."layot.schools"',
        "Did you mean 'layout'?",
        'factors."layout.schools" should be a list',
        'factors."model.level" has a level twice',
    ):
        assert part in message, part


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("population", "icc", 1.2, "population.icc"),
        ("population", "law", "random-intercpt", "Did you mean 'random-intercept'?"),
        ("population", "icc", "0.2", "population.icc should be a number"),
        ("layout", "schools", 1, "layout.schools should be at least 2"),
        ("layout", "schools", -3, "layout.schools"),
        ("layout", "schools", 2.5, "layout.schools should be"),
        ("layout", "schools", True, "layout.schools should be"),
        ("layout", "students", [4, 0, 4, 4], "layout.students"),
        ("model", "formula", "grade", "formula"),
        ("model", "levl", 0.9, "Did you mean 'level'?"),
        ("experiment", "engine", "fast", "experiment.engine should be 'auto', 'reference' or 'batched'"),
        ("experiment", "engine", "batched", "no batched engine"),
        ("experiment", "estimators", [], "experiment.estimators should be a list of at least one"),
    ],
)
def test_one_mistake(tables: dict[str, Any], section: str, key: str, value: Any, said: str) -> None:
    tables["factors"] = {}
    if key == "engine" and value == "batched":
        tables["experiment"]["estimators"] = ["mixedlm"]
    tables[section][key] = value
    assert said in message_of(tables)


@pytest.mark.parametrize(
    ("section", "key", "value", "levels", "said"),
    [
        ("layout", "schools", "ten", [4, 5], 'layout.schools should be a whole number, got "ten"'),
        ("layout", "schools", -5, [4, 5], "layout.schools"),
        ("population", "icc", 1.5, [0.1, 0.2], "population.icc"),
        ("population", "total_sd", True, [1.0, 2.0], "population.total_sd should be a number, got true"),
        ("population", "law", "random", ["random-intercept"], "population.law"),
        ("model", "formula", "grade", ["grade ~ age"], "formula"),
    ],
)
def test_a_value_that_factors_replace_is_checked_too(
    tables: dict[str, Any], section: str, key: str, value: Any, levels: list[Any], said: str
) -> None:
    tables[section][key] = value
    tables["factors"] = {f"{section}.{key}": levels}
    assert said in message_of(tables)


def test_a_replaced_value_may_suit_the_base_alone_or_a_cell_alone(tables: dict[str, Any]) -> None:
    """20 treated of 10 schools can't be, of the cells' 40 they can; and 4 schools may have a list of 4 sizes."""
    tables["layout"] = {"schools": 40, "students": 5, "treated_schools": 20}
    tables["factors"] = {"layout.treated_schools": [1, 2]}
    assert len(experiment_from(tables).cells) == 2
    tables["layout"] = {"schools": 4, "students": [3, 4, 5, 6]}
    tables["factors"] = {"design": [{"layout.schools": 6, "layout.students": 5}]}
    assert len(experiment_from(tables).cells) == 1


def test_a_cell_made_twice_is_refused(tables: dict[str, Any]) -> None:
    tables["factors"] = {"population": [{"icc": 0.1}, {"icc": 0.1, "law": "random-intercept"}]}
    assert "2 times" in message_of(tables)


def test_missing_sections_and_files(tmp_path: Path) -> None:
    assert "[experiment] is missing" in message_of({})
    with pytest.raises(InvalidInput, match="Did you mean 'school-effects'"):
        read_experiment("school-efects")
    (tmp_path / "bad.toml").write_text("[experiment\n")
    with pytest.raises(InvalidInput, match=r"bad.toml.*line 1"):
        read_experiment(tmp_path / "bad.toml")


def test_plain_and_back_is_the_same_experiment(tiny: Experiment, tmp_path: Path) -> None:
    again = from_stored(to_stored(tiny), tmp_path)
    assert again == tiny
    assert again.key == tiny.key
    assert [cell.key for cell in again.cells] == [cell.key for cell in tiny.cells]


def test_written_source_reads_back_the_same(tiny: Experiment, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(tiny.source)
    assert read_experiment(tmp_path / "tiny.toml") == tiny


def test_identity_is_what_decides_numbers(tables: dict[str, Any], tiny: Experiment) -> None:
    tables["experiment"] |= {"title": "Another", "replications": 99, "audit": 3}
    assert experiment_from(tables).key == tiny.key
    tables["experiment"]["seed"] = 8
    assert experiment_from(tables).key != tiny.key


@pytest.mark.parametrize("name", catalog.names())
def test_catalogue_reads_and_plans(name: str) -> None:
    experiment = read_experiment(name)
    assert experiment.name == name
    assert experiment.aims
    assert plan(experiment)


def test_template_reads(tmp_path: Path) -> None:
    file = write_template("mine", tmp_path)
    assert read_experiment(file).name == "mine"
    with pytest.raises(InvalidInput, match="there already"):
        write_template("mine", tmp_path)
    with pytest.raises(InvalidInput, match="expected a name"):
        write_template("../mine", tmp_path)
    with pytest.raises(InvalidInput, match="expected a name"):
        write_template("mine\n", tmp_path)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8")),
        st.one_of(
            st.text(st.characters(codec="utf-8")),
            st.booleans().map(np.bool_),
            st.integers(-(2**62), 2**62).map(np.int64),
            st.floats(allow_nan=False),
        ),
    )
)
def test_tables_are_read_back_as_they_were_written(table: dict[str, Any]) -> None:
    """Keys beyond the basic plane and NumPy's truth values were written as TOML that nobody could read."""
    assert tomllib.loads(to_toml({"section": table}))["section"] == table


@pytest.mark.parametrize("as_factor", [False, True])
def test_data_of_a_law_is_found_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_factor: bool
) -> None:
    """A fixed design named relative to its TOML: read, stored and drawn again from another folder."""
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    (study / "data").mkdir(parents=True)
    elsewhere.mkdir()
    (study / "data" / "own.csv").write_text("school,age\n1,5\n1,6\n2,7\n2,9\n3,8\n3,6\n")
    where = '[factors]\n"population.data" =' if as_factor else "data ="
    value = '["data/own.csv"]' if as_factor else '"data/own.csv"'
    (study / "own.toml").write_text(
        '[experiment]\nname = "own"\nestimators = ["ols"]\n[model]\nformula = "grade ~ age"\n'
        f'[population]\nlaw = "fixed-design"\nformula = "age"\n{where} {value}\n'
    )
    monkeypatch.chdir(elsewhere)
    found = read_experiment(Path("../study/own.toml"))
    assert found.cells[0].draw(1, range(1)).rows == 6
    assert from_stored(to_stored(found), tmp_path).cells[0].draw(1, range(1)).rows == 6
    monkeypatch.chdir(study)
    assert read_experiment("own.toml").key == found.key
    assert experiment_from({**_read(study / "own.toml")}, base=study).key == found.key


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text())


@pytest.mark.parametrize("name", [[], {}, 3, True])
def test_a_law_that_is_no_name_is_refused(tables: dict[str, Any], name: Any) -> None:
    tables["population"]["law"] = name
    assert "population.law: expected the name of a population" in message_of(tables)
