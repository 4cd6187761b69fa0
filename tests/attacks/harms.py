"""What can happen to a file or folder: by accident, or by somebody's hand."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

PRECIOUS, ELSEWHERE = "precious.txt", "elsewhere"
"""A file and a folder of the user's beside the place that is harmed: nothing may happen to them."""

Harm = Callable[[Path, random.Random], None]


def flipped(file: Path, rng: random.Random) -> None:
    """Change one bit."""
    data = bytearray(file.read_bytes()) or bytearray(b"\0")
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def cut(file: Path, rng: random.Random) -> None:
    """Keep only a beginning."""
    if file.is_file():
        os.truncate(file, rng.randrange(max(1, file.stat().st_size)))


def emptied(file: Path, _: random.Random) -> None:
    """Keep nothing."""
    file.write_bytes(b"")


def longer(file: Path, rng: random.Random) -> None:
    """Write more behind it."""
    with open(file, "ab") as end:
        end.write(rng.choice([b"\0" * 512, b"}", b"\n[1]\n", rng.randbytes(99)]))


def zeroed(file: Path, rng: random.Random) -> None:
    """Lose a block, as a power cut does."""
    data = file.read_bytes()
    start = rng.randrange(max(1, len(data)))
    file.write_bytes(data[:start] + b"\0" * len(data[start : start + 512]) + data[start + 512 :])


def foreign(file: Path, rng: random.Random) -> None:
    """Put something else there."""
    texts = (
        b"[1]",
        b"null",
        b'"x"',
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 5000,
        b"NaN",
        b"PAR1" * 9,
        b"\x00" * 64,
        b"\xff\xfe" * 30,
        b"\x1f\x8b\x08" + b"\0" * 40,
        b"PK\x03\x04" + b"\0" * 40,
        b'{"format": "nestbench-accuracy", "version": 3}',
        b'{"format": 2, "key": [], "experiment": 1}',
        b"import os\n",
        b"a,b\n1,2\n",
    )
    file.write_bytes(rng.choice(texts))


def swapped(file: Path, rng: random.Random) -> None:
    """Put a neighbour's content there."""
    others = [f for f in sorted(file.parent.iterdir()) if f.is_file()]
    file.write_bytes(rng.choice(others).read_bytes())


def _gone(place: Path) -> None:
    shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()


def absent(place: Path, _: random.Random) -> None:
    """Take it away."""
    _gone(place)


def a_pipe(place: Path, _: random.Random) -> None:
    """Put a pipe there that nobody writes to."""
    _gone(place)
    os.mkfifo(place)


def a_folder(place: Path, _: random.Random) -> None:
    """Put an empty folder there."""
    _gone(place)
    place.mkdir()


def a_file(place: Path, _: random.Random) -> None:
    """Put a text there."""
    _gone(place)
    place.write_bytes(b"a text\n")


def a_link(place: Path, rng: random.Random) -> None:
    """Put a link there: to a file or folder of somebody's, a device that never ends, itself, or nowhere."""
    _gone(place)
    outside = next(above for above in place.parents if (above / PRECIOUS).exists())
    targets = (
        outside / PRECIOUS,
        outside / ELSEWHERE,
        Path("/dev/zero"),
        Path(place.name),
        outside / "nowhere" / "x",
    )
    place.symlink_to(rng.choice(targets))


def closed(place: Path, _: random.Random) -> None:
    """Let nobody read it (`harness.rights_count` makes it count)."""
    place.chmod(0)


TO_FILES: tuple[Harm, ...] = (
    *(flipped, flipped, flipped, flipped, cut, emptied, longer, zeroed, foreign, foreign, swapped),
    *(absent, a_pipe, a_folder, a_link, closed),
)  # fmt: skip
TO_FOLDERS: tuple[Harm, ...] = (absent, a_pipe, a_folder, a_file, a_link, closed)
