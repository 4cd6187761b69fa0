"""``nestbench list`` says what there is."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.commands.inventory import SHAPES, entries, print_list
from nestbench.estimators.methods import registry
from nestbench.experiments import catalog
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.registry import LAWS, known_laws
from nestbench.sim.random_intercept import RandomIntercept, shocks


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["list", *arguments], env={"COLUMNS": "80"}, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_estimators_come_from_the_registry() -> None:
    text = printed("methods")
    for name, estimator in registry.known().items():
        assert f"{name}  " in text
        assert estimator.info.source.split(";")[0] in " ".join(text.split())
    found = json.loads(printed("estimators", "--json"))
    assert [entry["name"] for entry in found] == list(registry.known())
    told = {
        "name",
        "family",
        "label",
        "summary",
        "assumes",
        "df",
        "engines",
        "source",
        "formula",
        "options",
        "choices",
        "version",
    }
    assert told == set(found[0])
    assert 'reference = "t(G-1)" (or "z", "t(G-p)", "satterthwaite")' in " ".join(text.split())
    assert all(entry["engines"] for entry in found)


def test_populations_show_their_parameters_and_defaults() -> None:
    found = {entry["name"]: entry for entry in entries("populations")}
    assert set(found) == {*known_laws(), "layout"}
    parameters = {p["name"]: p for p in found["random-intercept"]["parameters"]}
    assert parameters["icc"]["default"] == RandomIntercept().icc
    assert (parameters["icc"]["range"], parameters["total_sd"]["unit"]) == (
        "in [0, 1)",
        "units of the outcome",
    )
    assert "icc = 0.2 (in [0, 1)): " in printed("populations")


def test_every_parameter_is_described_but_the_internal_one() -> None:
    things = {**{law.name: law for law in LAWS}, "layout": Layout}
    shown = {(e["name"], p["name"]) for e in entries("populations") for p in e["parameters"]}
    every = {(name, field.name) for name, thing in things.items() for field in dataclasses.fields(thing)}
    assert every - shown <= {("fixed-design", "digest")}


def test_the_catalogue_by_default() -> None:
    text = printed()
    for name in catalog.names():
        assert f"{name}  " in text
    assert printed() == printed("experiments")


def test_an_unknown_kind() -> None:
    with pytest.raises(InvalidInput, match=r"unknown kind of list 'methodz'\. Did you mean 'methods'\?"):
        CliRunner().invoke(app, ["list", "methodz"], catch_exceptions=False)


@pytest.mark.parametrize("kind", ["experiments", "methods", "populations"])
def test_fits_a_narrow_terminal(kind: str) -> None:
    out = io.StringIO()
    print_list(kind, Console(file=out, width=60, highlight=False))
    assert max(map(len, out.getvalue().splitlines())) <= 60


def test_methods_stand_in_families_and_each_once() -> None:
    text = printed("methods")
    families = [*registry.FAMILIES, registry.OTHER_PACKAGES]
    headings = [line for line in text.splitlines() if line in families]
    assert headings == families
    assert text.index("\nols-cr3-t") < text.index("School dummies") < text.index("\ndummies")
    assert not [name for name in registry.known() if sum(f"\n{name}  " in t for t in text.split("\n\n")) != 1]


def test_a_list_can_be_searched() -> None:
    found = [entry["name"] for entry in entries("methods", "cluster Satterthwaite")]
    assert "ols-cr2-satt" in found
    assert "ols-cr1s-t" not in found
    assert json.loads(printed("methods", "cluster", "Satterthwaite", "--json")) == entries(
        "methods", "cluster satterthwaite"
    )
    assert "nothing in the list of experiments has 'zebra'" in printed("experiments", "zebra")


@pytest.mark.parametrize("name", ["reml-kr", "few-schools", "random-intercept", "layout"])
def test_one_thing_can_be_listed(name: str) -> None:
    assert [entry["name"] for entry in entries(name)] == [name]
    assert printed(name).startswith(f"{name}  ")


def test_meanings_refer_to_nothing_that_isnt_there() -> None:
    """What is said of a parameter can be understood without the source, and shared comments are said once."""
    text = " ".join(printed("populations").split())
    for words in ("As in", "nestbench.sim", "TERMS", "``"):
        assert words not in text
    assert 'residual_shape = "normal", school_errors = "normal": Shapes of residuals' in text
    assert "age_mean = 15.0, age_sd = 1.0 (> 0): Distribution of age." in text
    shapes = {shape.partition("(")[0] for shape in SHAPES}
    assert shapes == set(shocks.SHAPES)
    assert all(f'"{shape}": ' in text for shape in SHAPES)
