"""A table of numbers that can't change, for frozen dataclasses that stand in caches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class FrozenTable(Mapping[str, float]):
    """Names with a number each: a mapping that is hashable, equal to any mapping of the same items."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, float]) -> None:
        self._items = dict(sorted(items.items()))

    def __getitem__(self, name: str) -> float:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)
