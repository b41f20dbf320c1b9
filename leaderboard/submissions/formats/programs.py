"""Programs: the archives that torch.jit.save and torch.export.save write. Only their directory is looked at: what they hold is
code, and only a sandbox reads it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from evaluators import limits
from leaderboard.submissions.formats.faults import BadFile
from leaderboard.submissions.formats.sniffing import program_of
from leaderboard.submissions.formats.zips import open_zip


def check(file: Path) -> str:
    """ "torchscript" or "exported". Raises BadFile for any other archive, and for one that unpacks to too much."""
    with open_zip(file) as archive:
        members = archive.infolist()
    found = program_of([PurePosixPath(member.filename) for member in members])
    if not found:
        raise BadFile("is neither TorchScript nor an exported program")
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.MAX_UNPACKED_BYTES:
        raise BadFile(f"unpacks to {unpacked} bytes, at most {limits.MAX_UNPACKED_BYTES} are taken", code="too_large_unpacked")
    return found
