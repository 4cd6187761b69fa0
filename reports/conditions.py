"""What conditions and levels are called: never two alike, however close their values or long their texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nestbench.experiments.experiment import Experiment
from nestbench.reports.tokens import shortened
from nestbench.reports.wording import joined_words, named_level, value_words

MOST = 84
"""Letters of a level's text before its middle is left out."""

EFFORTS = 12
"""Steps from short texts to full ones: each adds a digit to numbers and `MOST` letters to texts."""


def conditions(experiment: Experiment) -> list[str]:
    """Return each condition in words: ``10 schools and ICC 0.2``; no two conditions read alike."""
    return list(_named(experiment))


def condition_of(experiment: Experiment, cell: int) -> str:
    """Return one condition in words that no other condition has."""
    return _named(experiment)[cell]


Levels = Sequence[Mapping[str, Any]]
_last: tuple[Levels, Sequence[str]] = ((), ())
"""The levels that were named last, and their names."""


def _named(experiment: Experiment) -> Sequence[str]:
    """Return the names of all conditions, those of the last experiment from before.

    A name needs all the others, so that a report which asks for each condition's would take a time that grows with
    the square of their number: of a thousand, two fifths of the whole report.
    """
    global _last
    # By identity, as levels can't be hashed; what is kept can't be another experiment's.
    if _last[0] is not experiment.levels:
        words = (joined_words(list(parts.values())) for parts in level_parts(experiment))
        _last = experiment.levels, numbered(words)
    return _last[1]


def where(experiment: Experiment, cell: int) -> str:
    """Return one condition for a sentence, `` with 10 schools and ICC 0.2``; nothing where there is no other
    condition."""
    return f" with {condition_of(experiment, cell)}" if len(experiment.cells) > 1 else ""


def panel_titles(experiment: Experiment, without: str | None = None) -> list[str]:
    """Return what stands above each condition's panel: a line a factor that varies; equal only where all levels are.

    `without` is a factor that a panel shows inside, so that conditions which differ in it alone share a panel. Where
    there is one condition only, its panel says all its levels.
    """
    parts = level_parts(experiment)
    factors = varying(experiment) if len(experiment.cells) > 1 else list(level_texts(experiment))
    shown = [f for f in factors if f != without]
    cells = [tuple(_key(levels.get(f)) for f in shown) for levels in experiment.levels]
    titles: dict[tuple[str, ...], str] = {}
    for cell, words in zip(cells, parts, strict=True):
        titles.setdefault(cell, ",\n".join(words[f] for f in shown if f in words))
    apart = dict(zip(titles, numbered(titles.values()), strict=True))
    return [apart[cell] for cell in cells]


def varying(experiment: Experiment) -> list[str]:
    """Return the factors with more than one level, in order."""
    return [factor for factor, texts in level_texts(experiment).items() if len(texts) > 1]


def level_parts(experiment: Experiment) -> list[dict[str, str]]:
    """Return, for each condition, its factors with their level in words: ``10 schools``, ``ICC 0.2``."""
    alone = _unambiguous(dict.fromkeys(factor for levels in experiment.levels for factor in levels))
    return [
        {factor: named_level(factor, text, alone[factor]) for factor, text in texts.items()}
        for texts in texts_of_cells(experiment)
    ]


def texts_of_cells(experiment: Experiment) -> list[dict[str, str]]:
    """Return, for each condition, its factors with their level's text, which no other level of the factor has."""
    texts = level_texts(experiment)
    return [{f: texts[f][_key(level)] for f, level in levels.items()} for levels in experiment.levels]


def level_texts(experiment: Experiment) -> dict[str, dict[str, str]]:
    """Return, for each factor, its levels' texts in order by the level's key, all of them different."""
    levels_of: dict[str, dict[str, Any]] = {}
    for levels in experiment.levels:
        for factor, level in levels.items():
            levels_of.setdefault(factor, {}).setdefault(_key(level), level)
    return {
        factor: dict(zip(levels, distinct_texts(list(levels.values())), strict=True))
        for factor, levels in levels_of.items()
    }


def distinct_texts(values: list[Any]) -> list[str]:
    """Return values as short texts that differ: more digits or letters where few leave two alike, then numbers."""
    texts: list[str] = []
    for effort in range(EFFORTS):
        texts = [_text(value, effort) for value in values]
        if len(set(texts)) == len(texts):
            return texts
    return numbered(texts)


def numbered(texts: Iterable[str]) -> list[str]:
    """Return texts with `` (2)``, `` (3)`` behind those that came before, so that all differ."""
    names: list[str] = []
    taken = set(given := list(texts))
    seen: set[str] = set()
    for text in given:
        name, k = text, 1
        while name in seen or (k > 1 and name in taken):
            k += 1
            name = f"{text} ({k})"
        seen.add(name)
        names.append(name)
    return names


def _text(value: Any, effort: int) -> str:
    """Return a level in words; more effort shows more digits, where fewer would make two levels look the same."""
    if isinstance(value, float):
        return f"{value:.{6 + effort}g}"
    full = isinstance(value, (list, tuple)) and effort > 0
    text = ", ".join(_text(v, effort) for v in value) if full else value_words(value)
    return shortened(" ".join(text.split()), MOST * (1 + effort))


def _key(level: Any) -> str:
    """Return what a level is known by: 1 and 1.0 are different here."""
    return f"{type(level).__name__} {level!r}"


def _unambiguous(factors: Mapping[str, Any]) -> dict[str, str]:
    """Return each factor's last part, or as many of its parts as no other factor ends in."""
    short = {}
    for factor in factors:
        parts = factor.split(".")
        others = [other.split(".") for other in factors if other != factor]
        depth = next(
            (d for d in range(1, len(parts)) if all(o[-d:] != parts[-d:] for o in others)), len(parts)
        )
        short[factor] = ".".join(parts[-depth:])
    return short
