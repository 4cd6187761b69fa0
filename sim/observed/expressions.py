"""What an expression in a formula may ask for: everything in it must be on a list.

Columns, numbers, texts as options, arithmetic, comparisons, formulaic's transforms and NumPy's functions of numbers;
nothing else has a name here. `parsing` has taken the formula apart.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from nestbench.sim.errors import InvalidInput, did_you_mean

GROUP_MEAN = "group_mean"
GROUP_CENTRED = "group_centred"

NUMPY_FUNCTIONS = frozenset(
    name
    for line in (
        "abs absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil clip cos cosh degrees exp exp2",
        "expm1 fabs floor fmax fmin fmod hypot isfinite isnan log log10 log1p log2 logaddexp logical_and logical_not",
        "logical_or max maximum mean median min minimum mod power radians reciprocal remainder rint round sign sin",
        "sinh sqrt square std sum tan tanh trunc var where",
    )
    for name in line.split()
)
"""NumPy's functions of numbers that a formula may call, as ``np.log(x)``."""

NUMPY_CONSTANTS = frozenset({"e", "pi", "inf", "nan"})


CONTRASTS = frozenset({"treatment", "sum", "helmert", "poly", "diff", "SAS"})
"""Members of formulaic's ``contr``."""

CODINGS = frozenset({"Treatment", "Sum", "Poly", "Helmert", "Diff"})
"""Functions that may also stand as they are: ``C(x, Sum)``."""

MOST_OPTION = 1000
"""Largest whole number as an option of a transform (`df`, `degree`, `lag`): each may be a column."""

_OPERATORS = (
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Pow,
    ast.UAdd,
    ast.USub,
    ast.Invert,
    ast.BitAnd,
    ast.BitOr,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Eq,
    ast.NotEq,
)


@cache
def functions() -> frozenset[str]:
    """Return the functions that a formula may call by their own name."""
    from formulaic.transforms import TRANSFORMS

    return frozenset((*TRANSFORMS, GROUP_MEAN, GROUP_CENTRED)) - {"np", "contr", "Q"}


def allowed(node: ast.AST, formula: str) -> Iterator[str]:
    """Yield the variables of an expression; raise at what isn't on the list."""
    check = _CHECKS.get(type(node))
    if check is None:
        raise _refused(formula, ast.unparse(node))
    yield from check(node, formula)


def _name(node: ast.Name, formula: str) -> Iterator[str]:
    """Yield a name that is a column; functions are no values, and nothing with two underscores may be named."""
    # Dunder names lead out of any expression.
    if node.id.startswith("__") or node.id in functions():
        raise _refused(formula, node.id)
    yield node.id


def _constant(node: ast.Constant, formula: str) -> Iterator[str]:
    """Accept numbers, of a size that can be computed with."""
    if not isinstance(node.value, (bool, int, float)) or abs(node.value) > 1e300:
        raise _refused(formula, ast.unparse(node))
    yield from ()


def _binary(node: ast.BinOp, formula: str) -> Iterator[str]:
    """Yield the columns of a sum, product or power; whole numbers grow without bound in Python, so powers are small."""
    constants = [n for n in (node.left, node.right) if isinstance(n, ast.Constant)]
    power = isinstance(node.op, ast.Pow)
    # Whole numbers grow without bound in Python: an exponent is small, and two constants are no power.
    small = isinstance(node.right, ast.Constant) and isinstance(node.right.value, (int, float))
    if power and len(constants) == 1 and small and abs(node.right.value) > 100:  # type: ignore[attr-defined]
        raise _refused(formula, ast.unparse(node))
    if (power and _constant_only(node)) or not isinstance(node.op, _OPERATORS):
        raise _refused(formula, ast.unparse(node), IN_R["^"] if isinstance(node.op, ast.BitXor) else "")
    yield from allowed(node.left, formula)
    yield from allowed(node.right, formula)


def _constant_only(node: ast.AST) -> bool:
    """Whether an expression has neither columns nor calls in it."""
    return not any(isinstance(part, (ast.Name, ast.Call)) for part in ast.walk(node))


