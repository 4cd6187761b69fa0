"""One sentence of a verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence (names in backticks), its kind (``use``, ``avoid``, ``note``) and the rule that made it."""

    kind: str
    sentence: str
    rule: str
