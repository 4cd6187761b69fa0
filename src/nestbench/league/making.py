"""What is done to a drawn table to make a condition's data of it: units, labels, gaps, dependent columns.

Each is a function of the table alone, so that a data set is given by seed, condition and number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Make = Callable[[pd.DataFrame], pd.DataFrame]


def _scaled(column: str, factor: float, shift: float = 0.0) -> Make:
    """Return what multiplies a column and adds to it."""
    return lambda data: data.assign(**{column: factor * data[column] + shift})


def _noise(data: pd.DataFrame) -> np.random.Generator:
    """Return a generator that is a function of the table."""
    return np.random.default_rng(np.abs(data["grade"].to_numpy()).view(np.uint64)[:4])


def nearly_collinear(data: pd.DataFrame) -> pd.DataFrame:
    """Return the table with age2 = age + noise of SD .001."""
    return data.assign(age2=data["age"] + 0.001 * _noise(data).standard_normal(len(data)))


def missing_values(data: pd.DataFrame) -> pd.DataFrame:
    """Return the table without every tenth outcome and, in other rows, every tenth age."""
    rows = np.arange(len(data))
    return data.assign(grade=data["grade"].where(rows % 10 != 3), age=data["age"].where(rows % 10 != 7))


def missing_labels(data: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the school of every twelfth row."""
    return data.assign(school=data["school"].where(np.arange(len(data)) % 12 != 5))


def _codes(data: pd.DataFrame) -> np.ndarray:
    return np.asarray(pd.factorize(data["school"])[0])


def labels_text(data: pd.DataFrame) -> pd.DataFrame:
    """Return the table with schools named as people name them."""
    kinds = ("St. Mary's {}", "Schule am Weiher, {}", "École no {}", "学校 {}", "a:b|c/{}", "100%_{}", "#{} ")
    return data.assign(school=[kinds[k % len(kinds)].format(k) for k in _codes(data)])


def labels_categories(data: pd.DataFrame) -> pd.DataFrame:
    """Return the table with schools as categories, in an order of their own, of which some have no row."""
    labels = [f"s{k}" for k in _codes(data)]
    levels = sorted({*labels, "s900", "empty"}, reverse=True)
    return data.assign(school=pd.Categorical(labels, categories=levels))


def rows_shuffled(data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in random order, with index labels that occur several times."""
    shuffled = data.iloc[_noise(data).permutation(len(data))]
    return shuffled.set_axis(np.arange(len(data)) // 3, axis="index")


def labels_numbers(data: pd.DataFrame) -> pd.DataFrame:
    """Return the table with schools as numbers: -4.5, -2.25, 0, ..."""
    return data.assign(school=2.25 * _codes(data) - 4.5)


def _arm(values: tuple[str, str] | tuple[bool, bool]) -> Make:
    """Return what adds the treatment as one of two values, in a column ``arm``."""
    return lambda data: data.assign(arm=[values[int(t)] for t in data["treated"]])


MAKING: dict[str, Make] = {
    # `class` is a word of Python's, which formulas of some packages can't hold.
    "classrooms": lambda data: data.rename(columns={"class": "classroom"}),
    "nearly_collinear": nearly_collinear,
    "collinear": lambda data: data.assign(age2=2.0 * data["age"] + 1.0),
    "outcome_small": _scaled("grade", 1e-6),
    "outcome_large": _scaled("grade", 1e6),
    "age_small": _scaled("age", 1e-6),
    "age_large": _scaled("age", 1e6),
    "age_far": _scaled("age", 1.0, 10_000.0),
    "missing_values": missing_values,
    "missing_labels": missing_labels,
    "labels_text": labels_text,
    "labels_categories": labels_categories,
    "labels_numbers": labels_numbers,
    "rows_shuffled": rows_shuffled,
    "arm_text": _arm(("control", "treated")),
    "arm_bool": _arm((False, True)),
}
"""By the names that ``conditions.toml`` uses."""
