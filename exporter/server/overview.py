"""What the landing page shows: is automation paying off, what is beyond a threshold, and can the values be believed."""

from collections import Counter
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from exporter.catalogue.group import GROUPS
from exporter.catalogue.kpi import Kpi
from exporter.evaluation.plan import Setting
from exporter.explain.breaches import SEVERITIES
from exporter.explain.wording import against, difference, value, why
from exporter.server.board import Board, Row
from exporter.server.cards import NO_SOURCE, UNSURE, chip, level_of, limits, records
from exporter.server.sources import SourceLine, worst_first
from exporter.server.view import link

MOST_TILES = 12
MOST_CERTAIN, MOST_UNSURE = 8, 4
"""How many breaches the first screen has room for; /kpis has all."""
FEWEST_TILES = 6
"""Where fewer headlines have a source, drivers follow."""


def overview(board: Board | None, lines: Sequence[SourceLine], not_reloaded: str = "") -> dict[str, Any]:
    """The page, without what the server itself knows. `not_reloaded`: why a changed config is not in use."""
    beyond = board.breaches if board else []
    certain, unsure = [each for each in beyond if each.certain], [each for each in beyond if not each.certain]
    return {
        "troubled": [each for each in worst_first(lines) if each.level != "good"],
        "fresh": [each for each in worst_first(lines) if each.level == "good"],
        "source_counts": source_counts(lines),
        "not_reloaded": not_reloaded,
        "tiles": [tile(setting, board) for setting in chosen(board)] if board else [],
        "certain": [chip(each, board.plan) for each in certain[:MOST_CERTAIN]] if board else [],
        "unsure": [chip(each, board.plan) for each in unsure[:MOST_UNSURE]] if board else [],
        "more_certain": max(0, len(certain) - MOST_CERTAIN),
        "more_unsure": max(0, len(unsure) - MOST_UNSURE),
        "teams_beyond": [each for each in dict.fromkeys(each.team for each in certain) if each],
        "critical": sum(each.severity == "critical" for each in certain),
        "warning": sum(each.severity == "warning" for each in certain),
        "judged": board is not None and any(map(judged, board.plan.settings, repeat(board))),
        "most_series": board.most_series if board else 0,
        "combined": sum(board.combined.values()) if board else 0,
    }


def judged(setting: Setting, board: Board) -> bool:
    """Whether a KPI has a threshold, and a value that is compared with it."""
    return setting.has_threshold and bool(valued(board.totals.get(setting.kpi.name, ())))


def source_counts(lines: Sequence[SourceLine]) -> list[tuple[int, str]]:
    """(how many, state) of the sources, worst first."""
    counts = Counter(each.state for each in worst_first(lines))
    return [(count, state) for state, count in counts.items()]


def chosen(board: Board) -> list[Setting]:
    """The KPIs of the first screen: headlines, and where few of those have a source, drivers that have a value."""
    order = [*GROUPS, None]
    settings = sorted(board.plan.settings, key=lambda setting: order.index(setting.kpi.group))
    fed = [s for s in settings if any(row.get("absent") != NO_SOURCE for row in board.totals.get(s.kpi.name, ()))]
    headlines = [each for each in fed if each.kpi.tier == "headline"]
    drivers = [s for s in fed if s.kpi.tier != "headline" and valued(board.totals[s.kpi.name])]
    drivers.sort(key=lambda setting: (setting.kpi.tier != "driver", not setting.has_threshold))
    return [*headlines, *drivers[: max(0, FEWEST_TILES - len(headlines))]][:MOST_TILES]


def valued(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a value."""
    return [row for row in rows if not row.get("absent")]


def tile(setting: Setting, board: Board) -> dict[str, Any]:
    """A KPI on the first screen: its value over all segments, and how it has changed."""
    kpi, rows = setting.kpi, board.totals[setting.kpi.name]
    mine = [row for row in valued(rows) if row["split"].get("basis", setting.basis) == setting.basis]
    beyond = [each for each in board.breaches if each.kpi == kpi.name]
    row = max(mine, key=lambda each: each["value"] or 0, default=None)
    window = (row and row["window"]) or "now"
    said = against(dict(row)) if row else ""
    own = said if said in SEVERITIES else UNSURE if "beyond" in said else ""
    currency = row["split"].get("currency") if row else None
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
        "change": change(row, kpi) if row else None,
        "level": level_of([{"level": own}], beyond),
        "own": own,
        "teams": [each for each in dict.fromkeys(each.team for each in beyond if each.certain) if each],
    }


def detail(row: Row, others: int) -> str:
    """What a value is of, and of how many other things there are values that make no sum with it."""
    of = [text.replace("_", " ") for label, text in row["split"].items() if label not in ("basis", "currency")]
    more = [f"and {others} more"] if others > 0 else []
    return " ".join((*of, *more))


def change(row: Row, kpi: Kpi) -> dict[str, str] | None:
    """The difference from the first baseline that there is, and whether it is for the better."""
    for each in row["baselines"]:
        amount = each["difference"]
        if amount is not None:
            better = {"higher": amount > 0, "lower": amount < 0}.get(kpi.better)
            arrow = "→" if not amount else "↗" if amount > 0 else "↘"
            way = "" if better is None or not amount else "better" if better else "worse"
            words = difference(each, row["unit"])
            return {"text": f"{arrow} {words}", "way": way, "baseline": each["baseline"].replace("_", " ")}
    return None
