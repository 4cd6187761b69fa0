"""From options to a question: a trial in a planner's words or a TOML file, what is unknown, what must be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestbench.estimators.methods.choices import choices_of
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sizing.question import (
    EFFECT,
    HALF_WIDTH,
    KEYS,
    N_SCHOOLS,
    POWER,
    UNKNOWNS,
    Planned,
    Question,
    Source,
    given_of,
)
from nestbench.sizing.trial import BLOCKS, CLASSES, NAMES, PAIRS, STUDENTS, Trial

FOR_SCHOOLS = ("reml-kr", "means", "ols-cr2-satt", "ols-cr1s-t", "ols")
FOR_PAIRS = ("reml-satt", "means", "ols-cr1s-t", "ols")
FOR_BLOCKS = ("reml-satt", "means", "ols-cr2-satt", "ols-cr1s-t", "ols")
FOR_CLASSES = ("nested-satt", "reml-kr", "ols-cr2-satt", "ols-cr1s-t", "ols")
FOR_STUDENTS = ("reml-kr", "dummies", "dummies-cr2-satt", "ols-cr1s-t", "ols")
"""Methods asked unless others are named; where answers are equal, the first is named."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller says: a TOML file or the parts of a trial, what is unknown, and what must be reached; see
    `nestbench.size`."""

    toml: str | Path | None
    solve: str
    power: float | None
    half_width: float | None
    alpha: float
    term: str | None
    effect: float | None
    effect_spread: float
    icc_spread: float
    methods: str | Sequence[str | Mapping[str, Any]] | None
    trial: Mapping[str, Any]


def question_of(asked: Options) -> Question:
    """Return the question that some options ask.

    Raises
    ------
    InvalidInput
        Options that contradict each other, or aren't known.
    """
    toml, power, half_width, term = asked.toml, asked.power, asked.half_width, asked.term
    effect, methods, trial, effect_spread = asked.effect, asked.methods, asked.trial, asked.effect_spread
    if power is not None and half_width is not None:
        raise InvalidInput("expected a power or a half-width to reach, got both; keep one")
    unknown = short_name(asked.solve)
    source: Source
    if toml is None:
        plan = _trial_of(unknown, effect, trial, unknown != EFFECT and half_width is None)
        source = Planned(plan)
        chosen = chosen_methods(methods) or list(_usual(plan.kind))
        wanted: float | None = effect
    else:
        if trial:
            raise InvalidInput(f"expected {', '.join(trial)} in {toml}, not beside it; set it there")
        source = given = given_of(toml)
        listed = given.given.get("experiment", {}).get("estimators")
        chosen = chosen_methods(methods) or list(listed or FOR_SCHOOLS)
        wanted = effect
    goal = half_width if half_width is not None else 0.8 if power is None else power
    target = HALF_WIDTH if half_width is not None else POWER
    named = "treated" if term is None else term
    if toml is not None and wanted is None and unknown != EFFECT and target == POWER:
        wanted = effect_in(source, named, tuple(chosen))
    if effect_spread and (unknown == EFFECT or target == HALF_WIDTH):
        raise InvalidInput(
            "expected schools, students, treated or icc to solve for, and a power, with an SD of the effect"
        )
    return Question(
        unknown,
        target,
        goal,
        wanted,
        1.0 - asked.alpha,
        named,
        source,
        tuple(chosen),
        effect_spread,
        asked.icc_spread,
    )


def prices_of(cost: tuple[float, float] | Mapping[str, float] | None) -> tuple[float, float] | None:
    """Return what a school and a student cost.

    Raises
    ------
    InvalidInput
        Not two prices.
    """
    if cost is None:
        return None
    prices = tuple(map(cost.get, ("school", "student"))) if isinstance(cost, Mapping) else tuple(cost)
    if len(prices) != 2 or len(cost) != 2 or None in prices:
        raise InvalidInput(
            f'expected what a school and a student cost, {{"school": 300, "student": 10}} or (300, 10), got {cost!r}'
        )
    return prices  # type: ignore[return-value]


def short_name(unknown: str) -> str:
    """Return the unknown by its short name: ``layout.schools`` is ``schools``."""
    places = {".".join(place): name for name, place in KEYS.items()}
    places |= {"mdes": EFFECT, "layout.treated_share": "treated"}
    unknown = places.get(unknown, unknown)
    if unknown not in UNKNOWNS:
        raise unknown_name("number to solve for", unknown, [*UNKNOWNS, *places])
    return unknown


EXAMPLES = {"schools": "40", "students": "20", "icc": ".1", "effect": ".25"}


def _trial_of(unknown: str, effect: float | None, given: Mapping[str, Any], finds: bool) -> Trial:
    """Return the trial described by options; what the search sets needn't be given.

    Parameters
    ----------
    unknown : str
    effect : float or None
    given : mapping
        Parts of the trial.
    finds : bool
        Whether an effect must be given, too: that it isn't is said of it alone where nothing else is missing.
    """
    for name in given:
        if name not in NAMES:
            raise unknown_name("part of a trial", name, NAMES)
    # In Python, None is what isn't given.
    given = {name: value for name, value in given.items() if value is not None}
    needed = {N_SCHOOLS: "schools", "students": "students", "icc": "icc"}
    free = needed.get(unknown)
    if free in given:
        raise InvalidInput(
            f"expected {free} to be unknown (solve = {unknown}), got {free} = {given[free]!r}; drop one"
        )
    missing = [name for name in needed.values() if name != free and name not in given]
    if missing:
        missing += ["effect"] * (finds and effect is None)
        raise InvalidInput(
            f"expected {', '.join(missing)} of the trial, got nothing; e.g. "
            + " ".join(f"--{name} {EXAMPLES[name]}" for name in missing)
        )
    if unknown == "treated" and ("treated_share" in given or "treated_schools" in given):
        raise InvalidInput("expected the treated schools to be unknown (solve = treated), got them; drop one")
    if "treated_share" in given and "treated_schools" in given:
        raise InvalidInput(
            f"expected the treated schools as a share or as a number, got treated_share = {given['treated_share']!r} "
            f"and treated_schools = {given['treated_schools']!r}; keep one"
        )
    # Any value will do for what is solved for, so long as each class has a student: the trial is checked whole.
    start = {"students": {"students": max(20, 4 * int(given.get("classes", 0) or 1))}}.get(unknown, {})
    if unknown == N_SCHOOLS:
        start = {"schools": whole_blocks(given)}
    return Trial(**{**start, **given}, effect=effect or 0.0)


def whole_blocks(given: Mapping[str, Any]) -> int:
    """Return a number of schools to start from: 20, or whole blocks of a trial in blocks."""
    size = given.get("block_size")
    return 4 * size if isinstance(size, int) and size > 0 else 20


def _usual(kind: str) -> tuple[str, ...]:
    usual = {STUDENTS: FOR_STUDENTS, CLASSES: FOR_CLASSES, PAIRS: FOR_PAIRS, BLOCKS: FOR_BLOCKS}
    return usual.get(kind, FOR_SCHOOLS)


def chosen_methods(methods: str | Sequence[str | Mapping[str, Any]] | None) -> list[str | Mapping[str, Any]]:
    """Return the methods asked for as a TOML file names them; none where it is left to us."""
    if methods is None:
        return []
    return list(choices_of(methods)) if isinstance(methods, str) else list(methods)


def effect_in(source: Source, term: str, methods: tuple[str | Mapping[str, Any], ...]) -> float:
    """Return a term's true value in a file's design less the value that is tested.

    Parameters
    ----------
    source : Source
        The file.
    term : str
    methods : tuple
        As a TOML file names them.
    """
    cell = Question(EFFECT, POWER, 0.8, None, 0.95, term, source, methods).cell(None)
    return truth_of(cell, term) - cell.null_of(term)


def truth_of(cell: Cell, term: str) -> float:
    """Return a term's true value.

    Raises
    ------
    InvalidInput
        The model has no such term, or the term no true value.
    """
    if term not in cell.found.terms:
        raise unknown_name("term", term, cell.found.terms)
    if term not in cell.truth:
        why = cell.truth_reasons.get(term, "")
        raise InvalidInput(f"expected a term with a true value, got '{term}' ({why}); state one in [truth]")
    return float(cell.truth[term])
