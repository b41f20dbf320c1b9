"""safetensors: eight bytes that give the header's length, a JSON header, and the tensors' bytes without a gap."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from evaluators import limits
from leaderboard.submissions.formats.faults import BadFile, truncated

MAX_ELEMENTS = 2**48
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64"), 64),
}


def check(file: Path) -> None:
    """Raises BadFile unless the header is well-formed and describes every byte that follows it, once."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        if len(start) < 8:
            raise truncated("is too short to be a safetensors file")
        (length,) = struct.unpack("<Q", start)
        if length > max(size, limits.MAX_TENSOR_HEADER_BYTES):
            raise BadFile("is not a safetensors file: its first eight bytes give no plausible length of a header")
        if length > limits.MAX_TENSOR_HEADER_BYTES:
            raise BadFile(f"has a header of {length} bytes, at most {limits.MAX_TENSOR_HEADER_BYTES} are taken")
        if 8 + length > size:
            raise truncated(f"is truncated: its header should have {length} bytes, and {size - 8} are left")
        header = _header(opened.read(length))
    _check_extent(header, available=size - 8 - length)


def _header(raw: bytes) -> dict[str, dict[str, Any]]:
    if not raw.startswith(b"{"):
        raise BadFile("is not a safetensors file: its header is not a JSON object")
    try:
        header: dict[str, Any] = json.loads(raw, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"has a header that is not JSON ({error})") from error
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise BadFile('has "__metadata__" that is not a map from text to text')
    if not header:
        raise BadFile("holds no tensors")
    if len(header) > limits.MAX_TENSORS:
        raise BadFile(f"holds {len(header)} tensors, at most {limits.MAX_TENSORS} are taken")
    return header


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadFile("has a header in which a name occurs twice")
    return found


def _check_extent(header: dict[str, Any], *, available: int) -> None:
    reached = 0
    for begin, end, name in sorted(_extent(name, entry) for name, entry in header.items()):
        if begin != reached:
            raise BadFile(f'has a gap or an overlap before the tensor "{name[:60]}"')
        reached = end
    if reached > available:
        raise truncated(f"is truncated: its tensors should have {reached} bytes, and {available} are there")
    if reached < available:
        raise BadFile(f"has {available - reached} bytes after its last tensor that nothing describes")


def _extent(name: str, entry: Any) -> tuple[int, int, str]:
    """Where a tensor's bytes begin and end, and its name."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BadFile(f'describes the tensor "{name[:60]}" otherwise than by dtype, shape and data_offsets')
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise BadFile(f'gives the tensor "{name[:60]}" a shape or offsets that are not natural numbers in order')
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in BITS:
        raise BadFile(f'gives the tensor "{name[:60]}" an unknown dtype; known are {", ".join(sorted(BITS))}')
    if math.prod(shape) * BITS[entry["dtype"]] != 8 * (offsets[1] - offsets[0]):
        raise BadFile(f'gives the tensor "{name[:60]}" a number of bytes that is not that of its shape and dtype')
    return offsets[0], offsets[1], name


def _naturals(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= 64
        and all(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ELEMENTS for value in values)
    )
