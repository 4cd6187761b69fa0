"""A package that misbehaves in every way that a process can, a way of the league each."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from nestbench.league.package import Package, Way, same

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked


def deep(n: int = 0) -> int:
    return deep(n + 1)


def thread_that_stays() -> None:
    threading.Thread(target=time.sleep, args=(60.0,)).start()


def child_that_stays() -> None:
    if not os.fork():
        time.sleep(60.0)


def closes_output() -> None:
    os.close(1)
    sys.stdout = None  # type: ignore[assignment]


def goes_elsewhere() -> None:
    os.chdir("/")


def warns() -> None:
    warnings.filterwarnings("error")
    warnings.warn("numbers\x1b[2J are odd", stacklevel=1)


def raises(error: type[BaseException], *said: Any) -> Callable[[], None]:
    def act() -> None:
        raise error(*said)

    return act


def spoils(data: pd.DataFrame) -> None:
    data.drop(columns=[*data.columns], inplace=True)


ENDS: dict[str, Callable[[], Any]] = {
    "exits quietly": partial(os._exit, 0),
    "exits": partial(sys.exit, 3),
    "says goodbye": partial(sys.exit, "goodbye"),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "ends its group": lambda: os.killpg(os.getpgrp(), signal.SIGTERM),
    "aborts": os.abort,
    "interrupts": raises(KeyboardInterrupt),
}
"""What ends the process."""
REFUSES: dict[str, Callable[[], Any]] = {
    "recurses": deep,
    "has no memory": raises(MemoryError),
    "has changed": raises(AttributeError, "module has no attribute 'fit'"),
    "takes other words": raises(TypeError, "fit() got an unexpected keyword argument 'reml'"),
    "raises bytes": raises(ValueError, b"\xff\x00"),
    "has long words": raises(ValueError, "x" * 10**6),
    "stops an iteration": raises(StopIteration),
    "warns, and warnings are errors": warns,
}
"""What raises."""
GOES_ON: dict[str, Callable[[], Any]] = {
    "leaves a thread": thread_that_stays,
    "leaves a child": child_that_stays,
    "closes its output": closes_output,
    "goes elsewhere": goes_elsewhere,
    "prints": lambda: print("\x1b[31mprogress\r" * 10_000, flush=True),
    "sleeps a little": lambda: time.sleep(0.01),
}
"""What does something that it shouldn't and answers all the same."""
ANSWERS: dict[str, Any] = {
    "gives nothing": None,
    "gives a text": "0.5",
    "gives a list": [1, 2],
    "gives an empty table": {},
    "gives lists by quantity": {
        "estimate": [1.0, 2.0],
        "std_error": [1.0, 2.0],
        "variance": [1.0],
        "loglik": [1],
    },
    "gives texts": {"estimate": {"treated": "big"}, "std_error": {"treated": "small"}},
    "gives NaN": {"estimate": {"treated": float("nan")}, "std_error": {"treated": float("nan")}},
    "gives numbers for names": {1: {2: 3}},
    "gives complex numbers": {"estimate": {"treated": 1j}, "std_error": {"treated": 1j}},
    "gives tables of tables": {"estimate": {"treated": {"value": 1.0}}},
}
"""What is no answer, or only half of one."""
WRONG = {name: dict.fromkeys(("Intercept", "treated", "age"), 100.0) for name in ("estimate", "std_error")}


def fit(data: pd.DataFrame, asked: Asked, kind: str) -> Answer:
    """Do what the way is called after, then answer with something."""
    for acts in (ENDS, REFUSES, GOES_ON):
        if kind in acts:
            acts[kind]()
    if kind == "spoils its data":
        spoils(data)
    return ANSWERS.get(kind, WRONG)  # type: ignore[no-any-return]


KINDS = (*ENDS, *REFUSES, *GOES_ON, *ANSWERS, "spoils its data")
PACKAGE = Package(
    "bad",
    "numpy",
    "numpy",
    tuple(
        Way(kind, partial(fit, kind=kind), same("ols-cr1s-t"), "CR1S", ("estimate", "std_error"))
        for kind in KINDS
    ),
)
