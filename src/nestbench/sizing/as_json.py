"""The answer as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from nestbench.own_data.primitives import primitives
from nestbench.sim.observed.model import alpha_of
from nestbench.sizing.answer import Sizing
from nestbench.sizing.bought import verdict as best_words
from nestbench.sizing.frontier import Frontier
from nestbench.sizing.sentences import assumed, caution, closed_line, verdict


def json_of(found: Sizing | Frontier) -> str:
    """Return the answer as JSON: NaN is null, infinite the text ``"inf"``."""
    plain = plain_of(found) if isinstance(found, Sizing) else plain_frontier(found)
    return json.dumps(plain, indent=2, ensure_ascii=False)


def plain_frontier(frontier: Frontier) -> dict[str, Any]:
    """Return designs and their costs as primitives, then the best design's answer."""
    best = frontier.best
    found: dict[str, Any] = primitives(
        {
            "cost": dataclasses.asdict(frontier.cost),
            "budget": frontier.budget,
            "words": [best_words(frontier)],
            "frontier": frontier.table.to_dict("records"),
            "best": None if best is None else plain_of(best),
        }
    )
    return found


def plain_of(sizing: Sizing) -> dict[str, Any]:
    """Return the answer as primitives."""
    question = sizing.question
    low, high = sizing.interval
    document = {
        "solve": question.unknown,
        "target": {question.target: question.goal},
        "effect": question.effect,
        # As it was asked: 1 - .95 is 0.050000000000000044.
        "alpha": alpha_of(question.level),
        "term": question.term,
        "method": sizing.named,
        "value": sizing.value,
        "interval": [low, high],
        "words": [
            text
            for text in (
                verdict(sizing),
                assumed(sizing.question),
                *sizing.limits,
                *sizing.notes,
                caution(sizing),
                closed_line(sizing),
            )
            if text
        ],
        "answers": [
            {**dataclasses.asdict(a), "valid": a.valid, "conservative": a.conservative}
            for a in sizing.answers
        ],
        "closed_form": None if sizing.closed is None else dataclasses.asdict(sizing.closed),
        "curve": sizing.curve.to_dict("records"),
        "other_iccs": [] if sizing.other_iccs is None else sizing.other_iccs.to_dict("records"),
        "data_sets": sizing.data_sets,
        "seed": sizing.seed,
        "experiment": sizing.toml,
    }
    found: dict[str, Any] = primitives(document)
    return found
