"""The pytest plugin, as a user's project meets it; and the assertions of its fixture."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nestbench.estimators.estimates import FitStatus
from nestbench.experiments.running.resolving import resolve
from nestbench.reports.accuracy import evidence
from nestbench.reports.accuracy.baseline_file import checksum
from nestbench.reports.accuracy.evidence import Gate
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.testing.accuracy import Accuracy

EFFECTS = {"Intercept": 5.0, "age": 2.0, "gender": 0.0, "resources": 0.0, "treated": 0.0}
SMALL = Cell(RandomIntercept(icc=0.0, effects=EFFECTS), Layout(4, 6, 2), Model("grade ~ age + treated"))
DF = 24 - 3


def exact(frame, model, slip=0.0, shrink=1.0, df=DF, sign=1.0):  # type: ignore[no-untyped-def]
    """OLS, exact at ICC 0: its t tests and intervals have their nominal level."""
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["treated"]])
    y = frame["grade"].to_numpy()
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    residual = y - x @ beta
    se = np.sqrt(residual @ residual / DF * np.diag(inverse)) * shrink
    names = ("Intercept", "age", "treated")
    values = (beta[0], sign * beta[1], beta[2] + slip)
    return {n: {"estimate": b, "std_error": s, "df": df} for n, b, s in zip(names, values, se, strict=True)}


def slipped(frame, model):  # type: ignore[no-untyped-def]
    return exact(frame, model, slip=0.2)


def narrow(frame, model):  # type: ignore[no-untyped-def]
    return exact(frame, model, shrink=0.7)


def flipped(frame, model):  # type: ignore[no-untyped-def]
    return exact(frame, model, sign=-1.0)


def failing(frame, model):  # type: ignore[no-untyped-def]
    if frame["grade"].iloc[0] > 37.0:
        raise ArithmeticError("did not work out")
    return exact(frame, model)


@pytest.fixture
def claims(tmp_path: Path) -> Accuracy:
    return Accuracy(folder=tmp_path, scratch=tmp_path / "scratch", test="test_me.py::test_it")


# --- the assertions --------------------------------------------------------------------------------------------------


def test_true_claims_pass(claims: Accuracy) -> None:
    claims.assert_unbiased(exact, on=SMALL, detect=0.35)
    claims.assert_coverage(exact, on=SMALL, detect=0.1)
    claims.assert_type_one_error(exact, on=SMALL, detect=0.1)
    claims.assert_se_calibrated(exact, on=SMALL, detect=0.35)
    claims.assert_equivalent(exact, "ols", on=SMALL)


@pytest.mark.parametrize(
    ("claim", "method", "words"),
    [
        ("assert_unbiased", slipped, "treated: estimate"),
        ("assert_unbiased", flipped, "age: estimate -"),
        ("assert_coverage", narrow, "coverage should be"),
        ("assert_type_one_error", narrow, "rejection rate under the null"),
        ("assert_se_calibrated", narrow, "model SE / empirical SE should be 1"),
    ],
)
def test_false_claims_fail_with_what_one_needs(
    claims: Accuracy, claim: str, method: object, words: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        getattr(claims, claim)(method, on=SMALL)
    text = str(caught.value)
    assert words in text
    for part in ("MCSE", "bounds", "false-alarm rate 1e-06", "pytest 'test_me.py::test_it'"):
        assert part in text
    command = next(line for line in text.splitlines() if "replay:" in line).split()
    file, replication = command[3], int(command[5])
    study = resolve(file)
    assert study.cells[0].key == SMALL.key
    frame = study.data_set(0, replication).frame()
    kept = claims.fits.kept[next(iter(claims.fits.kept))]
    again = kept[0].fit(SMALL.draw(study.seed, range(replication, replication + 1)), SMALL.model)
    assert len(frame) == 24
    np.testing.assert_array_equal(again.estimate[0], kept[1].estimate[replication])


def test_bounds_and_tolerance(claims: Accuracy) -> None:
    claims.assert_unbiased(slipped, on=SMALL, tolerance=0.6, detect=0.9)
    with pytest.raises(AssertionError, match=r"tolerance 0\.1 empirical SE"):
        claims.assert_unbiased(slipped, on=SMALL, tolerance=0.1, detect=0.35)
    claims.assert_coverage(narrow, on=SMALL, tolerance=0.2, detect=0.3)
    claims.assert_se_calibrated(narrow, on=SMALL, tolerance=0.5, detect=0.9)


def test_seed_chooses_the_data(claims: Accuracy) -> None:
    study = resolve("few-treated-schools", {"seed": 3, "replications": 5})
    for seed in (None, 9):
        Accuracy(seed=seed, fits=claims.fits).assert_unbiased("ols", on=study, terms=["age"], replications=40)
    assert {key[-1] for key in claims.fits.kept} == {3, 9}


def test_conservative_methods(claims: Accuracy) -> None:
    def wide(frame, model):  # type: ignore[no-untyped-def]
        return exact(frame, model, shrink=2.0)

    claims.assert_coverage(wide, on=SMALL, at_least=True)
    claims.assert_type_one_error(wide, on=SMALL)
    with pytest.raises(AssertionError, match="coverage"):
        claims.assert_coverage(wide, on=SMALL)


def test_unusable_fits_are_never_passed_over(claims: Accuracy) -> None:
    with pytest.raises(AssertionError, match=r"failing gave no usable answer in \d+ of \d+ fits") as caught:
        claims.assert_unbiased(failing, on=SMALL)
    assert "FAILED ArithmeticError: did not work out" in str(caught.value)
    estimates = next(iter(claims.fits.kept.values()))[1]
    share = float((estimates.status == FitStatus.FAILED).mean())
    assert 0 < share < 0.5
    claims.assert_coverage(failing, on=SMALL, terms=["age"], max_unusable=0.5, detect=0.3, tolerance=0.2)


def test_equivalence_names_the_first_difference(claims: Accuracy) -> None:
    with pytest.raises(AssertionError, match="differ in estimate of age"):
        claims.assert_equivalent(exact, flipped, on=SMALL)
    claims.assert_equivalent(exact, flipped, on=SMALL, terms=["Intercept", "treated"])
    claims.assert_equivalent(exact, flipped, on=SMALL, columns=["std_error"])


def test_claims_that_cannot_be_tested_are_input_errors(claims: Accuracy) -> None:
    with pytest.raises(InvalidInput, match="terms with a known truth"):
        claims.assert_unbiased(exact, on=SMALL, terms=["agee"])
    with pytest.raises(InvalidInput, match="true value is 0"):
        claims.assert_type_one_error(exact, on=SMALL, terms=["age"])
    with pytest.raises(InvalidInput, match="tolerance < detect"):
        claims.assert_unbiased(exact, on=SMALL, tolerance=0.3)
    with pytest.raises(InvalidInput, match="unknown method 'olss'"):
        claims.assert_unbiased("olss", on=SMALL)


def test_replications_give_the_wanted_power() -> None:
    for gate in (Gate(1e-6, 0.9, 0.25, 0.0, 4), Gate(1e-3, 0.5, 0.5, 0.1), Gate(0.05, 0.8, 1.0, 0.0)):
        n = evidence.mean_replications(gate)
        shift = (gate.detect - gate.tolerance) * math.sqrt(n)
        assert stats.norm.sf(stats.norm.isf(gate.size / 2) - shift) >= gate.power
    gate = Gate(1e-6, 0.9, 0.05, 0.0, 4)
    n = evidence.share_replications(gate, 0.95, 0.95, 0.9)
    hits = np.arange(n + 1)
    held = np.array([evidence.share_finding("x", (h / n, 0.0, n), 0.95, 0.95, gate).held for h in (0, n)])
    assert not held.any()
    finding = evidence.share_finding("x", (0.95, 0.0, n), 0.95, 0.95, gate)
    outside = (hits / n < finding.low) | (hits / n > finding.high)
    assert stats.binom.pmf(hits[outside], n, 0.95).sum() <= gate.size
    assert 0.9 <= stats.binom.pmf(hits[outside], n, 0.90).sum() <= 0.93
    assert evidence.disagreement_replications(Gate(0.5, 0.9, 0.02, 0.0)) == 114


def test_regression_against_a_baseline(claims: Accuracy) -> None:
    claims.update = True
    study = resolve("few-treated-schools", {"replications": 8, "estimators": ["ols"]})
    claims.assert_no_regression("accuracy.json", on=study)
    claims.update = False
    claims.assert_no_regression("accuracy.json")
    claims.assert_no_regression("accuracy.json", on=study, estimators=["ols", "ols-cr1s-t"])
    other = Accuracy(seed=5, folder=claims.folder)
    other.assert_no_regression("accuracy.json")
    file = claims.folder / "accuracy.json"
    content = json.loads(file.read_text())
    term = content["cells"][0]["estimators"]["ols"]["measures"]["age"]
    term["model_se"][0] *= 0.9
    content["cells"][0]["estimators"]["ols"]["digest"] = "0" * 64
    file.write_text(json.dumps(content | {"checksum": checksum(content)}))
    with pytest.raises(
        AssertionError, match=r"model_se(.|\n)*pytest --nestbench-update 'test_me.py::test_it'"
    ):
        claims.assert_no_regression("accuracy.json")
    with pytest.raises(InvalidInput, match="run pytest --nestbench-update once"):
        claims.assert_no_regression("missing.json")


# --- the plugin, in a project of its own -----------------------------------------------------------------------------

PROJECT = {
    "sim/__init__.py": "ANSWER = 'the user\\'s own sim'\n",
    "reports/__init__.py": "ANSWER = 'the user\\'s own reports'\n",
    "test_folders.py": """
