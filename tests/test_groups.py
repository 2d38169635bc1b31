"""Each KPI says where it belongs and what it is for; a config chooses among them and says who owns them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporter.base.strict_yaml import Mistakes
from exporter.catalogue import kpi
from exporter.catalogue.group import GROUPS, TIERS
from exporter.config import Config, load
from exporter.connectors import CONNECTORS
from exporter.evaluation.breach import target
from exporter.evaluation.context import MADE, longest
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Setting
from exporter.explain.explain import explain
from exporter.explain.query import Unexplained, question
from exporter.explain.roles import in_words, roles
from exporter.publish.cardinality import shape
from exporter.publish.families import series
from exporter.records import Booking, Record, Request
from exporter.runtime import once
from exporter.store.status import SourceStatus
from tests.scenario import empty_store

AT = datetime(2026, 3, 31, tzinfo=UTC)
HEAD = """
sources: [{ name: a, type: files, record: request, path: "requests.jsonl" }]
labels: { booking: [team], request: [team] }
kpis:
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Config]:
    """Reads a config of which only the section kpis is given."""

    def written(kpis: str) -> Config:
        path = tmp_path / "outcome.yaml"
        path.write_text(HEAD + kpis)
        return load(path, kpi.catalogue(), CONNECTORS, {})

    return written


def setting_of(found: Config, name: str) -> Setting:
    return next(each for each in found.plan.settings if each.kpi.name == name)


def published(found: Config, folder: Path, records: Sequence[Record], *of: str) -> Mapping[str, Mapping[Any, Any]]:
    """Name of a metric -> labels -> value, of what an evaluation of these records publishes."""
    with empty_store(folder) as store:
        store.write("a", records, {})
        with store.reading() as reader:
            evaluation = evaluate(reader, found.plan, AT, [SourceStatus(source="a", records=frozenset(of))])
    snapshot = series(evaluation, found.plan, found.limits).snapshot
    return {
        each.name: {tuple(zip(each.labels, labels, strict=True)): value for labels, value in each.samples}
        for each in snapshot.families
    }


def test_every_group_has_headlines_drivers_and_controls() -> None:
    missing = {
        (group, tier)
        for group in GROUPS
        for tier in TIERS
        if not any((each.group, each.tier) == (group, tier) for each in kpi.catalogue().values())
    }

    assert missing == set()


def test_a_group_has_at_most_two_headlines() -> None:
    headlines = Counter(each.group for each in kpi.catalogue().values() if each.tier == "headline")

    assert {count for count in headlines.values() if count > 2} == set()


def test_a_shipped_kpi_without_a_group_a_tier_and_an_indicator_is_refused(tmp_path: Path) -> None:
    (tmp_path / "booking.yaml").write_text(
        "facts: booking\nneeds: [booking]\nkpis:\n  bookings: {title: Bookings, help: Bookings., kind: count, "
        "where: booked_at is not null, better: higher, guard: [bookings]}\n"
    )

    with pytest.raises(Mistakes) as found:
        kpi.load(tmp_path)

    assert [mistake.message for mistake in found.value.mistakes] == ["has no group", "has no tier", "has no indicator"]


def test_only_what_is_chosen_is_computed_with_what_is_read_beside_it(read: Callable[[str], Config]) -> None:
    found = read("  only: [no_show_ratio, utilisation_ratio]\n")

    assert [(each.kpi.name, each.chosen) for each in found.plan.settings] == [
        ("no_show_ratio", True),
        ("attendance_ratio", False),
        ("capacity_seconds", False),
        ("utilisation_ratio", True),
        ("handle_seconds", False),
        ("backlog", False),
    ]


def test_a_group_chooses_all_its_kpis_own_ones_too(read: Callable[[str], Config]) -> None:
    found = read(
        "  only: [rollout]\n  spam_ratio: { group: rollout, facts: request, title: Spam, help: Spam., kind: ratio, "
        "placed_by: ended_at, numerator: escalated, denominator: ended, better: lower }\n"
    )
    chosen = {each.kpi.name for each in found.plan.settings if each.chosen}

    assert chosen == {name for name, each in kpi.catalogue().items() if each.group == "rollout"} | {"spam_ratio"}
    assert found.warnings == ()


def test_a_kpi_that_is_called_like_its_group_is_chosen_alone_by_the_name_of_its_series(
    read: Callable[[str], Config],
) -> None:
    alone = read("  only: [outcome_bookings]\n").plan.settings
    group = read("  only: [bookings]\n").plan.settings

    assert [each.kpi.name for each in alone] == ["attendance_ratio", "bookings"]
    assert len(group) > 10


