"""Dashboards: the lint of grafana/dashboard-linter and ours, Grafana's own schema, and what the queries answer."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, combinations, pairwise
from math import sqrt
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import promql_parser as promql
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.catalogue.kpi import NON_ADDITIVE, Kpi, catalogue, value_labels
from exporter.evaluation.stats import Z95, wilson
from exporter.explain.query import question
from exporter.records.labels import LABELS
from exporter.render import WINDOWS
from exporter.render.dashboards import every_panel, queries
from exporter.server.handlers import ANY
from tests import scenario
from tests.json_schema import faults as schema_faults
from tests.promql import compares, faults, paths

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "dashboards").glob("*.json"))
SHOWN = {path.stem: json.loads(path.read_text()) for path in PATHS}
SCHEMA = ROOT.parent / "shared/grafana/dashboard.json"
VARIABLES = {"kpi": "escalation_ratio", "stem": "escalation"} | {
    "job": ".+",
    "team": ".+",
    "segment": ".+",
    "split": "channel",
    "baseline": "previous",
    "window": "7d",
    "basis": "calendar",
    "currency": "EUR",
    "datasource": "prometheus",
}
FALSE_ALARMS = (
    r"fieldConfig\.defaults\.links\[",  # the schema takes links of data for links between dashboards
    r"annotations\.list\[\d+\]: (expr|step|titleFormat|tagKeys) is not known",  # Prometheus' own fields
    r"overrides\[\d+\]\.(matcher\.options|properties\[\d+\]\.value): .+ is no object",  # of any type, really
)
UNITS = {"percentunit", "short", "locale", *(f"suffix: {unit}" for unit in ("min", "h", "d", "/ day")), "s", "bytes"}
LINE = 24

SCREEN = 25
"""As many rows of the grid as 1920 x 1080 shows below the menus."""
views = pytest.mark.parametrize(
    "shown",
    [each for name, each in SHOWN.items() if name != "any-kpi"],
    ids=[name for name in SHOWN if name != "any-kpi"],
)
dashboards = pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN.keys())


def excluded(rule: str, title: str) -> bool:
    """Whether dashboards/.lint excuses a dashboard from a rule, with a reason."""
    entry = yaml.safe_load((ROOT / "dashboards/.lint").read_text())["exclusions"].get(rule)
    return bool(entry and entry["reason"] and {"dashboard": title} in entry["entries"])


def panels(shown: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All that ask for something."""
    return [panel for panel in every_panel(shown) if panel["type"] != "text"]


