"""``nestbench history``: a run is added, what changed is said and drawn."""

from __future__ import annotations

import json

import pytest

from nestbench.experiments.running.progress import Quiet
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.running.start import run_experiment
from nestbench.history.keeping import save
from nestbench.history.picture import Chosen, picture
from nestbench.history.steps import steps_of
from nestbench.reports.figures.theme import dressed
from nestbench.sim.errors import InvalidInput
from tests.commands.conftest import Cli
from tests.history.runs import history_of
from tests.reports.accuracy.gate_studies import gate_study, scaled_se, with_defect


def changed() -> list[object]:
    clean = gate_study(200, cells=2)
    return history_of([clean, clean, with_defect(clean, "plain", scaled_se(1.05))])  # type: ignore[return-value]


def test_runs_are_added_shown_and_drawn(cli: Cli) -> None:
    asked = {"replications": 4, "estimators": ["ols"]}
    run_experiment(resolve("few-schools", asked), cli.folder / "r", 1, Quiet())
    code, out, err = cli("history", "r", "--commit", "1.0", "--date", "2026-01-02")
    assert (code, out.count("1 run of 'few-schools', 1.0 (2026-01-02)")) == (0, 1), err
    code, out, _ = cli("history", "r", "--commit", "1.1", "--date", "2026-02-02", "-f", "history.jsonl")
    assert (code, "2 runs of 'few-schools' from 1.0" in out, "0 steps in" in out) == (0, True, True)
    assert (cli.folder / "history.svg").read_text().startswith("<svg")
    code, _, err = cli("history", "--commit", "x")
    assert (code, "expected a run beside --commit" in err) == (2, True)


def test_what_changed_when(cli: Cli) -> None:
    save(changed(), cli.folder / "history.jsonl")  # type: ignore[arg-type]
    code, out, _ = cli("history", "-o", "h.json")
    assert code == 0
    assert "c2 (2026-01-03), after c1: 24 changes" in out
    assert "[same data sets, p " in out
    assert out.count("; 7 other terms and conditions too") == 3, (
        "three measures that follow from standard errors"
    )
    assert "Where nothing changed, any step has a chance of at most 0.0001" in out
    content = json.loads(cli("history", "--json", "-o", "h.json")[1])
    assert len(content["steps"]) == 24
    assert {step["before"]["commit"] for step in content["steps"]} == {"c0"}
    assert {step["previous"] for step in content["steps"]} == {"c1"}


def test_the_figure_has_the_measures_that_changed_with_their_steps() -> None:
    entries = changed()
    chart = dressed(picture(entries, steps_of(entries), Chosen()))  # type: ignore[arg-type]
    records = chart["data"]["values"]
    assert {record["panel"].split(",")[-1].strip() for record in records} == {"ICC 0", "ICC 0.1"}
    stepped = {(r["commit"], r["estimator"]) for r in records if r["step"]}
    assert stepped == {("c2", "plain")}
    layers = chart["spec"]["layer"]
    orders = {tuple(layer["encoding"]["x"]["sort"]) for layer in layers if "x" in layer["encoding"]}
    assert [run.split("|")[1] for run in orders.pop()] == ["c0", "c1", "c2"]
    assert not orders
    one = dressed(picture(entries, [], Chosen(("bias",), ("robust",), "age")))  # type: ignore[arg-type]
    assert len(one["data"]["values"]) == 2 * 3
    short = history_of([gate_study(20, cells=2)])
    shares = dressed(picture(short, [], Chosen(("coverage",))))["data"]["values"]
    assert all(0 <= r["low"] <= r["value"] <= r["high"] <= 1 for r in shares)
    assert any(r["high"] == 1 > r["value"] for r in shares), "a bar that would reach beyond"
    for chosen, said in (
        (Chosen(("bia",)), "bias"),
        (Chosen((), ("plane",)), "plain"),
        (Chosen(term="ag"), "age"),
    ):
        with pytest.raises(InvalidInput, match=said):
            picture(entries, [], chosen)  # type: ignore[arg-type]