def _unary(node: ast.UnaryOp, formula: str) -> Iterator[str]:
    """Yield the columns of ``-x`` or ``~x``."""
    if not isinstance(node.op, _OPERATORS):
        raise _refused(formula, ast.unparse(node))
    yield from allowed(node.operand, formula)


def _compare(node: ast.Compare, formula: str) -> Iterator[str]:
    """Yield the columns of one comparison; its sides may be texts."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], _OPERATORS):
        raise _refused(formula, ast.unparse(node))
    for side in (node.left, node.comparators[0]):
        if not _is_text(side):
            yield from allowed(side, formula)


IN_R = {
    "^": " A power is written x ** 2.",
    "factor": " A category is written C(x).",
    "ifelse": " Write np.where.",
    "cbind": " Give one outcome at a time.",
}
"""What is written otherwise in R's formulas, and how it is written here."""


def _call(node: ast.Call, formula: str) -> Iterator[str]:
    """Yield the columns of a call: of the functions in the list, and no others."""
    function = ast.unparse(node.func)
    if function == "Q":
        yield _quoted_by_function(node, formula)
        return
    if not _may_call(node.func):
        written = f" Write np.{function}." if function in NUMPY_FUNCTIONS else IN_R.get(function, "")
        raise _refused(formula, f"{function}()", written or did_you_mean(function, functions()))
    for argument in (*node.args, *(word.value for word in node.keywords if word.arg)):
        yield from _argument(argument, formula)
    if any(word.arg is None for word in node.keywords):
        raise _refused(formula, ast.unparse(node))


def _quoted_by_function(node: ast.Call, formula: str) -> str:
    """Return the column that ``Q("...")`` names."""
    from formulaic.transforms import TRANSFORMS

    if len(node.args) != 1 or node.keywords or not _is_text(node.args[0]) or "Q" not in TRANSFORMS:
        raise _refused(formula, ast.unparse(node), " Write the column's name in backticks.")
    return str(node.args[0].value)  # type: ignore[attr-defined]


def _may_call(function: ast.AST) -> bool:
    """Whether a function is one of the list: formulaic's own, NumPy's elementwise ones, contrasts."""
    if isinstance(function, ast.Name):
        return function.id in functions()
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        members = {"np": NUMPY_FUNCTIONS, "contr": CONTRASTS}.get(function.value.id, frozenset())
        return function.attr in members
    return False


def _argument(node: ast.AST, formula: str) -> Iterator[str]:
    """What stands inside a call: an expression, a text, or a list of either."""
    if isinstance(node, (ast.List, ast.Tuple)):
        for item in node.elts:
            yield from _argument(item, formula)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) > MOST_OPTION:
        raise _refused(formula, ast.unparse(node))
    elif not _is_text(node) and not _is_option(node):
        yield from allowed(node, formula)


def _is_option(node: ast.AST) -> bool:
    """Whether an argument is None or names a coding."""
    if isinstance(node, ast.Constant):
        return node.value is None
    return isinstance(node, ast.Name) and node.id in CODINGS


def _attribute(node: ast.Attribute, formula: str) -> Iterator[str]:
    """Accept NumPy's constants and contrasts; any other dot is a way into Python."""
    owner = node.value.id if isinstance(node.value, ast.Name) else ""
    if not (owner == "np" and node.attr in NUMPY_CONSTANTS) and not (
        owner == "contr" and node.attr in CONTRASTS
    ):
        dotted = ast.unparse(node)
        raise _refused(formula, dotted, f" Put a column's name in backticks: `{dotted}`.")
    yield from ()


def _is_text(node: ast.AST) -> bool:
    """Whether a node is a text."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


_CHECKS: dict[type[ast.AST], Callable[[Any, str], Iterator[str]]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.Call: _call,
    ast.Attribute: _attribute,
}


def _refused(formula: str, part: str, hint: str = "") -> InvalidInput:
    """Return what to say of a part that no formula may hold."""
    return InvalidInput(
        f"expected a formula of columns, numbers, formulaic's functions and NumPy's (np.log), got "
        f"'{shortened(formula)}' with {part[:80]!r}, which no formula may hold.{hint}"
    )


def shortened(formula: str, limit: int = 160) -> str:
    """Return a formula at a length that fits into a message."""
    return formula if len(formula) <= limit else formula[: limit - 3] + "..."
