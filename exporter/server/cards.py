"""What /kpis shows: a card for each KPI, by group, what is beyond a threshold first."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exporter.catalogue.group import GROUPS, TIERS
from exporter.catalogue.kpi import parts
from exporter.evaluation.breach import target as target_of
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.plan import NOBODY, Plan, Setting
from exporter.explain.breaches import SEVERITIES, TEAM, Breach, window_of
from exporter.explain.wording import WHY, against, baseline, doubts, value, why, with_median, withdrawn
from exporter.publish.families import unit as unit_of
from exporter.server.board import Board, Row
from exporter.server.view import link

NO_SOURCE = "no_source"
UNSURE = "unsure"
LEVELS = (*SEVERITIES, UNSURE, "")
"""Worst first."""
BADGES = {"critical": "✗ critical", "warning": "▲ warning", UNSURE: "? not certain"}
OTHER = "other"
ABOUT: Mapping[str, str] = dict([*GROUPS.items(), (OTHER, "KPIs of your own.")])


def listing(board: Board | None, plan: Plan, team: str = "", search: str = "") -> dict[str, Any]:
    """The page: groups of cards, then the cards without a source. `search`: words that a card must have to be shown."""
    rows = {} if board is None else board.of_team(team) if team else board.of_all
    beyond = [] if board is None else [each for each in board.breaches if not team or each.team == team]
    cards = [
        card(setting, plan, rows.get(setting.kpi.name, ()), [b for b in beyond if b.kpi == setting.kpi.name], team)
        for setting in plan.settings
        if setting.chosen
    ]
    words = search.lower().split()
    for each in cards:
        if board is None:
            each["absent"] = "nothing has been computed yet"
        each["hidden"] = not all(word in each["text"] for word in words)
    unfed = [each for each in cards if each["reason"] == NO_SOURCE]
    fed = [each for each in cards if each["reason"] != NO_SOURCE]
    if team:
        # Of a KPI that is not computed by team there is nothing to say here.
        fed = [each for each in fed if each["standing"] or each["by_team"]]
    return {
        "team": team,
        "teams": [] if board is None else board.teams,
        "search": search,
        "groups": grouped(fed),
        "unfed": unfed,
        "count": len(fed) + len(unfed),
        "shown": sum(not each["hidden"] for each in (*fed, *unfed)),
        "others": len(cards) - len(fed) - len(unfed),
    }


def grouped(cards: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cards by group: those with the worst card first, and of each the worst card first."""
    by_group: dict[str, list[dict[str, Any]]] = {}
    tiers = [*TIERS, None]
    for each in sorted(
        cards, key=lambda card: (LEVELS.index(card["level"]), not card["standing"], tiers.index(card["tier"]))
    ):
        by_group.setdefault(each["group"], []).append(each)
    order = [*GROUPS, OTHER]
    ranked = sorted(by_group.items(), key=lambda item: (LEVELS.index(item[1][0]["level"]), order.index(item[0])))
    return [
        {
            "name": name,
            "about": ABOUT[name],
            "cards": of,
            "hidden": all(each["hidden"] for each in of),
        }
        for name, of in ranked
    ]


