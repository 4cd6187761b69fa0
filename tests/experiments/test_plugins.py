"""Own methods and laws from a file: loaded, run in workers, part of the identity, failures as rows."""

from __future__ import annotations

import contextlib
import hashlib
import html
import importlib.util
import io
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.estimator import Info
from nestbench.experiments.frame_engine import FrameEngine, own_method
from nestbench.experiments.plugins import load_file
from nestbench.experiments.running.progress import Quiet
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.exports.write import write_exports
from nestbench.reports.words.summary import print_summary
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import batch_of_frame
from nestbench.sim.observed.model import Model

METHODS = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

import nestbench
from nestbench.sim.random_intercept import RandomIntercept


@nestbench.estimator("own-ols")
def own_ols(frame, model):
    """Least squares by hand."""
    x = np.column_stack([np.ones(len(frame)), frame["age"], frame["resources"]])
    y = frame["grade"].to_numpy()
    beta = np.linalg.solve(x.T @ x, x.T @ y)
    df = len(y) - x.shape[1]
    variance = ((y - x @ beta) ** 2).sum() / df * np.linalg.inv(x.T @ x)
    return pd.DataFrame(
        {"estimate": beta, "std_error": np.sqrt(np.diag(variance)), "df": df}, index=["Intercept", "age", "resources"]
    )


@nestbench.population
@dataclass(frozen=True)
class Doubled:
    """The random-intercept law with twice the variance."""

    name: ClassVar[str] = "doubled"
    icc: float = 0.1

    @property
    def _law(self):
        return RandomIntercept(icc=self.icc, total_sd=2**0.5)

    @property
    def truth(self):
        return self._law.truth

    def theory(self, layout):
        return self._law.theory(layout)

    def draw(self, layout, streams, replications):
        return self._law.draw(layout, streams, replications)
'''


def write(folder: Path, text: str) -> Path:
    file = folder / "my_methods.py"
    file.write_text(text)
    return file


def test_a_plugin_runs_in_workers_and_equals_the_built_in(tables: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, METHODS)
    tables["population"] = {"law": "doubled"}
    tables["experiment"] |= {"estimators": ["ols", "own-ols"], "plugins": ["my_methods.py"]}
    experiment = experiment_from(tables, base=tmp_path)
    store = run_experiment(experiment, tmp_path / "run", workers=2, block=6)
    (tmp_path / "my_methods.py").unlink()
    opened = Store.open(store.folder)
    assert opened.experiment.cells[1].truth["(school_sd)"] == pytest.approx(0.4**0.5)
    for cell in range(4):
        own, built_in = opened.estimates(cell)["own-ols"], opened.estimates(cell)["ols"]
        assert own.terms == built_in.terms
        for name in ("estimate", "std_error", "df", "lower", "upper", "p_value"):
            np.testing.assert_allclose(getattr(own, name), getattr(built_in, name), rtol=1e-8, err_msg=name)


def test_the_content_of_a_plugin_is_part_of_the_identity(tables: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, METHODS)
    tables["experiment"] |= {"estimators": ["own-ols"], "plugins": ["my_methods.py"]}
    key = experiment_from(tables, base=tmp_path).key
    write(tmp_path, METHODS + "# edited\n")
    assert experiment_from(tables, base=tmp_path).key != key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import nowhere_at_all\n", "nowhere_at_all"),
        ("import nestbench\n@nestbench.estimator('ols')\ndef f(frame, model): ...\n", "taken by a built-in"),
        (
            "import nestbench\n@nestbench.population\nclass Law:\n    name = 'law'\n",
            "without truth, frame",
        ),
    ],
)
def test_what_a_plugin_can_get_wrong(tables: dict[str, Any], tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, text)
    tables["experiment"]["plugins"] = ["my_methods.py"]
    with pytest.raises(InvalidInput, match=said):
        experiment_from(tables, base=tmp_path)


def fit(result: Any) -> Any:
    frame = pd.DataFrame({"y": np.arange(6.0), "x": [1.0, 2, 1, 2, 1, 3], "school": list("aabbcc")})

    def method(frame: pd.DataFrame, model: Model) -> Any:
        return result(frame) if callable(result) else result

    return FrameEngine(method)(batch_of_frame(frame, "school"), Model("y ~ x"), {})


RANDOM = '''
import numpy as np
import nestbench