import sys
import sim, reports

HEAVY = {"numpy", "pandas", "statsmodels", "scipy", "numba"}

def test_own_folders():
    assert sim.ANSWER == "the user's own sim" and reports.ANSWER == "the user's own reports"
    assert "nestbench.testing.pytest_plugin" in sys.modules

def test_inert_until_used():
    assert not HEAVY & set(sys.modules)
""",
    "test_method.py": """
import numpy as np
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

HERE = Cell(RandomIntercept(icc=0.0), Layout(4, 6, 2), Model("grade ~ age"))

def slope(frame, model):
    x = frame["age"] - frame["age"].mean()
    b = (x * frame["grade"]).sum() / (x**2).sum()
    r = frame["grade"] - frame["grade"].mean() - b * x
    return {"age": {"estimate": b, "std_error": np.sqrt((r**2).sum() / 22 / (x**2).sum()), "df": 22}}

def test_unbiased(accuracy):
    accuracy.assert_unbiased(slope, on=HERE, detect=0.5)

def test_biased(accuracy):
    low = {"age": {"estimate": 1.9, "std_error": 0.1}}
    accuracy.assert_unbiased(lambda frame, model: low, on=HERE, detect=0.5, terms=["age"])

def test_baseline(accuracy):
    accuracy.assert_no_regression("accuracy.json", on="study.toml")
""",
    "study.toml": """
[experiment]
name = "tiny"
estimators = ["ols"]
replications = 20
[layout]
schools = 4
students = 5
[model]
formula = "grade ~ age"
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def project_run(folder: Path, *arguments: str, quiet: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *(["-q"] if quiet else []), "-p", "no:randomly", *arguments],
        capture_output=True, text=True, cwd=folder, env=environment, check=False,
    )  # fmt: skip


def test_inert_beside_the_users_own_folders(project: Path) -> None:
    done = project_run(project, "test_folders.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.slow
def test_update_then_compare_on_two_workers(project: Path) -> None:
    update = project_run(project, "test_method.py::test_baseline", "--nestbench-update")
    assert update.returncode == 0, update.stdout
    assert (project / "accuracy.json").is_file()
    second = project_run(project, "test_method.py", "-n", "2")
    assert "1 failed, 2 passed" in second.stdout, second.stdout + second.stderr
    assert "bias should be 0" in second.stdout
    assert "replay: nestbench simulate" in second.stdout
