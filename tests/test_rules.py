"""Alert rules: what promtool and the lint say of them, that each fires and keeps quiet when it should, its runbook."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from exporter.duration import seconds
from exporter.kpi import Kpi, Threshold, catalogue
from exporter.render.promql import MIN_RECORDS, alert_name, alerting
from exporter.render.rules import Urls, kpi_rules
from tests.promql import asks_absent, compares, faults

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "alerts"
FILES = (ALERTS / "kpi.rules.yaml", ALERTS / "exporter.rules.yaml")
WRITTEN = sorted((ROOT / "tests/alerts").glob("*.test.yaml"))
GUARDED = [kpi for kpi in catalogue().values() if alerting(kpi)]
promtool = pytest.mark.skipif(which("promtool") is None, reason="promtool is not installed")


def groups() -> Iterator[Mapping[str, Any]]:
    for path in FILES:
        yield from yaml.safe_load(path.read_text())["groups"]


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


@promtool
@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_rules_do_what_the_tests_written_by_hand_say(path: Path) -> None:
    assert run("promtool", "test", "rules", path) == ""


def test_every_alert_is_in_a_test_by_hand_or_in_the_made_ones() -> None:
    by_hand = {name for path in WRITTEN for name in re.findall(r"alertname: (\w+)", path.read_text())}

    assert by_hand | {alert_name(kpi) for kpi in GUARDED} == set(ALERT_RULES)
    assert {"OutcomeNoShowRateHigh", "OutcomeEscalationRateHigh", "OutcomeMeanTimeToRestoreHigh"} <= by_hand


def parts(kpi: Kpi, n: int, value: float) -> tuple[float, float]:
    """A numerator and a denominator that make a value of `n` records."""
    return (round(n * value), n) if kpi.kind == "ratio" else (n * value, n)


def windows(kpi: Kpi) -> dict[str, str]:
    """The labels of the window and the basis that the alert looks at; a figure of now has no window."""
    basis = {"basis": "business"} if kpi.business else {}
    return ({"window": kpi.window} if kpi.windowed else {}) | basis


def figures(kpi: Kpi, parts: tuple[float, float], instances: Sequence[str], gap: str = "") -> Iterator[dict[str, str]]:
    """Input series of one team in two segments, for 80 minutes; `gap` takes the place of minutes 30 to 37."""
    first, second = ({"category": "a"}, {"category": "b"})
    for instance in instances:
        for segment, share in ((first, 1), (second, 0)):
            labels = {"job": "o", "instance": instance, "team": "it", **segment} | windows(kpi)
            extra = dict.fromkeys(kpi.numerator_labels, "x")
            series: list[tuple[str, dict[str, str], float]] = [
                (f"{kpi.stem}_numerator", labels | extra, parts[0] * share),
                (f"{kpi.stem}_denominator", labels, parts[1] * share),
            ]
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


def terrible(kpi: Kpi) -> float:
    """A value beyond the critical threshold, as far as that goes."""
    level = kpi.threshold.critical or kpi.threshold.warning or 0
    if kpi.kind == "duration":
        return level * 2
    return (1 + level) / 2 if kpi.better == "lower" else level / 2


def fine(kpi: Kpi) -> float:
    """A value well on the right side of both thresholds."""
    level = kpi.threshold.warning or kpi.threshold.critical or 0
    return level / 2 if kpi.better == "lower" else (1 + level) / 2


def expect(kpi: Kpi, minute: int, *, fires: bool) -> dict[str, Any]:
    """Both severities of a team, with the owner, or nothing."""
    firing = f'ALERTS{{alertname="{alert_name(kpi)}",alertstate="firing"}}'
    expression = f"count by (team, severity, kpi, kpi_owner, window, basis) ({firing})"
    common = f'team="it",kpi="{kpi.name}",kpi_owner="desk"' + "".join(f',{k}="{v}"' for k, v in windows(kpi).items())
    severities = kpi.threshold.model_dump(exclude_none=True)
    samples = [{"labels": f'{{{common},severity="{severity}"}}', "value": 1} for severity in severities]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples if fires else []}


def scenarios(kpi: Kpi) -> Iterator[dict[str, Any]]:
    """One KPI: fires, keeps quiet, two replicas, a gap, nothing in the denominator."""
    minutes = seconds(kpi.for_) // 60
    many, two = parts(kpi, 1000, terrible(kpi)), (1.0, 2.0)
    if kpi.kind == "duration":
        two = parts(kpi, MIN_RECORDS - 1, terrible(kpi))
    quiet, loud = expect(kpi, minutes + 5, fires=False), expect(kpi, minutes + 5, fires=True)
    early = expect(kpi, minutes - 2, fires=False)
    one, both = ("a:1",), ("a:1", "b:1")
    cases = [
        ("fires, and not before its time", figures(kpi, many, one), [early, loud]),
        ("two replicas are one team", figures(kpi, many, both), [early, loud]),
        ("a gap of eight minutes does not start it again", figures(kpi, many, one, "stale _x7"), [early, loud]),
        ("keeps quiet while all is well", figures(kpi, parts(kpi, 1000, fine(kpi)), both), [quiet]),
        ("keeps quiet over too few records", figures(kpi, two, one), [quiet]),
        ("keeps quiet with an empty denominator", figures(kpi, (0, 0), one), [quiet]),
    ]
    for name, series, checks in cases:
        yield {"name": f"{kpi.name} {name}", "interval": "1m", "input_series": list(series), "promql_expr_test": checks}


@promtool
def test_every_kpi_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    made = {group["name"]: group for group in groups()}
    paths: list[Path] = []
    for kpi in GUARDED:
        # Only the KPI's own group, for promtool evaluates everything in a file for every minute of every case.
        rule_file = tmp_path / f"{kpi.name}.rules.yaml"
        rule_file.write_text(yaml.safe_dump({"groups": [made["outcome-" + kpi.name.replace("_", "-")]]}))
        cases = list(scenarios(kpi))
        paths.append(tmp_path / f"{kpi.name}.test.yaml")
        document = {"rule_files": [str(rule_file)], "evaluation_interval": "1m", "tests": cases}
        paths[-1].write_text(yaml.safe_dump(document, sort_keys=False))
        assert len(cases) == 6

    assert len(paths) == len(GUARDED) >= 8
    assert run("promtool", "test", "rules", *paths) == ""


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


@pytest.mark.parametrize("rule", ALERT_RULES.values(), ids=ALERT_RULES.keys())
def test_an_alert_compares_waits_explains_and_links(rule: Mapping[str, Any]) -> None:
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]

    assert re.fullmatch(r"Outcome[A-Z][A-Za-z]+", rule["alert"])
    assert compares(rule["expr"])
    assert seconds(rule["for"]) >= (120 if asks_absent(rule["expr"]) else 60)
    assert summary.endswith(".")
    assert "{{" not in summary
    assert "Look first" in description
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
        for word in ("**Means**", "**Look first**", "**Do**", "**Silence**"):
            assert re.search(re.escape(word) + r" \S.{20,}", text), f"{name}: nothing under {word}"


def test_links_lead_where_render_is_told() -> None:
    text = kpi_rules(catalogue(), Urls(runbook="https://wiki.test/run", dashboard="https://grafana.test"))

    assert "https://wiki.test/run#outcomenoshowratehigh" in text
    assert "https://grafana.test/d/outcome-core-operations?" in text
    assert "example.com" not in text


def test_a_threshold_on_what_rules_cannot_compare_is_refused() -> None:
    kpi = catalogue()["backlog"].model_copy(update={"threshold": Threshold(warning=100)})

    with pytest.raises(ValueError, match="backlog: a threshold needs a ratio or a duration"):
        kpi_rules({"backlog": kpi})