def first_screen(shown: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is there before any heading."""
    tops = [panel["gridPos"]["y"] for panel in shown["panels"] if panel["type"] == "row"]
    return [panel for panel in shown["panels"] if panel["type"] != "row" and panel["gridPos"]["y"] < min(tops)]


def variable(shown: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [v for v in shown["templating"]["list"] if v["name"] == name]
    assert len(found) == 1, f"{len(found)} variables are called {name}"
    return found[0]


def strings(value: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def test_every_view_has_its_dashboard_and_the_other_way_round() -> None:
    views = {path.stem for path in (ROOT / "dashboards/views").glob("*.yaml")}

    assert {path.stem for path in PATHS} == {*views, "any-kpi"}
    assert "core-operations" in views
    assert SHOWN["core-operations"]["uid"] == "outcome-core-operations"


@dashboards
def test_it_is_a_classic_dashboard_that_nobody_edits_in_place(shown: Mapping[str, Any]) -> None:
    assert shown["schemaVersion"] == 39, "Grafana 10 knows no later one, and 13 migrates from it"
    assert shown["id"] is None
    assert shown["editable"] is False
    assert re.fullmatch(r"outcome-[a-z-]{1,32}", shown["uid"])
    assert "outcome" in shown["tags"]
    assert shown["description"] != ""
    assert {"version", "__inputs", "__requires"} & set(shown) == set()


@dashboards
def test_variables_are_as_dashboard_linter_wants_them(shown: Mapping[str, Any]) -> None:
    source = variable(shown, "datasource")

    assert [v["name"] for v in shown["templating"]["list"] if v["type"] == "datasource"] == ["datasource"]
    assert (source["label"], source["query"], source["current"]["value"]) == ("Data source", "prometheus", "default")
    for name in ("job", "team"):
        asked = variable(shown, name)
        assert (asked["type"], asked["label"], asked["multi"], asked["allValue"]) == ("query", name.title(), True, ".+")
        assert asked["datasource"]["uid"] == "${datasource}"
        assert asked["refresh"] == 2, "on time range change"
        selector = re.fullmatch(r"label_values\((.+), \w+\)", asked["query"])
        assert selector is not None
        assert "does not parse" not in " ".join(faults(selector[1].replace("$job", ".+")))
    assert variable(shown, "window")["query"].split(",") == list(WINDOWS)
    assert variable(shown, "basis")["query"] == "calendar,business,calendar_active,business_active"
    assert variable(shown, "basis")["current"]["value"] == "calendar"
    assert "instance" in [v["name"] for v in shown["templating"]["list"]] or excluded(
        "template-instance-rule", shown["title"]
    )


@dashboards
def test_every_panel_says_what_it_shows_and_in_which_unit(shown: Mapping[str, Any]) -> None:
    for panel in panels(shown):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"].strip() != "" or panel["transparent"], panel["description"]
        assert len(panel["description"]) > 40 or not panel["title"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["targets"] != [], panel["title"]
        assert defaults["unit"] in UNITS, panel["title"]
        assert "noValue" in defaults, panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@dashboards
def test_every_query_keeps_the_rules_of_the_house(shown: Mapping[str, Any]) -> None:
    found = {(title, fault) for title, expr in queries(shown, VARIABLES) for fault in faults(expr)}

    # The worst team is another one now and then, which is what a panel is to show.
    assert {(title, fault) for title, fault in found if "a set that changes by itself" not in fault} == set()


@dashboards
def test_every_query_asks_for_the_chosen_job_and_team(shown: Mapping[str, Any]) -> None:
    chosen = VARIABLES | {"job": "chosen-job.+", "team": "chosen-team.+"}
    of_kpis = {name for kpi in catalogue().values() for name in kpi.all_series}
    for title, expr in queries(shown, chosen):
        found = [path[-1] for path in paths(promql.parse(expr)) if isinstance(path[-1], promql.VectorSelector)]
        assert found != [] or "vector(NaN)" in expr, title
        for selector in found:
            asked = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
            assert asked["job"] == chosen["job"], title
            if selector.name in of_kpis:
                # Money and tools belong to no team; where teams are shown side by side, there has to be one.
                assert asked["team"] in (chosen["team"], chosen["team"] + "|"), title
    assert excluded("target-instance-rule", shown["title"])


@dashboards
def test_rates_are_over_the_interval_that_grafana_chooses(shown: Mapping[str, Any]) -> None:
    expressions = [target["expr"] for panel in panels(shown) for target in panel["targets"]]

    of_rates = [e for e in expressions if re.search(r"\b(rate|irate|increase)\(", e)]
    assert [e for e in of_rates if "$__rate_interval" not in e and "$__range" not in e] == []


@dashboards
def test_nothing_of_one_installation_is_in_it(shown: Mapping[str, Any]) -> None:
    sources = [part["datasource"]["uid"] for part in walk(shown) if isinstance(part.get("datasource"), dict)]

    assert len(sources) > 30
    assert set(sources) == {"${datasource}", "-- Grafana --"}


def walk(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a document."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)


@dashboards
def test_panels_have_ids_of_their_own_and_do_not_overlap(shown: Mapping[str, Any]) -> None:
    ids = [panel["id"] for panel in (*shown["panels"], *panels(shown)) if "id" in panel]
    everything = {id(panel): panel for panel in (*shown["panels"], *panels(shown))}.values()

    assert len({panel["id"] for panel in everything}) == len(everything) > 8, ids
    closed = [row["panels"] for row in shown["panels"] if row["type"] == "row" and row["collapsed"]]
    for group in (shown["panels"], *closed):
        for a, b in combinations([panel["gridPos"] for panel in group], 2):
            apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)
        assert all(0 <= place["x"] <= place["x"] + place["w"] <= LINE for place in (p["gridPos"] for p in group))
    tops = [row["gridPos"]["y"] for row in shown["panels"] if row["type"] == "row"]
    assert all(above < below for above, below in pairwise(tops))


@views
def test_the_first_screen_answers_without_scrolling(shown: Mapping[str, Any]) -> None:
    first = first_screen(shown)
    asked = " ".join(target["expr"] for panel in first for target in panel.get("targets", ()))

    assert max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in first) <= SCREEN
    assert "outcome_source_" in asked, "whether it can be believed"
    assert all(p["gridPos"]["w"] >= 3 for p in panels(shown) if p["type"] == "stat")


@dashboards
def test_type_has_one_size_for_each_role(shown: Mapping[str, Any]) -> None:
    tiles = [panel for panel in panels(shown) if panel["type"] in ("stat", "bargauge")]

    assert {panel["options"]["text"]["valueSize"] for panel in tiles} <= {36, 24, 16}
    assert {panel["options"]["text"]["titleSize"] for panel in tiles} <= {14}


@views
def test_a_value_that_is_absent_says_why(shown: Mapping[str, Any]) -> None:
    tiles = [p for p in panels(shown) if p["type"] == "stat" and p["title"] and "there is no value" in p["description"]]

    for panel in tiles:
        said = panel["targets"][0]["expr"]
        for reason in ("outcome_kpi_absent", "the exporter is not scraped", "its source is stale", "first sync"):
            assert reason in said, panel["title"]
        assert {"nan"} == {m["options"]["match"] for m in panel["fieldConfig"]["defaults"]["mappings"]}
    assert tiles != [] or shown["uid"] == "outcome-exporter-health"


@views
def test_a_headline_is_coloured_by_the_worst_team_and_has_n_target_and_the_value_before(
    shown: Mapping[str, Any],
) -> None:
    kpis = {kpi.title: kpi for kpi in catalogue().values()}
    places = [panel for panel in shown["panels"] if panel["type"] == "stat"]
    below = {(p["gridPos"]["x"], p["gridPos"]["y"]): p for p in places}

    headlines = [p for p in places if p["options"]["graphMode"] == "area"]

    for panel in headlines:
        where = panel["gridPos"]
        details = below[where["x"], where["y"] + where["h"]]
        kpi = kpis.get(panel["title"].removesuffix(" ${currency:raw}"))
        assert [t["legendFormat"] for t in details["targets"]] == ["n", "{{text}}", "before"]
        named = [text for text in ("target", "threshold") if f'"text", "{text}"' in details["targets"][1]["expr"]]
        assert kpi is None or named[-1:] == (["threshold"] if kpi.alerts else ["target"])
        if kpi:
            assert [t["refId"] for t in panel["targets"]] == (["A", "B", "C"] if kpi.alerts else ["A", "B"])


def links(panel: Mapping[str, Any]) -> Iterator[str]:
    """The addresses to which a panel leads, with what tables write into them themselves."""
    addressed = [
        found[0].split("$1")[0]
        for target in panel["targets"]
        for found in re.finditer(r"explain\?kpi=\w+(&basis=\$basis)?", target["expr"])
    ]
    of_fields = [
        p["value"] for rule in panel["fieldConfig"]["overrides"] for p in rule["properties"] if p["id"] == "links"
    ]
    for link in chain(panel["fieldConfig"]["defaults"].get("links", ()), *of_fields):
        for address in addressed or ["?"]:
            yield link["url"].replace("${__data.fields.address:raw}", address)


@dashboards
def test_every_value_leads_to_its_explanation(shown: Mapping[str, Any]) -> None:
    unlinked = {
        panel["title"]
        for panel in panels(shown)
        if panel["title"] and re.search(r"outcome_\w*(_denominator|\$)", str(panel["targets"])) and not [*links(panel)]
    }

    assert unlinked - {"n", "95 % interval", "Thresholds", "By segment"} == set(), "these three stand beside the value"


@dashboards
def test_the_exporter_understands_every_link_whatever_is_chosen(shown: Mapping[str, Any]) -> None:
    plan = scenario.plan({"labels": LABELS})
    of_fields = {"__data.fields.kpi": "escalation_ratio", "__field.labels.basis": "", "basis": "calendar"}

    def chosen(match: re.Match[str]) -> str:
        name = match[1]
        return quote((VARIABLES | of_fields).get(name, "some")) if not name.startswith("explain") else "http://exporter"

    for url in (url for panel in panels(shown) for url in links(panel)):
        address = urlsplit(re.sub(r"\$\{?([\w.\[\]]+)(?::\w+)?\}?", chosen, url))
        if url.startswith("/d/"):  # another dashboard
            continue
        asked = {name: value for name, value in parse_qsl(address.query) if value not in ANY}
        if address.path == "/explain":
            of = question(asked, plan)
            kpi = catalogue()[of.kpi]
            basis = {"basis"} if kpi.business else set()
            labels = {*value_labels(kpi, catalogue(), LABELS), *kpi.numerator_labels, *basis}

            assert {*of.segment} <= labels, url
            assert "window" in asked or not kpi.windowed, url
        else:
            assert address.path in ("/", "/kpis"), url


@dashboards
def test_alerts_cover_no_line_and_no_placeholder_is_linked_to(shown: Mapping[str, Any]) -> None:
    [alerts] = [each for each in shown["annotations"]["list"] if each["name"] == "Alerts"]

    assert alerts["enable"] is False
    assert "example.com" not in json.dumps(shown)


@dashboards
def test_status_is_blue_orange_and_red_and_thresholds_are_dashed(shown: Mapping[str, Any]) -> None:
    colours = {text for text in strings(shown) if text in ("green", "semi-dark-green", "dark-green")}
    with_limits = [p for p in panels(shown) if any(t["legendFormat"] == "warning threshold" for t in p["targets"])]

    assert colours == set(), "blue, orange and red can be told apart by more people"
    for panel in with_limits:
        dashed = [
            rule["matcher"]["options"]
            for rule in panel["fieldConfig"]["overrides"]
            if any(p["id"] == "custom.lineStyle" for p in rule["properties"])
        ]
        wanted = [t["refId"] for t in panel["targets"] if t["legendFormat"].endswith("threshold")]
        assert dashed == wanted, panel["title"]


@dashboards
def test_no_line_has_holes_where_a_history_is_coarse(shown: Mapping[str, Any]) -> None:
    for panel in panels(shown):
        if panel["type"] in ("timeseries", "state-timeline"):
            assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] >= 6 * 3600 * 1000, panel["title"]


def test_every_kpi_with_thresholds_is_in_the_table_of_breaches() -> None:
    table = next(panel for panel in panels(SHOWN["core-operations"]) if panel["title"] == "Beyond a threshold")
    expr = table["targets"][0]["expr"]

    assert compares(queries({"panels": [table]}, VARIABLES)[0][1])
    assert {kpi.name for kpi in catalogue().values() if kpi.alerts} == set(re.findall(r"explain\?kpi=(\w+)", expr))


@pytest.mark.skipif(not SCHEMA.is_file(), reason="Grafana's schema of dashboards is not beside the checkout")
@dashboards
def test_grafana_schema_accepts_it(shown: Mapping[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text())
    found = list(schema_faults(dict(shown) | {"panels": []}, schema, schema))
    for panel in (*shown["panels"], *panels(shown)):
        kind = "RowPanel" if panel["type"] == "row" else "Panel"
        found += schema_faults(dict(panel) | {"panels": []} if kind == "RowPanel" else panel, {"$ref": kind}, schema)

    assert [fault for fault in found if not any(re.search(pattern, fault) for pattern in FALSE_ALARMS)] == []


def series(
    stem: str, n: float, d: float, metric: str, levels: Mapping[str, float], team: str = "it"
) -> Iterator[dict[str, str]]:
    """Input of one figure on two replicas."""
    for instance in ("a:1", "b:1"):
        basis = ',basis="calendar"' if stem.endswith("_seconds") else ""
        labels = f'job="o",instance="{instance}",team="{team}",window="7d"{basis}'
        yield {"series": f"{stem}_numerator{{{labels}}}", "values": f"{n}x10"}
        yield {"series": f"{stem}_denominator{{{labels}}}", "values": f"{d}x10"}
        for severity, level in levels.items():
            yield {"series": f'{metric}_threshold{{{labels},severity="{severity}"}}', "values": f"{level}x10"}


def answers(
    tmp_path: Path, inputs: Sequence[Mapping[str, str]], expr: str, samples: Sequence[Mapping[str, Any]]
) -> str:
    """What promtool complains of when a query has to answer with samples."""
    check = {"expr": expr, "eval_time": "5m", "exp_samples": list(samples)}
    document = {"evaluation_interval": "1m", "tests": [{"input_series": list(inputs), "promql_expr_test": [check]}]}
    path = tmp_path / "panel.test.yaml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def query(title: str, index: int = 0) -> str:
    """One query of the view, by panel, for everything and 7d."""
    panel = next(panel for panel in panels(SHOWN["core-operations"]) if panel["title"] == title)
    return queries({"panels": [panel]}, VARIABLES)[index][1]


promtool = pytest.mark.skipif(which("promtool") is None, reason="promtool is not installed")
NO_SHOW = ("outcome_no_show", "outcome_no_show_ratio", {"warning": 0.15, "critical": 0.3}, "No-show rate")
COMPLETION = ("outcome_completion", "outcome_completion_ratio", {"warning": 0.9, "critical": 0.75}, "Completion rate")
MTTR = ("outcome_mttr_seconds", "outcome_mttr_seconds", {"warning": 14400, "critical": 28800}, "Mean time to restore")


COLOURS = ("blue", "blue", "orange", "red")


@promtool
@pytest.mark.parametrize(
    ("kpi", "numerator", "denominator", "state"),
    [
        (NO_SHOW, 10, 100, 0),
        (NO_SHOW, 1, 2, 1),
        (NO_SHOW, 30, 100, 2),
        (NO_SHOW, 45, 100, 3),
        (COMPLETION, 95, 100, 0),
        (COMPLETION, 17, 19, 1),
        (COMPLETION, 80, 100, 2),
        (COMPLETION, 50, 100, 3),
        (MTTR, 10 * 3600, 10, 0),
        (MTTR, 2 * 86400, 2, 1),
        (MTTR, 50 * 3600, 10, 2),
        (MTTR, 100 * 3600, 10, 3),
    ],
)
def test_a_status_says_how_a_team_is_against_its_thresholds(
    tmp_path: Path, kpi: tuple[str, str, Mapping[str, float], str], numerator: float, denominator: float, state: int
) -> None:
    stem, metric, levels, title = kpi
    inputs = list(series(stem, numerator, denominator, metric, levels))
    colour = [{"labels": f'{{s="{state}",color="{COLOURS[state]}"}}', "value": 1}]

    assert answers(tmp_path, inputs, query(title, 2), colour) == ""
    assert answers(tmp_path, inputs, query("Status of each team"), [{"labels": '{team="it"}', "value": state}]) == ""


@promtool
def test_a_headline_names_the_worst_team_with_its_own_value_and_n(tmp_path: Path) -> None:
    levels = {"warning": 0.15, "critical": 0.3}
    inputs = [
        *series("outcome_no_show", 30, 1000, "outcome_no_show_ratio", levels, "fine"),
        *series("outcome_no_show", 45, 100, "outcome_no_show_ratio", levels, "bad"),
        *series("outcome_no_show", 1, 2, "outcome_no_show_ratio", levels, "tiny"),
    ]
    value = query("No-show rate")

    named = {"labels": '{text="worst: bad 45 % (n 100)"}', "value": 0.069}
    assert answers(tmp_path, inputs, f"round({value}, 0.001)", [named]) == ""
    assert answers(tmp_path, inputs, query("No-show rate", 2), [{"labels": '{s="3",color="red"}', "value": 1}]) == ""


@promtool
def test_without_a_critical_threshold_a_headline_still_warns(tmp_path: Path) -> None:
    inputs = list(series("outcome_no_show", 45, 100, "outcome_no_show_ratio", {"warning": 0.15}))

    assert answers(tmp_path, inputs, query("No-show rate", 2), [{"labels": '{s="2",color="orange"}', "value": 1}]) == ""


@promtool
@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"outcome_exporter_build_info": ""}, "no records in this choice"),
        ({"outcome_kpi_absent": 'kpi="no_show_ratio",reason="stale_source",'}, "its source is stale"),
        ({}, "the exporter is not scraped"),
    ],
)
def test_where_there_is_no_value_a_headline_says_why(tmp_path: Path, inputs: Mapping[str, str], text: str) -> None:
    found = [
        {"series": f'{name}{{{labels}job="o",instance="a:1"}}', "values": "1x10"} for name, labels in inputs.items()
    ]
    said = f'count_values by (text) ("nan", {query("No-show rate")})'

    assert answers(tmp_path, found, said, [{"labels": f'{{nan="NaN",text="{text}"}}', "value": 1}]) == ""
    assert answers(tmp_path, found, query("No-show rate", 2), []) == "", "and has no colour"


@promtool
def test_the_table_of_breaches_has_teams_that_are_surely_beyond_each_once(tmp_path: Path) -> None:
    mttr, both = "outcome_mttr_seconds", {"warning": 14400, "critical": 28800}
    inputs = [
        *series("outcome_no_show", 30, 100, "outcome_no_show_ratio", {"warning": 0.15, "critical": 0.3}, "it"),
        *series("outcome_no_show", 1, 2, "outcome_no_show_ratio", {"warning": 0.15, "critical": 0.3}, "tiny"),
        *series("outcome_no_show", 30, 100, "outcome_no_show_ratio", {"warning": 0.5}, "lenient"),
        *series("outcome_completion", 45, 100, "outcome_completion_ratio", {"warning": 0.9, "critical": 0.75}, "it"),
        *series(mttr, 216000, 10, mttr, both, "it"),
        *series(mttr, 172800, 2, mttr, {"warning": 14400}, "tiny"),
        {
            "series": 'ALERTS_FOR_STATE{job="o",kpi="no_show_ratio",team="it",severity="warning",alertname="X"}',
            "values": "0x10",
        },
    ]
    rows = [
        ("no_show_ratio", 'kpi="No-show rate",severity="warning",value="30 %",limit="15 %",n="100",since="0.1 h"', 1),
        ("completion_ratio", 'kpi="Completion rate",severity="critical",value="45 %",limit="75 %",n="100"', 0.4),
        (
            "mttr_seconds&basis=calendar",
            'kpi="Mean time to restore",severity="warning",value="6 h",limit="4 h",n="10",basis="calendar"',
            0.5,
        ),
    ]
    expected = [
        {"labels": f'{{team="it",address="explain?kpi={page}",{labels}}}', "value": value}
        for page, labels, value in rows
    ]
    unscraped = {"labels": '{severity="unknown",kpi="The exporter is not scraped",address="?"}', "value": 0}

    assert answers(tmp_path, inputs, f"round({query('Beyond a threshold')}, 0.0001)", [*expected, unscraped]) == ""


@promtool
@pytest.mark.parametrize(
    ("inputs", "severity", "text"),
    [
        ({"outcome_exporter_build_info": ("", 1)}, "none", "Nothing is beyond a threshold"),
        (
            {
                "outcome_exporter_build_info": ("", 1),
                "outcome_kpi_absent": ('kpi="no_show_ratio",reason="stale_source",', 1),
            },
            "unknown",
            "KPIs without values: 1",
        ),
        (
            {"outcome_exporter_build_info": ("", 1), "outcome_source_up": ('source="crm",', 0)},
            "unknown",
            "Sources that do not answer: 1",
        ),
        ({}, "unknown", "The exporter is not scraped"),
    ],
)
def test_without_a_breach_the_table_says_whether_that_is_known(
    tmp_path: Path, inputs: Mapping[str, tuple[str, float]], severity: str, text: str
) -> None:
    found = [
        {"series": f'{name}{{{labels}job="o",instance="a:1"}}', "values": f"{value}x10"}
        for name, (labels, value) in inputs.items()
    ]
    row = {"labels": f'{{severity="{severity}",kpi="{text}",address="?"}}', "value": 0}

    assert answers(tmp_path, found, query("Beyond a threshold"), [row]) == ""


@promtool
@pytest.mark.parametrize(
    ("up", "interval", "text"),
    [
        ((1, 1), 60, "All 2 sources answer; the oldest data is 5 min old (crm)"),
        ((1, 0), 60, "1 of 2 sources do not answer; crm not for 5 min: what is made of it is old"),
        ((1, 1), 20, "The data of crm is 5 min old, more than 10 times its poll interval"),
        ((), 60, "Nothing is known: the exporter is not scraped"),
    ],
)
def test_one_line_says_whether_sources_answer_and_whose_data_is_old(
    tmp_path: Path, up: Sequence[int], interval: float, text: str
) -> None:
    found = [{"series": 'outcome_exporter_build_info{job="o"}', "values": "1x10"}] if up else []
    for source, since, state in zip(("n8n", "crm"), (240, 0.001), up, strict=False):
        for name, value in (
            ("up", state),
            ("last_success_timestamp_seconds", since),
            ("poll_interval_seconds", interval),
        ):
            found.append({"series": f'outcome_source_{name}{{job="o",source="{source}"}}', "values": f"{value}x10"})
    panel = next(p for p in panels(SHOWN["core-operations"]) if p["description"].startswith("Whether all sources"))
    said = f"count by (text) ({queries({'panels': [panel]}, VARIABLES)[0][1]})"

    assert answers(tmp_path, found, said, [{"labels": f'{{text="{text}"}}', "value": 1}]) == ""


@promtool
@pytest.mark.parametrize(
    ("teams", "text", "colour"),
    [
        ({"a": 10}, "No team is beyond a threshold", "blue"),
        ({"a": 30, "b": 10}, "1 team is beyond a threshold", "orange"),
        ({"a": 60}, "1 team is beyond a critical threshold", "red"),
        ({f"t{i}": 60 if i < 2 else 30 for i in range(12)}, "12 teams are beyond a threshold (2 critical)", "red"),
    ],
)
def test_one_sentence_says_how_many_teams_are_beyond_a_threshold_in_the_colour_of_the_worst(
    tmp_path: Path, teams: Mapping[str, float], text: str, colour: str
) -> None:
    levels = {"warning": 0.15, "critical": 0.3}
    inputs = [{"series": 'outcome_exporter_build_info{job="o"}', "values": "1x10"}]
    for team, n in teams.items():
        inputs += series("outcome_no_show", n, 100, "outcome_no_show_ratio", levels, team)
    panel = next(p for p in panels(SHOWN["core-operations"]) if p["description"].startswith("Teams beyond"))
    said = f"count by (text) ({queries({'panels': [panel]}, VARIABLES)[0][1]})"
    rules = [(rule["matcher"]["options"], rule["properties"][0]["value"]) for rule in panel["fieldConfig"]["overrides"]]
    fitting = [value["fixedColor"] for pattern, value in rules if re.search(pattern.strip("/"), text)]

    assert answers(tmp_path, inputs, said, [{"labels": f'{{text="{text}"}}', "value": 1}]) == ""
    assert [*fitting, panel["fieldConfig"]["defaults"]["color"]["fixedColor"]][0] == colour
    unknown = f"{text}; KPIs without values: 3"
    assert [value["fixedColor"] for pattern, value in rules if re.search(pattern.strip("/"), unknown)] != ["blue"]


@given(n=st.integers(1, 5000), share=st.floats(0, 1), level=st.floats(0.01, 0.99))
def test_a_level_outside_the_wilson_interval_is_one_further_off_than_its_own_error(
    n: int, share: float, level: float
) -> None:
    numerator = round(n * share)
    lower, upper = wilson(numerator, n)
    distance, error = numerator / n - level, Z95 * sqrt(level * (1 - level) / n)

    if abs(abs(distance) - error) > 1e-9:  # on the very edge rounding decides
        assert (lower > level) == (distance > error)
        assert (upper < level) == (-distance > error)


# Any KPI


def stem_of(kpi: str) -> str:
    """What Grafana makes of a KPI's name, by the regex of the variable."""
    found = re.fullmatch(variable(SHOWN["any-kpi"], "stem")["regex"].strip("/^$"), kpi)
    assert found is not None
    return str(found[1])


def any_kpi(title: str, kpi: str, query_: int = 0) -> str:
    """One query of the dashboard for a KPI."""
    panel = next(panel for panel in panels(SHOWN["any-kpi"]) if panel["title"] == title)
    return queries({"panels": [panel]}, VARIABLES | {"kpi": kpi, "stem": stem_of(kpi)})[query_][1]


@cache
def series_of_kpis() -> frozenset[str]:
    return frozenset(name for kpi in catalogue().values() for name in kpi.all_series)


def met(expr: str) -> set[str]:
    """Every metric that some selector of a query meets."""
    known = series_of_kpis()
    found: set[str] = set()
    for selector in (path[-1] for path in paths(promql.parse(expr))):
        if isinstance(selector, promql.VectorSelector) and selector.name is None:
            chosen = set(known)
            for m in (m for m in selector.matchers.matchers if m.name == "__name__"):
                wanted = m.op in (promql.MatchOp.Equal, promql.MatchOp.Re)
                chosen = {name for name in chosen if (re.fullmatch(m.value, name) is not None) == wanted}
            found |= chosen
    return found


@pytest.mark.parametrize("kpi", catalogue().values(), ids=catalogue().keys())
def test_whichever_kpi_is_chosen_only_its_own_series_are_shown(kpi: Kpi) -> None:
    parts = {f"{kpi.stem}_numerator", f"{kpi.stem}_denominator"} if kpi.divided else set()

    gross = {f"{kpi.metric}_gross", f"{kpi.metric}_overhead"} if kpi.shows_gross else set()
    once = {name for name in kpi.wholes.values() if not name.endswith("_distribution")}

    assert met(any_kpi("Value", kpi.name)) == {kpi.metric, *parts, *gross, *once}
    assert met(any_kpi("Thresholds", kpi.name)) == {f"{kpi.metric}_threshold"}
    assert met(any_kpi("By segment", kpi.name)) == {kpi.metric, *parts}


def test_what_must_never_be_added_up_stays_apart_whichever_kpi_is_chosen() -> None:
    never = {label for kpi in catalogue().values() for label in kpi.labels} & {
        "currency",
        "claim",
        "from",
        "to",
        "week",
    }

    assert never | {"basis"} <= set(NON_ADDITIVE)


INFO = 'outcome_kpi_info{{job="o",instance="a:1",kpi="{}",unit="{}",better="{}"}}'


def published(kpi: str, unit: str, better: str, series: Mapping[str, float]) -> list[dict[str, str]]:
    """Series of a KPI on two replicas, and what is known of it."""
    name = stem_of(kpi)
    found = [{"series": INFO.format(kpi, unit, better), "values": "1x10"}]
    for instance in ("a:1", "b:1"):
        for text, number in series.items():
            written = text.replace("{", f'{{job="o",instance="{instance}",', 1).replace("STEM", name)
            found.append({"series": f"outcome_{written}", "values": f"{number}x10"})
    return found


@promtool
@pytest.mark.parametrize(
    ("kpi", "unit", "series", "query_", "expected"),
    [
        (
            "escalation_ratio",
            "ratio",
            {
                'STEM_numerator{team="it",window="7d"}': 3, 'STEM_denominator{team="it",window="7d"}': 10,
                'STEM_numerator{team="hr",window="7d"}': 1, 'STEM_denominator{team="hr",window="7d"}': 30,
                'STEM_ratio{team="it",window="7d"}': 0.3, 'STEM_ratio{team="hr",window="7d"}': 0.03,
                'STEM_numerator{team="it",window="30d"}': 99, 'STEM_denominator{team="it",window="30d"}': 99,
            },
            0,
            {"{}": 0.1},
        ),
        (
            "cost_per_run",
            "currency",
            {
                f'STEM_{part}{{team="it",window="7d",currency="{currency}"}}': value
                for currency, amount in (("EUR", 50), ("USD", 20))
                for part, value in (("numerator", amount), ("denominator", 10))
            },
            2,
            {'{currency="EUR"}': 5, '{currency="USD"}': 2},
        ),
        ("backlog", "requests", {'STEM{team="it",category="a"}': 4, 'STEM{team="it",category="b"}': 5}, 2, {"{}": 9}),
        (
            "consecutive_failures",
            "runs",
            {'STEM{team="it",workflow="a"}': 4, 'STEM{team="it",workflow="b"}': 5},
            2,
            {"{}": 5},
        ),
        (
            "mttr_seconds",
            "seconds",
            {
                f'STEM_{part}{{team="it",window="7d",basis="{basis}"}}': value
                for basis, total in (("calendar", 600), ("business", 60))
                for part, value in (("numerator", total), ("denominator", 6))
            },
            1,
            {'{basis="calendar"}': 100},
        ),
        ("active_teams", "teams", {'STEM{tool="x",window="7d"}': 7}, 2, {"{}": 7}),  # belongs to no team
        (
            "incidents",
            "incidents",
            # One incident of two services.
            {
                'STEM{team="it",window="7d",app_service="a"}': 1,
                'STEM{team="it",window="7d",app_service="b"}': 1,
                'STEM_overall{team="it",window="7d"}': 1,
            },
            2,
            {"{}": 1},
        ),
        ("escalation_ratio", "ratio", {'STEM_numerator{window="7d"}': 0, 'STEM_denominator{window="7d"}': 0}, 0, {}),
    ],
)  # fmt: skip
def test_a_value_is_right_for_every_shape_of_kpi(
    tmp_path: Path, kpi: str, unit: str, series: Mapping[str, float], query_: int, expected: Mapping[str, float]
) -> None:
    inputs = published(kpi, unit, "lower", series)
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]

    assert answers(tmp_path, inputs, any_kpi("Value", kpi, query_), samples) == ""
    others = {0, 1, 2} - {query_}
    assert [answers(tmp_path, inputs, any_kpi("Value", kpi, other), []) for other in others] == ["", ""]


