"""How fits and runs look in a notebook: small HTML without scripts, every text from elsewhere escaped.

Colours and widths are the notebook's own (its class ``dataframe``), so that light and dark themes hold.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from nestbench.sim.visible import visible


def _text(text: str) -> str:
    """Return a text as HTML, control characters made visible."""
    return html.escape(visible(text))


def block(*parts: str) -> str:
    """Return parts as one."""
    return f"<div>{''.join(parts)}</div>"


def titled(title: str, beside: str = "") -> str:
    """Return a title in bold, with something beside it."""
    return f"<p><strong>{_text(title)}</strong>{' ' if beside else ''}{_text(beside)}</p>"


def line(text: str) -> str:
    """Return a paragraph; of no text, nothing."""
    return f"<p>{_text(text)}</p>" if text else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Return a table whose first columns are texts, the others numbers."""

    def row(cells: Sequence[str], tag: str) -> str:
        sides = ["left" if k < texts else "right" for k in range(len(cells))]
        tagged = (
            f'<{tag} style="text-align:{side}">{_text(cell)}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(tagged)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f'<table class="dataframe"><thead>{row(headings, "th")}</thead><tbody>{body}</tbody></table>'
