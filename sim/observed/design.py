"""Formulas compiled to products of columns, so that no replication pays for reading one.

Most columns of a design matrix are products of few kinds of factors: a numeric column, the indicator of a
category's level, that of a number's value (``C(time)``), a school mean (``group_mean(x)``), a deviation
from it (``group_centred(x)``). Such a formula is compiled once for a model and the kinds of the columns:
formulaic names the columns of the matrix on a small synthetic data set, each name is read as a product of
factors, and the products are kept only if they reproduce formulaic's matrix there, to the last digits. Any
other formula (``log(age)``, ``poly(age, 2)``) is left to formulaic, replication by replication.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, MadeColumns, offsets_of
from nestbench.sim.observed.expressions import GROUP_CENTRED, GROUP_MEAN
from nestbench.sim.observed.formula import matrix_of, spread_means
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.parsing import unaliased
from nestbench.sim.observed.sums import sum_of
from nestbench.sim.streams import StreamSource


class FactorKind(IntEnum):
    """What a factor is of its column x; the numbers below 4 are what the kernels read."""

    NUMBER = 0
    INDICATOR = 1
    GROUP_MEAN = 2
    GROUP_CENTRED = 3
    VALUE = 4


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a design column: x, 1(x = level), the school mean of x, x minus it, or 1(x = value)."""

    kind: FactorKind
    column: str
    level: int = 0
    value: float = 0.0


Product = tuple[Factor, ...]
"""A column of a design matrix as a product of factors; the empty product is the constant 1."""

Signature = tuple[tuple[str, tuple[str, ...] | None, tuple[float, ...]], ...]
"""Name, levels (None: numeric) and values (of a number that a formula takes for a category) of each column of a
batch: all that compiling a formula depends on."""

MOST_VALUES = 64
"""A number with more values isn't compiled as a category."""


@dataclass(frozen=True, slots=True)
class Design:
    """A model compiled against a batch's columns.

    Attributes
    ----------
    model : Model
    response : str
        The outcome's name.
    terms : tuple of str
        Names of the p columns of X, as formulaic names them: ``Intercept``, ``age``, ``gender[T.male]``.
    random_terms : tuple of str
        Names of the q columns of Z: ``("Intercept",)`` for a random intercept.
    lhs_products, rhs_products, random_products : tuple of Product, or None
        How the outcome, the columns of X and those of Z are computed; None where formulaic has to.
    """

    model: Model
    response: str
    terms: tuple[str, ...]
    random_terms: tuple[str, ...]
    lhs_products: tuple[Product, ...] | None = None
    rhs_products: tuple[Product, ...] | None = None
    random_products: tuple[Product, ...] | None = None

    @property
    def intercept(self) -> bool:
        """Whether X has an intercept column."""
        return "Intercept" in self.terms

    def fixed(self, batch: Batch) -> Floats:
        """Return X as rows of columns, float64 [p, N], over all replications of the batch."""
        return _rows(batch, self.model.formula, "rhs", self.terms, self.rhs_products)

    def outcome(self, batch: Batch) -> Floats:
        """Return y, float64 [N]."""
        rows = _rows(batch, self.model.formula, "lhs", (self.response,), self.lhs_products)
        return np.asarray(rows[0])

    def random(self, batch: Batch) -> Floats:
        """Return Z as rows of columns, float64 [q, N]."""
        return _rows(batch, f"~ {self.model.random}", "rhs", self.random_terms, self.random_products)


def design_of(batch: Batch, model: Model) -> Design:
    """Compile a model against the columns of a batch (call it as ``batch.once(design_of, model)``).

    Raises
    ------
    InvalidInput
        The formula can't be read, names a column that isn't there, or has no single numeric outcome; or a null value is
        of no term.
    """
    signature = signature_of(batch, f"{model.formula} {model.random}")
    random = f"~ {model.random}"
    response, lhs = _part(batch, model.formula, "lhs", signature)
    terms, rhs = _part(batch, model.formula, "rhs", signature)
    random_terms, z = _part(batch, random, "rhs", signature)
    if len(response) != 1:
        raise InvalidInput(
            f"expected one numeric outcome before '~', got '{model.formula}' with {len(response)} columns "
            f"({', '.join(response)}); name a single numeric column"
        )
    if not random_terms:
        raise InvalidInput(
            f"expected a random part with at least one term, got '{model.random}'; \"1\" is a random intercept"
        )
    if not terms:
        raise InvalidInput(
            f"expected a formula with at least one term, got '{model.formula}'; e.g. 'grade ~ 1'"
        )
    twice = next((term for term in terms if terms.count(term) > 1), None)
    if twice is not None:
        raise InvalidInput(
            f"expected terms of different names, got '{twice}' twice in '{model.formula}'; rename the column"
        )
    for term in model.null:
        if term not in terms:
            raise unknown_name("term in null", term, terms)
    return Design(model, response[0], terms, random_terms, lhs, rhs, z)


