"""Line charts and sparklines as inline SVG: no script and no style of their own, the classes are in style.css.

Lines differ by their dashes as well as by their colours, and each is named below the chart.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 230
TOP, BOTTOM, SIDE = 14, 30, 8
SPARK_WIDTH, SPARK_HEIGHT, SPARK_EDGE = 120, 28, 4
TICKS = 3
STEPS = (1, 2, 2.5, 5, 10)
Y = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a line. `text`: what it says to people, with its unit; without a value the line has a gap."""

    at: datetime
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line. `kind`: warning, critical, target or baseline."""

    kind: str
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a time, with a number that the text below the chart explains. `text`: that text."""

    at: datetime
    text: str


def scale(values: Sequence[float]) -> tuple[float, float, float]:
    """(lowest, highest, step) of an axis that shows values, with round numbers at its ticks. At least one value."""
    low, high = min(values), max(values)
    if 0 < low < high * 0.6:
        low = 0.0
    span = (high - low) or abs(high) or 1.0
    rough = span / TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(each * size for each in STEPS if each * size >= rough * 0.999)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    if bottom == top:
        top += step
    return bottom, top, step


def line_chart(
    dots: Sequence[Dot],
    levels: Sequence[Level],
    *,
    title: str,
    summary: str,
    shown: Callable[[float], str],
    marks: Sequence[Mark] = (),
) -> Markup:
    """A chart of values over time; nothing if there are none. `summary`: the same in a sentence, for who cannot see it.

    `shown`: a number of the axis, in its unit. Times are evenly placed: each is a week after the one before.
    `marks`: in the order of their times; those outside the times of the dots are not drawn.
    """
    values = [dot.value for dot in dots if dot.value is not None]
    if not values:
        return Markup()
    bottom, top, step = scale([*values, *(level.value for level in levels)])

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    places = [_x(i, len(dots), WIDTH, SIDE) for i in range(len(dots))]
    inside = [
        *_grid(bottom, top, step, y, shown),
        *(_level(level, y) for level in levels),
        *_marks(marks, dots, places),
        *_line(dots, places, y),
        *_dots(dots, places, y),
        *_dates(dots, places),
    ]
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="chart-title chart-summary">'
        '<title id="chart-title">{}</title><desc id="chart-summary">{}</desc>{}</svg>'
    ).format(WIDTH, HEIGHT, title, summary, Markup().join(inside))


def sparkline(values: Sequence[float | None], summary: str) -> Markup:
    """A small line without axes; nothing if there are not two values. `summary`: what it says, in a sentence."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup()
    low, high = min(known), max(known)

    def y(value: float) -> float:
        part = (value - low) / (high - low) if high > low else 0.5
        return round(SPARK_HEIGHT - SPARK_EDGE - part * (SPARK_HEIGHT - 2 * SPARK_EDGE), 1)

    places = [_x(i, len(values), SPARK_WIDTH, SPARK_EDGE) for i in range(len(values))]
    pairs = [None if value is None else (x, y(value)) for x, value in zip(places, values, strict=True)]
    last = [Markup('<circle class="last" cx="{}" cy="{}" r="3"/>').format(*pairs[-1])] if pairs[-1] else []
    return Markup('<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        SPARK_WIDTH, SPARK_HEIGHT, summary, Markup().join([*_path(pairs), *last])
    )


def _x(i: int, count: int, width: float, edge: float) -> float:
    return round(edge + (width - 2 * edge) * (i / (count - 1) if count > 1 else 0.5), 1)


def _grid(bottom: float, top: float, step: float, y: Y, shown: Callable[[float], str]) -> Iterator[Markup]:
    for i in range(round((top - bottom) / step) + 1):
        value = bottom + i * step
        yield Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/><text x="0" y="{}">{}</text>').format(
            WIDTH, y(value), y(value), y(value) - 4, shown(value)
        )


def _level(level: Level, y: Y) -> Markup:
    return Markup('<line class="level {}" x1="0" x2="{}" y1="{}" y2="{}"/>').format(
        level.kind, WIDTH, y(level.value), y(level.value)
    )


def drawn(marks: Sequence[Mark], dots: Sequence[Dot]) -> list[Mark]:
    """The marks that lie within the times of a chart."""
    return [mark for mark in marks if dots and dots[0].at <= mark.at <= dots[-1].at]


def _marks(marks: Sequence[Mark], dots: Sequence[Dot], places: Sequence[float]) -> Iterator[Markup]:
    times = [dot.at.timestamp() for dot in dots]
    for number, mark in enumerate(drawn(marks, dots), 1):
        at = mark.at.timestamp()
        after = min(bisect_left(times, at), len(times) - 1)
        before = max(after - 1, 0)
        part = (at - times[before]) / (times[after] - times[before]) if times[after] > times[before] else 0.0
        x = round(places[before] + part * (places[after] - places[before]), 1)
        yield Markup(
            '<g><title>{:%Y-%m-%d}: {}</title><line class="mark" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            '<circle class="mark" cx="{}" cy="{}" r="8"/>'
            '<text class="mark" x="{}" y="{}" text-anchor="middle">{}</text></g>'
        ).format(mark.at, mark.text, x, x, TOP, HEIGHT - BOTTOM, x, TOP, x, TOP + 4, number)


def _line(dots: Sequence[Dot], places: Sequence[float], y: Y) -> Iterator[Markup]:
    yield from _path([None if d.value is None else (x, y(d.value)) for x, d in zip(places, dots, strict=True)])


def _path(pairs: Sequence[tuple[float, float] | None]) -> Iterator[Markup]:
    """A line through points, with gaps where there is none."""
    for known, run in groupby(pairs, key=lambda pair: pair is not None):
        if known:
            points = " ".join(f"{pair[0]},{pair[1]}" for pair in run if pair)
            yield Markup('<polyline class="line" points="{}"/>').format(points)


def _dots(dots: Sequence[Dot], places: Sequence[float], y: Y) -> Iterator[Markup]:
    for x, dot in zip(places, dots, strict=True):
        if dot.value is not None:
            kind = "last" if dot is dots[-1] else "dot"
            yield Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{:%Y-%m-%d}: {}</title></circle>').format(
                kind, x, y(dot.value), 5 if kind == "last" else 3, dot.at, dot.text
            )


def _dates(dots: Sequence[Dot], places: Sequence[float]) -> Iterator[Markup]:
    """The first, the middle and the last date."""
    middle = len(dots) // 2
    for i, anchor in ((0, "start"), (middle, "middle"), (len(dots) - 1, "end")):
        x = {"start": 0, "end": WIDTH}.get(anchor, places[i])
        yield Markup('<text class="date" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            x, HEIGHT - 8, anchor, escape(f"{dots[i].at:%-d %b}")
        )
