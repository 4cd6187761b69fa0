"""Compiled kernels on a damaged disk, a full one, and none: compiled anew, never another number."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import caching

from nestbench.sim import compile_cache, compiled
from nestbench.sim import files as sim_files
from nestbench.sim.compile_cache import cache_of, lineage
from nestbench.sim.files import own_folder

KERNEL = """
import sys
from nestbench.sim.compiled import accumulate, kernel

@kernel
def half(x):
    return x / 2.0

@accumulate
def total(x):
    s = 0.0
    for v in x:
        s += half(v)
    return s

if __name__ == "__main__":
    import numpy as np
    print(total(np.arange(5.0)), sum(total.compiled.stats.cache_hits.values()))
"""


def run(script: Path, folder: Path) -> tuple[float, int]:
    """Return the kernel's value and how often it came from the cache, in a process of its own."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True
    )
    value, hits = done.stdout.split()
    return float(value), int(hits)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kernel") / "halves.py"
    path.write_text(KERNEL, encoding="utf-8")
    return path


def harm(data: bytes, how: str, rng: random.Random) -> bytes:
    """Return a file's bytes as a power cut, a full disk or a failing one leaves them."""
    if how == "flipped":
        place = rng.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    return {"empty": b"", "cut": data[: rng.randrange(len(data))], "foreign": b"\x80\x04garbage."}[how]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["empty", "cut", "flipped", "foreign"])
def test_damaged_files_are_compiled_anew(script: Path, tmp_path: Path, how: str) -> None:
    """Any file of the cache, damaged in any way, costs a compilation and nothing else."""
    rng = random.Random(how)
    assert run(script, tmp_path) == (5.0, 0)
    assert run(script, tmp_path) == (5.0, 1)
    for file in sorted(tmp_path.rglob("*.nb?")):
        file.write_bytes(harm(file.read_bytes(), how, rng))
        assert run(script, tmp_path)[0] == 5.0
    assert run(script, tmp_path) == (5.0, 1)


def test_sealed_files_are_not_read_when_one_bit_differs(tmp_path: Path) -> None:
    """Every byte of a file is under its digest."""
    files = compile_cache._SealedFiles(str(tmp_path), "f", "stamp")
    files.save("key", {"code": np.arange(50)})
    data_file, index_file = tmp_path / "sealed-f.1.nbc", tmp_path / "sealed-f.nbi"
    for file in (data_file, index_file):
        whole = file.read_bytes()
        for place in range(len(whole)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert files.load("key") is None
        file.write_bytes(whole)
    assert (files.load("key")["code"] == np.arange(50)).all()


def test_another_source_or_version_is_no_hit(tmp_path: Path) -> None:
    """Code of another source isn't taken for this one's."""
    compile_cache._SealedFiles(str(tmp_path), "f", "stamp").save("key", 1)
    assert compile_cache._SealedFiles(str(tmp_path), "f", "stamp").load("key") == 1
    assert compile_cache._SealedFiles(str(tmp_path), "f", "other").load("key") is None


CALLER = """
import callee
from callee import FACTOR, twice
from nestbench.sim.compiled import kernel

@kernel
def total(x):
    return FACTOR * twice(x)

if __name__ == "__main__":
    print(total(2.0), sum(total.compiled.stats.cache_hits.values()))
"""
CALLEE = """
from nestbench.sim.compiled import kernel

FACTOR = 1.0

@kernel
def twice(x):
    return x * 2.0
"""


@pytest.mark.slow
def test_a_kernel_follows_the_kernels_and_constants_that_it_imports(tmp_path: Path) -> None:
    """The caller's file stays the same: what it calls, and what it names, is compiled into it all the same."""
    caller, callee, cache = tmp_path / "caller.py", tmp_path / "callee.py", tmp_path / "cache"
    caller.write_text(CALLER, encoding="utf-8")
    callee.write_text(CALLEE, encoding="utf-8")
    assert [run(caller, cache) for _ in range(2)] == [(4.0, 0), (4.0, 1)]
    callee.write_text(CALLEE.replace("x * 2.0", "x * 3.0"), encoding="utf-8")
    assert run(caller, cache) == (6.0, 0)
    callee.write_text(CALLEE.replace("FACTOR = 1.0", "FACTOR = 5.0"), encoding="utf-8")
    assert [run(caller, cache) for _ in range(2)] == [(20.0, 0), (20.0, 1)]


def test_lineage_of_the_kernels() -> None:
    """Of a caller in another room: all that lies under it, and nothing that compiles nothing."""
    from nestbench.estimators.kernels import linalg, random_slopes, sandwich
    from nestbench.estimators.methods import wild
    from nestbench.sim import errors

    digests = lineage(Path(random_slopes.__file__))
    assert compile_cache.DIGEST(Path(linalg.__file__).read_bytes()).digest() in digests
    assert compile_cache.DIGEST(Path(errors.__file__).read_bytes()).digest() not in digests
    # It says `from nestbench.estimators.kernels import sandwich`: a module, named like an object of one.
    assert compile_cache.DIGEST(Path(sandwich.__file__).read_bytes()).digest() in lineage(Path(wild.__file__))


def quarter(x: float) -> float:
    return x / 4.0


@pytest.mark.parametrize("lacks", ["nothing", "its memory manager by that name", "a way to load alone"])
def test_kernels_are_found_by_versions_of_numba_that_lack_a_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lacks: str
) -> None:
    """What isn't numba's public interface may change: kept kernels are found by its own way then, not compiled anew."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert compiled._strict(quarter)(1.0) == 0.25
    public: list[object] = []
    load = caching.FunctionCache.load_overload
    monkeypatch.setattr(
        caching.FunctionCache, "load_overload", lambda *given: (public.append(given), load(*given))[1]
    )
    if lacks == "its memory manager by that name":
        monkeypatch.setattr(compile_cache, "runtime", object())
    elif lacks == "a way to load alone":
        monkeypatch.setattr(compile_cache._KernelCache, "_load_alone", None)
    found = compiled._strict(quarter)
    assert found(1.0) == 0.25
    assert sum(found.stats.cache_hits.values()) == 1
    assert bool(public) == (lacks != "nothing")


def test_no_place_for_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a writable folder kernels compile without a cache."""
    monkeypatch.setattr(compile_cache._Results, "_locator_classes", [])
    assert isinstance(cache_of(harm), caching.NullCache)


@pytest.mark.posix
def test_own_folder_belongs_to_this_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that others can write to, or a link, is not used: what lies in it is run."""
    monkeypatch.setattr(sim_files.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = own_folder()
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)
    with pytest.raises(PermissionError):
        own_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(PermissionError):
        own_folder()
    monkeypatch.setattr(compile_cache._Results, "_locator_classes", [compile_cache._OwnFolder])
    assert isinstance(cache_of(harm), caching.NullCache)


def test_a_full_disk_saves_nothing_and_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error while saving reaches nobody."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    made = cache_of(harm)
    monkeypatch.setattr(made, "_save_overload", full)
    made.save_overload(None, None)
