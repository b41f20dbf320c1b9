"""The trade-off of a board as a chart and two tables: numbers as text, places as pixels. Pure layout of what
`standings.tradeoff` found; called by its page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboard.standings.tradeoff import Axis, Coordinate, Point, Tradeoff
from leaderboard.web import numbers
from leaderboard.web.charts import Scale, Tick, Whisker, ticks, whisker

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 360, 62, 16, 30, 306
ROOM = 0.045
NAME_ON_CHART = 34
LONGEST_TITLE = 62
NUMBER_ROOM = 17.0
TICK_ROOM = 62.0


@dataclass(frozen=True)
class Spot:
    """A submission on the chart. `number`: its number in the table of the front, 0 beside it. `marked`: the number is drawn, at
    (number_x, number_y): it covers no other. label: two lines that are shown on hover and focus, their place and anchor."""

    point: Point
    number: int
    x: Whisker
    y: Whisker
    marked: bool
    number_x: float
    number_y: float
    label: str
    values: str
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class Chart:
    """`line`: the path along the best values; `area`: what it covers up to the reference point, empty without one."""

    title: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_title: str
    y_title: str
    line: str
    area: str
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class Line:
    """One row of a table: the point with its numbers as text."""

    number: int
    point: Point
    x: str
    x_interval: str
    y: str
    y_interval: str


@dataclass(frozen=True)
class View:
    """What the page shows. covered: sentences on the hypervolume."""

    chart: Chart | None
    front: tuple[Line, ...]
    others: tuple[Line, ...]
    covered: tuple[str, ...]


def view_of(found: Tradeoff) -> View:
    """Lay out a trade-off."""
    points = [*found.front, *found.others]
    decimals = (_decimals(point.x for point in points), _decimals(point.y for point in points))
    return View(
        chart=_chart(found, decimals),
        front=tuple(_line(point, number, decimals) for number, point in enumerate(found.front, start=1)),
        others=tuple(_line(point, 0, decimals) for point in found.others),
        covered=_covered(found, decimals),
    )


def scale_of(axis: Axis, coordinates: Sequence[Coordinate], *, start: float, end: float) -> Scale:
    """A scale over values and intervals, with room for the marks at both ends. An interval that leaves the positive numbers is
    cut off on a logarithmic axis."""
    values = [end for at in coordinates for end in (at.value, at.ci_low, at.ci_high) if end is not None]
    if axis.log:
        values = [value for value in values if value > 0]
        low, high = min(values), max(values)
        factor = (high / low) ** ROOM
        return Scale(low=low / factor, high=high * factor, start=start, end=end, log=True)
    low, high = min(values), max(values)
    room = ROOM * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(low=low - room, high=high + room, start=start, end=end)


def _chart(found: Tradeoff, decimals: tuple[int, int]) -> Chart | None:
    points = [*found.front, *found.others]
    if not points:
        return None
    x = scale_of(found.x, [point.x for point in points], start=LEFT, end=WIDTH - RIGHT)
    y = scale_of(found.y, [point.y for point in points], start=BOTTOM, end=TOP)
    line, area = _stairs(found, x, y)
    return Chart(
        title=f"{found.y.title} against {found.x.title}: {len(found.front)} of {len(points)} submissions on the front",
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=BOTTOM,
        x_ticks=_ticks(x, room=TICK_ROOM),
        y_ticks=_ticks(y, room=26.0),
        x_title=_title(found.x),
        y_title=_title(found.y),
        line=line,
        area=area,
        spots=tuple(_spots(found, x, y, decimals)),
    )


def _title(axis: Axis) -> str:
    """Title, unit, and which way is better: no color or position is needed to know. On a phone a long one leaves the unit to
    the tables."""
    better = f"({numbers.SPOKEN[axis.direction]}{', log scale' if axis.log else ''})"
    whole = f"{axis.title}, {axis.unit} {better}"
    return whole if axis.unit and len(whole) <= LONGEST_TITLE else f"{axis.title} {better}"


def _ticks(scale: Scale, *, room: float) -> tuple[Tick, ...]:
    """Ticks whose texts do not run into each other. On a logarithmic scale powers of ten come first."""
    values = ticks(scale)
    powers = [value for value in values if scale.log and math.log10(value) == round(math.log10(value))]
    kept: list[float] = []
    for value in [*powers, *values]:
        if all(abs(scale.at(value) - scale.at(other)) >= room for other in kept):
            kept.append(value)
    return tuple(Tick(at=scale.at(value), text=short(value)) for value in sorted(kept))


def short(value: float) -> str:
    """A round number in few characters: 0.985, 20k, 5M, 1e+12."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < size * 1e3:
            return f"{value / size:g}{suffix}".replace("-", numbers.MINUS)
    return f"{value:g}".replace("-", numbers.MINUS)