@nestbench.estimator("half")
def half(frame, model, rng):
    """The mean of a random half."""
    return {"Intercept": frame["grade"].iloc[rng.permutation(len(frame))[: len(frame) // 2]].mean()}


@nestbench.estimator("other-half")
def other_half(frame, model, *, rng=None):
    """The same with numbers of its own."""
    return half(frame, model, rng)


@nestbench.estimator("chance")
def chance(frame, model):
    """The mean and noise from nowhere."""
    return {"Intercept": frame["grade"].mean() + np.random.default_rng().normal()}
'''


class Heard(Quiet):
    """Remembers what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_random_numbers_are_the_replications_own(tables: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, RANDOM)
    names = ["half", "other-half", "chance", "ols"]
    tables["experiment"] |= {"estimators": names, "plugins": ["my_methods.py"], "engine": "reference"}
    del tables["factors"]
    experiment = experiment_from(tables, base=tmp_path)
    heard, runs = [Heard(), Heard()], []
    for i, block in enumerate((12, 5)):
        store = run_experiment(experiment, tmp_path / f"run{i}", workers=1, block=block, progress=heard[i])
        runs.append(store.estimates(0))
    for name in ("half", "other-half"):
        np.testing.assert_array_equal(runs[0][name].estimate, runs[1][name].estimate)
    assert not np.isclose(runs[0]["half"].estimate[:, 0], runs[0]["other-half"].estimate[:, 0]).all()
    assert len(set(runs[0]["half"].estimate[:, 0])) == 12
    for each in heard:
        assert [text.split(" gave")[0] for text in each.said if "reproducible" in text] == [
            "Not reproducible: 'chance'"
        ]
    kept = Store.open(tmp_path / "run0")
    assert kept.provenance["not reproducible"] == ["chance"], "also for whoever opens the run later"
    console = Console(file=io.StringIO(), width=300)
    print_summary(kept, console)
    sentence = "Not reproducible: 'chance' gave other numbers"
    write_exports(kept, tmp_path, ("html", "md"), "run0")
    page, markdown = ((tmp_path / f"report.{kind}").read_text("utf-8") for kind in ("html", "md"))
    assert sentence in console.file.getvalue()  # type: ignore[attr-defined]
    assert sentence in html.unescape(page)
    assert sentence in markdown


def test_a_parameter_rng_is_seen_once() -> None:
    def with_rng(frame: pd.DataFrame, model: Model, rng: np.random.Generator) -> float:
        return 0.0

    assert FrameEngine(with_rng).random
    assert not FrameEngine(lambda frame, model: 0.0).random
    assert not FrameEngine(max).random, "no signature at all"


def test_what_a_method_may_return() -> None:
    found = fit({"x": {"estimate": 1.0, "std_error": 0.5, "df": 4}, "(icc)": 0.3, "z": 2.0})
    assert found.terms == ("Intercept", "x", "z"), "the model's terms, then others"
    assert found.quantities["(icc)"].tolist() == [0.3]
    assert found.upper[0, 1] == pytest.approx(1.0 + 0.5 * 2.7764451)
    assert found.p_value[0, 1] == pytest.approx(0.11611652)
    assert np.isnan(found.std_error[0, 2])
    table = pd.DataFrame({"term": ["x"], "estimate": [1.0], "std_error": [0.5], "lower": [-9.0]})
    kept = fit(table)
    assert (kept.lower[0, 1], kept.upper[0, 1]) == (-9.0, pytest.approx(1.0 + 0.5 * 1.959964))


def raises(_: pd.DataFrame) -> Any:
    raise ZeroDivisionError("no")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (raises, "ZeroDivisionError: no"),
        (3.0, "expected a table of terms"),
        ({}, "expected a table of terms"),
        ({"x": {"std_error": 1.0}}, "expected the columns"),
        ({"x": {"estimate": 1.0, "sderr": 1.0}}, "expected the columns"),
        ({"x": {"estimate": "much"}}, "ValueError"),
        ({"x": {"estimate": np.nan}}, "no finite estimate"),
    ],
)
def test_rubbish_is_a_failed_fit_with_a_message(result: Any, said: str) -> None:
    found = fit(result)
    assert found.status.tolist() == [FitStatus.FAILED]
    assert said in found.texts()[0]
    assert found.terms[0] == "Intercept", "a failed fit has rows: it stays in the denominator"


def test_own_methods_see_the_data_and_are_tested_for_the_null_value() -> None:
    frame = pd.DataFrame({"grade": [1.0, 2.0, 4.0, 3.0], "age": [1.0, 2.0, 3.0, 5.0], "school": list("aabb")})
    model = Model(formula="grade ~ age", null={"age": 0.5})
    batch = batch_of_frame(frame, "school")
    seen = []

    def method(data: pd.DataFrame, stated: Model) -> dict[str, Any]:
        seen.append(data["grade"].tolist())
        own = {"estimate": 2.0, "std_error": 1.0, "p_value": 0.25}
        return {
            "age": {"estimate": 1.0, "std_error": 0.25, "df": 3},
            "own": own,
            "Intercept": stated.null_of("age"),
        }

    found = own_method("mine", 1, Info("", "", "", "", ""), method).fit(batch, model)
    assert seen == [frame["grade"].tolist()]
    assert found.terms == ("Intercept", "age", "own")
    _, p, own = found.p_value[0]
    assert p == pytest.approx(2 * stats.t.sf(2.0, 3))
    assert own == 0.25
    half = stats.t.ppf(0.975, 3) * 0.25
    np.testing.assert_allclose([found.lower[0, 1], found.upper[0, 1]], [1.0 - half, 1.0 + half])
    np.testing.assert_array_equal(found.estimate[0], [0.5, 1.0, 2.0])


COMPILED = """
import numba

import nestbench
from nestbench.sim.compiled import kernel


@numba.njit(cache=True)
def halved(x):
    return x / 2.0


@kernel
def doubled(x):
    return x * 2.0


@nestbench.estimator("own-compiled")
def method(frame, model):
    return {"Intercept": halved(doubled(float(frame["grade"].mean())))}
"""


class _Evil:
    """What leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def _planted(file: Path, mark: Path) -> Path:
    """Put a pickle where numba looks for what it compiled of a file beside it; return its place."""
    spec = importlib.util.spec_from_file_location("planted", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    index = Path(module.halved._cache._cache_file._index_path)
    assert index.is_relative_to(file.parent)
    index.write_bytes(pickle.dumps(_Evil(mark)))
    with contextlib.suppress(Exception):
        module.halved(1.0)
    assert mark.exists()  # numba does run it
    mark.unlink()
    return index


def test_what_lies_in_numbas_cache_beside_a_plugin_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run directory of somebody else's brings it: the user named the plugin's content, and no pickle."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    file, mark = tmp_path / "plugins" / "own.py", tmp_path / "mark"
    file.parent.mkdir()
    file.write_text(COMPILED)
    index = _planted(file, mark)
    assert load_file(file) == ["own-compiled"]
    module = sys.modules[f"nestbench_plugin_{hashlib.sha256(COMPILED.encode()).hexdigest()[:16]}"]
    assert module.halved(module.doubled(3.0)) == 3.0
    assert not mark.exists()
    assert [item.name for item in index.parent.iterdir() if item.suffix == ".nbi"] == [index.name]
    kept = sorted(item.suffix for item in (tmp_path / "scratch").rglob("*.nb*"))
    assert kept.count(".nbi") == 2  # compiled once for all processes all the same
    assert Path(module.__file__ or "") == file
