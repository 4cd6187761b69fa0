"""A method whose code isn't here: what a run keeps of it, enough to read the run and to refuse to fit."""

from __future__ import annotations

from collections.abc import Mapping

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.estimator import Estimator, Info, Options
from nestbench.sim.cells.kept_law import TRUST
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model


def kept_method(name: str, version: int, info: Mapping[str, str], options: Options) -> Estimator:
    """Return a method that has the label and the words of one whose code isn't here, and refuses to fit."""

    def refuse(batch: Batch, model: Model, chosen: Options) -> Estimates:
        """Say what is missing, in place of a fit."""
        raise InvalidInput(f"expected the code of the method '{name}', got none loaded; {TRUST}")

    label, summary, assumes, df, source = (
        str(info.get(key, "")) for key in ("label", "summary", "assumes", "df", "source")
    )
    return Estimator(
        name,
        version,
        Info(label, summary, assumes, df, source),
        reference=refuse,
        options=dict(options),
        changed=tuple(sorted(options)),
    )
