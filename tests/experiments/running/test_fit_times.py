"""Timing mode: what is timed, the slope of a cost curve, and the file; never how fast this machine is."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.estimators.methods.registry import get
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running import fit_times
from nestbench.experiments.running.peers import Peer, mcpower
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept


@pytest.fixture
def experiment() -> Experiment:
    cell = Cell(RandomIntercept(), Layout(10, 5, treated_schools=4), Model("grade ~ age"))
    return Experiment("timed", "", "", (cell,), ({},), (get("ols"), get("ols-hc2")))


def test_every_method_and_engine_is_timed_at_every_size(experiment: Experiment) -> None:
    timed = [one for size in fit_times.time_methods(experiment, [4, 8], [3], rounds=2) for one in size]
    expected = [
        (name, engine, schools, 3)
        for schools in (4, 8)
        for name, engine in [
            (fit_times.DRAWING, "batched"),
            ("ols", "batched"),
            ("ols", "reference"),
            ("ols-hc2", "batched"),
            ("ols-hc2", "reference"),
        ]
    ]
    assert [(t.estimator, t.engine, t.schools, t.students) for t in timed] == expected
    assert all(0 < t.low <= t.seconds <= t.high and t.floors > 0 and t.fits >= 1 for t in timed)
    assert all(t.cpu_seconds >= 0 for t in timed)


class Clocks:
    """A wall clock and a processor's, both of which move only where a test says so."""

    def __init__(self) -> None:
        self.wall, self.cpu = 100.0, 7.0

    def wait(self, seconds: float) -> None:
        self.wall += seconds

    def compute(self, seconds: float) -> None:
        self.wall += seconds
        self.cpu += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(fit_times, "perf_counter", lambda: made.wall)
    monkeypatch.setattr(fit_times, "process_time", lambda: made.cpu)
    return made


@pytest.mark.parametrize(("waits", "computes"), [(0.25, 0.0), (0.0, 0.5), (0.125, 0.0625)])
def test_waiting_takes_time_but_no_processor(clocks: Clocks, waits: float, computes: float) -> None:
    """Per fit, whatever their number; what prepares the data costs nothing."""

    def work(fits: int, _: object) -> None:
        clocks.wait(waits * fits)
        clocks.compute(computes * fits)

    for fits in (1, 4):
        assert fit_times._clock(work, clocks.compute, fits) == (waits + computes, computes)


def test_resizing_keeps_the_share_of_treated_schools(experiment: Experiment) -> None:
    cell = fit_times.resized(experiment.cells[0], 20, 7)
    assert (cell.layout.schools, cell.layout.students, cell.layout.treated_schools) == (20, 7, 8)


def test_slopes_are_those_of_the_logarithms() -> None:
    one = fit_times.Timed("ols", "batched", 10, 20, 1e-3, 1e-3, 1e-3, 1.0, 5)
    curve = [dataclasses.replace(one, schools=g, seconds=1e-4 * g**1.5) for g in (10, 40, 160)]
    alone = dataclasses.replace(one, estimator="means")
    assert fit_times.slopes([*curve, alone]) == {("ols", "batched", 20): pytest.approx(1.5)}


def test_no_slope_is_told_of_a_busy_machine() -> None:
    """Rounds that differ twentyfold tell none; that a tenth apart do."""
    one = fit_times.Timed("ols", "batched", 10, 20, 1e-3, 1e-3, 1e-3, 1.0, 5)

    def curve(most: float) -> list[fit_times.Timed]:
        times = {g: 1e-4 * g**1.5 for g in (10, 40)}
        return [
            dataclasses.replace(one, schools=g, seconds=t, low=t / most**0.5, high=t * most**0.5)
            for g, t in times.items()
        ]

    assert fit_times.slopes(curve(20.0)) == {}
    assert fit_times.slopes(curve(1.1)) == {("ols", "batched", 20): pytest.approx(1.5)}


def test_slopes_over_students_are_apart_and_by_the_processor() -> None:
    one = fit_times.Timed("ols", "batched", 10, 20, 1e-3, 1e-4, 1e-1, 1.0, 5)
    curve = [
        dataclasses.replace(
            one, students=m, cpu_seconds=1e-4 * m**0.5, cpu_low=1e-4 * m**0.5, cpu_high=1e-4 * m**0.5
        )
        for m in (20, 1000, 100_000)
    ]
    assert fit_times.student_slopes(curve) == {("ols", "batched", 10): pytest.approx(0.5)}
    assert fit_times.slopes(curve) == {}
    elsewhere = [dataclasses.replace(one, engine="reference") for one in curve]
    assert fit_times.student_slopes(elsewhere) == {}


def test_reference_engines_are_left_out_of_large_data(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_times, "ROWS", 20)
    timed = [one for size in fit_times.time_methods(experiment, [4], [5, 6], rounds=1) for one in size]
    assert [(t.estimator, t.students) for t in timed if t.engine == "reference"] == [
        ("ols", 5),
        ("ols-hc2", 5),
    ]