def require_finite(batch: Batch, design: Design, outcome: bool = True) -> None:
    """Refuse terms, and the outcome, that aren't defined in all rows: logarithms of negative numbers, divisions by 0.

    Raises
    ------
    InvalidInput
    """
    names = [*design.terms, *design.random_terms]
    with np.errstate(all="ignore"):
        columns = [design.fixed(batch), design.random(batch)]
        if outcome:
            names, columns = [design.response, *names], [design.outcome(batch)[None], *columns]
    for name, column in zip(names, np.concatenate(columns), strict=True):
        undefined = ~np.isfinite(column)
        if undefined.any():
            raise InvalidInput(
                f"expected a finite number for '{name}' in every row, got {column[undefined][0]:g} in "
                f"{undefined.sum()} of {len(column)}; leave those rows out, or change the formula"
            )


def parts_of(batch: Batch, model: Model) -> list[tuple[tuple[str, ...], tuple[Product, ...] | None]]:
    """Return names of the columns of Z, X and y and how they are computed, None where formulaic has to; makes none."""
    signature = signature_of(batch, f"{model.formula} {model.random}")
    sides = ((f"~ {model.random}", "rhs"), (model.formula, "rhs"), (model.formula, "lhs"))
    parts = [_compile(formula, side, batch.group, signature) for formula, side in sides]
    return [(("?",), None) if part is None else part for part in parts]


def signature_of(batch: Batch, text: str) -> Signature:
    """Return what compiling a text of formulas depends on."""
    return tuple(
        (name, levels, ())
        if (levels := batch.levels(name)) is not None
        else (name, None, batch.once(values_of, name) if _as_category(name, text) else ())
        for name in batch.columns
    )


def values_of(batch: Batch, name: str) -> tuple[float, ...]:
    """Return the values of a numeric column if they are few and every replication has them all, else nothing.

    Where a replication lacks one, formulaic's columns differ between replications; -0.0 has a name of its own.
    """
    made = batch.columns
    each = made.each_value(name) if isinstance(made, MadeColumns) else None
    column, first = (np.asarray(made[name]), batch.row_offsets) if each is None else each
    values = np.unique(column[: first[1]]) if batch.size else np.empty(0)
    if not 1 < len(values) <= MOST_VALUES:
        return ()
    codes = np.searchsorted(values, column).clip(max=len(values) - 1)
    if not (values[codes] == column).all() or (np.signbit(column) & (column == 0.0)).any():
        return ()
    replication = np.repeat(np.arange(batch.size), np.diff(first))
    seen = np.bincount(replication * len(values) + codes, minlength=batch.size * len(values))
    return tuple(values.tolist()) if seen.all() else ()


def _as_category(name: str, text: str) -> bool:
    """Whether a formula has a column in ``C(...)``: its numbers are labels then."""
    return re.search(rf"\bC\(\s*`?{re.escape(name)}`?\s*\)", text) is not None


def evaluate(product: Product, batch: Batch) -> Floats:
    """Return one column of a design matrix over all rows of a batch, float64 [N]."""
    values = np.ones(batch.rows)
    for factor in product:
        values *= _factor_values(factor, batch)
    return values


def product_named(name: str, batch: Batch) -> Product | None:
    """Return the product behind a name of formulaic's, such as ``age:gender[T.male]``; None if it is none."""
    return _product(name, _known_factors(signature_of(batch, name)))


def _part(
    batch: Batch, formula: str, side: str, signature: Signature
) -> tuple[tuple[str, ...], tuple[Product, ...] | None]:
    """Return the terms of a side of a formula, and their products; None where formulaic must make the columns."""
    compiled = _compile(formula, side, batch.group, signature)
    if compiled is not None:
        return compiled
    return matrix_of(formula, side, batch, 0)[0], None


@lru_cache(maxsize=256)
def _compile(
    formula: str, side: str, group: str, signature: Signature
) -> tuple[tuple[str, ...], tuple[Product, ...]] | None:
    """Return names and products, or None if some column is no product of the known factors."""
    if (plain := _sum(formula, side, signature)) is not None:
        return plain
    synthetic = _synthetic(group, signature)
    try:
        names, matrix = matrix_of(formula, side, synthetic, 0)
    except InvalidInput:
        return None
    known = _known_factors(signature)
    products = [_product(name, known) for name in names]
    compiled = [product for product in products if product is not None]
    if len(compiled) < len(names):
        return None
    rows = [evaluate(product, synthetic) for product in compiled]
    equal = all(
        np.allclose(row, column, rtol=1e-13, atol=1e-15) for row, column in zip(rows, matrix, strict=True)
    )
    return (names, tuple(compiled)) if equal else None


