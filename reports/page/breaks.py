"""Where the page may break a text, and where it may not."""

from __future__ import annotations

from functools import lru_cache

import markupsafe

from nestbench.reports.tokens import tokens

LONG = 16
"""Letters of a word that need no break in it."""


# A page with a thousand conditions has few names, each a hundred times. By type, for `Markup` is escaped already.
@lru_cache(maxsize=4096, typed=True)
def breakable(text: str) -> markupsafe.Markup:
    """Return a text whose long words may be broken between their tokens, everything escaped."""
    words = (tokens(word) if len(word) > LONG else [word] for word in text.split(" "))
    return markupsafe.Markup(" ").join(markupsafe.Markup("<wbr>").join(word) for word in words)


def tied(text: str) -> str:
    """Return an entry's text with what would read badly at the beginning of a line tied to what it belongs to."""
    return text.replace("(to ", "(to\u00a0").replace(" of ", "\u00a0of\u00a0")
