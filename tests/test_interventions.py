"""Interventions and go-lives: how they are configured, published and drawn."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter import config
from exporter.base.strict_yaml import Mistakes
from exporter.catalogue import kpi
from exporter.connectors import CONNECTORS
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.plan import Intervention, Plan
from exporter.evaluation.stats import Family
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.server.chart import Dot, Mark, drawn, line_chart

AT = datetime(2026, 11, 24, tzinfo=UTC)
SOURCE = 'sources:\n  - {name: a, type: files, record: request, path: "requests.jsonl"}\n'
TRIAGE = '{date: "2026-11-03", what: New triage rules, where: {team: it}, kpis: [bookings, outcome_escalation_ratio]}'


def read(folder: Path, text: str) -> Plan:
    (folder / "config.yaml").write_text(SOURCE + text)
    return config.load(folder / "config.yaml", kpi.catalogue(), CONNECTORS, {}).plan


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(Mistakes) as error:
        read(folder, text)
    return [str(mistake).split(": ", 1)[1] for mistake in error.value.mistakes]


def test_an_intervention_says_when_what_where_and_which_kpis(tmp_path: Path) -> None:
    [made] = read(tmp_path, f"interventions: [{TRIAGE}]\n").interventions

    assert (made.at, made.what, made.where) == (datetime(2026, 11, 3, tzinfo=UTC), "New triage rules", {"team": "it"})
    assert {"escalation_ratio", "no_show_ratio"} <= made.kpis
    assert "deflection_ratio" not in made.kpis
    assert made.place == "team it"


def test_without_names_it_concerns_the_headlines_and_drivers_that_have_its_labels(tmp_path: Path) -> None:
    everywhere, tool = read(
        tmp_path,
        'interventions: [{date: "2026-11-01", what: a}]\ngo_live: {tool: {copilot: "2026-11-02"}}\n',
    ).interventions

    assert {"deflection_ratio", "completion_ratio"} <= everywhere.kpis
    assert "escalation_ratio" not in everywhere.kpis
    assert (tool.what, tool.go_live, tool.place) == ("Go-live of copilot", True, "tool copilot")
    assert "activation_ratio" in tool.kpis
    assert "deflection_ratio" not in tool.kpis


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'interventions: [{date: "2026-11-03", what: a, where: {taem: it}}]',
            "interventions[0].where.taem: there is no label 'taem'; did you mean 'team'?",
        ),
        (
            'interventions: [{date: "2026-11-03", what: a, kpis: [escalation]}]',
            "interventions[0].kpis[0]: there is no KPI or group 'escalation'; did you mean 'escalation_ratio'?",
        ),
        (
            "interventions: [{date: 3 November, what: a}]",
            'interventions[0].date: this is not a date; write it like "2026-01-31", in quotes',
        ),
        ('go_live: {taem: {it: "2026-11-03"}}', "go_live.taem: there is no label 'taem'; did you mean 'team'?"),
    ],
)
def test_a_mistake_names_its_place_and_what_would_be_right(tmp_path: Path, text: str, said: str) -> None:
    assert [said] == mistakes(tmp_path, text)


@pytest.mark.parametrize(
    ("segment", "concerned"),
    [({}, True), ({"team": "it"}, True), ({"team": "hr"}, False), ({"category": "vpn"}, True)],
)
def test_it_concerns_a_segment_that_is_not_another_one(segment: Mapping[str, str], concerned: bool) -> None:
    made = Intervention(at=AT, what="a", where={"team": "it"}, kpis=frozenset({"reopen_ratio"}))

    assert concerned == made.concerns("reopen_ratio", segment)
    assert not made.concerns("csat_ratio", segment)


def published(plan: Plan) -> dict[str, Family]:
    families = series(Evaluation(AT, (), {}), plan, Limits()).snapshot.families
    return {family.name: family for family in families if "intervention" in family.name}


def test_it_is_published_with_its_time_for_annotations(tmp_path: Path) -> None:
    found = published(read(tmp_path, f"interventions: [{TRIAGE}]\n"))
    labels = ("New triage rules", "team it", "2026-11-03", "intervention")

    assert found["outcome_intervention_info"].samples == ((labels, 1.0),)
    assert found["outcome_intervention_timestamp_seconds"].samples == ((labels, 1793664000.0),)
    assert found["outcome_intervention_info"].labels == ("intervention", "place", "date", "kind")


def test_without_interventions_nothing_is_published(tmp_path: Path) -> None:
    assert published(read(tmp_path, "")) == {}


def weeks(*values: float | None) -> list[Dot]:
    return [Dot(AT + timedelta(weeks=i), value, str(value)) for i, value in enumerate(values)]


def test_a_mark_is_drawn_where_its_time_is_between_two_dots() -> None:
    marks = [Mark(AT + timedelta(days=-1), "before"), Mark(AT + timedelta(days=10, hours=12), "<new> rules")]

    chart = line_chart(weeks(1, 2, 3), [], title="t", summary="s", shown=str, marks=marks)

    assert chart.count('<line class="mark"') == 1
    assert '<line class="mark" x1="416.0" x2="416.0"' in chart  # half of the way from 280 to 552
    assert "2026-12-04: &lt;new&gt; rules" in chart
    assert [mark.text for mark in drawn(marks, weeks(1, 2, 3))] == ["<new> rules"]
