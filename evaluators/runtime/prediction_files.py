"""Files of predictions: npz and npy without pickle, csv, and parquet where pyarrow is installed. Recognised by content."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable

import numpy as np

from evaluators import limits
from evaluators.columns import Array
from evaluators.failures import EvaluationFailure, FailureCode

FORMATS = "npz, npy, csv or parquet"
WIDEST_NUMBER = 8  # bytes


def read_predictions(raw: memoryview) -> dict[str, Array]:
    """Arrays by name: those of an npz; the columns of csv and parquet; one array named "predictions" of an npy."""
    beginning = bytes(raw[:6])
    if beginning[:1] == b"\x80":
        raise _refuse("the file is a pickle, which can run code")
    readers: list[tuple[bytes, Callable[[memoryview], dict[str, Array]]]] = [
        (b"PK\x03\x04", _npz),
        (b"\x93NUMPY", _npy),
        (b"PAR1", _parquet),
    ]
    for magic, read in readers:
        if beginning.startswith(magic):
            return read(raw)
    return _csv(raw)


def _refuse(problem: str) -> EvaluationFailure:
    return EvaluationFailure(FailureCode.INVALID_ARTIFACT, f"{problem}: send predictions as {FORMATS}")


def _npz(raw: memoryview) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
        if len(entries) > limits.MAX_ARRAYS:
            raise _refuse(f"the archive holds {len(entries)} arrays, at most {limits.MAX_ARRAYS} are taken")
        _check_unpacked("archive", sum(entry.file_size for entry in entries))
        with np.load(io.BytesIO(raw), allow_pickle=False, max_header_size=limits.MAX_ARRAY_HEADER_BYTES) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _refuse(f"the npz file cannot be read ({_short(error)})") from None


def _npy(raw: memoryview) -> dict[str, Array]:
    try:
        return {"predictions": np.load(io.BytesIO(raw), allow_pickle=False, max_header_size=limits.MAX_ARRAY_HEADER_BYTES)}
    except (ValueError, OSError, EOFError) as error:
        raise _refuse(f"the npy file cannot be read ({_short(error)})") from None


def _csv(raw: memoryview) -> dict[str, Array]:
    """A header of names, then rows of numbers."""
    try:
        rows = _rows(csv.reader(io.StringIO(bytes(raw).decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise _refuse("the file is none of the formats that we know") from None
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise _refuse("the csv file needs a header and rows of the same length")
    return {name.strip(): _numbers(name, [row[i] for row in rows[1:]]) for i, name in enumerate(rows[0])}


def _rows(reader: Iterable[list[str]]) -> list[list[str]]:
    """The rows that are not empty, counted as they come."""
    rows, cells = [], 0
    for row in reader:
        cells += len(row)
        if len(row) > limits.MAX_CSV_COLUMNS:
            raise _refuse(f"the csv file has {len(row)} columns, at most {limits.MAX_CSV_COLUMNS} are taken")
        if cells > limits.MAX_CSV_CELLS:
            raise _refuse(f"the csv file has more than {limits.MAX_CSV_CELLS} cells, which an npz file holds in less room")
        if row:
            rows.append(row)
    return rows


def _check_unpacked(what: str, size: int) -> None:
    if size > limits.MAX_UNPACKED_BYTES:
        raise _refuse(f"the {what} unpacks to more than {limits.MAX_UNPACKED_BYTES} bytes")


def _numbers(name: str, cells: list[str]) -> Array:
    for dtype in (np.int64, np.float64):
        try:
            return np.asarray([dtype(cell) for cell in cells], dtype=dtype)
        except (ValueError, OverflowError):
            continue
    raise _refuse(f'column "{name.strip()[:80]}" of the csv file holds something that is not a number')


def _parquet(raw: memoryview) -> dict[str, Array]:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - an optional dependency
    except ModuleNotFoundError:
        raise _refuse("this server cannot read parquet (pyarrow is not installed)") from None
    try:
        source = pyarrow.BufferReader(bytes(raw))
        kept = pyarrow.parquet.read_metadata(source)
        if kept.num_columns > limits.MAX_CSV_COLUMNS:
            raise _refuse(f"the parquet file has {kept.num_columns} columns, at most {limits.MAX_CSV_COLUMNS} are taken")
        # A column of one repeated number is a few bytes for any number of rows.
        _check_unpacked("parquet file", kept.num_rows * kept.num_columns * WIDEST_NUMBER)
        table = pyarrow.parquet.read_table(source, use_threads=False)
        return {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise _refuse(f"the parquet file cannot be read ({_short(error)})") from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
