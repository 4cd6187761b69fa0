"""Numbers of things in words: ``1 condition``, ``3 conditions``."""

from __future__ import annotations


def plural(n: int, singular: str, several: str | None = None) -> str:
    """Return ``1 condition``, ``3 conditions``; thousands are set apart."""
    return f"{n:,} {singular if n == 1 else several or singular + 's'}"
