"""numpy's own files: .npy, and .npz, which is a zip archive of them. Never an array of Python objects, which is a pickle."""

from __future__ import annotations

import ast
import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from evaluators import limits
from leaderboard.submissions.formats.faults import BadFile, truncated
from leaderboard.submissions.formats.zips import open_zip

NUMBERS = "biuf"
ENCRYPTED = 0x1
CHUNK = 2**20


def check_npy(file: Path) -> None:
    """Raises BadFile unless it is one array of numbers with every byte that its header announces."""
    with file.open("rb") as opened:
        _check_array(opened, size=file.stat().st_size, name="the array")


def check_npz(file: Path) -> None:
    """Raises BadFile unless every member is an array of numbers and the archive is whole, not encrypted, and unpacks to no
    more than the server takes."""
    with open_zip(file) as archive:
        members = archive.infolist()
        _check_members(members)
        for member in members:
            try:
                with archive.open(member) as opened:
                    _check_array(opened, size=member.file_size, name=f'"{member.filename}"')
                    _read_to_end(opened)
            except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
                raise truncated(f'cannot be unpacked at "{member.filename}" ({error})') from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if not members:
        raise BadFile("is an archive with nothing in it")
    if len(members) > limits.MAX_ARRAYS:
        raise BadFile(f"holds {len(members)} arrays, at most {limits.MAX_ARRAYS} are taken")
    if len(set(names)) != len(names):
        raise BadFile("holds two arrays of the same name")
    for member in members:
        if not member.filename.endswith(".npy") or "/" in member.filename:
            raise BadFile(f'holds "{member.filename[:60]}", and an .npz holds .npy files only')
        if member.flag_bits & ENCRYPTED:
            raise BadFile("is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadFile("is compressed otherwise than by deflate, which is all that numpy writes")
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.MAX_UNPACKED_BYTES:
        raise BadFile(f"unpacks to {unpacked} bytes, at most {limits.MAX_UNPACKED_BYTES} are taken", code="too_large_unpacked")


def _check_array(opened: IO[bytes], *, size: int, name: str) -> None:
    shape, dtype = _header(opened, name=name)
    if dtype.hasobject:
        raise BadFile(f"stores Python objects in {name}, which are a pickle and can run code; save an array of numbers instead")
    if dtype.kind not in NUMBERS:
        raise BadFile(f"stores {dtype} in {name}; save booleans, integers or floats")
    left, announced = size - opened.tell(), math.prod(shape) * dtype.itemsize
    if left < announced:
        raise truncated(f"is truncated: {name} should have {announced} bytes, and {left} are there")
    if left > announced:
        raise BadFile(f"has {left - announced} bytes after {name} that nothing describes")


def _header(opened: IO[bytes], *, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype. Stricter than numpy, whose own reader also mends the headers of Python 2."""
    try:
        header = ast.literal_eval(_header_text(opened))
        return _shape(header), npy.descr_to_dtype(header["descr"])
    except (ValueError, SyntaxError, TypeError, LookupError, RecursionError, MemoryError, OverflowError) as error:
        raise BadFile(f"has no readable header of {name} ({str(error)[:120]})") from error


def _shape(header: dict[str, Any]) -> tuple[int, ...]:
    shape = header["shape"]
    if set(header) != {"descr", "fortran_order", "shape"} or not isinstance(shape, tuple):
        raise ValueError("it has other fields than descr, fortran_order and shape")
    if len(shape) > limits.MAX_DIMENSIONS or not all(type(length) is int and 0 <= length < 2**48 for length in shape):
        raise ValueError(f"no array has the shape {shape!r:.60}")
    return shape


def _header_text(opened: IO[bytes]) -> str:
    """The dictionary in the header: ASCII, padded, after its length in 2 (version 1) or 4 bytes (version 2)."""
    start = opened.read(8)
    if start[:6] != npy.MAGIC_PREFIX or start[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise ValueError("it is not in version 1.0 or 2.0 of the format")
    length = int.from_bytes(opened.read(2 * start[6]), "little")
    if length > limits.MAX_ARRAY_HEADER_BYTES:
        raise ValueError(f"it has {length} bytes, and an array of numbers needs less than {limits.MAX_ARRAY_HEADER_BYTES}")
    text = opened.read(length)
    if len(text) < length:
        raise ValueError("it is truncated")
    return text.decode("ascii")


def _read_to_end(opened: IO[bytes]) -> None:
    """Unpack without keeping, so that the archive's checksum is compared. Never more than the announced size."""
    while opened.read(CHUNK):
        pass
