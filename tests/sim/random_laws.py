"""Laws, layouts and models drawn at random over their parameters, and what simulation says of `theory`'s numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.methods.registry import ESTIMATORS, get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource
from nestbench.sim.theory.ols_tests import TESTS

FORMULAS = (
    "grade ~ age + gender + resources + treated",
    "grade ~ age + gender",
    "grade ~ age + gender + treated",
    "grade ~ resources",
    "grade ~ age + treated",
    "grade ~ resources + treated",
    "grade ~ treated",
    "grade ~ 1",
    "grade ~ 0 + age + gender",
    "grade ~ 0 + gender + age + resources",
    "grade ~ age * treated + gender + resources",
    "grade ~ age * resources + gender",
    "grade ~ age:resources + age + gender",
    "grade ~ gender:treated + age + treated + gender",
    "grade ~ age + group_mean(age) + gender + resources",
    "grade ~ group_centred(age) + group_mean(age) + gender + resources",
    "grade ~ I(age / 10) + gender + resources",
    "grade ~ center(age) + gender + resources",
    "grade ~ scale(age) + gender + resources",
    "grade ~ age + I(resources > 0) + gender",
    "grade ~ age + np.exp(resources / 3) + gender",
    "np.log(grade + 500) ~ age + resources",
    "age ~ resources",
)

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "icc": (0.0, 0.05, 0.2, 0.5),
    "total_sd": (1.0, 3.0),
    "age_mean": (0.0, 15.0, 300.0),
    "age_sd": (1.0, 0.2),
    "male_share": (0.5, 0.2),
    "resources_sd": (1.0, 4.0),
}
"""Drawn in every law."""

EXTRAS: dict[str, tuple[Any, ...]] = {
    "resources_shape": ("lognormal(1)", "uniform", "chi2(3)"),
    "age_icc": (0.1, 0.4),
    "age_confounding": (0.6, -0.4),
    "resources_confounding": (0.5, -0.3),
    "slope_sd": (0.2, 0.8),
    "slope_correlation": (0.5, -0.7),
    "treatment_sd": (0.3, 1.0),
    "size_correlation": (0.5,),
    "residual_shape": ("t(6)", "chi2(4)"),
    "school_errors": ("bimodal", "uniform", "chi2(5)"),
    "residual_cv": (0.7,),
    "residual_age": (0.6, -0.8),
    "residual_proportional": (1.0, 0.5),
    "school_sd_resources": (0.8, -0.5),
    "slope_sd_resources": (0.8, -0.5),
    "treated_variance_ratio": (4.0,),
    "treated_school_variance_ratio": (3.0, 0.3),
    "class_icc": (0.15,),
    "missing": (0.15,),
    "missing_age": (1.0,),
    "missing_schools": (2,),
    "missing_resources": (1.0,),
}
"""Drawn now and then."""

NEEDS = {
    "age_confounding": ("age_icc", 0.3),
    "slope_correlation": ("slope_sd", 0.5),
    "slope_sd_resources": ("slope_sd", 0.4),
    "missing_age": ("missing", 0.2),
    "missing_resources": ("missing_schools", 1),
}

EFFECTS = (
    "school_age",
    "age:resources",
    "age:treated",
    "gender:treated",
    "size",
    "treated:size",
    "teacher",
)

METHODS = {test: e for e in ESTIMATORS for test in e.theory if test in TESTS}
"""Known test -> a method that does it."""

BIASED: tuple[dict[str, Any], ...] = (
    {"age_icc": 0.2, "age_confounding": 0.6},
    {"age_icc": 0.4, "age_confounding": -0.5, "resources_confounding": 0.4},
    {"resources_confounding": -0.6},
    {"size_correlation": 0.6},
)
"""Laws on which methods are biased, by an amount that is known for some models."""

Case = tuple[RandomIntercept, Layout, Model]


def random_case(seed: int) -> Case:
    """Return the law, layout and model of a seed; combinations that are refused are drawn again."""
    rng = np.random.default_rng(seed)
    while True:
        try:
            formula = str(rng.choice(FORMULAS[:8] if rng.random() < 0.6 else FORMULAS))
            law = _law(rng, formula)
            layout = _layout(rng, law)
            law.check(layout)
        except InvalidInput:
            continue
        level = float(rng.choice([0.95, 0.95, 0.8]))
        return law, layout, Model(formula=formula, level=level)


def _law(rng: np.random.Generator, formula: str) -> RandomIntercept:
    chosen = {name: _one(rng, values) for name, values in PARAMETERS.items()}
    rate = rng.choice([0.0, 0.03, 0.1])
    if rng.random() < 0.25:
        chosen |= {"icc": 0.3} | _one(rng, BIASED)
    for name, values in EXTRAS.items():
        if rng.random() < rate:
            chosen[name] = _one(rng, values)
            if name in NEEDS:
                chosen.setdefault(*NEEDS[name])
    effects = {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.5, "treated": 0.4}
    if chosen.get("age_confounding") or rng.random() < 0.05:
        effects |= {"treated": 2.0}
    held = {name for name in effects if name in formula} | ({"Intercept"} if "~ 0" not in formula else set())
    effects = {name: size for name, size in effects.items() if rng.random() < (0.8 if name in held else 0.12)}
    effects |= {name: 0.4 for name in EFFECTS if rng.random() < 0.04}
    if rng.random() < 0.06 and "treated" in formula:
        effects["treated:size"] = 0.8
    return RandomIntercept(**chosen, effects=effects)


def _layout(rng: np.random.Generator, law: RandomIntercept) -> Layout:
    schools = int(rng.choice([6, 8, 10, 16, 24]))
    chosen: dict[str, Any] = {"schools": schools, "students": int(rng.choice([3, 8, 15]))}
    sizes: list[dict[str, Any]] = [{}] * 4
    sizes += [{"size_cv": 0.5}, {"size_range": (2, 14)}, {"size_spread": 0.6}, {"one_student_schools": 2}]
    sizes += [{"giant_school": 60}, {"students": tuple(range(3, 3 + schools))}]
    chosen |= {"size_cv": 0.5} if law.size_correlation else sizes[rng.integers(len(sizes))]
    treated: list[dict[str, Any]] = [{"treated_schools": schools // 2}] * 2 + [{}, {"treated_schools": 2}]
    treated += [{"treated_schools": schools // 2, "assignment": how} for how in ("random", "pairs")]
    treated += [{"treated_share": 0.4, "assignment": "students"}]
    chosen |= treated[rng.integers(len(treated))]
    if rng.random() < 0.1 or law.class_icc or law.effect("teacher"):
        chosen["classes"] = 2
    if rng.random() < 0.1:
        chosen["shuffle_sizes"] = True
    if chosen.get("assignment") == "random" and schools % 4 == 0 and rng.random() < 0.5:
        chosen |= {"assignment": "blocks", "block_size": 4}
    return Layout(**chosen)


def _one(rng: np.random.Generator, values: tuple[Any, ...]) -> Any:
    return values[rng.integers(len(values))]


@dataclass(frozen=True, slots=True)
class Compared:
    """One number of `theory`, the one simulated, and the distance that chance allows."""

    what: str
    known: float
    simulated: float
    allowed: float

    @property
    def wrong(self) -> bool:
        """Whether they are further apart than chance allows."""
        return not abs(self.known - self.simulated) <= self.allowed


def compare(case: Case, data_sets: int, z: float, seed: int = 1) -> list[Compared]:
    """Return every number that `theory` gives beside the simulated one, `z` standard errors allowed.

    A value that is itself an average over n draws of X has its own error, on n - 1 degrees of freedom: the quantile
    of t is used for that part.
    """
    law, layout, model = case
    known = law.theory(layout, model)
    if design_of(next(batches(case, 1, seed)), model).rhs_products is None:
        data_sets = data_sets // 10  # formulaic makes each X
    found = [*_truths(case, known.get("coefficients", {}), known.get("bias", {}))]
    found += list(_biases(case, known.get("bias", {}), data_sets, z, seed))
    if "design_effect" in known:
        found += _design_effect(case, known["design_effect"], data_sets, z, seed)
    if "coefficients" in known:
        found += _tests(case, known, data_sets, z, seed)
    return found


def _truths(case: Case, known: dict[str, float], biased: dict[str, dict[str, float]]) -> Iterator[Compared]:
    """What coverage is of is the truth of the cell, and so is what a bias is from."""
    truth = Cell(*case).truth
    for term, value in known.items():
        yield Compared(f"truth {term}", value, truth.get(term, np.nan), 1e-6 * max(1.0, abs(value)))
    for term in dict.fromkeys(term for values in biased.values() for term in values):
        yield Compared(f"truth {term}", case[0].truth[term], truth.get(term, np.nan), 1e-9)


def batches(case: Case, data_sets: int, seed: int) -> Iterator[Batch]:
    """Yield the data sets of a case, about 100 000 rows at a time."""
    law, layout, _ = case
    step = max(1, int(100_000 / (layout.schools * layout.mean_size)))
    source = StreamSource(seed, "simulated")
    for first in range(0, data_sets, step):
        yield law.draw(layout, source, range(first, min(first + step, data_sets)))


def _tests(case: Case, known: dict[str, Any], data_sets: int, z: float, seed: int) -> Iterator[Compared]:
    draws = min(60, max(4, 480 // case[1].schools))
    wide = float(stats.t.isf(stats.norm.sf(z), draws - 1))
    fits: dict[str, list[Estimates]] = {name: [] for name in METHODS}
    for batch in batches(case, data_sets, seed):
        for name, parts in fits.items():
            parts.append(METHODS[name].fit(batch, case[2]))
    for name, parts in fits.items():
        terms = parts[0].terms
        for j, term in enumerate(terms):
            if term not in known["coefficients"]:
                continue
            truth = known["coefficients"][term]
            good = np.concatenate([p.usable[:, j] for p in parts])
            b, se, low, high = (
                np.concatenate([getattr(p, key)[:, j] for p in parts])[good]
                for key in ("estimate", "std_error", "lower", "upper")
            )
            n = len(b)
            if name == "iid-t":
                yield Compared(f"coefficient {term}", truth, b.mean(), z * b.std() / np.sqrt(n))
            error = known["coverage_mcse"].get(name, {}).get(term) if "coverage" in known else None
            if error is not None:
                value = known["coverage"][name][term]
                spread = np.sqrt(value * (1 - value) / n)
                covered = float(((low <= truth) & (truth <= high)).mean())
                yield Compared(
                    f"coverage {name} {term}", value, covered, np.hypot(z * spread, wide * error) + 3 * z / n
                )
            error = known["se_ratio_mcse"].get(name, {}).get(term)
            if error is not None:
                influence = se**2 / (se**2).mean() - (b - truth) ** 2 / b.var()
                ratio = float(np.sqrt((se**2).mean() / b.var()))
                spread = 0.5 * ratio * influence.std() / np.sqrt(n)
                value = known["se_ratio"][name][term]
                yield Compared(f"se_ratio {name} {term}", value, ratio, np.hypot(z * spread, wide * error))


def _design_effect(case: Case, known: float, data_sets: int, z: float, seed: int) -> Iterator[Compared]:
    """E sum_g (sum_i e)^2 / E sum e^2 of the errors about the regression over all data sets."""
    model = case[2]
    if any(text in model.formula for text in ("center", "scale")):
        return
    gram, parts = 0.0, []
    for batch in batches(case, data_sets, seed):
        x, y = batch.once(design_of, model).fixed(batch), batch.once(design_of, model).outcome(batch)
        w = np.concatenate([x, y[None]])
        gram = gram + w @ w.T
        parts.append((w, batch))
    p = len(gram) - 1  # type: ignore[arg-type]
    beta = np.linalg.lstsq(gram[:p, :p], gram[:p, p], rcond=1e-13)[0]  # type: ignore[index]
    shared, total = [], []
    for w, batch in parts:
        e = w[p] - beta @ w[:p]
        first = batch.replication_offsets[:-1]
        shared.append(np.add.reduceat(np.add.reduceat(e, batch.school_offsets[:-1]) ** 2, first))
        total.append(np.add.reduceat(e**2, batch.row_offsets[:-1]))
    a, b = np.concatenate(shared), np.concatenate(total)
    spread = (a / a.mean() - b / b.mean()).std() / np.sqrt(len(a)) * a.mean() / b.mean()
    yield Compared("design_effect", known, a.mean() / b.mean(), z * spread)


def _biases(
    case: Case, known: dict[str, dict[str, float]], data_sets: int, z: float, seed: int
) -> Iterator[Compared]:
    """Bias with 300 schools of the same kind; the limit is for more, which leaves O(1 / schools)."""
    if not known:
        return
    law, layout, model = case
    times = 300 // layout.schools
    many = replace(
        layout,
        schools=times * layout.schools,
        treated_schools=times * layout.treated_schools,
        students=layout.students if isinstance(layout.students, int) else layout.students * times,
        one_student_schools=times * layout.one_student_schools,
    )
    methods = [get(name) for name in ("ols", "reml-z", "ml-z")]
    biases = {method.name: values for method in methods if (values := method.known_in(known))}
    fits: dict[str, list[Estimates]] = {name: [] for name in biases}
    for batch in batches((law, many, model), max(200, data_sets // 40), seed):
        for name, parts in fits.items():
            parts.append(get(name).fit(batch, model))
    for name, parts in fits.items():
        for term, value in biases[name].items():
            j = parts[0].terms.index(term)
            b = np.concatenate([p.estimate[p.usable[:, j], j] for p in parts])
            bias, spread = b.mean() - law.truth[term], b.std()
            allowed = z * spread / np.sqrt(len(b)) + 3.0 * spread / np.sqrt(many.schools)
            yield Compared(f"bias {name} {term}", value, bias, allowed)
