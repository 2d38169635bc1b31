"""Alert rules: what promtool and the lint say of them, that each fires and keeps quiet when it should, its runbook."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from exporter import config
from exporter.__main__ import main
from exporter.base.duration import seconds
from exporter.catalogue.kpi import Kpi, Threshold, catalogue
from exporter.connectors import CONNECTORS
from exporter.evaluation.breach import least
from exporter.render.own import levelled as levelled_as
from exporter.render.promql import alert_name, kept
from exporter.render.rules import Urls, kpi_rules
from tests.promql import asks_absent, compares, faults

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "alerts"
FILES = (ALERTS / "kpi.rules.yaml", ALERTS / "comparison.rules.yaml", ALERTS / "exporter.rules.yaml")
WRITTEN = sorted((ROOT / "tests/alerts").glob("*.test.yaml"))
GUARDED = [kpi for kpi in catalogue().values() if kpi.alerts]
promtool = pytest.mark.skipif(which("promtool") is None, reason="promtool is not installed")


def groups() -> Iterator[Mapping[str, Any]]:
    for path in FILES:
        yield from yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["groups"]


def rules() -> list[Mapping[str, Any]]:
    return [rule for group in groups() for rule in group["rules"]]


RECORDED = frozenset(rule["record"] for rule in rules() if "record" in rule)
ALERT_RULES = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def run(*arguments: str | Path) -> str:
    """What a program prints where it is content, and what it complains of where it is not."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_there_are_alerts_for_every_kpi_with_thresholds_and_for_the_exporter_itself() -> None:
    names = {alert_name(kpi) for kpi in GUARDED}

    assert len(names) >= 8
    assert names < set(ALERT_RULES)
    assert len(set(ALERT_RULES) - names) >= 12


@promtool
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_promtool_has_nothing_to_say_against_the_rules(path: Path) -> None:
    assert run("promtool", "check", "rules", "--lint=all", "--lint-fatal", path) == ""


def with_its_groups(path: Path, folder: Path) -> Path:
    """A test written by hand with only the KPIs that it speaks of: promtool evaluates all of a file, every minute."""
    document = yaml.load(text := path.read_text(), Loader=yaml.CSafeLoader)
    named = set(re.findall(r"alertname: (\w+)", text))
    files = [(path.parent / name).resolve() for name in document["rule_files"]]
    if [file.name for file in files] == ["kpi.rules.yaml"]:
        found = yaml.load(files[0].read_text(), Loader=yaml.CSafeLoader)["groups"]
        asked = str([each for each in found if named & {rule.get("alert") for rule in each["rules"]}])
        found = [each for each in found if any(rule.get("record", "no such name") in asked for rule in each["rules"])]
        files = [folder / "kpi.rules.yaml"]
        files[0].write_text(yaml.dump({"groups": found}, Dumper=yaml.CSafeDumper))
    # As text: 0x90 are ninety-one samples, and a number for YAML.
    (folder / path.name).write_text(re.sub("^rule_files:.*", f"rule_files: {[*map(str, files)]}", text, flags=re.M))
    return folder / path.name


@promtool
@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_rules_do_what_the_tests_written_by_hand_say(path: Path, tmp_path: Path) -> None:
    assert run("promtool", "test", "rules", with_its_groups(path, tmp_path)) == ""


def test_every_alert_is_in_a_test_by_hand_or_in_the_made_ones() -> None:
    by_hand = {name for path in WRITTEN for name in re.findall(r"alertname: (\w+)", path.read_text())}

    assert by_hand | {alert_name(kpi) for kpi in GUARDED} == set(ALERT_RULES)
    assert {"OutcomeNoShowRateHigh", "OutcomeEscalationRateHigh", "OutcomeMeanTimeToRestoreHigh"} <= by_hand


NOTHING = "where there are no data"
SITUATIONS = ("fires", "few", "gap", "replicas", "no_data", "nightly")
BY_HAND = [case for path in WRITTEN for case in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["tests"]]


