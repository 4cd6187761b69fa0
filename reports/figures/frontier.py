"""Accuracy against runtime: which methods nothing beats beyond the error of both.

Times of a run scatter far more between conditions than the fits of one condition say (the machine does other things, a
batched engine is timed once for many fits), so their error is taken from conditions, and never to be small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from scipy import special

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures import axes, brackets
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.fits import NO_TIMES, RUN_TIMES, runtime_records
from nestbench.reports.figures.letters import text_width, wrapped
from nestbench.reports.figures.records import Record, labels_of, of_term
from nestbench.reports.figures.theme import LIGHT, Chart, decades, inline
from nestbench.sim.errors import InvalidInput

LOAD, WORTH = 0.9, 4
"""SD of the log ratio of two methods' times in a condition of a run, and how many conditions that is worth beside those
seen: for methods that do the same work it was 0.5 to 1.3 between the conditions of runs on a busy machine."""
_LEAST = math.exp(float(special.stdtrit(WORTH, 0.975)) * LOAD)
RULE = (
    "Beaten: another method is at least as fast and as close, and one of the two beyond its error (each pair by "
    "itself). Of times: the 95 % interval of the mean ratio of medians over the conditions (from one condition alone "
    f"a factor of {_LEAST:.0f}); of coverage: 1.96 Monte Carlo errors of the difference, as of independent runs."
)
BEATEN, FRONT = "beaten by another", "not shown to be beaten"
PLOT, LINE, NAME = (520, 320), 0.045, 260
"""Size of a figure of times, px; height of a name's line as a share of its height; width of a name, px."""


def frontier(table: pd.DataFrame, experiment: Experiment, term: str | None = None) -> Chart:
    """Distance of coverage from its level (worst condition) against milliseconds per fit, and what `RULE` says.

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    term : str, optional
    """
    records = frontier_records(table, experiment, term)
    ends = _decades_around([one["x"] for one in records])
    # Where all coverages are exact the axis still needs an extent.
    farthest = max(float(one["opened"] if "opened" in one else one["value"]) for one in records) or 0.01
    top = max(farthest, _spread_names(records, ends, LINE * farthest))
    upright = alt.Scale(domain=[0.0, top], nice=False)
    scale = alt.Scale(type="log", domain=ends, nice=False)
    ticks = alt.Axis(values=decades(ends, (1,)))
    x = alt.X("x:Q", title="Milliseconds per fit (median)", scale=scale, axis=ticks)

    def y(field: str) -> alt.Y:
        title = "Largest distance of coverage from its level"
        return alt.Y(f"{field}:Q", title=title, axis=axes.heights(True), scale=upright)

    kinds = alt.Scale(domain=[FRONT, BEATEN], range=[LIGHT["good"], LIGHT["doubt"]])
    points = alt.Chart().mark_point(filled=True, size=60, opacity=1)
    points = points.encode(
        x=x,
        y=y("value"),
        color=alt.Color("front:N", title=None, scale=kinds),
        shape=alt.Shape("front:N", title=None, scale=alt.Scale(domain=[FRONT, BEATEN])),
        tooltip=[
            alt.Tooltip("estimator:N", title="method"),
            "condition:N",
            alt.Tooltip("x:Q", format=".3~r"),
            alt.Tooltip("value:Q", title="distance", format=".1%"),
        ],
    )
    words = alt.Chart().mark_text(align="left", dx=2 * brackets.SIDE, color=LIGHT["ink"])
    layers = [points, words.encode(x=x, text="name:N", y=y("label"))]
    if brackets.marked(records):
        layers += brackets.standing([x, x, x], y)
    # Names that are stacked above the farthest dot make the figure higher: its scale stays, so they stay apart.
    done: Chart = alt.layer(*layers, data=inline(records)).properties(
        width=PLOT[0], height=PLOT[1] * top / farthest
    )
    return done


