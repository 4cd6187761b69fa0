"""The schema that editors use: it accepts what the reader accepts, and refuses what the reader refuses key by key."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.methods import registry
from nestbench.experiments import catalog
from nestbench.experiments.toml.fields import adapters_of
from nestbench.experiments.toml.published_tables import PublishedTable
from nestbench.experiments.toml.reading import experiment_from
from nestbench.experiments.toml.schema import experiment_schema, properties_of
from nestbench.experiments.toml.settings import PrecisionLimits, Settings
from nestbench.experiments.toml.template import SCHEMA
from nestbench.reports.measures.declared import MEASURES
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.registry import LAWS
from nestbench.sim.observed.model import Model
from nestbench.sim.parameter import declared_of
from nestbench.sim.random_intercept import RandomIntercept
from tests.docs.test_docs_run import GUIDES, blocks_of

VALIDATOR = Draft202012Validator(experiment_schema(measure.name for measure in MEASURES))
BASE: dict[str, Any] = {
    "experiment": {"name": "base", "estimators": ["ols", {"name": "ols-wild", "draws": 19}]},
    "population": {"icc": 0.2, "effects": {"Intercept": 1.0, "age": 2.0}},
    "layout": {"schools": 8, "students": 5},
    "model": {"formula": "grade ~ age", "null": {"age": 2.0}},
    "truth": {"age": 2.0},
    "factors": {
        "population.total_sd": [1.0, 2.0],
        "layout.treated_schools, layout.size_cv": [[2, 0.0], [4, 0.5]],
        "shape": [{"label": "a", "population.residual_shape": "t(5)"}, {"label": "b"}],
        "exclude": [{"population.total_sd": 1.0, "shape": "a"}],
    },
    "precision": {"coverage": 0.01, "max_replications": 200},
}
KINDS = {
    "experiment": Settings,
    "population": RandomIntercept,
    "layout": Layout,
    "model": Model,
    "precision": PrecisionLimits,
}
LEVELS: list[Any] = [True, "text", -0.5, 25.0, 3, [2, 3]]
VALUES: list[Any] = [
    True, "text", "", -1, 0, 1, 3, -0.5, 0.5, 1.0, 2.5, 25.0, 10**9, [], [2, 3], [0, 0], ["ols"], {}, {"age": 1.0},
    {"age": "x"}, {"agee": 1.0}, "random", "batched",
]  # fmt: skip
SAYABLE = re.compile(
    r"unknown key|should be|is missing|has no '(?!.*Did you mean a term)|"
    r"expected \S+ (in [\[(]|[<>]=? -?[\d.]+, got|to be (one of|a finite number|a whole number))"
)
"""Refusals of one key by its name, type, range or words: those that a schema can say."""
BEYOND = re.compile(
    r"no such file|truth\.|can't be combined|treated of|schools, got|too large|students; at most|"
    r"should be at least 2|one_student_schools in|whole number.*, got -?\d+\.0$|control characters|"
    r"shape|for each of layout"
)
"""Refusals that files, formulas, several keys together or the bounds of memory decide."""


def refusal(tables: dict[str, Any], base: Path = Path()) -> str:
    """Return why the reader refuses some tables, "" if it reads them."""
    try:
        experiment_from(copy.deepcopy(tables), base=base or Path())
    except InvalidInput as error:
        return str(error)
    return ""


def faults(tables: Any) -> list[str]:
    return [f"{'.'.join(map(str, e.path))}: {e.message[:200]}" for e in VALIDATOR.iter_errors(tables)]


def mutated(section: str, **changes: Any) -> dict[str, Any]:
    tables = copy.deepcopy(BASE)
    tables[section] = tables[section] | changes
    return tables


def held_together(tables: dict[str, Any]) -> tuple[bool, bool]:
    """Assert that schema and reader agree as far as a schema can, and return whether each refuses."""
    why, found = refusal(tables), faults(tables)
    assert why or not found, f"only the schema refuses {tables}: {found}"
    reasons = why.splitlines()[1:] or [why]
    if any(SAYABLE.search(line) and not BEYOND.search(line) for line in reasons):
        assert found, f"only the reader refuses: {why}"
    return bool(why), bool(found)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)
    assert (refusal(BASE), faults(BASE)) == ("", [])


@pytest.mark.parametrize("name", catalog.names())
def test_the_catalogue_passes(name: str) -> None:
    assert faults(tomllib.loads(catalog.path_of(name).read_text())) == []


def toml_of_guides() -> Iterator[Any]:
    for guide in GUIDES:
        for block in blocks_of(guide):
            if block.kind == "toml" and "[project" not in block.text:
                yield pytest.param(block.text, id=f"{guide.stem}-{block.line}")


@pytest.mark.parametrize("text", list(toml_of_guides()))
def test_what_the_guides_show_passes(text: str) -> None:
    """Parts of a file are held beside the least that a file needs; keys without a section are settings."""
    shown = tomllib.loads(text)
    loose = {key: shown.pop(key) for key in list(shown) if key in adapters_of(Settings)}
    experiment = {"name": "part", "estimators": ["ols"]} | loose | shown.get("experiment", {})
    assert faults({**shown, "experiment": experiment}) == []


@pytest.mark.parametrize("section", sorted(KINDS))
def test_every_key_with_every_kind_of_value(section: str) -> None:
    """Values of wrong types and out of range, in the section and as a level: both refuse, or neither."""
    refused = []
    varied = section in ("population", "layout", "model")
    for key in adapters_of(KINDS[section]):
        changed = [mutated(section, **{key: value}) | {"factors": {}} for value in VALUES]
        levels = [BASE | {"factors": {f"{section}.{key}": [level]}} for level in LEVELS if varied]
        refused += [held_together(tables) for tables in (*changed, *levels)]
    agreed = sum(both == (True, True) for both in refused)
    assert agreed >= 0.8 * sum(reader for reader, _ in refused), "most refusals are of one key"


MISTAKES: dict[str, dict[str, Any]] = {
    "a section": BASE | {"layouts": {}},
    "no experiment": {k: v for k, v in BASE.items() if k != "experiment"},
    "no name": BASE | {"experiment": {"estimators": ["ols"]}},
    "no methods": BASE | {"experiment": {"name": "x", "estimators": []}},
    "a key": mutated("layout", school=3),
    "a parameter": mutated("population", ic=0.1),
    "a law": mutated("population", law="random-intercepts"),
    "a key of another law": mutated("population", data="x.csv"),
    "an effect": mutated("population", effects={"agee": 1.0}),
    "a setting": mutated("experiment", replication=3),
    "a method": mutated("experiment", estimators=["olss"]),
    "an option": mutated("experiment", estimators=[{"name": "ols-wild", "draw": 9}]),
    "an option of another method": mutated("experiment", estimators=[{"name": "ols", "draws": 9}]),
    "a word": mutated("experiment", estimators=[{"name": "means", "weights": "sizes"}]),
    "a target": mutated("precision", coverage=0),
    "no levels": BASE | {"factors": {"layout.schools": []}},
    "a level twice": BASE | {"factors": {"layout.schools": [5, 5]}},
    "a factor": BASE | {"factors": {"layout.school": [5, 6]}},
    "a factor of the law": BASE | {"factors": {"population.ic": [0.1]}},
    "a level's type": BASE | {"factors": {"layout.schools": ["many"]}},
    "a level's range": BASE | {"factors": {"population.icc": [0.1, 1.0]}},
    "an effect of a factor": BASE | {"factors": {"population.effects.agee": [0.1]}},
    "a key of a table": BASE | {"factors": {"both": [{"layouts.schools": 3}]}},
    "a table's value": BASE | {"factors": {"both": [{"layout.schools": "three"}]}},
    "rows that are none": BASE | {"factors": {"layout.schools, layout.students": [1, 2]}},
    "an empty condition": BASE | {"factors": {"layout.schools": [5, 6], "only": [{}]}},
    "a stated truth": mutated("truth", age="two"),
    "a key of a published table": BASE | {"published": [{"sources": "x", "term": "age", "rows": []}]},
    "a published table": BASE | {"published": {"source": "x"}},
}


@pytest.mark.parametrize("what", list(MISTAKES))
def test_mistakes_are_refused_by_both(what: str) -> None:
    assert held_together(MISTAKES[what]) == (True, True)


def test_measures_are_those_there_are() -> None:
    """The reader leaves it to the run; an editor can say so at once."""
    assert faults(mutated("precision", coverag=0.01))


def test_what_plugins_bring_is_left_open() -> None:
    own = {"name": "own", "estimators": ["mine", {"name": "ols", "mine": 1}], "plugins": ["mine.py"]}
    tables = {"experiment": own, "population": {"law": "mine", "icc": "high"}}
    assert faults(tables | {"factors": {"population.mine": ["a"]}}) == []
    own["plugins"] = []
    assert len(faults(tables)) == 3


def test_laws_of_installed_packages_are_said_as_far_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field's type may be one that JSON Schema has no words for, or that needs definitions: anything, then."""

    @dataclass(frozen=True)
    class Own:
        """A law.

        Attributes
        ----------
        size : float
            How large.
        """

        name: ClassVar[str] = "own"
        ranges: ClassVar[dict[str, Any]] = {"size": {"low": 0.0, "open_low": True}}
        choices: ClassVar[dict[str, Any]] = {"kind": ("a", "b"), "effects": ("x",)}
        size: float = 1.0
        kind: str = "a"
        effects: Mapping[str, float] = field(default_factory=dict)
        link: Callable[[float], float] = abs
        mark: FitStatus | None = None

    monkeypatch.setattr(
        "nestbench.experiments.toml.schema.known_laws", lambda: {law.name: law for law in (*LAWS, Own)}
    )
    monkeypatch.setattr(Own, "__annotations__", {"size": float, "kind": str, "effects": Mapping[str, float],
        "link": Callable[[float], float], "mark": FitStatus | None, "name": ClassVar[str], "ranges": ClassVar[Any],
        "choices": ClassVar[Any]})  # fmt: skip
    schema = experiment_schema()
    Draft202012Validator.check_schema(schema)
    base = {"experiment": {"name": "x", "estimators": ["ols"]}}
    good = {"law": "own", "size": 0.5, "kind": "b", "effects": {"x": 1}, "link": "f", "mark": 0}
    assert not list(Draft202012Validator(schema).iter_errors({**base, "population": good}))
    for key, value in (("size", 0.0), ("kind", "c"), ("effects", {"y": 1.0}), ("sizes", 1.0)):
        wrong = {**base, "population": {**good, key: value}}
        assert list(Draft202012Validator(schema).iter_errors(wrong)), key
    assert schema["properties"]["population"]["properties"]["size"]["description"] == "How large."


