"""Where a long text may be broken or shortened: between words, else between the tokens of a word, else in a token.

A token is what a formula, a method's name or a key consists of: ``age``, ``np.exp(``, ``reference=``, ``1e-05``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate

TOKEN = re.compile(r"(?:\d+(?:\.\d+)?[eE][-+]?\d+|[^-:=(,+*/|~_])*[-:=(,+*/|~_]*")
"""A name or number with the signs behind it; a break may follow."""


def tokens(text: str) -> list[str]:
    """Return a text in tokens, which joined are the text."""
    return [token for token in TOKEN.findall(text) if token]


def parts(word: str, fits: Callable[[str], bool]) -> list[str]:
    """Return a word in parts that fit: whole, else as many tokens as fit at a time, else as many letters."""
    if fits(word):
        return [word]
    lines = [""]
    for token in tokens(word):
        for piece in _cut(token, fits):
            if lines[-1] and not fits(lines[-1] + piece):
                lines.append("")
            lines[-1] += piece
    return lines


def _cut(token: str, fits: Callable[[str], bool]) -> list[str]:
    """Return a token in pieces that fit: the last resort, for something without any place to break at."""
    pieces = []
    while not fits(token) and len(token) > 1:
        end = next((i for i in range(len(token) - 1, 1, -1) if fits(token[:i])), 1)
        pieces.append(token[:end])
        token = token[end:]
    return [*pieces, token]


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` letters: what lies in its middle is left out, from token to token."""
    if len(text) <= most:
        return text
    room = most - 3  # for the mark with its spaces
    start = len(text) - _length(_backwards(text), room // 3)
    end = _length(_forwards(text), room - (len(text) - start))
    gap = text[end:start]
    return f"{text[:end]}{' ' * gap[:1].isspace()}…{' ' * gap[-1:].isspace()}{text[start:]}"


def _length(pieces: tuple[list[str], list[str]], most: int) -> int:
    """Return how long the beginning is: of whole words if that's a third of `most`, else of tokens, else of letters."""
    words, parts_of_words = (_within(kind, most) for kind in pieces)
    return words if 3 * words >= most else parts_of_words or most


def _within(pieces: list[str], most: int) -> int:
    """Return how many letters of some pieces fit into so many."""
    ends = accumulate(len(piece) for piece in pieces)
    return max((end for end in ends if end <= most), default=0)


def _forwards(text: str) -> tuple[list[str], list[str]]:
    """Return the words and tokens of a text from its beginning."""
    words = re.findall(r"\s*\S+", text)
    return words, [token for word in words for token in tokens(word)]


def _backwards(text: str) -> tuple[list[str], list[str]]:
    """Return the words and tokens of a text from its end."""
    words = re.findall(r"\S+\s*", text)
    return words[::-1], [token for word in words for token in tokens(word)][::-1]
