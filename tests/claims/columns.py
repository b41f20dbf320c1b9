"""Synthetic columns of known truth, for the digits track (crossed: every seed answers the same images), and their entries."""

from __future__ import annotations

import numpy as np

from evaluators.claim_rows import Entry
from evaluators.columns import Columns

SLICES = tuple(f"digit-{k}" for k in range(10))


def digits(
    p: float, *, rng: np.random.Generator, seeds: int = 3, n: int = 900, hard: float = 0.5, macs: float = 100.0
) -> Columns:
    """Right with probability p; an image is as hard for every seed with correlation `hard`, drawn from a shared stream."""
    level = np.sqrt(hard) * np.random.default_rng(7).standard_normal(n) + np.sqrt(1 - hard) * rng.standard_normal((seeds, n))
    from scipy.special import ndtri

    correct = (level < ndtri(p)).astype(np.float64).reshape(-1)
    return Columns(
        unit=np.tile(np.arange(n), seeds),
        index={"slice": np.tile([SLICES[i % 10] for i in range(n)], seeds), "seed": np.repeat(np.arange(seeds), n)},
        values={"correct": correct, "nll": 1.1 - correct, "confidence": np.full(n * seeds, 0.9)},
        facts={"params": 10.0, "macs": macs, "train_s": 1.0},
    )


def entry(columns: Columns, *, slices: tuple[str, ...] = SLICES) -> Entry:
    return Entry(columns, slices)


def to_entries(**columns: Columns) -> dict[str, Entry]:
    return {name: entry(table) for name, table in columns.items()}
