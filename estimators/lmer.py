"""R's lme4 as a method: ``lmer(y ~ 0 + X + (0 + Z | school), REML = TRUE)``, Wald z.

One R process serves a whole batch: the data go out as one CSV file, the coefficients come back as another, so that
starting R is paid once. It needs `Rscript` on the path and the R package lme4. Off by default: nothing here
runs unless the method is named.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.estimators.mixedlm import QUANTITIES
from nestbench.estimators.reference import (
    STATISTICAL,
    Answer,
    CannotFit,
    DataSet,
    Rows,
    Screened,
    describe,
    failed,
    full_rank,
    matrices_of,
)
from nestbench.sim.batch import Batch
from nestbench.sim.errors import InvalidInput
from nestbench.sim.model import Model

Prepared = tuple[Screened, DataSet]


def installed() -> bool:
    """Whether there is an Rscript on the path."""
    return shutil.which("Rscript") is not None


def lmer_engine(batch: Batch, model: Model, options: Options) -> Estimates:
    """Fit all replications of a batch in one R process.

    Raises
    ------
    InvalidInput
        There is no Rscript, or R could not run the script (lme4 is missing).
    """
    started = perf_counter()
    data = batch.once(matrices_of, model)
    rows = Rows(data.terms, batch.replications, QUANTITIES)
    ready: dict[int, Prepared] = {}
    for r in range(batch.size):
        whole = data.of(batch.replication(r), options)
        try:
            screened = _screened(whole)
            ready[r] = screened, whole.keep(screened.columns)
        except STATISTICAL as error:
            nothing = Screened(np.empty(0, dtype=np.int64), np.zeros(len(data.terms), dtype=bool))
            rows.put(r, nothing, failed(0, describe(error)))
    found = _run({r: one for r, (_, one) in ready.items()}) if ready else {}
    for r, (screened, one) in ready.items():
        rows.put(r, screened, _answer(found.get(r), one.x.shape[1]))
    rows.seconds[:] = (perf_counter() - started) / max(batch.size, 1)
    return rows.estimates(model.level)


def _screened(data: DataSet) -> Screened:
    if not all(np.isfinite(part).all() for part in (data.y, data.x, data.z)):
        raise CannotFit("the data hold values that are not finite")
    return full_rank(data)


def _run(ready: dict[int, DataSet]) -> dict[int, pd.DataFrame]:
    """Return R's rows (columns name, estimate, std_error, message) by replication."""
    program = shutil.which("Rscript")
    if program is None:
        raise InvalidInput(
            "expected R for the method 'lmer', but there is no Rscript on the path; "
            "install R and lme4, or leave the method out"
        )
    with tempfile.TemporaryDirectory(prefix="nestbench-lmer-") as folder:
        source, target = Path(folder) / "data.csv", Path(folder) / "fits.csv"
        pd.concat([_table(r, data) for r, data in ready.items()]).to_csv(source, index=False)
        script = str(files("nestbench.estimators").joinpath("lmer.R"))
        done = subprocess.run(
            [program, "--vanilla", script, str(source), str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not target.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InvalidInput(
                f"expected R to fit the models, but it stopped: {last}; is the R package lme4 installed?"
            )
        fits = pd.read_csv(target, keep_default_na=True, dtype={"name": str, "message": str})
    return {int(str(r)): part for r, part in fits.groupby("replication")}


def _table(r: int, data: DataSet) -> pd.DataFrame:
    columns = {f"x{k}": data.x[:, k] for k in range(data.x.shape[1])}
    columns |= {f"z{k}": data.z[:, k] for k in range(data.z.shape[1])}
    return pd.DataFrame({"replication": r, "school": data.groups, "y": data.y, **columns})


def _answer(fits: pd.DataFrame | None, terms: int) -> Answer:
    if fits is None:
        return failed(terms, "R returned nothing for this data set")
    values: Any = fits.set_index("name")
    text = str(values["message"].iloc[0]) if values["message"].notna().iloc[0] else ""
    if "error" in values.index:
        return failed(terms, text)
    names = [f"x{k}" for k in range(terms)]
    tau, sigma = (float(values.loc[name, "estimate"]) for name in ("school_sd", "residual_sd"))
    status = FitStatus.BOUNDARY if float(values.loc["singular", "estimate"]) else FitStatus.OK
    single = float(values.loc["random", "estimate"]) == 1.0
    return Answer(
        values.loc[names, "estimate"].to_numpy(dtype=np.float64),
        values.loc[names, "std_error"].to_numpy(dtype=np.float64),
        np.inf,
        status,
        {
            "(school_sd)": tau,
            "(residual_sd)": sigma,
            "(icc)": tau**2 / (tau**2 + sigma**2) if single else np.nan,
            "(loglik)": float(values.loc["loglik", "estimate"]),
        },
        text,
    )


LMER = Estimator(
    name="lmer",
    version=1,
    info=Info(
        label="lmer z",
        summary="R's lme4::lmer (REML) with its defaults, Wald z; one R process a batch",
        assumes="normal school effects and errors, many schools",
        df="inf (z)",
        source="R package lme4; Bates et al. 2015",
    ),
    reference=lmer_engine,
    random=RandomPart.ANY,
)