def test_what_every_alert_does_in_each_situation_is_proven_or_has_a_reason() -> None:
    table = yaml.load((ROOT / "tests/alerts/situations.yaml").read_text(), Loader=yaml.CSafeLoader)
    unproven = []
    for alert, row in table.items():
        for situation in SITUATIONS:
            begins = row.get(situation, NOTHING if situation == "no_data" else row["fires"])
            cases = [str(case) for case in BY_HAND if case["name"].startswith(begins)]
            proven = any(alert in case or "'expr': 'ALERTS" in case or "by (alertname)" in case for case in cases)
            if not proven and not re.match(r"- .{10}", begins):
                unproven.append(f"{alert} {situation}: {begins}")

    assert set(table) == set(ALERT_RULES) - {alert_name(kpi) for kpi in GUARDED}
    assert unproven == []
    assert {key for row in table.values() for key in row} <= set(SITUATIONS)


def levelled(kpi: Kpi) -> Kpi:
    """A KPI with thresholds: where none is sensible by default, as somebody might configure them."""
    if kpi.threshold.model_dump(exclude_none=True):
        return kpi
    return kpi.model_copy(update={"threshold": Threshold(warning=50, critical=100)})


def parts(kpi: Kpi, n: float, value: float) -> tuple[float, float]:
    """A numerator and a denominator that make a value of `n` records."""
    return (round(n * value), n) if kpi.kind == "ratio" else (n * value, n)


def windows(kpi: Kpi) -> dict[str, str]:
    """The labels of the window and the basis that the alert looks at; a figure of now has no window."""
    basis = {"basis": "business"} if kpi.business else {}
    return ({"window": kpi.window} if kpi.windowed else {}) | basis


def always(kpi: Kpi) -> dict[str, str]:
    """The labels that the KPI has whatever is configured, as the alert has them."""
    return dict.fromkeys(kept(kpi, {**catalogue(), kpi.name: kpi}), "x") | windows(kpi)


def figures(kpi: Kpi, parts: tuple[float, float], instances: Sequence[str], gap: str = "") -> Iterator[dict[str, str]]:
    """Input series of one team in two segments, for 80 minutes; `gap` takes the place of minutes 30 to 37."""
    first, second = ({"category": "a"}, {"category": "b"})
    for instance in instances:
        for segment, share in ((first, 1), (second, 0)):
            labels = {"job": "o", "instance": instance, "team": "it", **segment} | always(kpi)
            extra = dict.fromkeys(kpi.numerator_labels, "x")
            series: list[tuple[str, dict[str, str], float]] = [(kpi.metric, labels, parts[0] * share)]
            if kpi.divided:
                series = [
                    (f"{kpi.stem}_numerator", labels | extra, parts[0] * share),
                    (f"{kpi.stem}_denominator", labels, parts[1] * share),
                ]
            if kpi.shows_gross:
                series = [(f"{kpi.metric}_{part}", labels, amount) for part, amount in gross(parts[0] * share)]
            series += [
                (f"{kpi.metric}_threshold", labels | {"severity": severity}, level)
                for severity, level in kpi.threshold.model_dump(exclude_none=True).items()
            ]
            for name, all_labels, value in series:
                text = ",".join(f'{label}="{content}"' for label, content in all_labels.items())
                yield {
                    "series": f"{name}{{{text}}}",
                    "values": f"{value}x29 {gap} {value}x50" if gap else f"{value}x80",
                }
        info = f'job="o",instance="{instance}",kpi="{kpi.name}",kpi_owner="desk"'
        yield {"series": f"outcome_kpi_info{{{info}}}", "values": "1x80"}


def gross(net: float) -> Iterator[tuple[str, float]]:
    """A net value as the two sides that are published of it."""
    yield "gross", net + 7
    yield "overhead", 7


def terrible(kpi: Kpi) -> float:
    """A value beyond the critical threshold, as far as that goes."""
    level = kpi.threshold.critical or kpi.threshold.warning or 0
    if kpi.kind == "ratio":
        return (1 + level) / 2 if kpi.better == "lower" else level / 2
    return (level * 2 or 1) if kpi.better == "lower" else level / 2


def fine(kpi: Kpi) -> float:
    """A value well on the right side of both thresholds."""
    level = kpi.threshold.warning or kpi.threshold.critical or 0
    return level / 2 if kpi.better == "lower" else (1 + level) / 2 if kpi.kind == "ratio" else level * 2


