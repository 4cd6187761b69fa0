"""The answer as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from nestbench.sizing.answer import Sizing
from nestbench.sizing.sentences import assumed, closed_line, verdict


def json_of(sizing: Sizing) -> str:
    """Return the answer as JSON: NaN is null, infinite the text ``"inf"``."""
    return json.dumps(plain_of(sizing), indent=2, ensure_ascii=False)


def plain_of(sizing: Sizing) -> dict[str, Any]:
    """Return the answer as primitives."""
    question = sizing.question
    low, high = sizing.interval
    document = {
        "solve": question.unknown,
        "target": {question.target: question.goal},
        "effect": question.effect,
        # As it was asked: 1 - .95 is 0.050000000000000044.
        "alpha": round(1.0 - question.level, 12),
        "term": question.term,
        "method": sizing.named,
        "value": sizing.value,
        "interval": [low, high],
        "words": [
            text
            for text in (verdict(sizing), assumed(sizing.question), *sizing.limits, closed_line(sizing))
            if text
        ],
        "answers": [{**dataclasses.asdict(a), "valid": a.valid} for a in sizing.answers],
        "closed_form": None if sizing.closed is None else dataclasses.asdict(sizing.closed),
        "curve": sizing.curve.to_dict("records"),
        "data_sets": sizing.data_sets,
        "seed": sizing.seed,
        "experiment": sizing.toml,
    }
    found: dict[str, Any] = clean(document)
    return found


def clean(value: Any) -> Any:
    """Return a value with what JSON can't hold in its place."""
    if isinstance(value, dict):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    # NumPy's numbers, which JSON doesn't know.
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
