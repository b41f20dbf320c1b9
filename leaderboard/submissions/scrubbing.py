"""Scrubbing: compares the store with the rows that name its files, and reads every byte again. Called by `manage.py scrub`.

It goes shard by shard (a shard has a 256th of the files), so memory stays flat and an interrupted scrub goes on where it was.
What happens meanwhile is no finding: a file is missing only if a row still names it after the look, and an orphan only if it is
older than the grace period.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from leaderboard.submissions import storage

SHARDS = tuple(f"{number:02x}" for number in range(256))
SHA256 = re.compile("[0-9a-f]{64}")


class Kind(StrEnum):
    """What can be wrong with a file. The first three lose data or mean that somebody else writes into the store."""

    MISSING = "missing"
    DAMAGED = "damaged"
    FOREIGN = "foreign"
    ORPHANED = "orphaned"
    LEFTOVER = "leftover"


ALARMS = frozenset({Kind.MISSING, Kind.DAMAGED, Kind.FOREIGN})


@dataclass(frozen=True)
class Finding:
    """One file. `removed`: it is gone now."""

    kind: Kind
    name: str
    detail: str
    removed: bool = False


@dataclass(frozen=True)
class Scrub:
    """What to do. older_than: seconds that an orphan or a half-received file is spared. quick: look, but do not read."""

    older_than: float = storage.GRACE_SECONDS
    delete_orphans: bool = False
    quick: bool = False

    def around(self) -> Iterator[Finding]:
        """What lies beside the shards: half-received files, and what does not belong there."""
        yield from self._leftovers()
        for entry in _entries(storage.root() / "sha256"):
            if entry.name not in SHARDS or not entry.is_dir(follow_symlinks=False):
                yield _foreign(entry, "is no folder of the store")

    def shard(self, shard: str) -> Iterator[Finding]:
        """Everything about the files whose names begin with `shard`, two hexadecimal digits."""
        needed = set(storage.named_between(shard, _next(shard)))
        present: set[str] = set()
        for entry in _entries(storage.root() / "sha256" / shard):
            if not entry.is_file(follow_symlinks=False) or not SHA256.fullmatch(entry.name) or entry.name[:2] != shard:
                yield _foreign(entry, "is no file of the store")
            else:
                present.add(entry.name)
        yield from (each for name in sorted(needed - present) for each in self._missing(name))
        if not self.quick:
            yield from (each for name in sorted(needed & present) for each in self._damaged(name))
        yield from (each for name in sorted(present - needed) for each in self._orphaned(name))

    def _missing(self, name: str) -> Iterator[Finding]:
        if storage.named([name]) and not storage.place(name).exists():
            yield Finding(Kind.MISSING, name, "rows name it, and it is not in the store")

    def _damaged(self, name: str) -> Iterator[Finding]:
        try:
            storage.check(name)
        except storage.MissingFileError:
            yield from self._missing(name)
        except OSError as error:
            yield Finding(Kind.DAMAGED, name, str(error))

    def _orphaned(self, name: str) -> Iterator[Finding]:
        place, latest = storage.place(name), time.time() - self.older_than
        if _is_older(place, latest) and not storage.named([name]):
            removed = self.delete_orphans and storage.remove_orphan(place, latest=latest)
            yield Finding(Kind.ORPHANED, name, "no row names it", removed)

    def _leftovers(self) -> Iterator[Finding]:
        latest = time.time() - self.older_than
        for entry in _entries(storage.root() / "incoming"):
            file = Path(entry.path)
            if _is_older(file, latest):
                removed = self.delete_orphans and storage.remove_old(file, latest=latest)
                yield Finding(Kind.LEFTOVER, f"incoming/{entry.name}", "it was received by half", removed)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing where there is none, or a link instead."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        yield from entries


def _is_older(file: Path, latest: float) -> bool:
    try:
        return file.lstat().st_mtime < latest
    except FileNotFoundError:
        return False


def _foreign(entry: os.DirEntry[str], why: str) -> Finding:
    name = f"{Path(entry.path).parent.name}/{entry.name}"
    return Finding(Kind.FOREIGN, name, f"a link, which {why}" if entry.is_symlink() else f"it {why}")


def _next(shard: str) -> str:
    """The end of a shard in the order of names: "g" is after every digit."""
    return SHARDS[SHARDS.index(shard) + 1] if shard != SHARDS[-1] else "g"