def expect(kpi: Kpi, minute: int, *, fires: bool) -> dict[str, Any]:
    """Both severities of a team, with the owner, or nothing."""
    firing = f'ALERTS{{alertname="{alert_name(kpi)}",alertstate="firing"}}'
    labels = always(kpi)
    expression = f"count by ({', '.join(('team', 'severity', 'kpi', 'kpi_owner', *labels))}) ({firing})"
    common = f'team="it",kpi="{kpi.name}",kpi_owner="desk"' + "".join(f',{k}="{v}"' for k, v in labels.items())
    severities = kpi.threshold.model_dump(exclude_none=True)
    samples = [{"labels": f'{{{common},severity="{severity}"}}', "value": 1} for severity in severities]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples if fires else []}


def scenarios(kpi: Kpi, kpis: Mapping[str, Kpi]) -> Iterator[dict[str, Any]]:
    """One KPI: fires, keeps quiet, two replicas, a gap, few records, nothing in the denominator, no threshold, no data.

    A source that is read once a night is none of them: its values are computed and published all the time.
    """
    minutes = seconds(kpi.for_) // 60
    many, enough = parts(kpi, 1000 if kpi.divided else 1, terrible(kpi)), least(kpi, kpis)
    quiet, loud = expect(kpi, minutes + 5, fires=False), expect(kpi, minutes + 5, fires=True)
    early = expect(kpi, minutes - 2, fires=False)
    one, both = ("a:1",), ("a:1", "b:1")
    gap = "stale _x7"
    after_gap = [] if minutes < 30 else [early]
    unset = kpi.model_copy(update={"threshold": Threshold()})
    cases = [
        ("fires, and not before its time", figures(kpi, many, one), [early, loud]),
        ("two replicas are one team", figures(kpi, many, both), [early, loud]),
        ("a gap of eight minutes does not start it again", figures(kpi, many, one, gap), [*after_gap, loud]),
        ("keeps quiet while all is well", figures(kpi, parts(kpi, 1000 * kpi.divided or 1, fine(kpi)), both), [quiet]),
        ("keeps quiet without a threshold", figures(unset, many, one), [quiet]),
        ("keeps quiet without any data", iter(()), [quiet]),
    ]
    if kpi.divided:
        cases += [("keeps quiet with an empty denominator", figures(kpi, (0, 0), one), [quiet])]
    if kpi.kind == "ratio":
        cases += [("keeps quiet over too few records", figures(kpi, (1.0, 2.0), one), [quiet])]
    if enough is not None:
        few = figures(kpi, parts(kpi, enough * 0.9, terrible(kpi)), one)
        cases += [("keeps quiet over too few records", few, [quiet])]
    for name, series, checks in cases:
        yield {"name": f"{kpi.name} {name}", "interval": "1m", "input_series": list(series), "promql_expr_test": checks}


def complaints(
    made: Mapping[str, Mapping[str, Any]], ruled: Sequence[Kpi], kpis: Mapping[str, Kpi], folder: Path
) -> str:
    """What promtool complains of when the rules of KPIs have to do what an alert should."""
    paths: list[Path] = []
    for kpi in map(levelled, ruled):
        # Only the KPI's own group, for promtool evaluates everything in a file for every minute of every case.
        rule_file = folder / f"{kpi.name}.rules.yaml"
        rule_file.write_text(yaml.safe_dump({"groups": [made["outcome-" + kpi.name.replace("_", "-")]]}))
        cases = list(scenarios(kpi, kpis))
        paths.append(folder / f"{kpi.name}.test.yaml")
        document = {"rule_files": [str(rule_file)], "evaluation_interval": "1m", "tests": cases}
        paths[-1].write_text(yaml.safe_dump(document, sort_keys=False))
        assert len(cases) >= 5
    assert paths
    return run("promtool", "test", "rules", *paths)


@promtool
def test_every_kpi_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    made = {group["name"]: group for group in groups()}

    assert len(GUARDED) >= 13
    assert complaints(made, GUARDED, catalogue(), tmp_path) == ""


