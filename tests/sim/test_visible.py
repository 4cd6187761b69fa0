"""Text from elsewhere: nothing in it moves a cursor or turns a line round."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from nestbench.sim.visible import is_visible, visible, visible_in


@given(st.text())
def test_what_is_shown_holds_no_control_character(text: str) -> None:
    """Tabs and line ends stay; what is harmless is left as it is; once is enough."""
    shown = visible(text)
    kinds = {unicodedata.category(sign) for sign in shown if sign not in "\t\n"}
    assert not kinds & {"Cc", "Cs"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert visible(shown) == shown
    assert (shown == text) == is_visible(text)
    shown.encode()


def test_escapes_are_written_out() -> None:
    """As Python writes them."""
    assert visible("a\x1b]0;x\x07b") == "a\\x1b]0;x\\x07b"
    assert visible_in({"\x1b": ["\u202e", 1, None]}) == {"\\x1b": ["\\u202e", 1, None]}
