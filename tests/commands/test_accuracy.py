"""`nestbench baseline` and `nestbench check`, as typed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.resolving import resolve
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml import named as named_plugins
from nestbench.reports.accuracy.baseline_file import checksum
from nestbench.sim.errors import InvalidInput
from tests.commands.conftest import TINY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    (folder / "tiny.toml").write_text(TINY)
    run_experiment(study(folder), folder / "run", workers=1)
    done = typed("baseline", folder / "run", "-o", folder / "accuracy.json")
    assert done.exit_code == 0
    assert "accuracy of 'tiny' (seed 4), 1 condition, 1 pair of condition and method" in done.output
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def study(folder: Path) -> Experiment:
    return resolve(folder / "tiny.toml")


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def spoil(folder: Path, name: str) -> Path:
    """A baseline whose standard errors were 10 % smaller, and whose third fit had failed."""
    content = json.loads((folder / "accuracy.json").read_text())
    record = content["cells"][0]["estimators"]["ols-hc1"]
    record["digest"], record["status"] = "0" * 64, {"FAILED": "2"}
    record["measures"]["age"]["model_se"][0] *= 0.9
    (folder / name).write_text(json.dumps(content | {"checksum": checksum(content)}))
    return folder / name


def test_same_run_passes(folder: Path) -> None:
    done = typed("check", "run", "-b", "accuracy.json")
    assert done.exit_code == 0
    assert "passed\n1 pair of condition and method compared: 1 with identical numbers" in done.output


def test_experiment_and_baseline_alone_are_run_anew(folder: Path) -> None:
    done = typed("check", "tiny.toml", "-b", "accuracy.json", "-q", "--workers", 1)
    assert done.exit_code == 0
    alone = typed("check", "-b", "accuracy.json", "-q", "--workers", 1)
    assert "1 with identical numbers" in alone.output
    assert not (folder / "runs").exists(), "a check that passes leaves nothing behind"


def test_a_check_that_fails_keeps_its_run_where_the_replay_line_points(folder: Path) -> None:
    file = spoil(folder, "lost.json")
    mine = folder / "runs" / "tiny-check-1"
    mine.mkdir(parents=True)
    for _ in range(2):
        done = typed("check", "tiny.toml", "-b", file, "-q", "--workers", 1, "--fail-on", "fixed")
        assert done.exit_code == 1
        assert "the run is kept in runs/checks/tiny" in done.output
        assert sorted(p.name for p in (folder / "runs" / "checks").iterdir()) == ["tiny"]
    line = next(line for line in done.output.splitlines() if "nestbench replay" in line)
    replayed = typed(*shlex.split(line)[1:])
    assert replayed.exit_code == 0
    assert "stored row: identical" in replayed.output
    passed = typed("check", "tiny.toml", "-b", file, "-q", "--workers", 1, "--fail-on", "not-comparable")
    assert passed.exit_code == 0
    assert line in passed.output.splitlines()
    assert typed(*shlex.split(line)[1:]).exit_code == 0, "lines of a check that passes can be pasted, too"
    kept = typed("check", "tiny.toml", "-b", file, "-q", "--workers", 1, "--fail-on", "fixed", "-o", "mine")
    assert "nestbench replay mine --condition 0" in kept.output
    assert mine.is_dir()


def test_other_seed_is_tested(folder: Path) -> None:
    done = typed(
        "check", "tiny.toml", "-b", "accuracy.json", "--seed", 5, "-o", "other", "-q", "--workers", 1
    )
    assert done.exit_code == 0
    assert "seed 4 in the baseline, 5 in the run" in done.output
    assert "tests by permutation (false-alarm rate 0.0001 for all together)" in done.output
    assert "standard errors 5 % larger from n = " in done.output
    with pytest.raises(InvalidInput, match="expected a new directory"):
        typed("check", "tiny.toml", "-b", "accuracy.json", "-o", "other")


def test_changes_fail_as_asked(folder: Path) -> None:
    file = spoil(folder, "spoilt.json")
    done = typed("check", "run", "-b", file)
    assert "FIXED" in done.output
    assert "CHANGED  ols-hc1  age  model_se" in done.output, "12 replications don't say in which direction"
    assert "nestbench replay run --condition 0 --replication 2 --method ols-hc1" in done.output
    assert typed("check", "run", "-b", file, "--fail-on", "fixed").exit_code == 1
    assert typed("check", "run", "-b", file, "--fail-on", "not-comparable").exit_code == 0
    loose = typed("check", "run", "-b", file, "--margin", "model_se=0.5", "--json")
    assert {c["measure"] for c in json.loads(loose.output)["changes"]} == {"replications", "usable_share"}
    with pytest.raises(InvalidInput, match="from 1e-05"):
        typed("check", "tiny.toml", "-b", file, "--seed", 9, "-q", "--workers", 1, "--alpha", 0)


def test_forms(folder: Path) -> None:
    file = spoil(folder, "forms.json")
    shown = typed("check", "run", "-b", file, "--markdown", "--junit", "out.xml", "--fail-on", "fixed")
    assert shown.exit_code == 1
    assert "| fixed | condition 0 | ols-hc1 | (fit) | usable_share |" in shown.output
    assert ElementTree.parse(folder / "out.xml").getroot().attrib["failures"] == "1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "-b", "none.json"), "expected a baseline file"),
        (("run", "-b", "tiny.toml"), "written by 'nestbench baseline'"),
        (("nothing", "-b", "accuracy.json"), "nothing"),
        (("run", "-b", "accuracy.json", "--margin", "coverage"), "expected --margin MEASURE=SIZE"),
        (("run", "-b", "accuracy.json", "--seed", 3), "is a run"),
        (("run", "-b", "accuracy.json", "--json", "--markdown"), "got both"),
    ],
)
def test_wrong_input_is_said(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        typed("check", *arguments)


PLUGIN = '''
import nestbench

FACTOR = 1.0

@nestbench.estimator("slope-by-hand")
def slope(frame, model):
    """The slope of grade on age."""
    x = frame["age"] - frame["age"].mean()
    b = (x * frame["grade"]).sum() / (x**2).sum()
    r = frame["grade"] - frame["grade"].mean() - b * x
    error = ((r**2).sum() / (len(r) - 2) / (x**2).sum()) ** 0.5
    return {"age": {"estimate": b, "std_error": FACTOR * error, "df": len(r) - 2}}
'''


@pytest.mark.slow
def test_a_plugin_is_checked_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    plugin, toml = tmp_path / "own.py", tmp_path / "own.toml"
    plugin.write_text(PLUGIN)
    named = TINY.replace('"ols-hc1"', '"slope-by-hand"').replace('"tiny"', '"own"')
    toml.write_text(named.replace("audit = 0", 'plugins = ["own.py"]'))
    run_experiment(resolve(toml), tmp_path / "run", workers=1)
    typed("baseline", "run", "-o", "accuracy.json")
    some = ("-b", "accuracy.json", "-q", "--workers", 1)
    assert typed("check", "own.toml", *some).exit_code == typed("check", *some).exit_code == 0

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(named_plugins, "_NAMED", set())
    with pytest.raises(
        InvalidInput, match=r"^the baseline of 'own' brings code .*: .*own\.py\. Read it.*--trust"
    ):
        typed("check", *some)
    assert typed("check", *some, "--trust").exit_code == 0
    assert typed("check", "own.toml", *some).exit_code == 0

    plugin.write_text(PLUGIN.replace("FACTOR = 1.0", "FACTOR = 1.03"))
    with pytest.raises(
        InvalidInput, match=r"own\.py isn't as it was when the baseline .*name the experiment"
    ):
        typed("check", *some, "--trust")
    spoilt = typed("check", "own.toml", *some)
    assert spoilt.exit_code == 1
    assert (
        "moved: standard errors in 12 of 12; df, intervals or p-values in 12 of 12; e.g. age std_error"
        in spoilt.output
    )
    plugin.unlink()
    with pytest.raises(InvalidInput, match=r"own\.py of the baseline of 'own', found none"):
        typed("check", *some)


def test_the_line_that_draws_a_budgets_data_sets_again_fits_slow_methods_as_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget lifts the bound on methods without a fast engine; the line in its comment has to do so, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "own.py").write_text(PLUGIN)
    bounded = TINY.replace("audit = 0", 'plugins = ["own.py"]\nreference_replications = 4')
    (tmp_path / "tiny.toml").write_text(bounded.replace('"ols-hc1"', '"ols-hc1", "slope-by-hand"'))
    store = run_experiment(resolve(tmp_path / "tiny.toml"), tmp_path / "run", workers=1)
    assert store.estimates(0)["slope-by-hand"].size == 4
    typed("baseline", "run", "-o", "accuracy.json")
    # A method that the baseline lacks: something to say, so that the comment has the line.
    (tmp_path / "tiny.toml").write_text(bounded.replace('"ols-hc1"', '"ols-hc1", "slope-by-hand", "ols"'))
    some = ("check", "tiny.toml", "-b", "accuracy.json", "-q", "--workers", 1)
    typed(*some, "--budget", "0.01s", "-o", "weekly", "--comment", "comment.md")
    line = (tmp_path / "comment.md").read_text().partition("```sh\n")[2].partition("\n")[0]
    assert "--bound 12" in line
    typed(*shlex.split(line)[1:], "-q", "--workers", 1, "-o", "again")
    (week,) = (tmp_path / "weekly").iterdir()
    runs = [Store.open(place).estimates(0)["slope-by-hand"] for place in (week, tmp_path / "again")]
    assert [run.size for run in runs] == [12, 12]
    np.testing.assert_array_equal(runs[0].estimate, runs[1].estimate)
