"""Formulas as text: what they name and what they may ask for, before anything is evaluated.

formulaic evaluates whatever stands inside a function call or braces as Python. A formula may come from a stranger's
TOML, run or baseline, so everything in it must be on a list: columns, numbers, texts as options, arithmetic,
comparisons, formulaic's transforms and NumPy's functions of numbers. Nothing else has a name here, and nothing in a
formula of a few words may take the machine (`a ** 9 ** 9`, a product of forty columns).
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.expressions import allowed, shortened
from nestbench.sim.observed.sums import sum_of

if TYPE_CHECKING:
    from formulaic.parser.types import Token

LONGEST = 4000
"""Characters of a formula."""

MOST_TERMS = 2000
"""Bound on the terms that ``*`` and ``**`` may multiply out to."""

QUOTED = re.compile(r"`([^`]*)`")
_STAND_IN = "_quoted{}_"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A formula that may be evaluated.

    Attributes
    ----------
    text : str
        As formulaic is to read it.
    names : tuple of str
        The columns it names, in order; `group_mean` and other functions are none.
    outcome : str or None
        The outcome's column where the left side is one column as it is.
    right : tuple of str
        The columns right of ``~``.
    """

    text: str
    names: tuple[str, ...]
    outcome: str | None
    right: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def parse(formula: str, columns: tuple[str, ...] | None = None, own: tuple[str, ...] = ()) -> Parsed:
    """Return what a formula names, if everything in it is allowed.

    Parameters
    ----------
    formula : str
    columns : tuple of str, optional
        The data's columns: with them ``.`` is written out, and columns with a Python keyword as name may stand inside
        functions without backticks.
    own : tuple of str
        Columns that ``.`` leaves out: groups.

    Raises
    ------
    InvalidInput
        It can't be read, or holds something that no formula may.
    """
    if len(formula) > LONGEST:
        raise InvalidInput(
            f"expected a formula of at most {LONGEST} characters, got {len(formula)}; shorten it"
        )
    plain = sum_of(formula)
    if plain is not None:
        left = () if plain.outcome is None else (plain.outcome,)
        return Parsed(formula, tuple(dict.fromkeys(left + plain.terms)), plain.outcome, plain.terms)
    tokens = _tokens(formula)
    if tokens and tokens[-1].token == "~":
        raise Unreadable(formula, "nothing stands after '~'; write 1 for an intercept alone")
    _bound_products(formula, tokens)
    outcome = _plain_outcome(tokens)
    pieces: list[str] = []
    names: list[str] = []
    right, end = 0, 0
    for token in tokens:
        start, stop = token.source_start or 0, (token.source_end or 0) + 1
        stop += formula[start] == "{"  # whose end formulaic doesn't count
        replaced, named = _piece(token, formula, columns, (outcome, *own))
        right = len(names) if token.token == "~" else right
        names += named
        if replaced is not None:
            pieces += [formula[end:start], replaced]
            end = stop
    text = "".join([*pieces, formula[end:]])
    _formula(text, formula)
    return Parsed(text, tuple(dict.fromkeys(names)), outcome, tuple(dict.fromkeys(names[right:])))


def formula_of(parsed: Parsed) -> Any:
    """Return the formula as formulaic's object."""
    return _formula(parsed.text, parsed.text)


