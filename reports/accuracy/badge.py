"""The outcome of a check as a badge: an SVG that needs nothing from the network, and the JSON that shields.io reads.

Colours say what the words say: green as before or better, blue where something changed that fails no check, red where
the check fails.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

from nestbench.reports.accuracy.changes import FAILING
from nestbench.reports.accuracy.check import Check
from nestbench.reports.accuracy.check_formats import Marks
from nestbench.reports.accuracy.comment import in_short
from nestbench.sim.errors import InvalidInput
from nestbench.sim.visible import visible

LABEL = "accuracy"
COLOURS = {"brightgreen": "#3a7d1e", "blue": "#0b66b8", "red": "#b42318"}
"""shields.io's names -> colours on which white text has a contrast of 4.5 or more (WCAG 2.2, AA)."""

CHARACTER, MARGIN = 6.6, 12.0
"""Pixels: of an average character at 11 px, and beside each text."""

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="20" role="img" aria-label="{said}">
<title>{said}</title>
<rect width="{width:g}" height="20" rx="3" fill="{colour}"/>
<path d="M3 0H{left:g}V20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3Z" fill="#444"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{label_at:g}" y="14" textLength="{label_length:g}" lengthAdjust="spacingAndGlyphs">{label}</text>
<text x="{message_at:g}" y="14" textLength="{message_length:g}" lengthAdjust="spacingAndGlyphs">{message}</text>
</g>
</svg>
"""


def badge(check: Check, file: Path, failing: Marks = FAILING) -> str:
    """Return the badge of a check in the form that a file's name asks for: ``.svg``, or ``.json`` for shields.io.

    Raises
    ------
    InvalidInput
        The name ends otherwise.
    """
    require_badge(file)
    message, colour = visible(in_short(check, failing)), colour_of(check, failing)
    return to_svg(message, colour) if file.suffix == ".svg" else to_endpoint(message, colour)


def require_badge(file: Path) -> None:
    """Refuse a file whose name doesn't say which form is meant."""
    if file.suffix not in (".svg", ".json"):
        raise InvalidInput(f"expected a badge's file to end in .svg or .json, got {file}; name it badge.svg")


def colour_of(check: Check, failing: Marks = FAILING) -> str:
    """Return the badge's colour by shields.io's names."""
    if check.failing(failing):
        return "red"
    return "blue" if set(check.counts()) - {"better", "fixed"} else "brightgreen"


def to_endpoint(message: str, colour: str) -> str:
    """Return JSON that shields.io's endpoint badge reads (schema version 1)."""
    content = {"schemaVersion": 1, "label": LABEL, "message": message, "color": colour}
    return json.dumps(content, ensure_ascii=False) + "\n"


def to_svg(message: str, colour: str) -> str:
    """Return the badge as SVG; texts are stretched to the widths assumed, whatever font there is."""
    label_length, message_length = CHARACTER * len(LABEL), CHARACTER * len(message)
    left, right = label_length + MARGIN, message_length + MARGIN
    return SVG.format(
        width=left + right,
        left=left,
        said=escape(f"{LABEL}: {message}", {'"': "&quot;"}),
        colour=COLOURS[colour],
        label=LABEL,
        label_at=left / 2,
        label_length=label_length,
        message=escape(message),
        message_at=left + right / 2,
        message_length=message_length,
    )
