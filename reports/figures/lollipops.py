"""A measure as lollipops from its ideal."""

from __future__ import annotations

import altair as alt
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.figures import axes, brackets, tooltips
from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.faceting import PANEL, by_condition, faceted, missing_words
from nestbench.reports.figures.records import IDEAL, labels_of, of_term, promised, with_holes
from nestbench.reports.figures.theme import LIGHT, Chart
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.printed import SHARES
from nestbench.reports.words.usable import BOUNDED


def lollipop(
    table: pd.DataFrame, experiment: Experiment, measure: str = "bias", term: str | None = None
) -> Chart:
    """A measure as lollipops from its ideal value (the condition's level, 1 or 0), with brackets at the interval.

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    measure : str
    term : str, optional
    """
    records = of_term(table, experiment, measure, term)
    labels = labels_of(records, experiment)
    levels = promised(experiment, measure)
    for record in records:
        record["ideal"] = levels[record["cell"]] if levels else IDEAL.get(measure, 0.0)
    y, share = axes.methods(labels), measure in SHARES

    def x(field: str) -> alt.X:
        """Return the axis of values for a field."""
        title, scale = measure_named(measure).label, alt.Scale(zero=False)
        return alt.X(f"{field}:Q", title=title, scale=scale, axis=axes.numbers(share))

    base = alt.Chart().encode(y=y, tooltip=tooltips.of_value())
    layers = [
        base.mark_rule(color=LIGHT["line"], strokeWidth=3).encode(x=x("value"), x2="ideal:Q"),
        base.mark_text(text="(", color=LIGHT["good"], fontSize=13).encode(x=x("low")),
        base.mark_text(text=")", color=LIGHT["good"], fontSize=13).encode(x=x("high")),
        base.mark_point(filled=True, size=36, opacity=1, color=LIGHT["good"]).encode(x=x("value")),
        alt.Chart().mark_rule(color=LIGHT["soft"], strokeDash=[3, 3]).encode(x=x("min(ideal)")),
        missing_words(),
    ]
    if brackets.marked(records):
        layers += brackets.lying(x, y, measure in BOUNDED, tooltips.of_value())
    chart = alt.layer(*layers).properties(width=PANEL, height=alt.Step(axes.step(labels)))
    return faceted(chart, with_holes(records, experiment), by_condition(experiment, labels))


def _words(shown: Shown) -> list[str]:
    """Say from where the stems are drawn."""
    ideal = (
        "the nominal level"
        if promised(shown.experiment, shown.measure)
        else f"{IDEAL.get(shown.measure, 0):g}"
    )
    return [
        f"Stem: from {ideal} (dashed) to the value (dot). In round brackets: its 95 % Monte Carlo interval."
    ]


LOLLIPOP = FromTable("bias", lambda s: lollipop(s.table, s.experiment, s.measure, s.term), _words)
