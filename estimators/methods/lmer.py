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
from typing import TYPE_CHECKING, Any

import numpy as np

from nestbench.estimators.components import fitted_components, fitted_names
from nestbench.estimators.engines.identified import require_identified
from nestbench.estimators.engines.mixed_textbook import GLS, MODEL_BASED, REML
from nestbench.estimators.engines.reference import (
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
from nestbench.estimators.estimates import ESTIMATE, STD_ERROR, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator, Info, Options
from nestbench.estimators.honoured import RandomPart
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

if TYPE_CHECKING:
    import pandas as pd

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
    random_terms = batch.once(design_of, model).random_terms
    rows = Rows(data.terms, batch.replications, fitted_names(random_terms))
    ready: dict[int, Prepared] = {}
    for r in range(batch.size):
        whole = data.of(batch.replication(r), options)
        try:
            screened = _screened(whole)
            kept = whole.keep(screened.columns)
            require_identified(kept)
            ready[r] = screened, kept
        except STATISTICAL as error:
            nothing = Screened(np.empty(0, dtype=np.int64), np.zeros(len(data.terms), dtype=bool))
            rows.put(r, nothing, failed(0, describe(error)))
    answers = _run({r: one for r, (_, one) in ready.items()}) if ready else {}
    for r, (screened, one) in ready.items():
        rows.put(r, screened, _answer(answers.get(r), one.x.shape[1], random_terms))
    rows.seconds[:] = (perf_counter() - started) / max(batch.size, 1)
    return rows.estimates(model.level)


def _screened(data: DataSet) -> Screened:
    """Return a data set with the columns of X that are estimable, as lme4 must get them."""
    if not all(np.isfinite(part).all() for part in (data.y, data.x, data.z)):
        raise CannotFit("the data hold values that are not finite")
    return full_rank(data)


def _run(ready: dict[int, DataSet]) -> dict[int, pd.DataFrame]:
    """Return R's rows (columns name, estimate, std_error, message) by replication."""
    import pandas as pd

    program = shutil.which("Rscript")
    if program is None:
        raise InvalidInput(
            "expected R for the method 'lmer', but there is no Rscript on the path; "
            "install R and lme4, or leave the method out"
        )
    with tempfile.TemporaryDirectory(prefix="nestbench-lmer-") as folder:
        source, target = Path(folder) / "data.csv", Path(folder) / "fits.csv"
        pd.concat([_table(r, data) for r, data in ready.items()]).to_csv(source, index=False)
        script = str(files("nestbench.estimators.methods").joinpath("lmer.R"))
        done = subprocess.run(
            # A user's .Rprofile could set options that no row of the run would tell of.
            [program, "--vanilla", script, str(source), str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not target.is_file():
            # R says on its standard output that it has no such script.
            last = ((done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"])[-1]
            raise InvalidInput(
                f"expected R to fit the models, but it stopped: {last}; is the R package lme4 installed?"
            )
        fits = pd.read_csv(target, keep_default_na=True, dtype={"name": str, "message": str})
    return {int(str(r)): part for r, part in fits.groupby("replication")}


def _table(r: int, data: DataSet) -> pd.DataFrame:
    """Return one data set as rows for R: its number, y, X and Z by number, the school."""
    import pandas as pd

    columns = {f"x{k}": data.x[:, k] for k in range(data.x.shape[1])}
    columns |= {f"z{k}": data.z[:, k] for k in range(data.z.shape[1])}
    return pd.DataFrame({"replication": r, "school": data.groups, "y": data.y, **columns})


def _answer(fits: pd.DataFrame | None, terms: int, random_terms: tuple[str, ...]) -> Answer:
    """Return R's rows of one data set as an answer."""
    if fits is None:
        return failed(terms, "R returned nothing for this data set")
    values: Any = fits.set_index("name")
    text = str(values["message"].iloc[0]) if values["message"].notna().iloc[0] else ""
    if "error" in values.index:
        return failed(terms, text)
    names = [f"x{k}" for k in range(terms)]
    status = FitStatus.BOUNDARY if float(values.loc["singular", ESTIMATE]) else FitStatus.OK
    return Answer(
        values.loc[names, ESTIMATE].to_numpy(dtype=np.float64),
        values.loc[names, STD_ERROR].to_numpy(dtype=np.float64),
        np.inf,
        status,
        _quantities(values[ESTIMATE], random_terms),
        text,
    )


def _quantities(values: Any, random_terms: tuple[str, ...]) -> dict[str, float]:
    """Return the variance components by name: R gives sd0, sd1, ..., and corr0.1 for the pair (0, 1)."""
    q = len(random_terms)
    sd = np.array([float(values[f"sd{i}"]) for i in range(q)])
    correlation = np.eye(q)
    for j in range(q):
        for i in range(j):
            correlation[i, j] = correlation[j, i] = float(values[f"corr{i}.{j}"])
    covariance = np.nan_to_num(correlation) * np.outer(sd, sd)
    return fitted_components(
        random_terms, covariance, float(values["residual_sd"]) ** 2, float(values["loglik"])
    )


LMER = Estimator(
    name="lmer",
    version=2,
    info=Info(
        label="lmer z",
        summary="R's lme4::lmer (REML) with its defaults, Wald z; one R process a batch",
        assumes="normal school effects and errors, many schools",
        df="inf (z)",
        source="R package lme4; Bates et al. 2015",
        formula=(*GLS, REML, MODEL_BASED, r"\nu = \infty"),
    ),
    reference=lmer_engine,
    random=RandomPart.ANY,
)
