"""Formats that are never taken, because reading them runs code or because they are containers of something else. Each is
recognized by its bytes, whatever its name says."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from leaderboard.refusals import FieldError, UnsupportedFormat
from leaderboard.submissions.formats.faults import BadFile
from leaderboard.submissions.formats.zips import open_zip

HEAD_BYTES = 512
PICKLE_PROTOCOLS = range(2, 6)


def refuse_code(file: Path, *, filename: str, instead: str) -> None:
    """Raises UnsupportedFormat, which says what to send instead, for pickles, archives that hold one, TorchScript, exported
    programs, and compressed or foreign containers."""
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    if head[8:9] == b"{":  # safetensors, whose first bytes are a length, and may be any
        return
    found = _pickle(head) or _container(head) or _zip(file, head)
    if found:
        detail = f'"{filename}" is {found}; send {instead}'
        raise UnsupportedFormat(detail, errors=(FieldError("file", "unsupported_format", detail),))


def _pickle(head: bytes) -> str:
    """Protocols 2 to 5 begin with their number; protocol 0, which is text, is not recognized and fails as what it is not."""
    if len(head) > 1 and head[0] == 0x80 and head[1] in PICKLE_PROTOCOLS:
        return "a Python pickle, which can run code when it is read and is never taken"
    return ""


def _container(head: bytes) -> str:
    containers = {
        b"\x1f\x8b": "compressed with gzip",
        b"BZh": "compressed with bzip2",
        b"\xfd7zXZ\x00": "compressed with xz",
        b"\x28\xb5\x2f\xfd": "compressed with zstandard",
        b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
        b"Rar!": "a RAR archive",
        b"\x89HDF\r\n\x1a\n": "an HDF5 file (Keras saves weights so), which is not taken",
        b"\x7fELF": "a program",
        b"MZ\x90": "a program",
    }
    if head[257:262] == b"ustar":
        return "a tar archive"
    return next((words for magic, words in containers.items() if head.startswith(magic)), "")


def _zip(file: Path, head: bytes) -> str:
    if not head.startswith(b"PK\x03\x04"):
        return ""
    try:
        with open_zip(file) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    except BadFile:
        return ""  # a broken archive is reported as what it should have been
    return _archive_of_code(names)


def program_of(names: list[PurePosixPath]) -> str:
    """Which program an archive with these members is: "torchscript", "exported" or neither."""
    inner = {name.name for name in names}
    folders = {part for name in names for part in name.parts[:-1]}
    if "code" in folders and "constants.pkl" in inner:
        return "torchscript"
    if "archive_format" in inner or any(name.startswith("serialized_exported_program") for name in inner):
        return "exported"
    return ""


def _archive_of_code(names: list[PurePosixPath]) -> str:
    program = program_of(names)
    if program == "torchscript":
        return "a TorchScript module, which is code and is not taken"
    if program == "exported":
        return "an exported PyTorch program (.pt2), which can run code when it is read and is not taken"
    if any(name.suffix in (".pkl", ".pickle") for name in names):
        return "a PyTorch checkpoint or another archive with a Python pickle inside, which can run code when it is read"
    return ""
