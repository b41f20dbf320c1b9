"""The rows of columns that a claim's values read: those of a setting and a slice, on what all entrants entered, with units
numbered alike. Pure numpy; called by `evaluators.claim_estimates`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluators import statistics
from evaluators.claim_language import SEED, SLICE, Value, write_value
from evaluators.columns import Array, Columns


class NotMeasuredError(Exception):
    """A value that a clause reads is not there; the message says which and why."""


@dataclass(frozen=True)
class Entry:
    """What an entrant left: its columns, and the slices that it entered itself."""

    columns: Columns
    slices: tuple[str, ...]


def common_slices(entries: Sequence[Entry]) -> set[str]:
    """The slices that all of them entered."""
    return set.intersection(*(set(entry.slices) for entry in entries))


def rows_of(value: Value, entry: Entry, common: set[str]) -> Columns:
    """The rows that a value reads. Where it names no slice: those that all entrants of the clause entered."""
    at = dict(value.at)
    if SLICE in at and at[SLICE] not in entry.slices:
        raise NotMeasuredError(f"{value.entrant} does not enter the slice {at[SLICE]}")
    keep = np.isin(entry.columns.index[SLICE], sorted(common)) if SLICE not in at else np.ones(len(entry.columns.unit), bool)
    for key, setting in at.items():
        keep &= np.asarray(entry.columns.index[key] == setting)
    if not keep.any():
        raise NotMeasuredError(f"{write_value(value)} has no rows: there is nothing that its entrants have in common")
    columns = entry.columns
    return Columns(
        unit=columns.unit[keep],
        index={name: column[keep] for name, column in columns.index.items()},
        values={name: column[keep] for name, column in columns.values.items()},
        facts=columns.facts,
    )


def jointly_numbered(tables: Sequence[Columns]) -> list[Columns]:
    """The same rows, with what is drawn together (units, or the clusters that they come in) numbered from 0 over all tables."""
    drawn: list[Array] = [table.index.get(statistics.CLUSTER, table.unit) for table in tables]
    _, numbers = np.unique(np.concatenate(drawn), return_inverse=True)
    ends = np.cumsum([len(each) for each in drawn])[:-1]
    return [replace(table, unit=own.astype(np.int64)) for table, own in zip(tables, np.split(numbers, ends), strict=True)]


def seeds_of(columns: Columns) -> list[int]:
    """The replicates, ascending."""
    return [int(seed) for seed in np.unique(columns.index[SEED])]


def is_crossed(columns: Columns) -> bool:
    """Whether every seed has the same units."""
    units = [np.unique(columns.unit[columns.index[SEED] == seed]) for seed in seeds_of(columns)]
    return all(np.array_equal(units[0], each) for each in units[1:])