@promtool
def test_the_interval_is_shown_of_ratios_only_and_limits_as_the_rules_take_them(tmp_path: Path) -> None:
    ratio = {
        'STEM_numerator{window="7d"}': 30,
        'STEM_denominator{window="7d"}': 100,
        'STEM_ratio_lower{window="7d"}': 0.2,
    }
    levels = {
        f'no_show_ratio_threshold{{team="{team}",window="7d",severity="warning"}}': n
        for team, n in (("a", 0.1), ("b", 0.2))
    }
    inputs = published("no_show_ratio", "ratio", "lower", ratio | levels)
    high = published("no_show_ratio", "ratio", "higher", ratio | levels)
    lower = any_kpi("95 % interval", "no_show_ratio")
    quotient = published(
        "cost_per_run", "currency", "lower", {'STEM_numerator{window="7d"}': 30, 'STEM_denominator{window="7d"}': 9}
    )

    assert answers(tmp_path, inputs, f"round({lower}, 0.001)", [{"labels": "{}", "value": 0.219}]) == ""
    assert answers(tmp_path, quotient, any_kpi("95 % interval", "cost_per_run"), []) == ""
    assert answers(tmp_path, inputs, any_kpi("Thresholds", "no_show_ratio"), [{"labels": "{}", "value": 0.2}]) == ""
    assert answers(tmp_path, high, any_kpi("Thresholds", "no_show_ratio"), [{"labels": "{}", "value": 0.1}]) == ""
