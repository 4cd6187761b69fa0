"""A run read from a table is served by every command that reads runs; those that draw or fit say why they can't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nestbench
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.reports.exports.write import write_exports
from nestbench.reports.figures.kinds import KINDS
from nestbench.sim.errors import InvalidInput, NestbenchError, StoreError
from tests.own_results.studies import study


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nestbench.Run:
    frame = study()
    frame.loc[[1, 3], "estimate"] = np.nan
    frame = frame.replace({"method": {"robust": "Robust, (HC3)", "plain": "ols"}})
    return nestbench.read_results(frame, tmp_path_factory.mktemp("own") / "run", truth=0.5, name="own study")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> nestbench.Run:
    frame = study().query("n == 20 and errors == 'normal'")[["rep", "method", "estimate"]]
    return nestbench.read_results(frame, tmp_path_factory.mktemp("bare") / "run")


def test_a_run_is_whole_and_read_again_as_it_was(run: nestbench.Run) -> None:
    again = nestbench.load(run.directory)
    assert again.finished
    assert (again.experiment.key, again.cells) == (run.experiment.key, run.cells)
    assert [e.label for e in again.experiment.estimators] == ["ols", "Robust, (HC3)"]
    # What a table calls "ols" is what its author did, not our method of the name.
    assert again.experiment.estimators[0].info.summary == "as in a DataFrame"
    assert again.experiment.name == "own-study"
    assert (
        from_stored(json.loads(json.dumps(to_stored(run.experiment))), run.directory).key
        == run.experiment.key
    )


DRAWN = frozenset(KINDS) - {"runtime", "runtime-size", "frontier"}
"""Figures of results with standard errors and a true value: all but those of times, which a table doesn't have."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["run", "bare"])
def test_every_figure_is_drawn_or_says_why_not(kind: str, which: str, request: pytest.FixtureRequest) -> None:
    one: nestbench.Run = request.getfixturevalue(which)
    if which == "run" and kind in DRAWN:
        assert one.figure(kind).to_dict()["$schema"]
    else:
        with pytest.raises(NestbenchError, match=r"^expected "):
            one.figure(kind)


def test_a_figure_of_what_is_missing_names_what_there_is(bare: nestbench.Run) -> None:
    with pytest.raises(
        NestbenchError, match=r"values of coverage .* got none; there are values of empirical_se, "
    ):
        bare.figure("nested-loop")


@pytest.mark.parametrize("which", ["run", "bare"])
def test_every_export_is_written(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    one: nestbench.Run = request.getfixturevalue(which)
    written = write_exports(one.store, tmp_path, ["html", "md", "latex", "csv", "parquet"], "run")
    assert all(path.stat().st_size for path in written.files)
    page, text = ((tmp_path / f"report.{suffix}").read_text(encoding="utf-8") for suffix in ("html", "md"))
    assert "Read from a DataFrame" in page
    assert "Results were read from a DataFrame" in text
    # Nothing is claimed that only a run of our own has.
    for claim in (
        "nestbench replay",
        "draws the data set again",
        "student by student",
        "law_key",
        "kept_law",
    ):
        assert claim not in page, claim
    for claim in ("schools of", "the seed was", "population", "intraclass"):
        assert claim not in text, claim


def test_what_was_made_of_the_table_is_on_the_page(run: nestbench.Run, tmp_path: Path) -> None:
    page = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "95 % intervals made here" in page
    assert "No estimate in the table in 2 rows" in page
    assert "replication 0, 1 of condition 0" in page


COMMANDS: list[tuple[str, ...]] = [
    ("run",),
    ("plan",),
    ("simulate",),
    ("verify",),
    ("time", "--rounds", "1"),
    ("replay", "--condition", "0", "--replication", "0"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_commands_that_draw_or_fit_say_what_such_a_run_lacks(
    command: tuple[str, ...], run: nestbench.Run
) -> None:
    from typer.testing import CliRunner

    from nestbench.cli import app

    name, *options = command
    done = CliRunner().invoke(app, [name, str(run.directory), *options])
    assert isinstance(done.exception, InvalidInput), done.output
    assert "got results read from a DataFrame: nothing of them can be drawn, fitted" in str(done.exception)


def test_an_experiment_in_hand_is_refused_too(run: nestbench.Run, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="got results read from"):
        resolve(run.experiment)
    with pytest.raises(InvalidInput, match="got results read from"):
        run.cells[0].draw(1, range(1))
    with pytest.raises(InvalidInput, match="got results read from"):
        nestbench.run(run.experiment, tmp_path / "again")


def test_damage_is_found_and_the_table_read_again_mends_it(tmp_path: Path) -> None:
    frame = study().query("n == 20")
    run = nestbench.read_results(frame, tmp_path / "run", truth=0.5)
    whole = run.performance()
    file = next((tmp_path / "run" / "fits").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(StoreError, match=r"nestbench read TABLE -o .* makes it again"):
        nestbench.load(tmp_path / "run").performance()
    mended = nestbench.read_results(frame, tmp_path / "run", truth=0.5)
    assert mended.finished
    assert mended.performance().equals(whole)


def test_two_tables_are_compared_as_different_data_sets_unless_a_seed_says_otherwise(tmp_path: Path) -> None:
    from nestbench.reports.comparing.two_runs import compare_runs

    def pair(name: str, **options: Any) -> bool:
        frames = study(), study().assign(estimate=lambda f: f["estimate"] + 0.01)
        first, second = (
            nestbench.read_results(f, tmp_path / f"{name}{i}", truth=0.5, **options)
            for i, f in enumerate(frames)
        )
        return bool(compare_runs(first.store, second.store)["paired"].all())

    assert not pair("apart")
    assert pair("together", seed=7)


def test_a_strangers_counts_and_words_are_not_believed(run: nestbench.Run) -> None:
    stored = to_stored(run.experiment)
    for kept in stored["cells"]:
        kept["population"] |= {
            "replications": {"ols": "many", "Robust, (HC3)": -3},
            "said": 5,
            "source": ["x"],
        }
    read = from_stored(json.loads(json.dumps(stored)), run.directory)
    law: Any = read.cells[0].population
    assert [law.count_of(label) for label in ("ols", "Robust, (HC3)", "other")] == [0, 0, 0]
    assert law.data_messages(read.cells[0].model) == ()
    assert Store.open(run.directory).experiment.brought == "a DataFrame"