def test_what_only_comes_with_others_has_no_thresholds_and_no_baselines_of_its_own(
    read: Callable[[str], Config],
) -> None:
    made_of_it = """
  only: [rollout]
  escalated:
    group: rollout
    facts: request
    title: Escalated
    help: Escalated requests over those that were opened.
    kind: derived
    numerator: escalation_ratio.numerator
    denominator: requests
    unit: escalations per request
    better: lower
"""
    beside = setting_of(read(made_of_it), "escalation_ratio")
    told = setting_of(read(made_of_it + "  escalation_ratio: { threshold: { warning: 0.3 } }\n"), "escalation_ratio")
    chosen = setting_of(read("  only: [escalation_ratio]\n"), "escalation_ratio")

    assert (beside.has_threshold, beside.kpi.spike, beside.baselines.weekday_median) == (False, None, False)
    assert (told.threshold.warning, told.threshold.critical) == (0.3, None)
    assert (chosen.threshold.warning, chosen.baselines.weekday_median) == (0.2, True)


def test_settings_that_nothing_uses_are_warned_of(read: Callable[[str], Config]) -> None:
    found = read("  only: [money]\n  csat_ratio: { target: 0.8 }\n  deflection_ratio: { target: 0.5 }\n")

    assert [each.partition("outcome.yaml:")[2] for each in found.warnings] == [
        "7: kpis.deflection_ratio: kpis.only names neither deflection_ratio nor its group, so this is not used"
    ]


def test_facts_use_the_parameters_of_a_kpi_that_is_not_computed(read: Callable[[str], Config]) -> None:
    window = "  change_failure_ratio: { failure_window: 12h"
    other = "  only: [money]\n"
    computed = [
        longest([*found.plan.settings, *found.plan.not_computed])["failure_window"]
        for found in (read(f"{window} }}\n"), read(f"{window}, enabled: false }}\n"), read(f"{other}{window} }}\n"))
    ]

    assert computed == ["43200.0"] * 3


def test_a_facts_file_that_nothing_chosen_counts_is_not_read(read: Callable[[str], Config], tmp_path: Path) -> None:
    found = read("  only: [no_show_ratio]\n")
    with empty_store(tmp_path / "store") as store, store.reading() as reader:
        evaluate(reader, found.plan, AT, [SourceStatus(source="a", records=frozenset({"booking", "request", "run"}))])
        [(made,)] = reader.execute(f"select getvariable('{MADE}')").fetchall()

    assert made == ["booking"]


def test_what_is_said_of_a_kpi_comes_before_what_is_said_of_its_group(read: Callable[[str], Config]) -> None:
    found = read(
        "  groups:\n    support: { business_owner: desk, technical_owner: tools, cadence: monthly, escalation: coo }\n"
        "  csat_ratio: { technical_owner: survey, tier: driver, indicator: leading, owner: queue }\n"
    )
    csat, backlog, mttr = (setting_of(found, name) for name in ("csat_ratio", "backlog", "mttr_seconds"))

    assert (csat.business_owner, csat.technical_owner, csat.owner) == ("desk", "survey", "queue")
    assert (csat.cadence, csat.escalation, csat.tier, csat.indicator) == ("monthly", "coo", "driver", "leading")
    # The one who answers for the value is told by alerts unless somebody else is named.
    assert (backlog.owner, backlog.tier, backlog.indicator) == ("desk", "control", "leading")
    assert (mttr.business_owner, mttr.owner, mttr.cadence) == ("unassigned", "unassigned", "weekly")


def test_a_target_is_published_beside_the_value_of_each_segment(read: Callable[[str], Config], tmp_path: Path) -> None:
    found = read(
        "  only: [no_show_ratio]\n  no_show_ratio:\n    target: 0.1\n    thresholds_by:\n"
        "      - { match: { team: emea }, target: 0.12 }\n      - { match: { team: apac }, target: null }\n"
        "      - { match: { team: none }, warning: 0.2 }\n"
    )
    records = [
        Booking(id=team, team=team, starts_at=datetime(2026, 3, 30, tzinfo=UTC), outcome="no_show")
        for team in ("emea", "apac", "none", "it")
    ]
    targets = published(found, tmp_path / "store", records, "booking")["outcome_no_show_ratio_target"]

    assert {dict(labels)["team"]: value for labels, value in targets.items()} == {"emea": 0.12, "it": 0.1, "none": 0.1}
    assert {dict(labels)["window"] for labels in targets} == {"7d", "30d", "90d"}


