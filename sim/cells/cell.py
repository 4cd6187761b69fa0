"""Conditions: population x layout x analysis model, and their keys."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from nestbench.sim import checks
from nestbench.sim.cells.at_truth import at_truth
from nestbench.sim.cells.kept_law import KeptLaw
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.population import Population
from nestbench.sim.cells.truth import Truth, truth_of
from nestbench.sim.errors import unknown_name
from nestbench.sim.observed.affine import affine_columns, strata_of
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.design import parts_of
from nestbench.sim.observed.model import Model
from nestbench.sim.parameter import unwritten_of
from nestbench.sim.streams import StreamSource


@dataclass(frozen=True, slots=True)
class Cell:
    """One condition of an experiment: a data-generating mechanism and the model fitted to its data.

    Two keys: `law_key` names the data-generating mechanism (population x layout) and seeds the streams, so that two
    models of one mechanism see the same data sets; `key` names the whole condition. Both hash canonical JSON of
    primitives that differ from their defaults, so a parameter added later, with a default that changes nothing,
    changes no key. A population has one spelling however its parameters were given (`spelled`: effects of 0). A field
    whose metadata say ``key=False`` (a path) is no part of either key.

    Attributes
    ----------
    population : Population
    layout : Layout
    model : Model
    stated : mapping of str to float
        True values of terms that the user states (``[truth]`` in a TOML file); part of `key` where there are any.

    Raises
    ------
    InvalidInput
        From the population's `check` and `check_model`, where it has them: a parameter that can't be combined with
        the layout, a column that the model may not use; or `stated` or the model's `null` names something the model
        doesn't estimate.
    """

    population: Population
    layout: Layout
    model: Model
    stated: Mapping[str, float] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Not part of the protocol: a population that fits every layout has none.
        check = getattr(self.population, "check", None)
        if check is not None:
            check(self.layout)
        check_model = getattr(self.population, "check_model", None)
        if check_model is not None:
            check_model(self.model)
        for term, value in self.stated.items():
            if term not in self.stateable:
                raise unknown_name("term in [truth]", term, self.stateable)
            checks.number(f"truth.{term}", checks.python_value(value))
        for term in self.model.null:
            if term not in self.found.terms:
                raise unknown_name("term in model.null", term, self.found.terms)

    @property
    def law_key(self) -> str:
        """Hash of population and layout."""
        return self._once("law", self._mechanism)

    @property
    def key(self) -> str:
        """Hash of population, layout and model, and of what is stated as true."""
        return _hash(self._parts() | {"truth": _primitive(self.stated)}) if self.stated else self._digest()

    @property
    def keys_drawn_otherwise(self) -> tuple[str, ...]:
        """The keys of this condition with data sets drawn in another version of its population: other numbers,
        distributed alike."""
        versions = getattr(self.population, "versions", ())
        others = (replace(self, population=replace(self.population, version=v)).key for v in versions)  # type: ignore[type-var]
        return tuple(key for key in others if key != self.key)

    def _digest(self) -> str:
        """Hash of population, layout and model."""
        return self._once("whole", self._parts)

    def _once(self, name: str, parts: Callable[[], dict[str, Any]]) -> str:
        """Return a hash, made once: a report asks for each truth some eighty times."""
        if name not in self._digests:
            self._digests[name] = _hash(parts())
        return self._digests[name]

    def _mechanism(self) -> dict[str, Any]:
        return {"population": _law(self.population, self.layout), "layout": primitives(self.layout)}

    def _parts(self) -> dict[str, Any]:
        return self._mechanism() | {"model": primitives(self.model.spelled)}

    @property
    def columns_key(self) -> str:
        """What theory's draws of this condition's columns depend on, where the population says so (its `columns_key`);
        else empty.

        Conditions that have it in common are looked at one after another: their columns are then drawn once.
        """
        key = getattr(self.population, "columns_key", None)
        return "" if key is None else repr((key(self.layout), self.model))

    @property
    def truth(self) -> Mapping[str, float]:
        """Term -> true value: the coefficients of the population's mean in the model, by `nestbench.sim.cells.truth`.

        Values in `stated` come before what is found. Terms without a true value aren't there (`truth_reasons`);
        terms of the population that aren't the model's are, for methods that add terms to it.
        """
        stated = {term: float(value) for term, value in self.stated.items()}
        return {**self.found.values, **stated}

    def null_of(self, term: str) -> float:
        """Return the value that tests of a term are of."""
        return self.model.null_of(term)

    def is_null(self, term: str) -> bool:
        """Whether the tests of a term are of its true value: what they reject are then type I errors."""
        return is_null(self.truth.get(term, np.nan), self.null_of(term))

    @property
    def truth_reasons(self) -> Mapping[str, str]:
        """Term of the model (or variance component) -> why it has no true value."""
        return {term: why for term, why in self.found.reasons.items() if term not in self.stated}

    @property
    def stateable(self) -> tuple[str, ...]:
        """What may have a value in `stated`: the model's terms, the population's others, the variance components."""
        return self.found.names

    @property
    def found(self) -> Truth:
        """What `nestbench.sim.cells.truth` finds of the population and the model, stated values apart."""
        if isinstance(self.population, KeptLaw):
            return self.population.found
        # With the class: an edited plugin's population has the name and the parameters of the one before.
        key = self._found_by()
        if key not in _KNOWN:
            if len(_KNOWN) > 2000:
                _KNOWN.clear()
            _KNOWN[key] = truth_of(self.population, self.layout, self.model)
        return _KNOWN[key]

    def remember(self, found: Truth) -> None:
        """Take over what another process found of this condition."""
        _KNOWN[self._found_by()] = found

    def _found_by(self) -> tuple[type, str]:
        """Return what `found` is remembered by: null values say what is tested, not what is true."""
        return type(self.population), self._once("found", self._judged_alike)

    def _judged_alike(self) -> dict[str, Any]:
        model = replace(self.model, null={}) if self.model.null else self.model
        return self._mechanism() | {"model": primitives(model.spelled)}

    @property
    def data_messages(self) -> tuple[str, ...]:
        """What was done to data that the population reads from a file, in words (its `data_messages`, if it has
        that)."""
        messages = getattr(self.population, "data_messages", None)
        return () if messages is None else tuple(messages(self.model))

    def theory(self, tests: Collection[str] | None = None) -> dict[str, Any]:
        """Return what the population knows without simulation (`Population.theory`), as far as it is of this
        condition's truth.

        Parameters
        ----------
        tests : collection of str, optional
            Names of the tests that are wanted, for populations that needn't work out the others; all, if not
            given.
        """
        chooses = "tests" in inspect.signature(self.population.theory).parameters
        some = {"tests": tests} if chooses and tests is not None else {}
        known = self.population.theory(self.layout, self.model, **some)
        return at_truth(known, self.population.truth, self.truth)

    def strata(self) -> int:
        """Return how many strata a data set is drawn by and its model needs no more than; 0 where students are needed.

        The population says what it draws by (`strata`); whether every column of the model is affine within strata is
        seen in one data set.
        """
        by = getattr(self.population, "strata", None)
        count = int(by(self.layout)) if callable(by) else 0
        if not count:
            return 0
        return count if self.affine() else 0

    def affine(self) -> bool:
        """Whether every column of the model is known by the statistics that come with a data set."""
        batch = self.draw(0, range(1))
        given = strata_of(batch)
        return given is not None and affine_columns(parts_of(batch, self.model), given) is not None

    def draw(self, seed: int, replications: range) -> Batch:
        """Draw the observed data sets of some replications."""
        keep_pages()
        return self.population.draw(self.layout, StreamSource(seed, self.law_key), replications)


@cache
def keep_pages() -> None:
    """Have malloc keep what is freed for the next batch, up to 16 MB: pages given back and asked for anew cost a third
    as much as drawing and fitting.

    glibc keeps twice the largest block that it was ever given back by `munmap`; where it doesn't, nothing is lost.
    """
    np.empty(8 << 20, dtype=np.uint8)


def places_of(keys: Sequence[str], cells: Sequence[Cell]) -> list[int | None]:
    """Return where each condition of some keys stands among others, each once; None where it isn't there.

    One of the same key comes first, then one that is the same but for the version its data sets are drawn in.
    """
    exact = {cell.key: i for i, cell in enumerate(cells)}
    free = {i: cell for i, cell in enumerate(cells) if cell.key not in keys}
    likewise = {key: i for i, cell in free.items() for key in cell.keys_drawn_otherwise}
    return [exact.get(key, likewise.pop(key, None)) for key in keys]


def is_null(truth: Any, null: float) -> bool:
    """Whether a true value is the null value, up to the rounding of a truth that was computed; not if it varies."""
    return bool(np.ndim(truth) == 0 and abs(truth - null) <= SAME * abs(null))


SAME = 1e-9
"""Relative difference within which a true value is the null value; of a null value of 0 there is none."""

_KNOWN: dict[tuple[type, str], Truth] = {}


def primitives(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, as JSON primitives.

    From the value that stands for nothing written, if it is another than the default
    (`nestbench.sim.parameter.parameter`): a default that changes makes new keys, those of before stay what they
    were.
    """
    chosen, unwritten = {}, unwritten_of(value)
    for each in (f for f in dataclasses.fields(value) if f.metadata.get("key", True)):
        got = getattr(value, each.name)
        if each.name in unwritten:
            default = unwritten[each.name]
        elif each.default is not dataclasses.MISSING:
            default = each.default
        elif each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        else:
            default = dataclasses.MISSING
        if got != default:
            chosen[each.name] = _primitive(got)
    return chosen


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys, no spaces, shortest round-trip floats: the text that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _law(population: Population, layout: Layout) -> dict[str, Any]:
    return {"law": population.name, **identity_of(population, layout)}


def identity_of(population: Population, layout: Layout) -> Mapping[str, Any]:
    """Return a population's parameters as keys hash them; where it can be written in several ways, as its `spelled`
    writes it."""
    if isinstance(population, KeptLaw):
        return population.identity
    spelled = getattr(population, "spelled", None)
    return primitives(population if spelled is None else spelled(layout))


def _primitive(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return primitives(value)
    if isinstance(value, Mapping):
        return {str(k): _primitive(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_primitive(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    # 1 and 1.0 are one value however a file writes it, and have one key.
    return float(value) if isinstance(value, (float, int, np.number)) else str(value)


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
