"""Advice as JSON: what is known without the outcome first, the fit last."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from nestbench.advising.advice import Advice
from nestbench.advising.design import primitives as primitives_of_design
from nestbench.advising.sentences import NO_PEEKING, assumption, precaution, sure_words, verdict
from nestbench.own_data.fit import COLUMNS, Fit
from nestbench.own_data.primitives import primitives


def json_of(found: Sequence[Advice]) -> str:
    """Return the advice on some terms as JSON: NaN is null, infinite the text ``"inf"``."""
    return json.dumps({"advice": [primitives_of(advice) for advice in found]}, indent=2, ensure_ascii=False)


def primitives_of(advice: Advice) -> dict[str, Any]:
    """Return advice as primitives; all but ``fits`` and ``remarks`` is the same whatever the term's effect is."""
    return known_blindly(advice) | {
        "fits": [_fit(fit) for fit in advice.fits],
        "remarks": list(advice.remarks),
    }


def known_blindly(advice: Advice) -> dict[str, Any]:
    """Return what is known of X, schools and residuals alone, as primitives."""
    choice = advice.choice
    document = {
        "term": advice.term,
        "formula": advice.model.formula,
        "group": advice.model.group,
        "random": advice.model.random,
        "subgroup": advice.model.subgroup,
        "level": advice.model.level,
        "method": choice.named,
        "valid": list(choice.valid),
        "least_bad": choice.least_bad,
        "assuming": choice.assuming,
        "unless": choice.unless,
        "guarding": choice.guarding,
        "rests_on": list(choice.judged),
        "certainty": dict(choice.shares),
        "words": [
            text
            for text in (
                verdict(advice),
                sure_words(advice),
                assumption(advice),
                precaution(advice),
                NO_PEEKING,
            )
            if text
        ],
        "planted_effect": advice.planted,
        "replications": advice.replications,
        "seed": advice.seed,
        "design": primitives_of_design(advice.design),
        "calibration": dataclasses.asdict(advice.calibration),
        "scenarios": [dataclasses.asdict(law) for law in advice.laws],
        "table": advice.table.to_dict("records"),
        "placebo": advice.placebo.to_dict("records"),
        "experiment": advice.toml,
        "messages": list(advice.messages),
    }
    found: dict[str, Any] = primitives(document)
    return found


def _fit(fit: Fit) -> dict[str, Any]:
    rows = [{"term": term, **{name: row[name] for name in COLUMNS}} for term, row in fit.terms.iterrows()]
    document = {
        "method": fit.estimator,
        "status": fit.status.name,
        "terms": rows,
        "messages": list(fit.messages),
    }
    found: dict[str, Any] = primitives(document)
    return found
