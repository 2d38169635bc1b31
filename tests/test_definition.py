"""KPIs that users define: held to the same as ours, and everywhere where ours are."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import config
from exporter.base.strict_yaml import Mistakes
from exporter.catalogue.kpi import Kpi, catalogue
from exporter.catalogue.lint import lint
from exporter.config import Config
from exporter.config.own_kpis import KEYS
from exporter.connectors import CONNECTORS
from exporter.evaluation import facts_schema
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.instant import evaluate
from exporter.evaluation.range import Instants
from exporter.explain.explain import explain
from exporter.explain.query import question
from exporter.publish.exposition import check
from exporter.publish.families import series
from exporter.records import Request
from exporter.store.status import SourceStatus
from tests.program import command, running, value
from tests.scenario import empty_store
from tests.test_history import differences

AT = datetime(2026, 3, 31, tzinfo=UTC)
VALID = Path(__file__).parent / "configs/valid/own_kpis.yaml"
FEED = SourceStatus(source="a", records=frozenset({"request"}))
OWN = (
    "kpis:\n"
    "  emea_attendance_ratio:\n"
    "    facts: booking\n"
    "    title: Attendance in EMEA\n"
    "    help: Of the meetings in EMEA that took place or should have, the share that was attended.\n"
    "    kind: ratio\n"
    "    placed_by: starts_at\n"
    "    numerator: attended\n"
    "    denominator: (attended or no_show) and team = 'emea'\n"
    "    better: higher\n"
    "    threshold: {warning: 0.9}\n"
)


@pytest.mark.parametrize("kpi", catalogue().values(), ids=catalogue().keys())
def test_what_is_asked_of_users_holds_for_our_own_kpis(kpi: Kpi) -> None:
    assert list(lint(kpi, catalogue(), catalogue(), facts_schema.Columns())) == []


def test_facts_tell_their_columns_and_what_kind_each_is() -> None:
    columns = facts_schema.Columns()

    assert {kpi.facts for kpi in catalogue().values()} <= set(columns)
    assert {columns["request"][name] for name in ("escalated", "human_seconds", "priority", "ended_at")} == {
        "boolean", "number", "text", "time",
    }  # fmt: skip
    assert "moment" not in columns["request"]


def loaded() -> Config:
    return config.load(VALID, catalogue(), CONNECTORS, {})


def requests() -> list[Request]:
    def request(name: str, days: float, **more: object) -> Request:
        opened = AT - timedelta(days=days)
        common = {"opened_at": opened, "resolved_at": opened + timedelta(hours=1), "team": "it", "human_seconds": 60.0}
        return Request(**{"id": name, "requester": name, **common, **more})  # type: ignore[arg-type]  # columns by name

    return [
        request("a", 3, priority="vip", escalated_at=AT - timedelta(days=2)),
        request("b", 3, priority="vip", channel="portal", handled_by="human"),
        request("c", 3, priority="low", escalated_at=AT - timedelta(days=2)),
        request("d", 20, requester="p"),
        request("e", 12, requester="p"),
        request("f", 1, resolved_at=None, category="it's {}"),
        request("g", -1, priority="vip"),  # in the future
    ]


def evaluated(found: Config, folder: Path) -> Evaluation:
    with empty_store(folder) as store:
        store.write("a", requests(), {})
        with store.reading() as reader:
            return evaluate(reader, found.plan, AT, [FEED])


def test_own_kpis_count_as_they_say(tmp_path: Path) -> None:
    figures = {
        (figure.kpi, figure.window): (figure.numerator, figure.denominator)
        for figure in evaluated(loaded(), tmp_path).figures
        if figure.segment[:1] == (("team", "it"),)
    }

    assert figures["vip_escalation_ratio", "7d"] == (1, 2)
    assert figures["portal_resolution_seconds", "7d"] == (3600, 1)
    assert figures["late_recontact_ratio", "30d"] == (1, 5), "8 days later is within its own two weeks"
    assert figures["recontact_ratio", "30d"] == (0, 5), "but not within our 72 hours"
    assert figures["open_braces", None] == (1, None)
    assert figures["human_effort_seconds", "7d"] == (60 * 5, None)
    assert figures["effort_per_escalation", "7d"] == (300, 2)
    assert figures["oldest_open_seconds", None] == (86400, None)


@pytest.mark.slow
def test_the_history_of_own_kpis_is_what_each_instant_alone_gives(tmp_path: Path) -> None:
    found = loaded()
    step = timedelta(hours=17)
    instants = Instants(first=AT - 12 * step, step=step, count=13)
    with empty_store(tmp_path) as store:
        store.write("a", requests(), {})

        assert differences(store, found.plan, instants, [FEED]) == []


def test_own_kpis_are_published_with_thresholds_and_info(tmp_path: Path) -> None:
    found = loaded()
    snapshot = series(evaluated(found, tmp_path), found.plan, found.limits).snapshot
    check(snapshot)
    families = {family.name: family for family in snapshot.families}

    assert families["outcome_vip_escalation_ratio_threshold"].samples[0][1] == 0.1
    assert {"outcome_vip_escalation_ratio_lower", "outcome_portal_resolution_seconds_distribution"} <= set(families)
    said = ("support", "none", "none", "unassigned", "unassigned", "vip-desk", "none", "weekly")
    title = found.plan.kpis["vip_escalation_ratio"].title
    assert ("vip_escalation_ratio", title, "ratio", "lower", *said) in dict(families["outcome_kpi_info"].samples)


def test_an_own_kpi_is_explained_in_the_words_of_its_author(tmp_path: Path) -> None:
    found = loaded()
    with empty_store(tmp_path) as store:
        store.write("a", requests(), {})
        with store.reading() as reader:
            told = {
                name: explain(reader, found.plan, AT, [FEED], question({"kpi": name}, found.plan)) for name in found.own
            }

    assert told["vip_escalation_ratio"]["definition"]["denominator"] == "ended and priority = 'vip'"
    assert {row["why"] for row in told["vip_escalation_ratio"]["records"]} >= {"outside: ended and priority = 'vip'"}
    assert "1209600" in told["late_recontact_ratio"]["definition"]["numerator"]
    assert "'{recontact}'" in told["open_braces"]["definition"]["where"]


def test_a_kpi_is_made_from_the_records_of_its_facts_and_its_parts() -> None:
    kpis = {setting.kpi.name: setting.kpi for setting in loaded().plan.settings}

    assert kpis["vip_escalation_ratio"].needs == ("request",)
    assert list(kpis)[-2:] == ["human_effort_seconds", "effort_per_escalation"], "parts come first"


@pytest.mark.parametrize(
    ("facts", "value", "uses"),
    [
        ("run", "run_seconds", ()),
        ("run", "saved_seconds", ("request",)),
        ("change", "lead_seconds", ()),
        ("change", "recovery_seconds", ("incident",)),
    ],
)
def test_records_that_a_column_does_not_need_hold_nothing_back(
    tmp_path: Path, facts: str, value: str, uses: tuple[str, ...]
) -> None:
    placed = {"run": "ended_at", "change": "deployed_at"}[facts]
    body = {"facts": facts, "title": "Mine", "help": "Mine.", "kind": "duration", "placed_by": placed, "value": value}
    kpi = own(tmp_path, "mine_seconds", body | {"better": "lower"})

    assert (kpi.needs, kpi.uses) == ((facts,), uses)


def own(folder: Path, name: str, body: object) -> Kpi:
    """One KPI of one's own, as read from a config."""
    path = folder / "own.yaml"
    source = {"name": "a", "type": "files", "record": "request", "path": "x.jsonl"}
    path.write_text(json.dumps({"sources": [source], "kpis": {name: body}}))
    found = config.load(path, catalogue(), CONNECTORS, {})
    return next(setting.kpi for setting in found.plan.settings if setting.kpi.name == name)