def card(
    setting: Setting, plan: Plan, rows: Sequence[Row], beyond: Sequence[Breach] = (), team: str = ""
) -> dict[str, Any]:
    """A KPI in words, with its values in the window that alerts look at, and the teams that are beyond a threshold."""
    kpi = setting.kpi
    window = window_of(setting, plan)
    standing = [_standing(row) for row in rows if not row.get("absent") and row.get("window") in (window, None)]
    absent = next((row["absent"] for row in rows if row.get("absent")), None)
    reason = next((why(row) for row in rows if row.get("absent")), None if rows else WHY["no_records"])
    at = window if kpi.windowed else "now"
    if rows and not standing and not reason and withdrawn(rows[0], at):
        reason = why(rows[0], at)
    coverage = rows[0]["coverage"] if rows else {}
    unit = kpi.unit or unit_of(kpi)
    group = kpi.group or OTHER
    target = target_of(setting, ((TEAM, team),) if team else ())
    return {
        "kpi": kpi.name,
        "group": group,
        "tier": setting.tier,
        "indicator": setting.indicator,
        "title": kpi.title,
        "help": kpi.help,
        "series": kpi.series,
        "by_team": TEAM in compile_plan(plan).by_name[kpi.name].labels,
        "needs": [record.replace("_", " ") for record in kpi.needs],
        "computed_from": [*map(str, parts(kpi).values())],
        "guard": [name for name in kpi.guard if name in plan.kpis and compile_plan(plan).settings[name].chosen],
        "limits": limits(setting, unit),
        "better": kpi.better,
        "target": "" if target is None else value({"value": target, "unit": unit}),
        "owners": owners(setting),
        "window": at,
        "standing": standing,
        "beyond": [chip(each, plan) for each in beyond],
        "level": level_of(standing, beyond),
        "reason": absent,
        "absent": reason,
        "doubts": doubts({**rows[0], "window": None if at == "now" else at}, at) if standing else [],
        "fields": [
            f"{name} ({by_window[at]:.1%})" if by_window.get(at, 1) < 1 else name
            for name, by_window in coverage.items()
        ],
        "href": link(kpi.name, team=team if standing else ""),
        "text": text(setting),
    }


def owners(setting: Setting) -> list[tuple[str, str]]:
    """(what for, name) of those who own a KPI."""
    named = {
        "Business owner": setting.business_owner,
        "Technical owner": setting.technical_owner,
        "Owner": setting.owner,
    }
    return [(role, name) for role, name in named.items() if name != NOBODY]


def text(setting: Setting) -> str:
    """What a search looks at."""
    kpi = setting.kpi
    words = (kpi.title, kpi.name, kpi.help, kpi.group or "", setting.tier or "", kpi.record)
    return " ".join((*words, *(name for _, name in owners(setting)))).lower()


def _standing(row: Row) -> dict[str, Any]:
    judged = against(dict(row))
    return {
        "split": ", ".join(row["split"].values()),
        "value": with_median(dict(row)),
        "records": "" if row["records"] is None else records(row["records"]),
        "level": judged if judged in SEVERITIES else UNSURE if "beyond" in judged else "",
        "baselines": [(each["baseline"].replace("_", " "), baseline(each, row["unit"])) for each in row["baselines"]],
    }


def level_of(standing: Sequence[Mapping[str, Any]], beyond: Sequence[Breach]) -> str:
    """The worst of all values and teams."""
    levels = [each["level"] for each in standing] + [level(each) for each in beyond]
    return min(levels, key=LEVELS.index, default="")


def level(breach: Breach) -> str:
    """How bad a breach is."""
    return breach.severity if breach.certain else UNSURE


def records(count: float) -> str:
    """`1 record`, `412 records`."""
    return f"{count:,.10g} record{'' if count == 1 else 's'}"


def limits(setting: Setting, unit: str) -> list[str]:
    """`warning below 30.0%`, `critical below 15.0%`."""
    side = "above" if setting.kpi.better == "lower" else "below"
    levels = setting.threshold.model_dump(exclude_none=True)
    return [f"{severity} {side} {value({'value': limit, 'unit': unit})}" for severity, limit in levels.items()]


def chip(breach: Breach, plan: Plan) -> dict[str, Any]:
    """A breach in words, with the page that explains it."""
    kpi = plan.kpis[breach.kpi]
    unit = kpi.unit or unit_of(kpi)
    side = "above" if kpi.better == "lower" else "below"
    others = {label: text for label, text in breach.segment.items() if label not in (TEAM, "basis", "currency")}
    which = ", ".join(filter(None, (breach.team, *others.values())))
    currency = breach.segment.get("currency")
    limit = value({"value": breach.limit, "unit": unit, "currency": currency})
    return {
        "kpi": kpi.name,
        "title": kpi.title,
        "which": which,
        "value": value({"value": breach.value, "unit": unit, "currency": currency}),
        "limit": f"{breach.severity} {side} {limit}",
        "records": "" if breach.records is None else records(breach.records),
        "window": breach.window or "now",
        "level": level(breach),
        "href": link(kpi.name, **breach.segment, window=breach.window),
    }
