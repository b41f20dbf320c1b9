"""Temporary folders that are gone when their owner is, even if it was killed: the next owner removes what dead ones left.

An owner holds a lock on its folder for as long as it (or a child that it forked) lives, and folders are made and removed under
a lock of the folder that they lie in: nobody takes one for abandoned that was made just now. Works between containers that
share the folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "owned-"


class OwnedFolder:
    """A new, empty folder below `inside`; `name` is its path, until `cleanup`."""

    def __init__(self, inside: Path) -> None:
        with _locked(inside):
            _remove_abandoned(inside)
            self.name = tempfile.mkdtemp(dir=inside, prefix=PREFIX)
            self._lock = _open(Path(self.name))
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def cleanup(self) -> None:
        """Remove it. Doing it twice is the same as once."""
        shutil.rmtree(self.name, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _remove_abandoned(inside: Path) -> None:
    for folder in inside.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # its owner lives, or somebody tidied up already
            descriptor = _open(folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
