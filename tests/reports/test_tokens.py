"""Long texts are broken and shortened between words or tokens, and lose nothing else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from nestbench.reports.tokens import parts, shortened, tokens

NAME = st.text("abcxyz.", min_size=1, max_size=9)
TERM = st.one_of(NAME, st.builds("np.exp({})".format, NAME), st.builds("I({}**2)".format, NAME))
FORMULA = st.lists(TERM, min_size=1, max_size=30)


@given(st.text("ab1e.-:=(,+*/|~_ ", max_size=60), st.integers(1, 20))
def test_tokens_and_parts_are_the_text(text: str, most: int) -> None:
    assert "".join(tokens(text)) == text
    made = parts(text, lambda part: len(part) <= most)
    assert "".join(made) == text
    assert all(len(part) <= most for part in made)


@given(FORMULA, st.sampled_from([" + ", "+", ":"]), st.integers(40, 120))
def test_a_formula_is_shortened_between_its_terms(terms: list[str], sign: str, most: int) -> None:
    text = f"grade ~ {sign.join(terms)}"
    short = shortened(text, most)
    assert len(short) <= most
    if len(text) <= most:
        assert short == text
        return
    head, tail = short.split("…")
    assert text.startswith(head.rstrip())
    assert text.endswith(tail.lstrip())
    whole, first, last = (re.findall(r"[\w.]+|[^\w.\s]", part) for part in (text, head, tail))
    assert whole[: len(first)] == first
    assert whole[-len(last) :] == last


def test_words_come_before_tokens_and_tokens_before_letters() -> None:
    long = "grade ~ age + gender + resources + treated + age:gender + np.exp(resources) + I(age**2)"
    assert shortened(long, 84) == "grade ~ age + gender + resources + treated + age:gender + … + I(age**2)"
    assert shortened(long.replace(" ", ""), 60) == "grade~age+gender+resources+treated+age:gender+…I(age**2)"
    assert shortened("x" * 200, 20) == "xxxxxxxxxxxx…xxxxx"
    fits = "ols-cr3-t(reference="
    assert parts("ols-cr3-t(reference=satterthwaite)", lambda part: len(part) <= len(fits)) == [
        fits,
        "satterthwaite)",
    ]
    assert parts("alpha=0.000012e-05", lambda part: len(part) <= 12) == ["alpha=", "0.000012e-05"]