def _formula(text: str, shown: str) -> Any:
    """Return a text as formulaic reads it; whatever formulaic raises becomes our error."""
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        return Formula(text)
    except (
        FormulaicError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise unreadable(shown, error) from error


class Unreadable(InvalidInput):
    """A formula that formulaic or Python can't read, in one sentence."""

    def __init__(self, formula: str, why: str, wanted: str = "like 'grade ~ age + gender'") -> None:
        # What its class is called with, not the sentence: so an exception comes to another process.
        super().__init__(formula, why, wanted)

    def __str__(self) -> str:
        formula, why, wanted = self.args
        hint = " Random parts are written (1 + x | school), or with --random." if "|" in formula else ""
        return f"expected a formula {wanted}, got '{shortened(formula)}' ({why}).{hint}"

    def over(self, columns: Sequence[str]) -> Unreadable:
        """Return the same error, said of a table's columns."""
        formula, why, _ = self.args
        return Unreadable(formula, why, f"over the columns {', '.join(columns)}")


def unreadable(formula: str, error: Exception) -> Unreadable:
    """Return the error for what formulaic or Python says of a formula."""
    marks = re.compile(r"\x1b\[[0-9;]*m|⧛\[[0-9;]*m|⧚")
    why = marks.sub("", str(error)).strip().split("\n")[0].rstrip(".")[:160] or type(error).__name__
    return Unreadable(formula, why)


def _tokens(formula: str) -> list[Token]:
    """Return the tokens of a formula."""
    from formulaic.errors import FormulaicError
    from formulaic.parser.algos.tokenize import tokenize

    try:
        return list(tokenize(formula))
    except (FormulaicError, SyntaxError, ValueError, LookupError) as error:
        raise unreadable(formula, error) from error


def _bound_products(formula: str, tokens: Sequence[Token]) -> None:
    """Refuse a formula whose ``*`` and ``**`` could multiply out to more than `MOST_TERMS` terms."""
    from formulaic.parser.types import Token

    kinds = [(token.token, token.kind) for token in tokens]
    operators = [text for text, kind in kinds if kind is Token.Kind.OPERATOR]
    factors = max(1, sum(kind in (Token.Kind.NAME, Token.Kind.PYTHON) for _, kind in kinds))
    terms = 2.0 ** min(60, operators.count("*"))
    for (text, _), (power, kind) in pairwise(kinds):
        if text in ("**", "^"):
            whole = kind is Token.Kind.VALUE and power.isdecimal() and len(power) < 4
            terms *= float(min(factors, 60)) ** (min(int(power), 100) if whole else 100)
    if terms > max(MOST_TERMS, factors):
        raise InvalidInput(
            f"expected a formula of at most {MOST_TERMS} terms, got '{shortened(formula)}', "
            "whose products may have more; write out the interactions you want"
        )


def _plain_outcome(tokens: Sequence[Token]) -> str | None:
    from formulaic.parser.types import Token

    texts = [token.token for token in tokens]
    if texts[1:2] == ["~"] and tokens[0].kind is Token.Kind.NAME:
        return _bare(texts[0])
    return None


def _bare(name: str) -> str:
    """Return a name without its backticks."""
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == "`" else name


def _piece(
    token: Token, formula: str, columns: tuple[str, ...] | None, own: Sequence[str | None]
) -> tuple[str | None, list[str]]:
    """Return what a token is to be replaced by (None: stays) and the columns it names."""
    from formulaic.parser.types import Token

    if token.kind is Token.Kind.NAME:
        if _bare(token.token) == "Intercept":
            raise Unreadable(
                formula, "'Intercept' names the constant, written 1; rename a column of that name"
            )
        return None, [_bare(token.token)]
    if token.token == "." and columns is not None:
        rest = [name for name in columns if name not in own]
        return f"({' + '.join(f'`{name}`' for name in rest) or '0'})", rest
    if token.token == "." and token.kind is Token.Kind.OPERATOR:
        raise Unreadable(formula, "'.' stands for all columns only where there is a table; name them")
    if token.kind is not Token.Kind.PYTHON:
        return None, []
    code = _with_aliases(token.token, columns or ())
    names = [unaliased(name) for name in _names_in(code, formula)]
    if code == token.token:
        return None, names
    return f"{{{code}}}" if formula[token.source_start or 0] == "{" else code, names


ALIAS = "_column_{}_"
_ALIASED = re.compile(r"_column_([a-zA-Z]+)_")


def unaliased(text: str) -> str:
    """Return a text with the aliases of columns replaced by their names."""
    return _ALIASED.sub(lambda alias: alias[1], text)


def aliases(columns: Sequence[str]) -> dict[str, str]:
    """Return alias -> name of the columns that are called like a word of Python's (``class``, ``lambda``).

    Inside a function such a name can't be read, not even in backticks.
    """
    return {ALIAS.format(name): name for name in columns if keyword.iskeyword(name)}


def _with_aliases(code: str, columns: Sequence[str]) -> str:
    """Return code in which columns whose names are no identifiers are called by aliases."""
    for alias, name in aliases(columns).items():
        if name in ("True", "False", "None"):  # without backticks these are options: raw=True
            code = code.replace(f"`{name}`", alias)
            continue
        parts = QUOTED.split(code.replace(f"`{name}`", alias))  # the odd ones stand in backticks
        parts[::2] = [re.sub(rf"(?<![\w.]){name}(?!\w)", alias, part) for part in parts[::2]]
        code = "".join(f"`{part}`" if i % 2 else part for i, part in enumerate(parts))
    return code


def _names_in(code: str, formula: str) -> Iterator[str]:
    """Yield the columns in a piece of Python, once everything in it is allowed."""
    quoted: list[str] = []

    def stand_in(name: re.Match[str]) -> str:
        """Note a quoted name and return what stands in for it while Python reads the code."""
        quoted.append(name[1])
        return _STAND_IN.format(len(quoted) - 1)

    try:
        tree = ast.parse(QUOTED.sub(stand_in, code).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unreadable(formula, error if isinstance(error, SyntaxError) else SyntaxError(code)) from error
    stand_ins = {_STAND_IN.format(i): name for i, name in enumerate(quoted)}
    for name in allowed(tree.body, formula):
        yield stand_ins.get(name, name)
