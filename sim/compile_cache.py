"""Where compiled kernels are kept: numba's cache, made so that no state of the disk can stop or change a computation.

numba loads what it finds: a truncated file ends in a traceback or, inside LLVM, in an abort of the process, a machine
without a writable place refuses to import, and a kernel whose callee changed elsewhere stays what it was. Here every
file carries a digest that is checked before a byte of it is read further, and is of the sources that it was made from;
whatever can't be read is compiled anew, and what can't be saved is not saved.

What is found is run as it is. numba would first load all that it can compile, SciPy's linear algebra with it, which
takes longer than the rest of a short command; it does so itself before it compiles anything.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import pickle
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from nestbench.sim.files import own_folder

caching: Any = importlib.import_module("numba.core.caching")
runtime: Any = importlib.import_module("numba.core.runtime")
"""Typed in some versions of numba, and not in others."""

DIGEST = hashlib.sha256


class _SealedFiles(caching.IndexDataCacheFile):  # type: ignore[misc]
    """The index and the code of one kernel, each file behind the digest of its content.

    Their names are others than numba's, which can't read them.
    """

    def __init__(self, cache_path: str, filename_base: str, source_stamp: Any) -> None:
        super().__init__(cache_path, f"sealed-{filename_base}", source_stamp)

    def _load_index(self) -> dict[Any, str]:
        content = _unsealed(Path(self._index_path))
        if content is None:
            return {}
        version, stamp, overloads = pickle.loads(content)
        # Overloads are pickled apart: those of another numba need not be readable here.
        fresh = (version, stamp) == (self._version, self._source_stamp)
        return dict(pickle.loads(overloads)) if fresh else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        content = pickle.dumps((self._version, self._source_stamp, self._dump(overloads)))
        self._seal(self._index_path, content)

    def _load_data(self, name: str) -> Any:
        content = _unsealed(Path(self._data_path(name)))
        if content is None:
            raise FileNotFoundError(name)  # numba's word for: compile it
        return pickle.loads(content)

    def _save_data(self, name: str, data: Any) -> None:
        self._seal(self._data_path(name), self._dump(data))

    def _seal(self, path: str, content: bytes) -> None:
        with self._open_for_write(path) as file:
            file.write(DIGEST(content).digest() + content)


def _unsealed(path: Path) -> bytes | None:
    """Return what was sealed in a file, or None where it is absent or not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    size = DIGEST().digest_size
    content = data[size:]
    return content if DIGEST(content).digest() == data[:size] else None


class _OwnFolder(caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """The last resort: a folder of this user's in the folder for temporary files."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._cache_path = str(own_folder() / self.get_suitable_cache_subpath(py_file))

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Any:
        try:
            locator = cls(py_func, py_file)
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator


COMPILES = re.compile(rb"\bnumba\b|\bsim\.compiled\b")


@cache
def lineage(source: Path) -> tuple[bytes, ...]:
    """Return the digests of all files with kernels that a file imports from, and those from, and so on.

    Compiled code holds a copy of every kernel it calls and of every constant it names, wherever they are defined; numba
    looks at the caller's own file alone. Modules that compile nothing are not followed.
    """
    sources: dict[Path, bytes] = {}
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path in sources:
            continue
        text, compiles = _read(path)
        if not compiles and path != source:
            continue
        sources[path] = DIGEST(text).digest()
        modules = (sys.modules.get(name) for name in _imported(text))
        files = (getattr(module, "__file__", None) for module in modules)
        waiting += [
            # numba's own files are covered by its version, which the index holds.
            Path(file)
            for file in files
            if file and file.endswith(".py") and "numba" not in Path(file).parts
        ]
    return tuple(sorted(sources.values()))


def _imported(text: bytes) -> set[str]:
    """Return the names of a file's imports that may be modules: `from a import b` may mean the module `a.b`.

    Imports inside functions are left out: compiled code can't name what they bring, and they may not have run.
    """
    names: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def _read(path: Path) -> tuple[bytes, bool]:
    """Return a file's text, and whether it compiles anything; nothing of what can't be read (typed by hand)."""
    try:
        text = path.read_bytes()
    except OSError:
        return b"", False
    return text, COMPILES.search(text) is not None


class _Results(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes: ClassVar[list[Any]] = [*caching.CompileResultCacheImpl._locator_classes, _OwnFolder]


class _KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, over sealed files; nothing that happens to them reaches the caller."""

    _impl_class = _Results

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        self._cache_file = _SealedFiles(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(
                self._impl.locator.get_source_stamp(),
                *lineage(Path(py_func.__code__.co_filename)),
            ),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # The first way goes by parts of numba that it doesn't document: where a version has them not, by numba's own.
        for load in (self._load_alone, super().load_overload):
            with contextlib.suppress(Exception):  # a damaged pickle raises anything
                return load(sig, target_context)
        return None

    def _load_alone(self, sig: Any, target_context: Any) -> Any:
        """Load without all that numba could compile: what is linked to is its memory manager's alone."""
        runtime.rtsys.initialize(target_context)
        return self._load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(Exception):
            super().save_overload(sig, data)


def cache_of(function: Callable[..., Any]) -> Any:
    """Return the cache of a function's compiled code; one that keeps nothing where there is no place for it."""
    try:
        return _KernelCache(function)
    except (RuntimeError, OSError):
        return caching.NullCache()