KINDS = {
    "csat_ratio": Threshold(warning=0.8, critical=0.6),
    "bookings": Threshold(warning=50),
    "spend": Threshold(warning=1000, critical=5000),
    "open_incidents": Threshold(warning=10, critical=20),
    "availability_ratio": Threshold(warning=0.99, critical=0.9),
    "roi_ratio": Threshold(warning=1, critical=0.5),
    "policy_exceptions_per_100_accounts": Threshold(warning=5, critical=10),
    "maintenance_ratio": Threshold(warning=0.2),
    "net_value": Threshold(warning=1000, critical=100),
}
"""A KPI of each shape that has no threshold by default, with one that somebody might configure."""


@promtool
def test_a_kpi_of_any_kind_can_have_an_alert(tmp_path: Path) -> None:
    set_by_hand = {name: catalogue()[name].model_copy(update={"threshold": level}) for name, level in KINDS.items()}
    everything = {**catalogue(), **set_by_hand}
    text = kpi_rules(everything)
    made = {group["name"]: group for group in yaml.load(text, Loader=yaml.CSafeLoader)["groups"]}
    (tmp_path / "all.rules.yaml").write_text(text)

    assert {everything[name].kind for name in KINDS} == {"mean", "count", "sum", "state", "derived"}
    assert run("promtool", "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "all.rules.yaml") == ""
    assert complaints(made, [everything[name] for name in KINDS], everything, tmp_path) == ""


def test_what_has_a_currency_or_a_workflow_is_never_added_up_over_it() -> None:
    by = {kpi.name: kept(kpi, catalogue()) for kpi in catalogue().values()}

    assert by["cost_per_run"] == by["downtime_cost"] == by["revenue_per_booking"] == ("currency",)
    assert set(by["roi_ratio"]) == {"currency", "claim"}
    assert by["consecutive_failures"] == ("workflow",)
    assert "basis" in by["mttr_seconds"]
    assert by["no_show_ratio"] == by["backlog_change"] == ()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_expressions_keep_the_rules_of_the_house(rule: Mapping[str, Any]) -> None:
    assert faults(rule["expr"], RECORDED) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(", "does not parse"),
        ("outcome_no_show", "no such metric"),
        ("max by (tema) (outcome_source_up)", "no such label: tema"),
        ('outcome_source_up{tema="it"}', "no such label: tema"),
        ("outcome_no_show_ratio > 0.5", "window is not pinned"),
        ('outcome_no_show_ratio{window=~"7d|30d"} > 0.5', "window is not pinned"),
        ('sum by (team) (max without (instance) (outcome_mttr_seconds_numerator{window="7d"}))', "neither pinned nor"),
        ('sum without (basis) (max without (pod) (outcome_mttr_seconds_numerator{window="7d"}))', "neither pinned nor"),
        ('max(outcome_mttr_seconds_threshold{window="7d", basis=~".+"})', "neither pinned nor"),
        (
            'sum by (team) (max without (instance, pod) (outcome_incidents{window="7d"}))',
            "several values of app_service; add up outcome_incidents_overall or outcome_incidents",
        ),
        (
            "sum without (app_service) (max without (pod) "
            '(outcome_mttr_seconds_numerator{window="7d", basis="calendar"}))',
            "add up outcome_mttr_seconds_overall_numerator or",
        ),
        (
            'sum(max without (pod) (outcome_incidents{window="7d"})) '
            'or sum(max without (pod) (outcome_incidents_overall{window="7d"}))',
            "several values",
        ),
        (
            "histogram_quantile(0.5, sum by (le) (max without (pod) "
            '(outcome_lead_time_seconds_distribution_bucket{window="7d", basis="calendar"})))',
            "several values",
        ),
        ('sum(max without (pod) (outcome_handle_seconds_median{window="7d"}))', "cannot be added"),
        ('sum by (team) (outcome_no_show_numerator{window="7d"})', "replicas that are not collapsed"),
        ('sum(max without (instance, pod) (outcome_no_show_ratio{window="7d"}))', "cannot be added"),
        ('avg(max without (instance, pod) (outcome_no_show_numerator{window="7d"}))', "divide sums"),
        ('rate(outcome_no_show_numerator{window="7d"}[1h])', "no counter"),
        ("outcome_source_polls_total > 0", "outside rate"),
        ("topk(3, outcome_source_up)", "changes by itself"),
        ('outcome_source_up{source=~"desk"}', "without a pattern"),
        ('outcome_source_up{source=~"^desk.*"}', "anchored already"),
        ("outcome_source_up / outcome_series", "0/0"),
        ("max(outcome_source_up / outcome_series)", "poisons"),
        ("max_over_time(outcome_source_up[1h:5m])", "subquery"),
        ("max by (job) (outcome_source_up) * on (source) max by (source) (outcome_series)", "keeps only"),
        ("max by (job) (outcome_source_up) + max by (source) (outcome_source_up)", "different labels"),
    ],
)
def test_the_lint_finds_what_is_forbidden(expression: str, fault: str) -> None:
    found = faults(expression)

    assert [text for text in found if fault in text] != [], found