def test_every_key_that_shapes_a_kpi_of_ours_is_there_for_users() -> None:
    assert {"numerator", "minus", "weight", "numerator_placed_by", "aggregate", "drop", "matched", "for"} <= KEYS
    assert not {"name", "needs", "uses", "written", "threshold", "unattributed"} & KEYS


def test_an_own_kpi_is_withdrawn_where_a_field_that_it_needs_is_missing(tmp_path: Path) -> None:
    opened, resolved = AT - timedelta(days=2), AT - timedelta(days=1)
    body: dict[str, object] = {"facts": "request", "title": "Mine", "help": "Mine.", "kind": "ratio"}
    body |= {"placed_by": "resolved_at"}
    body |= {"numerator": "escalated", "denominator": "resolved", "better": "lower", "fields": ["requester"]}
    own(tmp_path, "mine_ratio", body)
    found = config.load(tmp_path / "own.yaml", catalogue(), CONNECTORS, {})
    with empty_store(tmp_path) as store:
        store.write("a", [Request(id=str(i), opened_at=opened, resolved_at=resolved) for i in range(9)], {})
        with store.reading() as reader:
            evaluation = evaluate(reader, found.plan, AT, [FEED])

    assert evaluation.absent["mine_ratio"] == "field_missing"
    assert "escalation_ratio" not in evaluation.absent