def test_a_law_may_be_a_factor(tmp_path: Path) -> None:
    """Then keys of either may stand in the section; what each cell makes of them is the reader's."""
    (tmp_path / "x.csv").write_text("school,age\n" + "".join(f"{i % 4},{i}\n" for i in range(20)))
    tables = {
        "experiment": {"name": "laws", "estimators": ["ols"]},
        "population": {"total_sd": 2.0, "effects": {"age": 1.0}},
        "model": {"formula": "grade ~ age"},
    }
    for factors in (
        {"population.law": ["fixed-design"], "population.data": ["x.csv"], "population.formula": ["age"]},
        {"population": [{"law": "fixed-design", "data": "x.csv", "formula": "age"}]},
        {
            "which": [
                {"population.law": "fixed-design", "population.data": "x.csv", "population.formula": "age"}
            ]
        },
    ):
        both = {**tables, "factors": factors}
        assert (refusal(both, tmp_path), faults(both)) == ("", [])
    named = {**tables, "population": {"law": "fixed-design", "effects": {"age": 1.0}}}
    assert "data" in "".join(faults(named))
    assert faults({**named, "factors": {"population.data": ["x.csv"]}}) == []


@pytest.mark.parametrize(
    "kind", [*LAWS, Layout, Model, Settings, PrecisionLimits], ids=lambda kind: kind.__name__
)
def test_every_key_has_its_meaning(kind: Any) -> None:
    """By which an editor explains a key, under ``python -OO`` too for populations, layouts and models."""
    assert set(adapters_of(kind)) <= {name for name, said in declared_of(kind).items() if said.meaning}


