"""The file of a backup: a tar of members in a fixed order, closed by SHA256SUMS with the checksum of each. Knows nothing of
what the members mean. Called by `backing_up` and `restoring`.

Any tar program opens it, and `sha256sum -c SHA256SUMS` checks what it unpacks. A file without its last member, or with a member
whose bytes are not those that were written, is damaged. Memory does not grow with the number of members.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SUMS = "SHA256SUMS"
CHUNK = 2**20
NAMES = re.compile(
    r"(header|secrets|missing)\.json|tables/[a-z_]+\.[A-Za-z_]+\.jsonl\.gz|files/[0-9a-f]{64}|SHA256SUMS", re.ASCII
)


class DamagedBackupError(Exception):
    """The file is not a backup, or not the one that was written. The message says which member is wrong."""


class Writer:
    """Adds members to `out`, which need not be seekable; `close` adds their checksums."""

    def __init__(self, out: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT)  # noqa: SIM115  closed by close()
        self._sums = tempfile.TemporaryFile()  # noqa: SIM115  likewise
        self._digest = hashlib.sha256()

    def add(self, name: str, source: IO[bytes], *, size: int) -> str:
        """Copy `size` bytes as a member; their SHA-256. Raises OSError where the source has fewer."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        counted = _Counted(source)
        self._tar.addfile(member, counted)  # type: ignore[arg-type]  # read() is all that it calls
        _forget(self._tar)
        line = f"{counted.sha256}  {name}\n".encode()
        self._sums.write(line)
        self._digest.update(line)
        return counted.sha256

    def close(self) -> None:
        """Seal the archive: what comes before it is whole if the checksums and their own are right."""
        self._sums.write(f"# {self._digest.hexdigest()}\n".encode())
        member = tarfile.TarInfo(SUMS)
        member.size, member.mode = self._sums.tell(), 0o600
        self._sums.seek(0)
        self._tar.addfile(member, self._sums)
        self._tar.close()
        self._sums.close()

    def abandon(self) -> None:
        """Write nothing more: the archive stays without its end, or has it already."""
        vars(self._tar.fileobj)["closed"] = True  # else it would write to `out` when it is collected
        self._sums.close()


class _Counted:
    """A source that hashes what is read from it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._digest = source, hashlib.sha256()

    def read(self, size: int) -> bytes:
        """As of a file."""
        chunk = self._source.read(size)
        self._digest.update(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        """Of all that was read."""
        return self._digest.hexdigest()


def members(path: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    """Each member in its order, as name, bytes to read before the next is asked for, and size. Raises DamagedBackupError."""
    with _damage_told(path), tarfile.open(path, mode="r:") as tar:
        for member in tar:
            if not member.isreg() or not NAMES.fullmatch(member.name):
                raise DamagedBackupError(f'{path} is not a backup of Standings: it holds "{member.name[:80]}"')
            content = tar.extractfile(member)
            assert content is not None  # noqa: S101  it is a regular file
            yield member.name, content, member.size
            _forget(tar)


def verify(path: Path, *, advance: Callable[[int], None] = lambda _: None) -> None:
    """Read everything once. advance: told how many bytes were read, member by member. Raises DamagedBackupError."""
    with tempfile.TemporaryFile() as found:
        closed = False
        for name, content, size in members(path):
            if closed:
                raise DamagedBackupError(f"{path} goes on after its end")
            if name == SUMS:
                _compare(found, content, path)
                closed = True
            else:
                with _damage_told(path):
                    found.write(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {name}\n".encode())  # type: ignore[arg-type]
            advance(size)
        if not closed:
            raise DamagedBackupError(f"{path} has no end: it was cut off, or its writing was interrupted")


def _compare(found: IO[bytes], sums: IO[bytes], path: Path) -> None:
    """Line by line, so that the first wrong member is named."""
    digest = hashlib.sha256()
    found.seek(0)
    for line in found:
        stated = sums.readline()
        digest.update(stated)
        if stated != line:
            name = line.decode().strip().partition("  ")[2]
            raise DamagedBackupError(f"{path} is damaged: {name} is not what was written, or not in its place")
    if sums.read() != f"# {digest.hexdigest()}\n".encode():
        raise DamagedBackupError(f"{path} is damaged: members are missing at its end, or its checksums are damaged")


def _forget(tar: tarfile.TarFile) -> None:
    """A TarFile remembers every member that it has seen: a million of them is a gigabyte."""
    vars(tar)["members"] = []


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise DamagedBackupError(f"{path} is damaged, or no backup of Standings: {error}") from error
