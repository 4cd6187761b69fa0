"""Who pays for what several methods share: the seconds of `Batch.once`, kept apart from those of its callers.

A result that is computed once for a batch (the formula's columns, school cross-products, a REML fit) is paid by whoever
asks first. An `Account` says what a method used, at its full price, and what of it was computed while the account was
open: then a method's time doesn't depend on which others were fitted before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

Price = dict[object, float]
"""Seconds of a shared result and of those it is made from, each without the others', by an object standing for it."""


@dataclass(slots=True)
class Account:
    """What was asked of `Batch.once` while it was open.

    Attributes
    ----------
    used : Price
        Every shared result that was used, computed now or before.
    computed : float
        Seconds spent on computing shared results.
    """

    used: Price = field(default_factory=dict)
    computed: float = 0.0


class _Open(threading.local):
    """The accounts that are open in a thread."""

    def __init__(self) -> None:
        self.accounts: list[Account] = []


_open = _Open()


@contextmanager
def account() -> Iterator[Account]:
    """Open an account in this thread until the block ends; of accounts within accounts the inner one is charged."""
    own = Account()
    _open.accounts.append(own)
    try:
        yield own
    finally:
        _open.accounts.pop()


def priced(compute: Callable[[], T]) -> tuple[T, Price]:
    """Return what a function computes, with its price; the time is charged to the open account as computed."""
    with account() as inner:
        started = perf_counter()
        value = compute()
        took = perf_counter() - started
    if _open.accounts:
        _open.accounts[-1].computed += took
    return value, inner.used | {object(): max(took - inner.computed, 0.0)}


def use(price: Price) -> None:
    """Put a shared result on the open account."""
    if _open.accounts:
        _open.accounts[-1].used.update(price)
