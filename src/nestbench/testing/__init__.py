"""`nestbench.testing`: does a method keep the contract every method here keeps? See `suite.check_estimator`.

The names load when first used: pytest imports this package for its plugin, in every session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nestbench.testing.suite import Check as Check
    from nestbench.testing.suite import NonConforming as NonConforming
    from nestbench.testing.suite import check_estimator as check_estimator
    from nestbench.testing.suite import conformance as conformance

__all__ = ["Check", "NonConforming", "check_estimator", "conformance"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nestbench.testing' has no attribute '{name}'")
    from nestbench.testing import suite

    return getattr(suite, name)
