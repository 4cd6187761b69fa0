"""TOML files with anything in them: read, or refused in words; never another exception, never a hang."""

from __future__ import annotations

import copy
import datetime
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import plan, refuse_too_many, rows_of
from nestbench.experiments.running.checking import check_models
from nestbench.experiments.running.resolving import is_run, resolve
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.reading import experiment_from, read_experiment
from nestbench.experiments.toml.template import TEMPLATE
from nestbench.sim.errors import InvalidInput, NestbenchError

BASE: dict[str, Any] = {
    **tomllib.loads(TEMPLATE.replace("NAME", "mine")),
    "precision": {"coverage": 0.01, "max_replications": 2000, "max_time": 60.0},
    "published": [
        {"source": "p", "term": "age", "measure": "coverage", "replications": 1000, "factors": ["layout.schools"],
         "estimators": ["ols"], "rows": [[6, 0.9], [30, "-"]]},
        {"source": "p", "term": "age", "measures": ["bias"], "exact": True, "rows": [["ols", 0.0]]},
    ],
}  # fmt: skip
BASE["factors"]["exclude"] = [{"layout.schools": 6, "population.icc": [0.0, 0.05]}]
BASE["experiment"]["estimators"] = ["ols", {"name": "means", "weights": "size"}]

HOSTILE: tuple[Any, ...] = (
    [], {}, "", "0", "x" * 300, "\0", "~", "../../x", True, False, 0, -1, 1, 2.5, 10**11, 10**23, 10**400, 1e308, 1e29,
    float("nan"), float("inf"), [[]], [{}], [[], {}], ["ols", "ols"], [None], {"name": []}, {"": {}}, [1, True, 1.0],
    datetime.date(2026, 1, 1), [10**11, 3], "1 | 2", "grade ~ ", "[", "é" * 50, list(range(300)),
)  # fmt: skip


def places(table: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested tables and lists."""
    for key in table if isinstance(table, dict) else range(len(table)) if isinstance(table, list) else ():
        yield (*path, key)
        yield from places(table[key], (*path, key))


PLACES = list(places(BASE))


@st.composite
def mutations(draw: st.DrawFn) -> dict[str, Any]:
    """A good file with up to three things replaced, taken away or added."""
    tables = copy.deepcopy(BASE)
    for place in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        *path, last = place
        inner: Any = tables
        try:
            for key in path:
                inner = inner[key]
            what = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
            if what == "remove":
                del inner[last]
            elif what == "add" and isinstance(inner, dict):
                inner[
                    draw(st.sampled_from(["x", "layout.schools", "model", "only", "shuffle_sizes", "random"]))
                ] = draw(st.sampled_from(HOSTILE))
            else:
                inner[last] = draw(st.sampled_from(HOSTILE))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return tables


def use(tables: dict[str, Any]) -> bool:
    """Read an experiment, and plan and check it if it is small; whether it was accepted."""
    try:
        found = experiment_from(tables)
        assert found.cells
        refuse_too_many(found)
        if max(map(rows_of, found.cells)) < 10_000 and found.replications < 10_000:
            plan(found)
            check_models(found)
    except InvalidInput:
        return False
    return True


@given(mutations())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_mutated_files_are_read_or_refused(tables: dict[str, Any]) -> None:
    use(tables)


@pytest.mark.slow
@given(mutations())
@settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_mutated_files_are_read_or_refused(tables: dict[str, Any]) -> None:
    use(tables)


def test_the_file_that_is_mutated_is_a_good_one() -> None:
    assert use(copy.deepcopy(BASE))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_hostile_value_in_every_place(place: tuple[Any, ...]) -> None:
    for value in HOSTILE:
        tables = copy.deepcopy(BASE)
        inner: Any = tables
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        use(tables)


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("layout", "schools", 10**11, "students; at most"),
        ("layout", "students", [10**11, 3, 4, 5], "students; at most"),
        ("layout", "giant_school", 10**11, "students; at most"),
        ("experiment", "replications", 10**12, "less than or equal to 100000000"),
        ("experiment", "replications", 10**23, "less than or equal to 100000000"),
        ("experiment", "estimators", [{"name": []}], "unknown method '[]'"),
        ("population", "total_sd", 1e308, "population.total_sd of at most 1e+30 in size"),
        ("population", "effects", {"age": 10**400}, "population.effects.age"),
        ("experiment", "plugins", ["x" * 300 + ".py"], "there is no such file"),
    ],
)
def test_what_is_too_much_is_named(
    tables: dict[str, Any], section: str, key: str, value: Any, said: str
) -> None:
    tables["factors"] = {}
    tables[section][key] = value
    with pytest.raises(InvalidInput) as caught:
        experiment_from(tables)
    assert said in str(caught.value)


def test_a_random_part_without_terms_is_refused_before_a_run(tables: dict[str, Any], tmp_path: Path) -> None:
    tables["model"]["random"] = "0"
    with pytest.raises(InvalidInput, match="random part with at least one term, got '0'"):
        run_experiment(experiment_from(tables), tmp_path / "run", workers=1)


def test_a_plan_too_long_spoils_no_run(tiny: Experiment, tmp_path: Path) -> None:
    """Mistyped replications are refused before anything is written: the run goes on as it was."""
    folder = run_experiment(tiny, tmp_path / "run", workers=1).folder
    before = (folder / "manifest.json").read_bytes()
    for count in (10**8, 10**12, 10**23, 0):
        with pytest.raises(InvalidInput, match="replications"):
            run_experiment(folder, workers=1, changes={"replications": count, "engine": "reference"}, block=1)
        with pytest.raises(InvalidInput, match="replications"):
            run_experiment(folder, workers=1, changes={"replications": count}, block=1)
    assert (folder / "manifest.json").read_bytes() == before
    assert Store.open(folder).missing() == []
    for methods in (["ols", "ols"], []):
        with pytest.raises(InvalidInput, match="each method once"):
            resolve(folder, {"estimators": methods})


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "x/" * 3000, ""])
def test_paths_that_cannot_be(path: str) -> None:
    assert not is_run(path)
    with pytest.raises(InvalidInput, match="neither"):
        read_experiment(path)


@pytest.mark.posix
def test_a_pipe_as_data_is_refused(tmp_path: Path, tables: dict[str, Any]) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    tables |= {
        "population": {"law": "fixed-design", "data": str(tmp_path / "pipe.csv")},
        "layout": {},
        "factors": {},
    }
    with pytest.raises(NestbenchError, match="not a regular file"):
        experiment_from(tables)


@pytest.mark.posix
def test_a_link_to_itself_as_data_is_refused(tmp_path: Path, tables: dict[str, Any]) -> None:
    (tmp_path / "data.csv").symlink_to("data.csv")
    law = {"law": "fixed-design", "data": "data.csv"}
    with pytest.raises(NestbenchError, match=r"population\.data"):
        experiment_from(tables | {"population": law, "layout": {}, "factors": {}}, base=tmp_path)


@pytest.mark.parametrize(
    "text", [b"x = " + b"9" * 5000, b"x = " + b"[" * 5000, b"\xff\xfe", b"\0", b"x = 1\nx = 2"]
)
def test_texts_that_are_no_toml(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x.toml").write_bytes(text)
    with pytest.raises(InvalidInput, match="which can't be read"):
        read_experiment(tmp_path / "x.toml")
