"""How numbers are written on pages: as many digits as their interval supports, the same number in a whole column.
Pure; called by tables, charts and the template filters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
ARROWS = {"max": "↑", "min": "↓", "none": ""}
SPOKEN = {"max": "higher is better", "min": "lower is better", "none": ""}
MOST_DECIMALS = 6


def decimals_for(values: Iterable[float | None], *, half_widths: Iterable[float | None] = ()) -> int:
    """How many decimals a column of `values` gets: two significant digits of the usual uncertainty, or, where there is none,
    four significant digits of the usual value. Whole numbers get none."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    if all(value == int(value) for value in known):
        return 0
    widths = [width for width in half_widths if width is not None and math.isfinite(width) and width > 0]
    if widths:
        return _clamped(1 - _exponent(median(widths)))
    return _clamped(3 - _exponent(median([value for value in known if value])))


def written(value: float | None, decimals: int) -> str:
    """The value with `decimals` decimals, a real minus sign and thin thousands: 61 706, −0.52, 1.2e+19; a dash for nothing,
    and no sign before a zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    if abs(value) >= 1e12:  # beyond a tera, digits are no longer read one by one
        return f"{value:.3g}".replace("-", MINUS)
    if value and abs(value) < 0.5 * 10.0**-decimals:
        return f"{value:.2g}".replace("-", MINUS)
    return f"{value + 0.0:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", MINUS)


def half_width(low: float | None, high: float | None) -> float | None:
    """Half the width of an interval; None without one."""
    return None if low is None or high is None else (high - low) / 2


def one_number(value: float | None, *, low: float | None = None, high: float | None = None) -> str:
    """A number on its own, with the digits that its interval supports."""
    return written(value, decimals_for([value], half_widths=[half_width(low, high)]))


def rank_range(low: int | None, high: int | None) -> str:
    """The rank interval: "1–3", or "2" where it is one rank."""
    if low is None or high is None:
        return MISSING
    return str(low) if low == high else f"{low}\N{EN DASH}{high}"


def seconds(value: float | None) -> str:
    """A duration: 48 ms, 3.2 s, 2 min 5 s."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 1:
        return f"{1000 * value:.3g} ms"
    if value < 59.5:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def _exponent(value: float) -> int:
    return math.floor(math.log10(value))


def _clamped(decimals: int) -> int:
    return max(0, min(MOST_DECIMALS, decimals))
