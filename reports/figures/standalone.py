"""A figure as a page of its own: the script from the installed package, the figure as data, nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nestbench.reports.figures.vega import vega_script

# 'unsafe-eval': Vega turns its expressions into functions.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:; connect-src data: blob:">
<title>nestbench</title>
</head>
<body>
<div id="figure"></div>
<script>@script@</script>
<script>vegaEmbed("#figure", @spec@, {actions: {source: false, compiled: false, editor: false}});</script>
</body>
</html>
"""


def script_json(value: Any) -> str:
    """Return JSON that is safe inside a script element: no ``<``, ``>``, ``&`` or line separators left raw."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=str)
    for raw in "<>&\u2028\u2029":
        text = text.replace(raw, f"\\u{ord(raw):04x}")
    return text


def figure_page(spec: Mapping[str, Any]) -> str:
    """Return a Vega-Lite specification as one HTML file; a name in it that looks like markup stays text.

    No initial scale is asked for: a phone begins with the whole figure in sight.
    """
    # The data come last: a name among them that reads like a placeholder isn't filled in.
    return PAGE.replace("@script@", vega_script()).replace("@spec@", script_json(spec))
