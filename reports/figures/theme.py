"""Colours and type of every figure: safe for colour-blind readers, light and dark."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import altair as alt
import numpy as np
import vl_convert

from nestbench.experiments.files import write_atomically
from nestbench.reports.figures.axes import key
from nestbench.reports.figures.standalone import figure_page
from nestbench.sim.errors import InvalidInput

Chart = Any
"""An Altair chart: plain, layered, faceted or concatenated."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

LIGHT: Mapping[str, str] = {
    "good": "#0b5fa5",
    "fair": "#6aa5d9",
    "doubt": "#e0912f",
    "bad": "#c2410c",
    "wide": "#7b6d8d",
    "plain": "#44515e",
    "ink": "#1d2733",
    "soft": "#5c6875",
    "line": "#d5dbe1",
    "band": "#e6eef5",
    "paper": "#ffffff",
}
DARK: Mapping[str, str] = {
    "good": "#79c3fb",
    "fair": "#5790c0",
    "doubt": "#d99a3e",
    "bad": "#ff8353",
    "wide": "#b3a3c7",
    "plain": "#b4c0cc",
    "ink": "#e8edf2",
    "soft": "#a3afbb",
    "line": "#37424d",
    "band": "#1f2f3d",
    "paper": "#14191f",
}
"""The same roles on a dark page. Blue against orange-red stays apart in every common colour-vision deficiency, and
shape or filling says the same again."""

CATEGORIES = ("#0b5fa5", "#e0912f", "#00806a", "#b5468c", "#6aa5d9", "#8a6a00", "#44515e", "#c2410c")


def config(colours: Mapping[str, str] = LIGHT) -> dict[str, Any]:
    """Return the Vega-Lite config of all figures."""
    axis = {
        "domain": False,
        "gridColor": colours["line"],
        "labelColor": colours["soft"],
        "titleColor": colours["soft"],
        "tickColor": colours["line"],
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "gridWidth": 0.7,
    }
    heading = {"labelColor": colours["ink"], "titleColor": colours["soft"], "labelFontSize": 12}
    return {
        "font": FONT,
        "lineBreak": "\n",
        "background": colours["paper"],
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": True, "labelFlush": False},
        "facet": {"spacing": 34},
        "axisY": {"grid": False, "ticks": False, "labelColor": colours["ink"], "labelPadding": 6},
        "header": {**heading, "titleFontSize": 11, "titleFontWeight": "normal", "labelFontWeight": 600},
        "legend": {
            "labelColor": colours["ink"],
            "titleColor": colours["soft"],
            "titleFontWeight": "normal",
            "orient": "top",
        },
        "title": {"color": colours["ink"], "subtitleColor": colours["soft"], "anchor": "start"},
        "text": {"color": colours["ink"]},
    }


def dressed(chart: Chart) -> dict[str, Any]:
    """Return a chart's Vega-Lite specification with the light config, not held against the schema: tests do that."""
    data = chart.data
    records = getattr(data, "values", None) if isinstance(data, alt.Data) else None
    if isinstance(records, list):
        # Altair looks at every value for what it could be: half a minute for a thousand conditions.
        chart = chart.copy(deep=False)
        chart.data = inline([])
    # Else Altair hands data to VegaFusion where a notebook has turned that on.
    spec: dict[str, Any] = chart.to_dict(validate=False, context={"pre_transform": False})
    if isinstance(records, list):
        spec["data"]["values"] = _plain(records)
    spec["config"] = config()
    return spec


def _plain(value: Any) -> Any:
    """Return records with NumPy's numbers and arrays as Python's, as Altair writes them."""
    if isinstance(value, np.number):
        return float(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(one) for one in value]
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def inline(records: list[dict[str, Any]]) -> Any:
    """Return records as a chart's own data; Altair's row limit is for frames and does not apply."""
    data: Any = alt.Data
    return data(values=records)


def colour(labels: Sequence[str]) -> alt.Color:
    """Return methods as colours; with `dash` they share one legend."""
    colours = [CATEGORIES[i % len(CATEGORIES)] for i in range(len(labels))]
    scale = alt.Scale(domain=list(labels), range=colours)
    return alt.Color("estimator:N", title=None, sort=list(labels), scale=scale, legend=key(labels))


def dash(labels: Sequence[str]) -> alt.StrokeDash:
    """Return methods as dashes, so that more of them than colours stay apart."""
    scale = alt.Scale(domain=list(labels))
    return alt.StrokeDash("estimator:N", title=None, sort=list(labels), scale=scale, legend=key(labels))


def decades(values: Sequence[float], steps: Sequence[int] = (1, 3)) -> list[float]:
    """Return ticks of a log axis: `steps` times each power of ten that the values span."""
    if not values:
        return []
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [float(f"{m}e{p}") for p in range(low, high + 1) for m in steps]


def in_dark(text: str) -> str:
    """Return text (a specification as JSON, an SVG) with the light colours replaced by the dark ones."""
    # By way of names: replaced one by one, a dark colour that is another role's light one would change twice.
    for role, colour in LIGHT.items():
        text = text.replace(colour, f"@{role}@")
    for role, colour in DARK.items():
        text = text.replace(f"@{role}@", colour)
    return text


MARGIN = {"left": 16, "top": 6, "right": 8, "bottom": 6}
"""Around a figure in a file: its reader's letters may be wider than ours."""


def write_chart(chart: Chart, path: Path) -> None:
    """Write a chart as svg, pdf, png, html or json, by the file's extension."""
    spec, kind = {**dressed(chart), "padding": MARGIN}, path.suffix.lower()
    if kind == ".svg":
        _write(path, described(vl_convert.vegalite_to_svg(spec), spec.get("description", "")))
    elif kind == ".pdf":
        _write(path, vl_convert.vegalite_to_pdf(spec))
    elif kind == ".png":
        _write(path, vl_convert.vegalite_to_png(spec, scale=2))
    elif kind == ".html":
        _write(path, figure_page(spec))
    elif kind == ".json":
        _write(path, json.dumps(spec, indent=2))
    else:
        raise InvalidInput(
            f"expected a file ending in .svg, .pdf, .png, .html or .json, got '{path.name}'; choose one of these"
        )


def described(svg: str, words: str) -> str:
    """Return a picture with the words that are read aloud in its place; Vega-Lite's renderer leaves them out."""
    if not words:
        return svg
    return svg.replace("<svg ", f'<svg role="img" aria-label={quoteattr(words)} ', 1)


def _write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    write_atomically(path, content.encode() if isinstance(content, str) else content)
