"""Which KPIs a report shows first, and which changes it tells in full."""

from collections.abc import Mapping, Sequence

from exporter.catalogue.group import Tier
from exporter.report.content import Line, Told
from exporter.report.reader import Interest

MOST = 3
"""Drivers, and controls, in a report."""
MOST_STORIES = 2
"""Changes of KPIs beside the headline, drivers and controls that are told in full; the others are in one line."""


def chosen(lines: Mapping[str, Line], interest: Interest) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Headline, drivers and controls."""
    taken: set[str] = set()
    found: list[tuple[str, ...]] = []
    wanted: tuple[tuple[Tier, Sequence[str], int], ...] = (
        ("headline", interest.headline, 1),
        ("driver", interest.drivers, MOST),
        ("control", interest.controls, MOST),
    )
    for tier, first, most in wanted:
        others = [line.kpi for line in lines.values() if line.tier == tier and clear(line)]
        moved = [name for name in others if tier == "control" and lines[name].moved]
        order = [*(name for name in moved if name in first), *first, *moved, *others]
        names = [each for each in dict.fromkeys(order) if each in lines and each not in taken][:most]
        taken |= {*names}
        found.append(tuple(names))
    return found[0], found[1], found[2]


def told(moved: Sequence[Line], which: str, shown: Sequence[str], most: int) -> Told:
    """The changes that are told in full, and the others. `most`: so many of KPIs that are not shown are in full."""
    names = [line.kpi for line in moved if way(line) == which]
    others = [name for name in names if name not in shown]
    full = [name for name in names if name in shown or name in others[:most]]
    return Told(full=tuple(full), short=tuple(others[most:]))


def way(line: Line) -> str:
    """Whether a line got better or worse; by its most telling segment where the whole did not change."""
    if line.better == "none":
        return ""
    changed = line.change
    if not changed or changed.verdict not in ("rose", "fell"):
        segments = line.split.changed if line.split else ()
        changed = segments[0].change if segments else None
    if changed is None:
        return ""
    return "better" if (changed.verdict == "rose") == (line.better == "higher") else "worse"


def rank(line: Line, shown: Sequence[str]) -> tuple[int, bool, float]:
    """Changes of what is shown first, then of what has most to do with the reader, then the least likely ones."""
    tiers = {"headline": 0, "driver": 1, "control": 1}
    p = line.change.p if line.change and line.change.p is not None else 1.0
    return tiers.get(line.tier or "", 2), line.kpi not in shown, p


def clear(line: Line) -> bool:
    """Whether a line is of all there is: of three claims, one says little."""
    return not line.of