@pytest.mark.slow
@given(name=st.sampled_from(sorted(catalogue())), key=st.sampled_from(sorted(KEYS)))
def test_no_kpi_of_ours_can_be_given_another_meaning(
    tmp_path_factory: pytest.TempPathFactory, name: str, key: str
) -> None:
    folder = tmp_path_factory.mktemp("own")

    with pytest.raises(Mistakes, match="meaning cannot be changed"):
        own(folder, name, {key: "x"})


async def test_an_own_kpi_is_everywhere_where_ours_are_and_comes_with_a_reload(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    lines = [
        {"id": str(i), "starts_at": (now - timedelta(hours=i + 1)).isoformat(), "outcome": outcome, "team": "emea"}
        for i, outcome in enumerate(["attended"] * 3 + ["no_show"])
    ]
    (tmp_path / "bookings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "outcome.yaml"
    plain = (
        "store: {path: store.duckdb}\nevaluation_interval: 5s\nsources:\n"
        "  - {name: meetings, type: files, record: booking, path: 'bookings.jsonl', interval: 5s}\n"
    )
    path.write_text(plain)
    async with running(path, "--web.enable-lifecycle") as program:
        before = await program.until(lambda samples: value(samples, "outcome_no_show_ratio", window="7d") is not None)
        path.write_text(plain + OWN)
        program.process.send_signal(1)  # SIGHUP
        name = "outcome_emea_attendance_ratio"
        after = await program.until(lambda samples: value(samples, name, window="7d") is not None)
        page = await program.get("/kpis")
        explained = await program.get("/explain?kpi=emea_attendance_ratio&window=7d")
        checked = await command("check", "--config.file", "outcome.yaml", folder=tmp_path)
        listed = await command("kpis", "--config.file", "outcome.yaml", folder=tmp_path)
        told = await command(
            "explain", "emea_attendance_ratio", "--json", "--config.file", "outcome.yaml", folder=tmp_path
        )
        length = ("--from", "2h", "--step", "1h", "--output", "past.om")
        past = await command("backfill", *length, "--config.file", "outcome.yaml", folder=tmp_path)

    assert value(before, name, window="7d") is None
    assert (value(after, name, window="7d"), value(after, f"{name}_threshold", window="7d")) == (0.75, 0.9)
    assert "Attendance in EMEA" in page
    assert "attended or no_show" in explained
    assert (checked[0], "1 of your own: emea_attendance_ratio" in checked[1]) == (0, True)
    assert "emea_attendance_ratio" in listed[1]
    assert json.loads(told[1])["numbers"]["value"] == 0.75
    assert past[0] == 0, past
    assert re.search(rf'{name}{{[^}}]*window="7d"', (tmp_path / "past.om").read_text())
