"""Populations from one function that makes one data set: ``frame(self, layout, rng) -> DataFrame``, a row a student.

Each replication gets a generator of its own, so its data depend on nothing else, whatever runs beside it.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, Category, Column, batch_of_frame, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from nestbench.sim.user_code import in_words, user_code

if TYPE_CHECKING:
    import pandas as pd


def complete(law: type[Any]) -> None:
    """Give a population with `frame` but without `draw` the one that calls it; one without `theory` a theory of
    nothing.

    The schools are the column that the class names as `group`, else ``school``.
    """
    if hasattr(law, "frame") and not hasattr(law, "draw"):
        law.draw = _draw
    if not hasattr(law, "theory"):
        law.theory = _theory


def _draw(law: Any, layout: Layout, streams: StreamSource, replications: range) -> Batch:
    """Draw the observed data of some replications, one frame each."""
    group = getattr(law, "group", "school")
    # Not the shared generator, which the next replication moves: a user's function may keep what it is given.
    parts = [batch_of_frame(_frame(law, layout, streams.new(r, "data"), group), group) for r in replications]
    return batch_of_batches(parts, streams, replications)


def _frame(law: Any, layout: Layout, rng: np.random.Generator, group: str) -> pd.DataFrame:
    """Return one data set.

    Raises
    ------
    InvalidInput
        The population raised, or what it returned is no data set; the message names the population and the place.
    """
    import pandas as pd

    try:
        with user_code():
            frame = law.frame(layout, rng)
    # In words already.
    except InvalidInput:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        raise InvalidInput(
            f"the population '{law.name}' raised {in_words(error)} ({where}), "
            f"with layout.schools = {layout.schools}"
        ) from error
    expected = f"expected the population '{law.name}' to return a DataFrame with a row a student and a column '{group}'"
    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(f"{expected}, got {type(frame).__name__}")
    if not len(frame) or group not in frame.columns:
        raise InvalidInput(f"{expected}, got {len(frame)} rows with {', '.join(map(str, frame.columns))}")
    holes = [str(name) for name in frame.columns if frame[name].isna().any()]
    if holes:
        raise InvalidInput(
            f"{expected}, without missing values, got some in {', '.join(holes)}; leave such rows out"
        )
    return frame


def _theory(law: Any, layout: Layout, model: Model | None = None) -> Mapping[str, Any]:
    """Nothing is known without simulation."""
    return {}


def batch_of_batches(parts: Sequence[Batch], streams: StreamSource, replications: range) -> Batch:
    """Return one batch of batches of one replication each, with the same columns.

    Raises
    ------
    InvalidInput
        They differ in their columns.

    A user's function makes one data set at a time; everything else here works on batches.

    Parameters
    ----------
    parts : sequence of Batch
        One replication each, in order.
    streams : StreamSource
    replications : range

    Raises
    ------
    InvalidInput
        Columns differ between data sets, or one is of numbers in some and of labels in others.
    """
    first = parts[0]
    for part in parts:
        if set(part.columns) != set(first.columns):
            raise InvalidInput(
                f"expected the same columns in every data set of a population, got {', '.join(first.columns)} "
                f"and {', '.join(part.columns)}"
            )
    labels = [label for part in parts for label in part.school_labels or ()]
    return Batch(
        columns={name: _joined([part.columns[name] for part in parts], name) for name in first.columns},
        group=first.group,
        school_offsets=offsets_of(np.concatenate([np.diff(part.school_offsets) for part in parts])),
        replication_offsets=offsets_of([len(part.school_offsets) - 1 for part in parts]),
        replications=np.asarray(replications, dtype=np.int64),
        streams=streams,
        school_labels=tuple(labels),
    )


def _joined(columns: Sequence[Column], name: str) -> Column:
    """Return the columns of several data sets as one; labels get the levels of all, in one order.

    A level that is missing from some data sets must not move the codes of the others.
    """
    categories = [column for column in columns if isinstance(column, Category)]
    if not categories:
        return np.concatenate([column for column in columns if not isinstance(column, Category)])
    if len(categories) < len(columns):
        raise InvalidInput(
            f"expected column '{name}' as numbers in every data set of a population or in none"
        )
    levels = categories[0].levels
    if any(one.levels != levels for one in categories):
        levels = tuple(sorted({level for one in categories for level in one.levels}))
    position = {level: code for code, level in enumerate(levels)}
    codes = [
        np.array([position[level] for level in one.levels], dtype=np.int32)[one.codes] for one in categories
    ]
    return Category(np.concatenate(codes), levels)