def _sum(formula: str, side: str, signature: Signature) -> tuple[tuple[str, ...], tuple[Product, ...]] | None:
    """Return names and products of a sum of columns by formulaic's rule: the constant first, then the columns in order,
    a category as indicators of all levels but the first. None where it isn't one, or not over these columns."""
    read, levels_of = sum_of(formula), {name: levels for name, levels, _ in signature}
    if read is None or not levels_of.keys() >= set(read.terms if side == "rhs" else (read.outcome,)):
        return None
    if side == "lhs":
        name = str(read.outcome)
        return ((name,), ((Factor(FactorKind.NUMBER, name),),)) if levels_of[name] is None else None
    named: list[tuple[str, Product]] = [("Intercept", ())]
    for name in read.terms:
        if (levels := levels_of[name]) is None:
            named.append((name, (Factor(FactorKind.NUMBER, name),)))
            continue
        indicators = [(Factor(FactorKind.INDICATOR, name, k),) for k in range(1, len(levels))]
        named += [(f"{name}[T.{level}]", one) for level, one in zip(levels[1:], indicators, strict=True)]
    names = tuple(name for name, _ in named)
    if any(unaliased(name) != name for name in names):
        return None  # a level named like an alias
    return names, tuple(product for _, product in named)


def _known_factors(signature: Signature) -> dict[str, Factor]:
    """Every factor by the name formulaic gives its column."""
    known = {}
    for name, levels, values in signature:
        for value in values:
            equal = Factor(FactorKind.VALUE, name, value=value)
            for label in (f"C({name})", f"C(`{name}`)"):
                known[f"{label}[T.{value}]"] = known[f"{label}[{value}]"] = equal
        if levels is None:
            known[name] = Factor(FactorKind.NUMBER, name)
            for quoted in (name, f"`{name}`"):
                known[f"{GROUP_MEAN}({quoted})"] = Factor(FactorKind.GROUP_MEAN, name)
                known[f"{GROUP_CENTRED}({quoted})"] = Factor(FactorKind.GROUP_CENTRED, name)
        for k, level in enumerate(levels or ()):
            indicator = Factor(FactorKind.INDICATOR, name, k)
            for label in (name, f"C({name})", f"C(`{name}`)"):
                known[f"{label}[T.{level}]"] = known[f"{label}[{level}]"] = indicator
    return known


def _product(name: str, known: dict[str, Factor]) -> Product | None:
    """Read ``age:gender[T.male]`` as a product; names may hold colons themselves."""
    if name == "Intercept":
        return ()
    if name in known:
        return (known[name],)
    parts = name.split(":")
    for cut in range(1, len(parts)):
        head, rest = ":".join(parts[:cut]), ":".join(parts[cut:])
        if head in known and (tail := _product(rest, known)) is not None:
            return (known[head], *tail)
    return None


def _synthetic(group: str, signature: Signature) -> Batch:
    """Return a small data set with the same kinds of columns, in which different columns differ
    everywhere."""
    widest = max((len(levels or values) for _, levels, values in signature), default=1)
    # Unequal schools and multiples of irrational roots: no two products of factors are the same columns by chance.
    sizes = np.array([7, 11, 13, 17 + 2 * widest])
    row = np.arange(1, sizes.sum() + 1)
    columns: dict[str, Column] = {}
    for k, (name, levels, values) in enumerate(signature):
        spread = np.modf(row * np.sqrt(2.0 + 3.0 * k) + 0.1 * k)[0]
        kinds = len(levels or values)
        codes = np.floor(spread * kinds).astype(np.int32)
        # Every level occurs: formulaic has no column for one that doesn't.
        codes[:kinds] = np.arange(kinds)
        if levels is not None:
            columns[name] = Category(codes, levels)
        else:
            columns[name] = np.array(values)[codes] if values else 0.5 + spread
    return Batch(
        columns=columns,
        group=group,
        school_offsets=offsets_of(sizes),
        replication_offsets=np.array([0, len(sizes)]),
        replications=np.zeros(1, dtype=np.int64),
        streams=StreamSource(0, "synthetic"),
    )


def _factor_values(factor: Factor, batch: Batch) -> Floats:
    """Return the values of one factor of a product [N]."""
    column = batch.columns[factor.column]
    if isinstance(column, Category):
        return np.asarray(column.codes == factor.level, dtype=np.float64)
    if factor.kind == FactorKind.NUMBER:
        return column
    if factor.kind == FactorKind.VALUE:
        return np.asarray(column == factor.value, dtype=np.float64)
    means = spread_means(column, batch.school_offsets)
    return means if factor.kind == FactorKind.GROUP_MEAN else column - means


def _rows(
    batch: Batch, formula: str, side: str, names: Sequence[str], products: tuple[Product, ...] | None
) -> Floats:
    """Return the columns [k, N] of one part over all replications."""
    if products is not None:
        return np.vstack([evaluate(product, batch) for product in products])
    blocks = []
    for r in range(batch.size):
        headings, matrix = matrix_of(formula, side, batch, r)
        if headings != tuple(names):
            raise InvalidInput(
                f"expected the terms {', '.join(names)} in every data set, got {', '.join(headings)} in "
                f"replication {batch.replications[r]} from '{formula}'; use terms whose columns don't "
                "depend on the data"
            )
        blocks.append(matrix)
    return np.ascontiguousarray(np.concatenate(blocks, axis=1))
