"""The search: data sets where they tell most, until each method's answer is known to one step of its unknown.

One loop for all methods. Each round looks at the interval of each method's answer (`curve.root_of`), takes the method
whose interval is widest for what is wanted of it, and draws data sets of the design that is its answer so far, as many
as its interval needs. All methods are fitted to all data sets. What is drawn next depends on nothing but what was drawn
before, so the path is a function of question and seed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nestbench.estimators.estimator import Estimator
from nestbench.experiments.experiment import Experiment
from nestbench.own_data.bar import Step
from nestbench.sim.cells.cell import Cell
from nestbench.sim.random_intercept.planned import plain_terms
from nestbench.sizing import response
from nestbench.sizing.closed import terms_of
from nestbench.sizing.curve import Root, curve_of, root_of
from nestbench.sizing.drawing import Draws, draw, joined
from nestbench.sizing.keeping import kept_in
from nestbench.sizing.question import EFFECT, ICC, POWER, Question
from nestbench.sizing.response import Sample, sample_of
from nestbench.sizing.working import log_variance

FIRST, LEAST, MOST = 1_000, 4_000, 100_000
"""Data sets of the first design; at least of an answer's design; at most of a design."""
LOT = 500
SILENCE = 2.0
"""Seconds between two signs of life."""
ROUNDS = 40
NEAR = 0.2
"""Designs whose log variance differs by less count as near."""
EFFECT_WITHIN = 0.0025
"""Half-width of an effect's interval, as a share of it, at which the search ends; twice that where z isn't known."""


@dataclass(slots=True)
class Heard:
    """Tells how many data sets are done, now and then."""

    step: Step
    done: int
    more: int
    label: str
    said: float = field(default_factory=time.monotonic)

    def __call__(self, sets: int) -> None:
        """Hear of data sets that are done."""
        self.done, self.more = self.done + sets, self.more - sets
        if time.monotonic() - self.said > SILENCE:
            self.said = time.monotonic()
            self.step(self.done, self.done + self.more, self.label)