def _stairs(found: Tradeoff, x: Scale, y: Scale) -> tuple[str, str]:
    """The line along the best values of the front, from the best x on, and the area below it up to the reference point."""
    better = 1.0 if found.y.direction == "max" else -1.0
    steps: list[tuple[float, float]] = []
    best = -math.inf
    for point in found.front:
        if better * point.y.value > best:
            best = better * point.y.value
            steps.append((x.at(point.x.value), y.at(point.y.value)))
    if not steps:
        return "", ""
    # A better y at an equal x takes the place of the step before it.
    steps = [step for step, after in zip(steps, [*steps[1:], None], strict=True) if after is None or after[0] != step[0]]
    path = f"M{steps[0][0]} {steps[0][1]}" + "".join(f"H{at}V{value}" for at, value in steps[1:])
    if found.covered is None:
        return path, ""
    far, foot = x.at(found.covered.reference_x), y.at(found.covered.reference_y)
    return (
        f"{path}H{far}",
        f"M{steps[0][0]} {foot}V{steps[0][1]}{path[path.find('H') :] if len(steps) > 1 else ''}H{far}V{foot}Z",
    )


def _spots(found: Tradeoff, x: Scale, y: Scale, decimals: tuple[int, int]) -> Iterable[Spot]:
    """The others first, so that the front is drawn on top of them."""
    taken: list[tuple[float, float]] = []
    for number, point in [*((0, point) for point in found.others), *enumerate(found.front, start=1)]:
        at_x, at_y = _whisker(x, point.x), _whisker(y, point.y)
        spot = (at_x.at + 9.0, at_y.at - 7.0)
        is_free = all(abs(spot[0] - a) > NUMBER_ROOM or abs(spot[1] - b) > NUMBER_ROOM for a, b in taken)
        if number and is_free:
            taken.append(spot)
        yield Spot(
            point=point,
            number=number,
            x=at_x,
            y=at_y,
            marked=bool(number) and is_free,
            number_x=spot[0],
            number_y=spot[1],
            label=_cut(point.name),
            values=f"{_told(point.x, decimals[0])}; {_told(point.y, decimals[1])}",
            label_x=min(max(at_x.at, LEFT), WIDTH - RIGHT),
            label_y=at_y.at - 40.0 if at_y.at > TOP + 60 else at_y.at + 28.0,
            anchor=_anchor(at_x.at),
        )


def _whisker(scale: Scale, at: Coordinate) -> Whisker:
    found = whisker(scale, value=at.value, low=at.ci_low, high=at.ci_high)
    assert found is not None  # noqa: S101  points have finite values
    return found


def _anchor(at: float) -> str:
    third = (WIDTH - RIGHT - LEFT) / 3
    if at < LEFT + third:
        return "start"
    return "end" if at > WIDTH - RIGHT - third else "middle"


def _cut(name: str) -> str:
    return name if len(name) <= NAME_ON_CHART else f"{name[: NAME_ON_CHART - 1]}…"


def _decimals(coordinates: Iterable[Coordinate]) -> int:
    known = list(coordinates)
    return numbers.decimals_for(
        (at.value for at in known), half_widths=(numbers.half_width(at.ci_low, at.ci_high) for at in known)
    )


def _told(at: Coordinate, decimals: int) -> str:
    interval = _interval(at, decimals)
    return f"{numbers.written(at.value, decimals)} ({interval})" if interval else numbers.written(at.value, decimals)


def _interval(at: Coordinate, decimals: int) -> str:
    if at.ci_low is None or at.ci_high is None:
        return ""
    return f"{numbers.written(at.ci_low, decimals)} to {numbers.written(at.ci_high, decimals)}"


def _line(point: Point, number: int, decimals: tuple[int, int]) -> Line:
    return Line(
        number=number,
        point=point,
        x=numbers.written(point.x.value, decimals[0]),
        x_interval=_interval(point.x, decimals[0]),
        y=numbers.written(point.y.value, decimals[1]),
        y_interval=_interval(point.y, decimals[1]),
    )


def _covered(found: Tradeoff, decimals: tuple[int, int]) -> tuple[str, ...]:
    covered = found.covered
    if covered is None:
        return ("All values are equal on one axis, so the front covers no area.",) if found.front else ()
    reference = (
        f"{numbers.written(covered.reference_x, decimals[0])} in {found.x.title}",
        f"{numbers.written(covered.reference_y, decimals[1])} in {found.y.title}",
    )
    logs = [axis.title for axis in (found.x, found.y) if axis.log]
    decades = f", with {' and '.join(logs)} in decades (log10)" if logs else ""
    told = (
        f"Hypervolume: the front covers {100 * covered.share:.0f} % of the area between the worst and the best values, "
        f"{covered.hypervolume:.4g}{decades}."
    )
    measured_from = (
        f"The reference point is the worst value of all points on either axis: {reference[0]}, {reference[1]}. It moves when "
        "worse submissions come, so compare hypervolumes of one moment only."
    )
    return told, measured_from
