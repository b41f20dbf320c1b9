"""Tables: CSV text and Apache Parquet."""

from __future__ import annotations

import codecs
import csv
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from evaluators import limits
from leaderboard.submissions.formats.faults import BadFile, truncated

MAGIC = b"PAR1"
ROWS_CHECKED = 1_000
CHUNK = 2**20


def check_parquet(file: Path) -> None:
    """Raises BadFile unless the file begins and ends with its magic and has room for the footer that it announces."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(4)
        if size >= 12:
            opened.seek(-8, 2)
        (footer,), tail = struct.unpack("<I", opened.read(4).ljust(4, b"\0")), opened.read(4)
    if size < 12 or head != MAGIC or tail != MAGIC:
        raise truncated("is truncated: a Parquet file begins and ends with PAR1")
    if not 0 < footer <= size - 12:
        raise BadFile("has a Parquet footer that does not fit into the file")


def check_csv(file: Path) -> None:
    """Raises BadFile unless it is UTF-8 text with a header and rows of as many cells (the first 1,000 are compared)."""
    _check_text(file)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        lines = _Lines(opened)
        reader = csv.reader(lines, strict=True)
        try:
            header = lines.one_row(reader)
            widths = [len(row) for _ in range(ROWS_CHECKED) if (row := lines.one_row(reader))]
        except csv.Error as error:
            raise BadFile(f"is not a CSV table (line {reader.line_num}: {error})") from error
    _check_header(header)
    if not widths:
        raise BadFile("has a header, but no rows")
    for number, width in enumerate(widths, start=1):
        if width != len(header):
            raise BadFile(f"has {width} cells in row {number}, and {len(header)} in its header")


class _Lines:
    """The lines of a file, so many bytes for one row: in quotes, a row may go on over any number of lines, and a header of
    forty megabytes of them took half a gigabyte of the server."""

    def __init__(self, opened: TextIO) -> None:
        self.opened = opened
        self.size = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.opened:
            self.size += len(line)
            if self.size - (len(line) - len(line.rstrip("\r\n"))) > limits.MAX_CSV_LINE_BYTES:
                raise BadFile(f"has a row of more than {limits.MAX_CSV_LINE_BYTES} bytes")
            yield line

    def one_row(self, reader: Iterator[list[str]]) -> list[str]:
        """The next row; empty for an empty line and after the last."""
        self.size = 0
        return next(reader, [])


def _check_header(header: list[str]) -> None:
    if not header or not all(name.strip() for name in header):
        raise BadFile("has no header that names every column")
    if len(header) > limits.MAX_CSV_COLUMNS:
        raise BadFile(f"has {len(header)} columns, at most {limits.MAX_CSV_COLUMNS} are taken")
    if len(set(header)) != len(header):
        raise BadFile("has a header in which a column occurs twice")


def _check_text(file: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 0
    try:
        for chunk in _chunks(file):
            decoder.decode(chunk)
            if b"\0" in chunk:
                raise BadFile("is neither a table in text form nor a format that is known here")
            first, *others = chunk.split(b"\n")
            if max(line + len(first), *map(len, others), 0) > limits.MAX_CSV_LINE_BYTES:
                raise BadFile(f"has a line of more than {limits.MAX_CSV_LINE_BYTES} bytes")
            line = len(others[-1]) if others else line + len(first)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadFile("is neither UTF-8 text nor a format that is known here") from error


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            yield chunk