@dataclass(slots=True)
class Simulated:
    """The designs that were simulated: step -> data sets, and what the methods make of them."""

    question: Question
    methods: Sequence[Estimator]
    seed: int
    workers: int
    most: int
    step: Step
    folder: Path | None = None
    draws: dict[int, Draws] = field(default_factory=dict)
    designs: dict[tuple[int, int], Experiment] = field(default_factory=dict)
    samples: dict[tuple[int, str], Sample] = field(default_factory=dict)
    total: int = 0
    held: set[str] = field(default_factory=set)
    parts: tuple[Question, ...] = ()
    known: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts = self.question.parts
        self.held = plain_terms(terms_of(self.question.cell(None)))

    def cell(self, at: int) -> Cell:
        """Return the condition at a step, of an uncertain ICC at its mean."""
        return self.design(at, self.question, -1).cells[0]

    def design(self, at: int, question: Question, part: int) -> Experiment:
        """Return the experiment at a step of one of the question's parts; -1 is the question itself."""
        if (at, part) not in self.designs:
            found = question.experiment(None if question.unknown == EFFECT else at)
            self.designs[at, part] = replace(found, seed=self.seed)
        return self.designs[at, part]

    def where(self, at: int) -> float:
        """Return log v of the design at a step."""
        if at not in self.known:
            goal = self.question.goal if self.question.target == POWER else None
            self.known[at] = log_variance(self.cell(at), self.held, self.question.level, goal)
        return self.known[at]

    def size(self, at: int) -> int:
        """Return how many data sets a design has."""
        return self.draws[at].size if at in self.draws else 0

    def add(self, at: int, more: int) -> None:
        """Draw more data sets of a design."""
        start = self.size(at)
        stop = min(start + LOT * math.ceil(more / LOT), self.most)
        span = range(start, stop)
        heard = Heard(self.step, self.total, len(span), self.question.label_of(at))
        for part, question in enumerate(self.parts):
            new = self._drawn(self.design(at, question, part), span, part, heard)
            self.draws[at] = joined(self.draws[at], new) if at in self.draws else new
        self.total += stop - start
        for method in self.methods:
            # All anew, not what was added: how finely z is stratified depends on how many data sets there are.
            self.samples[at, method.label] = oriented(self.draws[at], method.label, self.question.effect)

    def _drawn(self, design: Experiment, span: range, part: int, heard: Heard) -> Draws:
        """Return the data sets of one of the question's parts: an equal share of those of a span."""
        term, many = self.question.term, len(self.parts)
        share = range(span.start // many, span.stop // many)
        kept = kept_in(self.folder, design.key, term)
        new = draw(design.cells[0], term, self.seed, share, self.methods, self.workers, heard, kept)
        return replace(new, part=np.full(len(share), part, dtype=np.int64))

    def response(self, at: int, label: str) -> tuple[float, float]:
        """Return a method's response at a simulated design: the effect found with the power wanted, or the half-width;
        and its Monte Carlo error.
        """
        sample = self.samples[at, label]
        if not answers(sample):
            return np.nan, np.nan
        if self.question.target == POWER:
            return response.factor_for(sample, self.question.goal, self.question.effects)
        return response.half_width(sample)


USABLE = 0.95
"""Share of data sets with an answer below which a method has none."""


def answers(sample: Sample) -> bool:
    """Whether a method has an answer in enough data sets."""
    return sample.size >= USABLE * sample.attempted and sample.size > 1


def oriented(draws: Draws, label: str, effect: float | None) -> Sample:
    """Return a method's sample, turned over for a negative effect: it is then that of a positive one.

    Parameters
    ----------
    draws : Draws
    label : str
    effect : float or None
        In whose direction tests look.
    """
    lower, upper, z = draws.lower[label], draws.upper[label], draws.z
    if effect is not None and effect < 0:
        return sample_of(-upper, -lower, None if z is None else -z, draws.part)
    return sample_of(lower, upper, z, draws.part)


def solve(found: Simulated, start: int, steps: range) -> dict[str, Root | None]:
    """Simulate until the answers are known; return them by method, None where a method has none.

    Parameters
    ----------
    found : Simulated
        Gets the data sets that are drawn.
    start : int
        Step of the first design.
    steps : range
        From the least precise design to the most precise.
    """
    found.add(start, FIRST)
    roots = roots_of(found, steps)
    for _ in range(ROUNDS):
        wish = next_design(found, roots, abs(steps.step))
        if wish is None:
            break
        found.add(*wish)
        roots = roots_of(found, steps)
    return roots


def roots_of(found: Simulated, steps: range) -> dict[str, Root | None]:
    """Return each method's answer as far as it is known."""
    goal = abs(found.question.effect or 0.0) if found.question.target == POWER else found.question.goal
    at = sorted(found.draws)
    where = np.array([found.where(step) for step in at])
    roots: dict[str, Root | None] = {}
    for method in found.methods:
        values = np.array([found.response(step, method.label) for step in at])
        curve = curve_of(where, values[:, 0], values[:, 1])
        roots[method.label] = None if curve is None else root_of(curve, found.where, goal, steps)
    return roots


def tolerance(question: Question, value: int, stride: int = 1) -> float:
    """Return the half-width of an answer's interval at which the search ends: a school, a block, or .5 % of it."""
    if question.unknown == ICC:
        return max(2.0, 0.02 * value)
    return max(float(stride), 0.005 * value)


def next_design(found: Simulated, roots: dict[str, Root | None], stride: int = 1) -> tuple[int, int] | None:
    """Return the design that is most needed, and how many data sets more; None where all is known.

    Parameters
    ----------
    found : Simulated
    roots : dict
        Method -> its answer so far.
    stride : int
        From a design to the next: the schools of a block.
    """
    wishes: list[tuple[float, int, int]] = []
    for root in roots.values():
        if root is None:
            continue
        at, here = root.value, found.size(root.value)
        short = 0.5 * (root.high - root.low) / tolerance(found.question, at, stride) if root.reached else 0.0
        before = at - stride
        if stride > 1 and root.low < at and here >= LEAST and found.size(before) < here:
            # A block apart, one design says little of the other: which of the two it is, both must tell.
            at, here = before, found.size(before)
        if short > 1.0 and here < found.most:
            near = sum(found.size(s) for s in found.draws if abs(found.where(s) - found.where(at)) < NEAR)
            # Errors fall with the root of the data sets near by. A tenth more, or as often as not it would fall just
            # short.
            more = near * (1.1 * short * short - 1.0)
            wishes.append((short, at, int(min(max(more, LOT), 3 * near + FIRST))))
        elif here < min(LEAST, found.most):
            wishes.append((0.0, at, LEAST - here))
    if not wishes:
        return None
    # By numbers alone: the path must not depend on the order in which methods were named.
    _, at, more = max(wishes, key=lambda wish: (wish[0], wish[2], -wish[1]))
    return at, more


def detect(found: Simulated, at: int) -> dict[str, tuple[float, float]]:
    """Simulate one design until the effects found with the power wanted are known; return them with their errors."""
    found.add(at, LEAST)
    while True:
        effects = {m.label: found.response(at, m.label) for m in found.methods}
        within = EFFECT_WITHIN if found.draws[at].z is not None else 2.0 * EFFECT_WITHIN
        short = [1.96 * e / v / within for v, e in effects.values() if v > 0 and math.isfinite(e)]
        worst = max(short, default=0.0)
        if worst <= 1.0 or found.size(at) >= found.most:
            return effects
        found.add(at, int(min(found.size(at) * (1.1 * worst * worst - 1.0), 3 * found.size(at))))
