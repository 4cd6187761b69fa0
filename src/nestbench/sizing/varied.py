"""What if: the same question with other values of its trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from nestbench.sizing.question import ICC, N_STUDENTS, Planned, Question


def changed(question: Question, values: Mapping[str, Any]) -> Question | None:
    """Return the question with parts of its trial changed; None where the ICC is unknown, or the trial is a file's."""
    if question.unknown == ICC or not isinstance(question.source, Planned):
        return None
    known = {
        name: value for name, value in values.items() if (name, question.unknown) != (N_STUDENTS, N_STUDENTS)
    }
    source = replace(question.source, trial=question.source.trial.at(**known))
    return replace(question, source=source)


def table_of(rows: Iterable[tuple[float, float, float, float]]) -> pd.DataFrame:
    """Return the answers at other ICCs: ``icc, value, low, high``."""
    return pd.DataFrame(list(rows), columns=["icc", "value", "low", "high"])