@pytest.mark.parametrize(
    "expression",
    [
        'sum by (app_service) (max without (instance, pod) (outcome_incidents{window="7d"}))',
        'sum(max without (instance, pod) (outcome_incidents{window="7d", app_service="mail"}))',
        'sum by (job) (max without (instance, pod) (outcome_incidents_overall{window="7d"}))'
        ' or sum by (job) (max without (instance, pod) (outcome_incidents{window="7d"}))',
    ],
)
def test_what_counts_every_record_once_may_be_added_up(expression: str) -> None:
    assert faults(expression) == []


@pytest.mark.parametrize("rule", ALERT_RULES.values(), ids=ALERT_RULES.keys())
def test_an_alert_compares_waits_explains_and_links(rule: Mapping[str, Any]) -> None:
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]

    assert re.fullmatch(r"Outcome[A-Z][A-Za-z]+", rule["alert"])
    assert compares(rule["expr"])
    assert seconds(rule["for"]) >= (120 if asks_absent(rule["expr"]) else 60)
    assert summary.endswith(".")
    assert "{{" not in summary
    assert "Look first" in description
    assert (
        f'ALERTS_FOR_STATE{{alertname="{rule["alert"]}",job=%q' in description
        or rule["labels"].get("severity") == "none"
    )
    # One rule for all KPIs keeps their label; what only holds others back is nobody's message.
    of_kpi = "kpi" in rule["labels"] or "$labels.kpi" in description
    assert (of_kpi and rule["labels"].get("severity") != "none") is (
        "/explain?kpi=" in rule["annotations"].get("explain_url", "")
    )
    assert rule["annotations"]["runbook_url"] == Urls().of(rule["alert"])
    assert rule["annotations"]["dashboard_url"].startswith(f"{Urls().dashboard}/d/outcome-core-operations")
    assert not any("{{" in value for value in rule["labels"].values()), "a label that changes is another alert"
    assert rule["labels"].get("severity", "from the threshold") != "critical", "nothing here may wake anybody by itself"


def test_groups_are_evaluated_often_enough_and_nothing_is_there_twice() -> None:
    names = [group["name"] for group in groups()]
    made = [rule.get("alert") or rule["record"] for rule in rules()]

    assert [group["name"] for group in groups() if not 0 < seconds(group["interval"]) <= 300] == []
    assert sorted(set(names)) == sorted(names)
    assert sorted(set(made)) == sorted(made)
    assert all(set(group) <= {"name", "interval", "limit", "rules"} for group in groups()), "2.42 knows no other keys"


def sections(text: str) -> dict[str, str]:
    """Heading of level 3 -> text below it."""
    found = re.split(r"^#{1,6} (.+)$", text, flags=re.MULTILINE)[1:]
    return {title: body for title, body in zip(found[::2], found[1::2], strict=True) if title.startswith("Outcome")}


def test_every_alert_has_a_runbook_heading_with_text_and_every_heading_an_alert() -> None:
    runbook = sections((ALERTS / "README.md").read_text())

    assert sorted(runbook) == sorted(ALERT_RULES)
    for name, text in runbook.items():
        for word in ("Meaning", "Impact", "Diagnosis", "Mitigation", "False positives, and when to silence it"):
            assert re.search(re.escape(f"**{word}**") + r" \S.{20,}", text), f"{name}: nothing under {word}"
        assert re.search(r"```promql\n\S.+?```", text, re.DOTALL), f"{name}: no query"
        assert ("/explain?kpi=" in text) >= ("kpi" in ALERT_RULES[name]["labels"]), f"{name}: no link to the records"


