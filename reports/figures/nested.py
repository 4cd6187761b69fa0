"""Nested-loop plot: every condition on one axis, the factors' levels as steps below (Ruecker & Schwarzer 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.conditions import level_texts, texts_of_cells, varying
from nestbench.reports.figures import axes, brackets, tooltips
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.faceting import broken
from nestbench.reports.figures.records import Record, labels_of, of_term, promised
from nestbench.reports.figures.theme import LIGHT, Chart, colour, dash, inline
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.printed import SHARES
from nestbench.reports.wording import factor_words

HEIGHT, LEAST, MOST, CONDITION = 260, 640, 1100, 6
"""Height of the lines, width of the figure from - to, and of a condition where there are many; px."""

LETTERS, LINE, GAP = 150, 13, 6
"""Width of a level's name, height of its line, and between names of several lines; px."""

INSIDE = 3
"""How far brackets stand inside their condition, px."""

NAMED = 12
"""Levels of a factor that are named; more numbers than these have an axis."""


def nested_loop(
    table: pd.DataFrame, experiment: Experiment, measure: str = "coverage", term: str | None = None
) -> Chart:
    """All conditions on one axis; a condition without a number is a gap.

    After Ruecker and Schwarzer (2014): with many factors, panels become too many to be compared, and the order of
    the conditions shows what matters.
    """
    records = of_term(table, experiment, measure, term)
    width = min(max(LEAST, CONDITION * len(experiment.cells)), MOST)
    charts = [_lines(records, experiment, measure), *(_steps(experiment, f) for f in varying(experiment))]
    sized = [chart.properties(width=width) for chart in charts]
    done: Chart = alt.vconcat(*sized, spacing=10)
    return done


def _x(experiment: Experiment, field: str = "x") -> alt.X:
    """Return the axis of conditions: one step each, without labels, for the factors below have them."""
    return alt.X(f"{field}:Q", axis=None, scale=alt.Scale(domain=[0, len(experiment.cells)], nice=False))


def _lines(records: list[Record], experiment: Experiment, measure: str) -> Chart:
    """Return one stepped line a method, broken where it has no number."""
    labels = labels_of(records, experiment)
    axis = axes.heights(measure in SHARES)

    def y(field: str) -> alt.Y:
        """Return the axis of values for a field."""
        return alt.Y(f"{field}:Q", title=measure_named(measure).label, scale=alt.Scale(zero=False), axis=axis)

    x, until = _x(experiment), alt.X2("until:Q")
    partial = brackets.marked(records)
    conditions = inline(
        [{**r, "x": r["cell"], "middle": r["cell"] + 0.5, "until": r["cell"] + 1} for r in records]
    )
    # Vega-Lite sorts a line's points by x, where two corners of a step are equal: `order` keeps them as they come.
    path = alt.Chart(inline(runs(records))).mark_line(strokeWidth=1.6)
    hover = alt.Chart(conditions).mark_rule(strokeWidth=8, opacity=0)
    layers = [
        path.encode(
            x=x, y=y("value"), color=colour(labels), strokeDash=dash(labels), detail="run:N", order="step:Q"
        ),
        hover.encode(x=x, x2=until, y=y("value"), tooltip=tooltips.of_value()),
    ]
    if partial:
        places = [_x(experiment, field) for field in ("middle", "x", "until")]
        layers += [
            layer.properties(data=conditions)
            for layer in brackets.standing(places, y, -INSIDE, colour(labels))
        ]
    if levels := promised(experiment, measure):
        ideal = inline([{"x": cell, "until": cell + 1, "value": level} for cell, level in enumerate(levels)])
        mark = alt.Chart(ideal).mark_rule(color=LIGHT["soft"], strokeDash=[3, 3])
        layers.insert(0, mark.encode(x=x, x2=until, y=y("value")))
    done: Chart = alt.layer(*layers).properties(height=HEIGHT)
    return done


def runs(records: Sequence[Record]) -> list[Record]:
    """Return the corners of each method's line: level over a condition, broken where a condition has no number."""
    corners: list[Record] = []
    last: dict[str, Record] = {}
    for record in sorted(records, key=lambda r: r["cell"]):
        label, cell, value = record["estimator"], record["cell"], record["value"]
        before = last.get(label)
        run = before["run"] if before and before["x"] == cell else f"{label} from {cell}"
        for x in (cell, cell + 1):
            last[label] = {"estimator": label, "x": x, "value": value, "run": run, "step": len(corners)}
            corners.append(last[label])
    return corners


def _steps(experiment: Experiment, factor: str) -> Chart:
    """Return a factor's levels as a line of steps below the lines."""
    values = [levels.get(factor) for levels in experiment.levels]
    texts = [cell.get(factor, "") for cell in texts_of_cells(experiment)]
    names = {text: broken(text, LETTERS, 11, bold=False) for text in level_texts(experiment)[factor].values()}
    numbers = len(names) > NAMED and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in values
    )
    corners = [
        {"x": cell + more, "level": value if numbers else names[text], "step": 2 * cell + more}
        for cell, (value, text) in enumerate(zip(values, texts, strict=True))
        for more in (0, 1)
    ]
    lines = max(name.count("\n") + 1 for name in names.values())
    axis = alt.Axis(grid=False, tickCount=3, labelLimit=0)
    y = alt.Y("level:Q" if numbers else "level:N", title=None, axis=axis)
    y = y.scale(zero=False) if numbers else y.sort(list(names.values()))
    chart = alt.Chart(inline(corners)).mark_line(color=LIGHT["soft"], strokeWidth=1.2)
    done: Chart = chart.encode(x=_x(experiment), y=y, order="step:Q").properties(
        height=3 * LINE if numbers else (LINE * lines + GAP * (lines > 1)) * len(names),
        title=alt.Title(
            factor_words(factor), fontSize=11, fontWeight="normal", color=LIGHT["soft"], offset=2
        ),
    )
    return done


def _words(shown: Shown) -> list[str]:
    """Say how to read a nested-loop plot."""
    lines = ["One step a condition; its levels stand below, one line a factor. A gap: no number."]
    return lines + ["Dashed, grey: the nominal level."] * bool(promised(shown.experiment, shown.measure))


NESTED_LOOP = FromTable(
    "coverage", lambda s: nested_loop(s.table, s.experiment, s.measure, s.term), _words, upright=True
)