def test_a_target_takes_a_series_of_each_segment_and_window_from_the_limits(read: Callable[[str], Config]) -> None:
    plain, aimed = (
        shape(setting_of(read(said), "csat_ratio"), windows=4, splits=1, buckets=0).all
        for said in ("", "  csat_ratio: { target: 0.8 }\n")
    )

    assert aimed - plain == 4


def test_a_target_of_a_duration_is_for_the_basis_of_its_thresholds(read: Callable[[str], Config]) -> None:
    setting = setting_of(read("  mttr_seconds: { target: 2h }\n"), "mttr_seconds")

    assert target(setting, (("team", "it"), ("basis", "calendar"))) == 7200
    assert target(setting, (("team", "it"), ("basis", "calendar_active"))) is None


def test_a_kpi_says_all_that_is_known_of_it_in_its_info(read: Callable[[str], Config], tmp_path: Path) -> None:
    found = read(
        "  only: [outcome_requests]\n  groups: { support: { business_owner: desk } }\n"
        "  requests: { technical_owner: tools }\n"
    )
    info = published(found, tmp_path / "store", [Request(id="1", opened_at=AT, outcome="open")], "request")
    told = [dict(labels) for labels in info["outcome_kpi_info"] if dict(labels)["kpi"] == "requests"]

    assert told == [
        {
            "kpi": "requests",
            "title": "Requests",
            "unit": "requests",
            "better": "none",
            "kpi_group": "support",
            "tier": "driver",
            "indicator": "leading",
            "business_owner": "desk",
            "technical_owner": "tools",
            "kpi_owner": "desk",
            "escalation": "none",
            "cadence": "weekly",
        }
    ]


async def test_a_kpi_that_never_had_values_has_no_first_time(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_text('{"id": "1", "opened_at": "2026-03-30T00:00:00Z", "outcome": "open"}\n')
    (tmp_path / "outcome.yaml").write_text(HEAD + "  only: [backlog_change, csat_ratio]\n")
    config = load(tmp_path / "outcome.yaml", kpi.catalogue(), CONNECTORS, {})
    days = [AT, AT + timedelta(days=1)]
    found = {}
    with empty_store(tmp_path / "store") as store:
        for day, polls in enumerate((True, False)):
            result = await once(config, store, partial(days.__getitem__, day), at=None, polls=polls)
            registry = result.health.registry
            found[day] = {
                name: registry.get_sample_value("outcome_kpi_first_published_timestamp_seconds", {"kpi": name})
                for name in ("backlog_change", "csat_ratio")
            }

    assert found[0] == found[1] == {"backlog_change": AT.timestamp(), "csat_ratio": None}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", [("place", "headline of support, lagging"), ("reviewed", "weekly")]),
        (
            "  csat_ratio: { business_owner: desk, technical_owner: survey, escalation: coo, cadence: monthly }\n",
            [
                ("place", "headline of support, lagging"),
                ("business owner", "desk"),
                ("technical owner", "survey"),
                ("escalation", "coo"),
                ("reviewed", "monthly"),
            ],
        ),
        (
            "  csat_ratio: { owner: queue }\n",
            [("place", "headline of support, lagging"), ("alerts go to", "queue"), ("reviewed", "weekly")],
        ),
        (
            "  only: [cost_per_request]\n",
            [
                ("place", "headline of support, lagging; comes with a KPI that the config chooses"),
                ("reviewed", "weekly"),
            ],
        ),
    ],
)
def test_what_a_kpi_is_for_and_who_answers_for_it_is_said_in_words(
    said: str, words: list[tuple[str, str]], read: Callable[[str], Config]
) -> None:
    assert in_words(roles(setting_of(read(said), "csat_ratio"))) == words


@pytest.mark.parametrize("said", ["  only: [support]\n", "  win_ratio: { enabled: false }\n"])
def test_whoever_asks_for_a_kpi_that_is_not_computed_is_told_so(said: str, read: Callable[[str], Config]) -> None:
    with pytest.raises(Unexplained, match="'win_ratio' is not computed: the config switches it off, or does not name"):
        question({"kpi": "win_ratio"}, read(said).plan)


def test_an_explanation_names_no_guard_that_is_not_computed(read: Callable[[str], Config], tmp_path: Path) -> None:
    plan = read("  only: [utilisation_ratio]\n").plan
    sources = [SourceStatus(source="a", records=frozenset({"request"}))]
    with empty_store(tmp_path / "store") as store, store.reading() as reader:
        guards = {
            name: explain(reader, plan, AT, sources, question({"kpi": name}, plan))["guard"]
            for name in ("utilisation_ratio", "backlog")
        }

    assert guards == {"utilisation_ratio": ["handle_seconds", "backlog"], "backlog": []}