def test_bounds_are_those_that_are_checked() -> None:
    """A number outside of what is declared is refused, by population, layout and model and by the schema of them."""
    for kind in (RandomIntercept, Layout, Model):
        schemas = properties_of(kind)
        for name, said in declared_of(kind).items():
            outside = [
                said.allowed[end] + by for end, by in (("low", -1), ("high", 1)) if end in said.allowed
            ]
            for value in (type(said.allowed["low"])(number) for number in outside):
                given = [value, value] if name == "size_range" else value
                assert not Draft202012Validator(schemas[name]).is_valid(given), (name, value)
                with pytest.raises(InvalidInput, match=name):
                    kind(**{name: given})
    assert set(adapters_of(PublishedTable)) == set(
        VALIDATOR.schema["properties"]["published"]["items"]["properties"]
    )


def test_commands_write_it(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["new", "mine", "--folder", str(tmp_path)]).exit_code == 0
    text = (tmp_path / "mine.toml").read_text()
    assert text.splitlines()[0] == f"#:schema ./{SCHEMA}"
    schema = json.loads((tmp_path / SCHEMA).read_text())
    assert list(Draft202012Validator(schema).iter_errors(tomllib.loads(text))) == []
    assert run(app, ["schema"]).output == (tmp_path / SCHEMA).read_text()
    assert run(app, ["schema", "-o", str(tmp_path / "other.json")]).exit_code == 0
    assert json.loads((tmp_path / "other.json").read_text()) == schema
    (tmp_path / SCHEMA).write_text("{}")
    run(app, ["new", "again", "--folder", str(tmp_path)])
    assert (tmp_path / SCHEMA).read_text() == "{}", "a file of another's is left alone"


def test_methods_are_all_there() -> None:
    text = json.dumps(experiment_schema(()))
    assert all(f'"{name}"' in text for name in registry.known())
