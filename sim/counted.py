"""Numbers of things in words: ``1 cell``, ``3 cells``."""

from __future__ import annotations


def plural(n: int, singular: str, several: str | None = None) -> str:
    """Return ``1 cell``, ``3 cells``; thousands are set apart."""
    return f"{n:,} {singular if n == 1 else several or singular + 's'}"
