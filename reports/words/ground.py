"""What a recommendation rests on: the populations that were simulated, and whose own model they are.

A method does well under the population it assumes. Where that is the population of the study, the study can't tell
whether the method would also do well under another, and the reader should hear so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from nestbench.experiments.experiment import Experiment
from nestbench.reports.wording import several
from nestbench.sim.cells.cell import Cell, primitives
from nestbench.sim.cells.truth import CHANGES, UNSEEN
from nestbench.sim.counted import plural
from nestbench.sim.parameter import PLAIN, SLOPES, declared_of


def normal_errors(cell: Cell) -> bool:
    """Return whether errors are those the mixed model assumes.

    Normal school effects and residuals, each of one variance, independent of the covariates; and a random slope only
    if the model has it.
    """
    # A population that doesn't say what its errors are may have any.
    if not getattr(cell.population, "normal_errors", False):
        return False
    # Random slopes of populations are those of age: a model's of another column doesn't take them up.
    leaving = {PLAIN, SLOPES} if re.search(r"\bage\b", cell.model.random) else {PLAIN}
    declared = declared_of(type(cell.population))
    return all(declared[name].errors in leaving for name in primitives(cell.population) if name in declared)


_PARTS = r"\bgroup_{}\(\s*(\w+)\s*\)"


def whole_mean(cell: Cell) -> bool:
    """Return whether the formula has every effect of the population that isn't 0, in the population's shape."""
    if any(why not in (CHANGES, UNSEEN) for term, why in cell.found.reasons.items() if term[0] != "("):
        return False
    effects = {name for name, value in getattr(cell.population, "effects", {}).items() if value}
    return all(_variables(name) <= _whole(cell) for name in effects - {"Intercept", "1"})


def _whole(cell: Cell) -> set[str]:
    """Return the columns that a formula has whole: schools' means and deviations from them are one only together."""
    right = cell.model.formula.split("~", 1)[1]
    means, centred = (set(re.findall(_PARTS.format(part), right)) for part in ("mean", "centred"))
    # Without the parts: a column that stands in one of them alone isn't whole.
    rest = re.sub(_PARTS.format("(?:mean|centred)"), "", right)
    columns = set(re.findall(r"[A-Za-z_]\w*", rest)) | (means & centred)
    return columns | {f"school_{name}" for name in means & columns}


def _variables(effect: str) -> set[str]:
    """Return the columns of an effect by its name: ``gender[T.male]:treated`` has two."""
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"\[[^]]*\]", "", effect)))


def mixed_models_own(cell: Cell) -> bool:
    """Return whether a condition's population is the mixed model that is fitted to its data."""
    return normal_errors(cell) and whole_mean(cell)


def least_squares_own(cell: Cell) -> bool:
    """Return whether a condition's population is the linear model with independent errors that is fitted to its
    data."""
    slopes = getattr(cell.population, "slope_sd", 0.0) == 0.0
    return normal_errors(cell) and whole_mean(cell) and getattr(cell.population, "icc", 1.0) == 0.0 and slopes


OWN: tuple[tuple[str, str, Callable[[Cell], bool]], ...] = (
    (
        "normal school effects",
        "normal errors and school effects, every effect in the formula",
        mixed_models_own,
    ),
    (
        "independent errors of equal variance;",
        "independent normal errors, every effect in the formula",
        least_squares_own,
    ),
)
"""What a method says it assumes, the words for that population, and whether a condition's population is it."""


def ground(experiment: Experiment, answered: Iterable[int]) -> str:
    """Return what a recommendation rests on, in one to three sentences; `answered` are the conditions with data."""
    cells = [experiment.cells[i] for i in sorted(set(answered))]
    laws = list(dict.fromkeys(f"`{cell.population.name}`" for cell in cells))
    total = len(cells)
    if experiment.brought:
        where = f"{plural(total, 'condition')} of {experiment.brought}"
        return f"This holds for the {where}; how their data sets were drawn isn't known here."
    name, was = ("population", "was") if len(laws) == 1 else ("populations", "were")
    said = [
        f"This holds for the {name} that {was} simulated: {several(laws)} in {plural(total, 'condition')}."
    ]
    for assumed, words, own in OWN:
        labels = [f"`{e.label}`" for e in experiment.estimators if assumed in e.info.assumes]
        count = sum(own(cell) for cell in cells)
        if labels and count:
            they, do, have = ("it", "does", "has") if len(labels) == 1 else ("they", "do", "have")
            assume = "assumes" if len(labels) == 1 else "assume"
            rest = (
                f"how {they} {do} where it isn't can't be seen here"
                if count == total
                else f"there {they} {have} that advantage"
            )
            said.append(
                f"{_where(count, total)} it is the model that {several(labels, 6)} {assume} ({words}): {rest}."
            )
    return " ".join(said)


def _where(count: int, total: int) -> str:
    if total == 1:
        return "There"
    return "In all of them" if count == total else f"In {count} of them"
