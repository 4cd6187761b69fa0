"""R's lmer: what goes to R and what comes back, with a stand-in for R; and the real one where it is installed.

The stand-in fits OLS, so that the road there and back can be checked without R.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.methods.lmer import LMER
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.golden.reference import golden

MODEL = Model(formula="grade ~ age + gender")
STAND_IN = """
import pathlib, sys
import numpy as np, pandas as pd
assert sys.argv[1] == "--vanilla" and "lmer(" in pathlib.Path(sys.argv[2]).read_text()
data = pd.read_csv(sys.argv[3])
rows = []
for r, part in data.groupby("replication"):
    if r == 1:
        rows.append((r, "error", None, None, "downdated VtV is not positive definite"))
        continue
    names = [n for n in data.columns if n[0] == "x" and part[n].notna().all()]
    x, y = part[names].to_numpy(), part["y"].to_numpy()
    beta, rss, *_ = np.linalg.lstsq(x, y)
    error = np.sqrt(rss[0] / (len(y) - len(names)) * np.diag(np.linalg.inv(x.T @ x)))
    said = "boundary (singular) fit: see help('isSingular')" if r == 2 else ""
    rows += [(r, n, b, e, said) for n, b, e in zip(names, beta, error)]
    rows += [(r, n, v, None, said) for n, v in
             {"sd0": 3.0, "residual_sd": 4.0, "loglik": -7.5, "singular": float(r == 2)}.items()]
pd.DataFrame(rows, columns=["replication", "name", "estimate", "std_error", "message"]).to_csv(sys.argv[4], index=False)
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str = STAND_IN) -> None:
    (folder / "r.py").write_text(program)
    (folder / "Rscript").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder / "r.py"}" "$@"\n')
    (folder / "Rscript").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch)
    batch = Cell(RandomIntercept(), Layout(6, 5), MODEL).draw(1, range(5))
    age = np.array(batch.columns["age"])
    age[batch.replication(3).rows] = 15.0
    age[batch.replication(4).rows.start] = np.nan
    batch = replace(batch, columns={**batch.columns, "age": age}, _memo={})
    got, ols = LMER.fit(batch, MODEL), get("ols").fit(batch, MODEL, "reference")
    expected = [FitStatus.OK, FitStatus.FAILED, FitStatus.BOUNDARY, FitStatus.SINGULAR, FitStatus.FAILED]
    assert got.status.tolist() == expected
    for r in (0, 2, 3):
        np.testing.assert_allclose(got.estimate[r], ols.estimate[r], rtol=1e-9)
        np.testing.assert_allclose(got.std_error[r], ols.std_error[r], rtol=1e-9)
    texts = got.texts()
    assert texts[0] == ""
    assert texts[1] == "downdated VtV is not positive definite"
    assert "boundary (singular)" in texts[2]
    assert "linearly dependent" in texts[3]
    assert "not finite" in texts[4]
    assert got.quantities["(icc)"][0] == pytest.approx(9 / 25)
    assert got.quantities["(loglik)"][0] == -7.5
    assert np.isposinf(got.df[0]).all()


def test_r_without_lme4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "import sys; sys.exit(\"there is no package called 'lme4'\")")
    case = golden("bal3", "m1")
    with pytest.raises(
        InvalidInput, match=r"there is no package called 'lme4'.*is the R package lme4 installed\?"
    ):
        LMER.fit(case.batch(), case.spec())


@pytest.mark.posix
def test_no_r(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    case = golden("bal3", "m1")
    with pytest.raises(InvalidInput, match="no Rscript on the path"):
        LMER.fit(case.batch(), case.spec())


def has_lme4() -> bool:
    program = shutil.which("Rscript")
    return (
        program is not None
        and not subprocess.run([program, "-e", "library(lme4)"], capture_output=True, check=False).returncode
    )


@pytest.mark.skipif(not has_lme4(), reason="R with lme4 is not installed")
@pytest.mark.parametrize(("dataset", "model"), [("unbal8", "m2"), ("boundary12", "m1"), ("treat30", "m2")])
def test_lmer_is_the_exact_optimum(dataset: str, model: str) -> None:
    case = golden(dataset, model)
    got = LMER.fit(case.batch(), case.spec())
    for name, stored in (("estimate", "fixef"), ("std_error", "se")):
        values = dict(zip(got.terms, getattr(got, name)[0], strict=True))
        assert values == pytest.approx(case.values("lmm", "ri", "REML", stored), rel=1e-5)
    assert got.quantities["(loglik)"][0] == pytest.approx(case.at("lmm", "ri", "REML", "loglik"), abs=1e-6)
