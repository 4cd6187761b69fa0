"""The experiment at the answers: an ordinary TOML file, whose run draws the same data sets, and can be replayed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nestbench.experiments.toml.writing import to_toml
from nestbench.sizing.answer import MethodAnswer
from nestbench.sizing.question import EFFECT, Question
from nestbench.sizing.search import Simulated

DRAWN = ("population", "layout")
ORDER = ("experiment", "population", "layout", "model", "truth", "factors")


def rerun_of(question: Question, answered: Sequence[MethodAnswer], found: Simulated) -> str:
    """Return the experiment as TOML: a condition an answer and null value: tests of the true value, whose
    rejections are type I errors, and of one that the effect is away from it, whose rejections are power.
    """
    return to_toml(tables_of(question, answered, found))


def tables_of(question: Question, answered: Sequence[MethodAnswer], found: Simulated) -> dict[str, Any]:
    """Return the experiment's tables."""
    steps = sorted(
        {at for at in found.draws if any(_is_answer(question, a, at) for a in answered)}
    ) or sorted(found.draws)
    first = None if question.unknown == EFFECT else steps[0]
    tables = question.tables(first)
    truth = float(found.cell(steps[0]).truth[question.term])
    tables["experiment"] |= {
        "title": f"Size of a trial: {question.unknown} for a {question.target.replace('_', '-')} of {question.goal:g}",
        "aims": "Power and type I error at the answers of nestbench size.",
        # As many as the largest design had: the run then has the data sets of the search, and no design fewer.
        "replications": max(found.size(at) for at in steps) // len(question.parts),
        "seed": found.seed,
    }
    factors = {} if first is None else varied([question.tables(at) for at in steps])
    factors |= varied([part.tables(first) for part in question.parts])
    nulls = null_values(question, answered, truth)
    if len(nulls) > 1:
        factors[f"model.null.{question.term}"] = nulls
    elif nulls:
        tables["model"]["null"] = {question.term: nulls[0]}
    tables |= {"factors": factors} if factors else {}
    return {name: tables[name] for name in ORDER if name in tables}


def varied(designs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what differs between the tables of designs as a factor whose keys vary together; none of one design.

    With the number of schools goes that of schools that drop out, with the ICC, where covariates explain some of the
    variance, what is left of it.
    """
    rows = [dict(flat({name: tables.get(name, {}) for name in DRAWN})) for tables in designs]
    keys = sorted({key for row in rows for key, value in row.items() if value != rows[0].get(key)})
    # What a design leaves out, such as schools that drop out where none do, is 0.
    levels: list[Any] = [[row.get(key, 0) for key in keys] for row in rows]
    return {", ".join(keys): levels if len(keys) > 1 else [v for (v,) in levels]} if keys else {}


def flat(table: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of tables in tables by their dotted keys."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{under}{key}.")
        else:
            yield f"{under}{key}", value


def null_values(question: Question, answered: Sequence[MethodAnswer], truth: float) -> list[float]:
    """Return the values tested: the true one, and those that lie the effects looked for below it.

    Parameters
    ----------
    question : Question
    answered : sequence of MethodAnswer
    truth : float
        The term's true value in the designs.
    """
    effects = (
        [question.effect] if question.unknown != EFFECT else sorted({a.value for a in answered if a.reached})
    )
    # In four digits, as they are shown: an effect that was searched for has sixteen.
    shifts = [0.0, *(float(f"{e:.4g}") for e in effects if e)]
    return [truth - shift for shift in dict.fromkeys(shifts)]


def _is_answer(question: Question, answer: MethodAnswer, at: int) -> bool:
    return question.unknown == EFFECT or (answer.value == question.value_of(at))
