"""What the landing page shows: is automation paying off, what is beyond a threshold, and can the values be believed."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from exporter.catalogue.group import GROUPS
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.breach import target as target_of
from exporter.evaluation.plan import Setting
from exporter.explain.breaches import SEVERITIES
from exporter.explain.history import WEEKS, History, Point, windows_of
from exporter.explain.wording import WHY, against, difference, value, why
from exporter.server.board import Board, Row
from exporter.server.cards import NO_SOURCE, UNSURE, chip, level, level_of, limits, records
from exporter.server.chart import sparkline
from exporter.server.sources import SourceLine, worst_first
from exporter.server.view import link

BASELINES = {
    "previous": "the window before",
    "weekday_median": "the usual weekday",
    "control": "the control group",
    "fixed": "the fixed period",
}
"""What a value is compared with, in words."""
Past = Callable[[Collection[str], str], Mapping[str, History]]
MOST_TILES = 12
MOST_CERTAIN, MOST_UNSURE = 8, 4
"""How many breaches the first screen has room for; /kpis has all."""
UNWATCHED = {NO_SOURCE, "no_records", "switched_off", "no_team_label"}
"""Why a KPI has no value where nothing is wrong."""
FEWEST_TILES = 6
"""Where fewer headlines have a source, drivers follow."""


def overview(
    board: Board | None,
    lines: Sequence[SourceLine],
    histories: Past = lambda *_: {},
    not_reloaded: str = "",
    loaded_at: datetime | None = None,
) -> dict[str, Any]:
    """The page, without what the server itself knows. `loaded_at`: when the config in use was loaded;
    `not_reloaded`: why a changed one is not in use.

    `histories`: gives those of some KPIs in a window, as far as they are ready.
    """
    beyond = board.breaches if board else []
    certain, unsure = [each for each in beyond if each.certain], [each for each in beyond if not each.certain]
    return {
        "troubled": [each for each in worst_first(lines) if each.level != "good"],
        "fresh": [each for each in worst_first(lines) if each.level == "good"],
        "syncing": any(each.state == "first sync" for each in lines),
        "source_counts": source_counts(lines),
        "not_reloaded": not_reloaded,
        "loaded_at": loaded_at,
        "tiles": tiles(board, histories) if board else [],
        "certain": [chip(each, board.plan) for each in certain[:MOST_CERTAIN]] if board else [],
        "unsure": [chip(each, board.plan) for each in unsure[:MOST_UNSURE]] if board else [],
        "more_certain": max(0, len(certain) - MOST_CERTAIN),
        "more_unsure": max(0, len(unsure) - MOST_UNSURE),
        "teams_beyond": [each for each in dict.fromkeys(each.team for each in certain) if each],
        "critical": sum(each.severity == "critical" for each in certain),
        "warning": sum(each.severity == "warning" for each in certain),
        "judged": sum(judged(setting, board) for setting in board.plan.settings) if board else 0,
        "not_certain": len(unsure),
        "withheld": withheld(board) if board else [],
        "most_series": board.most_series if board else 0,
        "combined": sum(board.combined.values()) if board else 0,
    }


def judged(setting: Setting, board: Board) -> bool:
    """Whether a KPI has a threshold, and a value that is compared with it."""
    rows = valued(board.totals.get(setting.kpi.name, ()))
    return setting.has_threshold and any(row["value"] is not None for row in rows)


def withheld(board: Board) -> list[tuple[int, str]]:
    """(how many, why) of the KPIs with a threshold whose records come from a source, and that have no value now."""
    unjudged = (each for each in board.plan.settings if each.chosen and each.has_threshold and not judged(each, board))
    reasons = Counter(_withheld(each, board) for each in unjudged)
    return [(count, WHY[reason]) for reason, count in sorted(reasons.items()) if reason not in UNWATCHED]


def _withheld(setting: Setting, board: Board) -> str:
    row = next(iter(board.totals.get(setting.kpi.name, ())), None)
    return "no_records" if row is None else row.get("absent") or "no_records"


def source_counts(lines: Sequence[SourceLine]) -> list[tuple[int, str]]:
    """(how many, state) of the sources, worst first."""
    counts = Counter(each.state for each in worst_first(lines))
    return [(count, state) for state, count in counts.items()]


def chosen(board: Board) -> list[Setting]:
    """The KPIs of the first screen: headlines, and where few of those have a source, drivers that have a value."""
    order = [*GROUPS, None]
    settings = sorted(board.plan.settings, key=lambda setting: order.index(setting.kpi.group))
    fed = [
        s
        for s in settings
        if s.chosen and any(row.get("absent") != NO_SOURCE for row in board.totals.get(s.kpi.name, ()))
    ]
    headlines = [each for each in fed if each.tier == "headline"]
    drivers = [s for s in fed if s.tier != "headline" and valued(board.totals[s.kpi.name])]
    drivers.sort(key=lambda setting: (setting.tier != "driver", not setting.has_threshold))
    headlines.sort(key=lambda setting: not valued(board.totals[setting.kpi.name]))
    return [*headlines, *drivers[: max(0, FEWEST_TILES - len(headlines))]][:MOST_TILES]


def valued(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a value."""
    return [row for row in rows if not row.get("absent")]