def test_a_peer_that_is_installed_is_timed_beside_ours(experiment: Experiment) -> None:
    """pytest stands for a package that somebody has."""
    made: list[int] = []
    there = Peer(
        "Peer", "pytest", lambda schools, students: lambda fits: made.append(fits * schools * students)
    )
    (size,) = fit_times.time_methods(experiment, [4], [3], rounds=1, peers=[there])
    assert there.installed
    assert [(t.estimator, t.engine) for t in size[-2:]] == [
        (fit_times.TOGETHER, "batched"),
        (there.label, "peer"),
    ]
    assert made[0] == 12
    assert not Peer("None", "no_such_package", mcpower).installed


def test_a_peer_that_fails_is_named(experiment: Experiment) -> None:
    def fails(schools: int, students: int) -> Callable[[int], object]:
        raise ValueError("too few schools")

    with pytest.raises(InvalidInput, match=r"4 schools of 3, got ValueError: too few schools; --no-peers"):
        list(fit_times.time_methods(experiment, [4], [3], rounds=1, peers=[Peer("P", "pytest", fails)]))


@pytest.mark.parametrize("wait", [0.0, 0.2])
def test_as_many_fits_are_timed_on_a_busy_machine(clocks: Clocks, wait: float) -> None:
    """A batch costs .7 ms and a fit 4 or 16 us; what a busy machine waits while it is warmed up changes nothing."""
    for fit in (4e-6, 16e-6):

        def work(fits: int, _: object, fit: float = fit) -> None:
            clocks.compute(7e-4 + fit * fits)
            clocks.wait(wait)

        assert fit_times._enough(work, fit_times._no_data) == fit_times.MOST


def test_a_method_that_waits_is_not_timed_for_ever(clocks: Clocks) -> None:
    assert fit_times._enough(lambda fits, _: clocks.wait(0.3 * fits), fit_times._no_data) == 2


@pytest.mark.parametrize(
    ("schools", "students", "rounds"), [([1], [5], 1), ([5], [0], 1), ([], [5], 1), ([5], [5], 0)]
)
def test_impossible_sizes_are_refused(
    experiment: Experiment, schools: list[int], students: list[int], rounds: int
) -> None:
    with pytest.raises(InvalidInput, match="at least one round"):
        list(fit_times.time_methods(experiment, schools, students, rounds))


def test_the_file_has_the_machine_and_reads_back(experiment: Experiment, tmp_path: Path) -> None:
    timed = next(fit_times.time_methods(experiment, [4], [3], rounds=1))
    fit_times.save(timed, experiment, tmp_path / "deep" / "timing.json")
    again, machine = fit_times.load(tmp_path / "deep" / "timing.json")
    assert again == timed
    assert machine["cpu"]
    assert machine["packages"]["numpy"]


def test_files_without_processor_time_are_still_read(experiment: Experiment, tmp_path: Path) -> None:
    fit_times.save(
        next(fit_times.time_methods(experiment, [4], [3], rounds=1)), experiment, tmp_path / "t.json"
    )
    content = json.loads((tmp_path / "t.json").read_text())
    for row in content["timings"]:
        del row["cpu_seconds"]
    (tmp_path / "t.json").write_text(json.dumps(content))
    assert all(math.isnan(one.cpu_seconds) for one in fit_times.load(tmp_path / "t.json")[0])


SMALL = """
[experiment]
name = "small"
estimators = ["ols"]
[population]
law = "random-intercept"
[layout]
schools = 4
students = 3
[model]
formula = "grade ~ age"
"""


def test_the_command_prints_and_saves(tmp_path: Path) -> None:
    toml, out = tmp_path / "small.toml", tmp_path / "timing.json"
    toml.write_text(SMALL)
    arguments = [
        "time",
        str(toml),
        "--schools",
        "4,6",
        "--students",
        "3,5",
        "--rounds",
        "1",
        "--out",
        str(out),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "slope of log time over log students, 3 to 5" in result.output
    assert "timed 6 schools of 5 (4 of 4)" in result.stderr
    assert max(len(line) for line in result.stdout.splitlines() if not line.startswith("saved")) <= 79
    content = json.loads(out.read_text())
    assert {(row["schools"], row["students"]) for row in content["timings"]} == {
        (4, 3),
        (6, 3),
        (4, 5),
        (6, 5),
    }
    assert {row["schools"] for row in content["student_slopes"]} <= {4, 6}
    wrong = CliRunner().invoke(app, ["time", str(toml), "--schools", "4,x"])
    assert isinstance(wrong.exception, InvalidInput)


def test_what_was_timed_before_a_stop_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = fit_times.Timed("ols", "batched", 4, 3, 1e-3, 1e-3, 1e-3, 1.0, 5)

    def stopped(*_: object) -> Iterator[list[fit_times.Timed]]:
        yield [one]
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_times, "time_methods", stopped)
    toml, out = tmp_path / "small.toml", tmp_path / "timing.json"
    toml.write_text(SMALL)
    result = CliRunner().invoke(app, ["time", str(toml), "--no-peers", "--out", str(out)])
    assert result.exit_code == 130
    assert "stopped: what was timed is kept" in result.stderr
    assert [row["estimator"] for row in json.loads(out.read_text())["timings"]] == ["ols"]
