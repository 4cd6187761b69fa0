"""How wide a text is in the fonts of readers, and texts in lines that fit a width."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from nestbench.reports.tokens import parts

_REGULAR = (
    "32 41 46 84 64 96 78 28 40 40 50 84 32 37 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 56 102 69 69 73 78 "
    "67 62 78 76 30 50 67 56 87 75 79 67 79 73 67 62 74 69 99 69 67 69 40 34 40 84 56 50 62 64 55 64 62 36 64 64 28 28 "
    "58 28 98 64 62 64 64 42 53 40 64 60 82 60 60 53 64 34 64 84"
)
_BOLD = (
    "35 46 53 84 70 101 88 31 46 46 53 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 62 100 78 77 74 84 "
    "69 69 83 84 38 56 78 64 100 84 86 74 86 78 73 69 82 78 111 78 73 73 46 37 46 84 56 50 68 72 60 72 68 44 72 72 35 "
    "35 67 35 105 72 69 72 72 50 60 48 72 66 93 65 66 59 72 37 72 84"
)


def _table(widths: str) -> Mapping[str, float]:
    """Return the widths of ASCII's printable letters, in ems, from a list in hundredths."""
    return {chr(32 + i): int(width) / 100 for i, width in enumerate(widths.split())}


_WIDTHS = {False: _table(_REGULAR), True: _table(_BOLD)}
"""Widths of the letters from space to ~ as shares of their size, not bold and bold.

The wider of DejaVu Sans and Liberation Sans (as wide as Helvetica and Arial), from the fonts' own metrics: a reader's
font is rarely wider than both.
"""

_OTHER, _WHOLE = 0.85, 1.1
"""Width of letters of other scripts and of signs, and of those as wide as they are high."""


@lru_cache(maxsize=1 << 16)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return how wide a line of text is at most in common fonts, px.

    Figures are laid out before any browser has seen them: the widest of common fonts is assumed, so that a title
    never runs out of its panel.

    Parameters
    ----------
    text : str
    size : float
        Of the font, px.
    bold : bool
    """
    widths = _WIDTHS[bold]
    return size * sum(
        # Taken apart, an accented letter is as wide as its base, and a ligature as its letters.
        widths[c] if c in widths else _other(c, widths)
        for c in unicodedata.normalize("NFKD", text)
    )


def _other(letter: str, widths: Mapping[str, float]) -> float:
    """Return the width of a letter that the table doesn't have: of its kind, rather too wide than too narrow."""
    if unicodedata.combining(letter) or unicodedata.category(letter) == "Cf":
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF" or letter in "—…œŒæÆ":
        return _WHOLE
    return max(_OTHER, widths["n"])


def wrapped(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """Return text in lines of at most a width, px: broken between words, at hyphens, else between tokens."""

    def fits(part: str) -> bool:
        """Whether a part fits into a line."""
        return text_width(part.strip(), size, bold) <= width

    lines = [""]
    for piece in re.findall(r"\s*[^\s-]*-?", text):
        for part in parts(piece, fits):
            if not fits(lines[-1] + part) and lines[-1]:
                lines.append("")
            lines[-1] = (lines[-1] + part).lstrip()
    return [line.rstrip() for line in lines]
