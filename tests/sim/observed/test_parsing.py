"""What a formula names, and what it may not hold."""

from __future__ import annotations

import keyword
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, batch_of_frame
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.parsing import LONGEST, parse

COLUMNS = ("y", "x", "class", "sex", "ses.mean", "school size", "lambda")


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng, n = np.random.default_rng(1), 40
    frame = pd.DataFrame(
        {
            "y": rng.uniform(1.0, 2.0, n),
            "x": rng.normal(size=n),
            "class": rng.choice(list("abc"), n),
            "sex": rng.choice(list("fm"), n),
            "ses.mean": rng.normal(size=n),
            "school size": rng.integers(3, 9, n) * 1.0,
            "lambda": rng.normal(size=n),
            "school": np.repeat(range(4), 10),
        }
    )
    return batch_of_frame(frame, "school")


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("y ~ poly(x, 2, raw=True)", ("y", "x")),
        ("y ~ C(sex, Treatment('m'))", ("y", "sex")),
        ("y ~ C(class)", ("y", "class")),
        ("y ~ C(`class`)", ("y", "class")),
        ("y ~ `ses.mean` + `school size`", ("y", "ses.mean", "school size")),
        ("y ~ np.sqrt(`school size`) + bs(x, df=4)", ("y", "school size", "x")),
        ("y ~ lambda + {lambda + 1} + {x > np.pi}", ("y", "lambda", "x")),
        ("y ~ group_mean(`ses.mean`) + group_centred(x)", ("y", "ses.mean", "x")),
        ("np.log(y) ~ (x + sex)**2 + I(x / 10)", ("y", "x", "sex")),
        ("y ~ .", COLUMNS),
        ("y ~ {sex == 'm'} + np.where(x > 0, x, 0)", ("y", "sex", "x")),
        ("~ 1 + x", ("x",)),
    ],
)
def test_names_are_those_of_columns(formula: str, names: tuple[str, ...], batch: Batch) -> None:
    """Options and texts are no columns; each formula can be evaluated."""
    assert parse(formula, COLUMNS, ("school",)).names == names
    if not formula.startswith("~"):
        design_of(batch, Model(formula=formula)).fixed(batch)


def test_terms_keep_the_names_of_columns(batch: Batch) -> None:
    """Python's own words as columns don't show in the names of terms."""
    assert design_of(batch, Model(formula="y ~ C(class) + lambda")).terms == (
        "Intercept",
        "C(class)[T.b]",
        "C(class)[T.c]",
        "lambda",
    )


ATTACKS = [
    "{(__import__('pathlib').Path('pwned').touch() or x)}",
    "{open('pwned', 'w')}",
    "{eval('1')}",
    "{exit()}",
    "{x.__class__}",
    "{x.to_csv('pwned')}",
    "np.load('x')",
    "np.linalg.inv(x)",
    "np.zeros(10)",
    "{np.__loader__}",
    "{(lambda: x)()}",
    "{[i for i in x]}",
    "{x[0]}",
    "{x if x else x}",
    "{f'{x}'}",
    "{'a' * 100000}",
    "{9 ** 9 ** 9}",
    "{x ** 100000}",
    "I(1000000 ** 100000)",
    "(a + b + c) ** 60",
    "*".join("abcdefghijklmnop"),
    "poly(x, 1000000)",
    "bs(x, df=1000000)",
    "C(x, **k)",
    "C(*x)",
    "{1j * x}",
    "{None}",
    "{__name__}",
    "{x and x}",
    "{x := 1}",
    "{" + "(" * 900 + "x" + ")" * 900 + "}",
    "{" + "-" * 3000 + "x}",
    "(" * 3000,
    "x" * (LONGEST + 1),
    "`",
    "\x00",
    "x ~ x",
    "{x",
]


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_what_no_formula_may_hold(
    attack: str, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused in words, in both parts of a model, before anything is evaluated."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput):
        design_of(batch, Model(formula=f"y ~ x + {attack}"))
    with pytest.raises(InvalidInput):
        design_of(batch, Model(formula="y ~ x", random=f"1 + {attack}"))
    assert not list(tmp_path.iterdir())


def test_advice() -> None:
    """What people write instead is named."""
    with pytest.raises(InvalidInput, match=r"Write np\.sqrt"):
        parse("y ~ sqrt(x)")
    with pytest.raises(InvalidInput, match=r"in backticks: `ses\.mean`"):
        parse("y ~ np.log(ses.mean)")
    for words, formula in (
        (r"x \*\* 2", "y ~ I(x^2)"),
        (r"C\(x\)", "y ~ factor(x)"),
        ("one outcome", "cbind(y, x) ~ 1"),
    ):
        with pytest.raises(InvalidInput, match=words):
            parse(formula)
    with pytest.raises(InvalidInput, match="Did you mean 'group_mean'"):
        parse("y ~ groupmean(x)")


@given(
    st.text(alphabet="xy~+-*/:()[]{}.,'\"`|=<>0123456789 _np.C", max_size=60)
    | st.text(max_size=30)
    | st.sampled_from(keyword.kwlist)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text ends in another error."""
    try:
        found = parse(text, COLUMNS, ("school",))
    except InvalidInput:
        return
    assert parse(found.text).names is not None