def test_links_lead_where_render_is_told() -> None:
    text = kpi_rules(catalogue(), Urls(runbook="https://wiki.test/run", dashboard="https://grafana.test"))

    assert "https://wiki.test/run#outcomenoshowratehigh" in text
    assert "https://grafana.test/d/outcome-core-operations?" in text
    assert "example.com" not in text


# The rules of one's own config

OWN = ROOT / "tests/configs/valid/own_kpis.yaml"


def made_for(path: Path, folder: Path, *options: str) -> list[str]:
    """What `outcome-exporter rules` says."""
    done = CliRunner().invoke(main, ["rules", "--config.file", str(path), "--output", str(folder), *options])

    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_without_a_day_among_the_windows_there_is_no_alert_about_one() -> None:
    escalation = next(s for s in config.load(OWN, catalogue(), CONNECTORS, {}).plan.settings if s.kpi.spike)

    assert levelled_as(escalation, ["1d", "7d"]).spike is not None
    assert levelled_as(escalation, ["7d"]).spike is None


@promtool
def test_a_config_gets_the_rules_of_exactly_its_thresholds(tmp_path: Path) -> None:
    made_for(OWN, tmp_path / "rules")
    path = tmp_path / "rules/kpi.rules.yaml"
    made = {group["name"]: group for group in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["groups"]}
    plan = config.load(OWN, catalogue(), CONNECTORS, {}).plan
    kpis = {setting.kpi.name: levelled_as(setting, [name for name, _ in plan.windows]) for setting in plan.settings}
    ruled = [kpis[setting.kpi.name] for setting in plan.settings if setting.has_threshold]
    names = {"outcome-" + kpi.name.replace("_", "-") for kpi in ruled}

    assert {name for name in made if not name.endswith("-spike")} == names
    assert {"outcome-vip-escalation-ratio", "outcome-portal-resolution-seconds", "outcome-no-show-ratio"} < names
    assert "outcome-cost-per-run" not in names, "which waits for a threshold"
    assert run("promtool", "check", "rules", "--lint=all", "--lint-fatal", path) == ""
    own = [kpi for kpi in ruled if kpi.name not in catalogue()]
    assert complaints(made, own, kpis, tmp_path) == ""


def test_rules_of_a_config_have_a_runbook_and_lead_to_the_dashboard_of_any_kpi(tmp_path: Path) -> None:
    links = ["--runbook-url=https://wiki.test/run", "--dashboard-url=https://grafana.test"]
    said = made_for(OWN, tmp_path, *links, "--explain-url=https://outcome.test/")
    alerts = [
        rule
        for group in yaml.load((tmp_path / "kpi.rules.yaml").read_text(), Loader=yaml.CSafeLoader)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    runbook = (tmp_path / "RUNBOOK.md").read_text()
    dashboard = json.loads((tmp_path / "any-kpi.json").read_text())

    assert len(said) == 3
    assert [rule["alert"] for rule in alerts] == re.findall(r"^## (.+)$", runbook, flags=re.MULTILINE)
    assert "Share of ended VIP requests that had been escalated" in runbook
    assert "Tell the owner, vip-desk" in runbook
    assert "explain vip_escalation_ratio team=... --window 7d" in runbook
    vip = next(rule for rule in alerts if rule["labels"]["kpi"] == "vip_escalation_ratio")
    assert vip["annotations"]["runbook_url"] == "https://wiki.test/run#outcomeescalationofviprequestshigh"
    assert vip["annotations"]["explain_url"] == (
        "https://outcome.test/explain?kpi=vip_escalation_ratio&window={{ $labels.window | urlquery }}"
        "&team={{ $labels.team | urlquery }}"
    )
    assert vip["annotations"]["dashboard_url"].startswith("https://grafana.test/d/outcome-any-kpi?")
    assert vip["annotations"]["dashboard_url"].endswith("&var-kpi=vip_escalation_ratio")
    assert dashboard["uid"] == "outcome-any-kpi"


def test_rules_that_cannot_be_written_say_so_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = CliRunner().invoke(main, ["rules", "--config.file", str(OWN), "--output", str(tmp_path / "taken/rules")])

    assert done.exit_code == 1
    assert "cannot be written: Not a directory; give a folder you may write to" in done.output
