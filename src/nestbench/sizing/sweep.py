"""Power and type I error along the unknown, for the page: a few more designs, in which every method answers.

The search simulates where it learns most; a curve wants designs on both sides of every answer. Both are designs of one
question and one seed: the same data sets, as far as the population allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nestbench.experiments.running.execute import cores
from nestbench.own_data.bar import Step, silent
from nestbench.sizing import response
from nestbench.sizing.answer import Sizing
from nestbench.sizing.measuring import curve_table, measured
from nestbench.sizing.question import EFFECT, ICC, ICC_STEPS, N_STUDENTS
from nestbench.sizing.search import Simulated, answers, oriented

DESIGNS = 8
DATA_SETS = 2_000
EFFECTS = 41
FEWEST, MOST = 0.5, 1.5
"""The curves go from half of the smallest answer to half more than the largest."""


def sweep(
    sizing: Sizing, workers: int | None = None, step: Step = silent, folder: Path | None = None
) -> pd.DataFrame:
    """Return power, type I error and half-width along the unknown, as rows of `Sizing.curve`."""
    question = sizing.question
    experiment = question.experiment(None)
    found = Simulated(
        question, experiment.estimators, sizing.seed, workers or cores(), DATA_SETS, step, folder
    )
    if question.unknown == EFFECT:
        return _along_effects(sizing, found)
    for at in designs(sizing, question.steps(experiment.cells[0])):
        found.add(at, DATA_SETS)
    more = curve_table(found)
    both = pd.concat([sizing.curve, more[~more["value"].isin(set(sizing.curve["value"]))]], ignore_index=True)
    return both.sort_values(["method", "value"], ignore_index=True)


def designs(sizing: Sizing, steps: range) -> list[int]:
    """Return the steps at which curves are simulated: about `DESIGNS`, from well below the smallest answer to well
    above the largest that is reached; of students, whose power levels off, evenly in their logarithm.
    """
    scale = ICC_STEPS if sizing.question.unknown == ICC else 1
    reached = [a.value * scale for a in sizing.answers if a.reached and math.isfinite(a.value)]
    low, high = sorted((steps[0], steps[-1]))
    first, last = (
        (FEWEST * min(reached), MOST * max(reached))
        if reached
        else (float(low), min(float(high), 60.0 * low))
    )
    first, last = max(first, low), min(max(last, first + DESIGNS), high)
    spaced = np.geomspace if sizing.question.unknown == N_STUDENTS else np.linspace
    stride = abs(steps.step)
    chosen = {low + stride * round((float(v) - low) / stride) for v in spaced(first, last, DESIGNS)}
    return sorted(at for at in chosen if low <= at <= high)


def _along_effects(sizing: Sizing, found: Simulated) -> pd.DataFrame:
    """Return power along effects: all of one design, since intervals move with the effect."""
    found.add(0, DATA_SETS)
    reached: Sequence[float] = [a.value for a in sizing.answers if a.reached] or [1.0]
    rows = []
    for method in found.methods:
        sample = oriented(found.draws[0], method.label, None)
        at = measured(found, 0, method.label, None)
        if not answers(sample):
            continue
        for effect in np.linspace(0.0, MOST * max(reached), EFFECTS).tolist():
            power, error = response.power(sample, effect)
            rows.append({"value": effect, "method": method.label, **at, "power": power, "power_mcse": error})
    return pd.DataFrame(rows)
