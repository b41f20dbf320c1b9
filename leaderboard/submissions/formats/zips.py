"""Opening a zip archive that a stranger has sent: the directory is measured before anything is read from it."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path

from evaluators import limits
from leaderboard.submissions.formats.faults import BadFile, truncated

END, END_BYTES = b"PK\x05\x06", 22
LOCATOR, LOCATOR_BYTES = b"PK\x06\x07", 20
END_64, END_64_BYTES = b"PK\x06\x06", 56
LONGEST_COMMENT = 2**16


def open_zip(file: Path) -> zipfile.ZipFile:
    """The archive, to be used as a context manager.

    `zipfile` makes an object of every entry before anybody can count them, and 200 MB of directory are millions of entries:
    so the directory's size is looked up first. Raises BadFile.
    """
    tail = _tail(file)
    end = tail.rfind(END)
    if end < 0 or len(tail) - end < END_BYTES:
        raise truncated("is not a whole zip archive: it has no directory at its end")
    directory, comment = struct.unpack_from("<I4xH", tail, end + 12)
    if len(tail) - end != END_BYTES + comment:
        raise BadFile("has bytes after the end of its archive that nothing describes")
    if max(directory, _directory_64(tail, end)) > limits.MAX_ZIP_DIRECTORY_BYTES:
        raise BadFile("is an archive of too many files")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise truncated(f"is not a whole zip archive ({error})") from error


def _directory_64(tail: bytes, end: int) -> int:
    """The directory's size in the record for large archives, which `zipfile` prefers, and which PyTorch always writes."""
    locator = end - LOCATOR_BYTES
    record = locator - END_64_BYTES
    if record < 0 or not tail.startswith(LOCATOR, locator) or not tail.startswith(END_64, record):
        return 0
    return int(struct.unpack_from("<Q", tail, record + 40)[0])


def _tail(file: Path) -> bytes:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - END_BYTES - LONGEST_COMMENT - LOCATOR_BYTES - END_64_BYTES))
        return opened.read()
