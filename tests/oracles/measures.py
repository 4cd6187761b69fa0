"""Performance measures written out in plain Python, one loop each: slow, and obviously the definition."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

Row = dict[str, float]
"""One replication: t, s, l, u, p, th."""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _s2(rows: Sequence[Row]) -> float:
    return statistics.variance([r["t"] for r in rows])


def _mse(rows: Sequence[Row]) -> float:
    return _mean([(r["t"] - r["th"]) ** 2 for r in rows])


def _v(rows: Sequence[Row]) -> float:
    return _mean([r["s"] ** 2 for r in rows])


def _share(rows: Sequence[Row], holds: Callable[[Row], bool]) -> float:
    return sum(1 for r in rows if holds(r)) / len(rows)


def _score(r: Row, alpha: float) -> float:
    score = r["u"] - r["l"]
    if r["th"] < r["l"]:
        score += 2 / alpha * (r["l"] - r["th"])
    if r["th"] > r["u"]:
        score += 2 / alpha * (r["th"] - r["u"])
    return score


def _significant(rows: Sequence[Row], alpha: float) -> list[Row]:
    return [r for r in rows if r["p"] <= alpha]


def _sign(x: float) -> int:
    return int(x > 0) - int(x < 0)


def oracle(name: str, rows: Sequence[Row], alpha: float, attempted: int) -> float:
    """Return one measure of one term over its usable replications."""
    mean_t = _mean([r["t"] for r in rows])
    table: dict[str, Callable[[], float]] = {
        "bias": lambda: _mean([r["t"] - r["th"] for r in rows]),
        "relative_bias": lambda: _mean([(r["t"] - r["th"]) / r["th"] for r in rows]),
        "standardised_bias": lambda: _mean([r["t"] - r["th"] for r in rows]) / math.sqrt(_s2(rows)),
        "median_bias": lambda: statistics.median([r["t"] - r["th"] for r in rows]),
        "empirical_se": lambda: statistics.stdev([r["t"] for r in rows]),
        "mse": lambda: _mse(rows),
        "rmse": lambda: math.sqrt(_mse(rows)),
        "model_se": lambda: math.sqrt(_v(rows)),
        "mean_se": lambda: _mean([r["s"] for r in rows]),
        "se_error": lambda: 100 * (math.sqrt(_v(rows) / _s2(rows)) - 1),
        "variance_ratio": lambda: _v(rows) / _s2(rows),
        "coverage": lambda: _share(rows, lambda r: r["l"] <= r["th"] <= r["u"]),
        "coverage_bound": lambda: sum(r["l"] <= r["th"] <= r["u"] for r in rows) / attempted,
        "be_coverage": lambda: _share(rows, lambda r: r["l"] <= mean_t <= r["u"]),
        "miss_below": lambda: _share(rows, lambda r: r["u"] < r["th"]),
        "miss_above": lambda: _share(rows, lambda r: r["l"] > r["th"]),
        "interval_width": lambda: _mean([r["u"] - r["l"] for r in rows]),
        "median_width": lambda: statistics.median([r["u"] - r["l"] for r in rows]),
        "interval_score": lambda: _mean([_score(r, alpha) for r in rows]),
        "rejection": lambda: _share(rows, lambda r: r["p"] <= alpha),
        "rejection_bound": lambda: len(_significant(rows, alpha)) / attempted,
        "type_s": lambda: _share(_significant(rows, alpha), lambda r: _sign(r["t"]) != _sign(r["th"])),
        "exaggeration": lambda: _mean([abs(r["t"]) for r in _significant(rows, alpha)]) / abs(rows[0]["th"]),
        "usable_share": lambda: len(rows) / attempted,
    }
    assert name in table, (
        f"expected the definition of the measure '{name}' in oracle() (tests/oracles/measures.py), got none: "
        "add a line that computes it with a plain loop"
    )
    return table[name]()