def frontier_records(table: pd.DataFrame, experiment: Experiment, term: str | None) -> list[Record]:
    """Return, for each method with coverage and times, its worst condition and whether another beats it (`RULE`).

    ``opened``, where fewer than 95 % of its fits are usable in a condition: the largest distance with the others as
    misses.
    """
    times = pd.DataFrame(runtime_records(table, experiment))
    covered = of_term(table, experiment, "coverage", term)
    if times.empty:
        raise InvalidInput(NO_TIMES)
    speed = times.groupby("estimator")["value"].median()
    by_cell = {str(label): own.set_index("cell")["value"] for label, own in times.groupby("estimator")}
    records: list[Record] = []
    for label in labels_of(covered, experiment):
        if label not in speed:
            continue
        own = [(r, experiment.cells[r["cell"]].model.level) for r in covered if r["estimator"] == label]
        far, words, error = max(
            (abs(float(r["value"]) - level), str(r["condition"]), float(r["mcse"])) for r, level in own
        )
        one = {"estimator": label, "x": float(speed[label]), "value": far, "condition": words, "mcse": error}
        if any(r["partial"] for r, _ in own):
            one["opened"] = max(far, *(abs(float(r["bound"]) - level) for r, level in own if r["partial"]))
        records.append(one)
    for one in records:
        one["front"] = BEATEN if any(_beats(other, one, by_cell) for other in records) else FRONT
    return records


def _decades_around(x: Sequence[float]) -> list[float]:
    low, high = math.floor(math.log10(min(x))), math.ceil(math.log10(max(x)))
    # At least a decade: a log axis from 10 to 10 has no places.
    return [10.0**low, 10.0 ** max(high, low + 1)]


def _spread_names(records: list[Record], ends: Sequence[float], line: float) -> float:
    """Give each point its name, in lines, and a height for it at which it overprints no other name.

    `line` is the height of a line in units of the axis. Returns the height of the highest name.
    """
    across = PLOT[0] / math.log10(ends[1] / ends[0])
    placed: list[tuple[float, float, Record]] = []
    # From below: a name is only ever lifted, over those placed before it.
    for one in sorted(records, key=lambda one: one["value"]):
        lines = wrapped(one["estimator"], NAME, 11)
        left = across * math.log10(one["x"] / ends[0])
        right = left + max(text_width(part, 11) for part in lines) + brackets.SIDE
        near = [other["label"] for start, end, other in placed if start < right and left < end]
        one["name"] = "\n".join(lines)
        one["label"] = max(
            [one["value"], line * (len(lines) - 1), *(label + line * len(lines) for label in near)]
        )
        placed.append((left, right, one))
    return max(float(one["label"]) for one in records)


def _beats(other: Record, one: Record, times: Mapping[str, pd.Series[float]]) -> bool:
    """Whether another method is at least as fast and as close, and shown to be better in one of the two."""
    if other["x"] > one["x"] or other["value"] > one["value"]:
        return False
    error = math.hypot(other["mcse"], one["mcse"])
    closer = one["value"] - other["value"] > float(special.ndtri(0.975)) * error
    return bool(closer) or faster(times[other["estimator"]], times[one["estimator"]])


def faster(first: pd.Series[float], second: pd.Series[float]) -> bool:
    """Whether a method is shown to be faster: its times over the other's, in the conditions both have.

    The 95 % interval of the mean log ratio lies below 0: by t with a variance moderated as Smyth (2004) does, towards
    that of `LOAD`, because a few conditions don't tell how times scatter.
    """
    ratio = np.log((first / second).dropna().to_numpy(dtype=np.float64))
    conditions = len(ratio)
    if not conditions:
        return False
    # Logs: a ratio of times is skewed, and turned round it must say the opposite.
    left = float(((ratio - ratio.mean()) ** 2).sum())
    df = WORTH + conditions - 1
    error = math.sqrt((WORTH * LOAD**2 + left) / df / conditions)
    return bool(-ratio.mean() > float(special.stdtrit(df, 0.975)) * error)


def _words(shown: Shown) -> list[str]:
    """Say what the two axes are, and what being on the frontier means."""
    return [
        "Up: the distance in the condition where it is largest; across: the median of the conditions' times.",
        RULE,
        RUN_TIMES,
    ]


FRONTIER = FromTable(
    "coverage",
    lambda s: frontier(s.table, s.experiment, s.term),
    _words,
    head="Coverage against time for {term}",
    upright=True,
)