def tiles(board: Board, histories: Past) -> Sequence[Row]:
    """The KPIs of the first screen."""
    settings = chosen(board)
    past: dict[str, History] = {}
    for window, names in windows_of(board.plan, [setting.kpi for setting in settings]).items():
        past |= histories(names, window)
    shown = tuple((name, past[name].hour) for name in sorted(past))
    if shown not in board.tiles:
        board.tiles.clear()
        board.tiles[shown] = [tile(setting, board, past.get(setting.kpi.name)) for setting in settings]
    return board.tiles[shown]


def tile(setting: Setting, board: Board, history: History | None) -> dict[str, Any]:
    """A KPI on the first screen: its value over all segments, and how it has changed."""
    kpi, rows = setting.kpi, board.totals[setting.kpi.name]
    mine = [row for row in valued(rows) if row["split"].get("basis", setting.basis) == setting.basis]
    beyond = [each for each in board.breaches if each.kpi == kpi.name]
    row = max(mine, key=lambda each: each["value"] or 0, default=None)
    window = (row and row["window"]) or "now"
    said = against(dict(row)) if row else ""
    own = said if said in SEVERITIES else UNSURE if "beyond" in said else ""
    worst = level_of([{"level": own}], beyond)
    currency = row["split"].get("currency") if row else None
    target = target_of(setting, tuple(row["split"].items()) if row else ())
    points = history.points(board.plan, row["split"], board.evaluation) if history and row else []
    shown, _, more = value({**row, "currency": currency}).partition(" (") if row else ("no value", "", "")
    return {
        "kpi": kpi.name,
        "title": kpi.title,
        "href": link(kpi.name, **(row["split"] if row else {}), window=row["window"] if row else None),
        "value": shown,
        "detail": " ".join(filter(None, (more.removesuffix(")"), detail(row, len(mine) - 1) if row else ""))),
        "absent": "" if row else why(rows[0], window),
        "records": "" if row is None or row["records"] is None else records(row["records"]),
        "window": window,
        "limits": limits(setting, rows[0]["unit"]),
        "target": "" if target is None else value({"value": target, "unit": rows[0]["unit"], "currency": currency}),
        "change": change(row, kpi, points) if row else None,
        "line": trend(points, kpi, rows[0]["unit"]),
        "level": worst,
        "own": own,
        "teams": [*dict.fromkeys(each.team for each in beyond if each.team and level(each) == worst)],
    }


def detail(row: Row, others: int) -> str:
    """What a value is of, and of how many other things there are values that make no sum with it."""
    of = [text.replace("_", " ") for label, text in row["split"].items() if label not in ("basis", "currency")]
    more = [f"and {others} more"] if others > 0 else []
    return " ".join((*of, *more))


def change(row: Row, kpi: Kpi, points: Sequence[Point]) -> dict[str, str] | None:
    """The difference from the first baseline that there is, else from the oldest of the last weeks; which way it is."""
    for each in row["baselines"]:
        if each["difference"] is not None:
            return _changed(each["difference"], row, kpi, BASELINES.get(each["baseline"], each["baseline"]))
    known = [i for i, point in enumerate(points[:-1]) if point.value is not None]
    if not known or row["value"] is None:
        return None
    then, weeks = points[known[0]].value or 0.0, len(points) - 1 - known[0]
    ago = f"{weeks} week{'s' if weeks > 1 else ''} ago"
    return _changed(row["value"] - then, row, kpi, ago)


def _changed(amount: float, row: Row, kpi: Kpi, with_what: str) -> dict[str, str]:
    unit = row["unit"]
    words = difference({"difference": amount}, unit)
    if row["person_day_seconds"]:
        words = f"{amount / 3600:+,.1f} h"
    if not any(sign in "123456789" for sign in words):
        return {"text": "→ unchanged", "way": "", "baseline": with_what}
    better = {"higher": amount > 0, "lower": amount < 0}.get(kpi.better)
    way = "" if better is None else "better" if better else "worse"
    return {"text": f"{'↗' if amount > 0 else '↘'} {words}", "way": way, "baseline": with_what}


def trend(points: Sequence[Point], kpi: Kpi, unit: str) -> Markup:
    """The last weeks as a small line; what it shows is said in words, too."""
    known = [point.value for point in points if point.value is not None]
    if len(known) < 2:
        return Markup()
    first, last = (value({"value": number, "unit": unit}) for number in (known[0], known[-1]))
    return sparkline([point.value for point in points], f"{kpi.title} over {WEEKS} weeks: from {first} to {last}")
